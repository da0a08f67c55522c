"""Playing without a cache, as the page does: every MaskGIT step computes every frame of the window again.

Only the newest `context_frames` frames are kept, as in open reproductions. Until the window is full, this computes what
the package's cache does.
"""

from __future__ import annotations

from torch import Tensor

from benchmarks import one_page
from genie_lite.config import SamplingConfig
from genie_lite.inference.rollout import frame_seed, prompt_hash


class PlainPlay:
    """Worlds [B] of the page that grow by a frame a `step`, from prompt frames [B, T, H, W, C], float in [0, 1].

    Random numbers are those of `genie_lite.inference.Rollout`: same seed for a frame, drawn in the same order.
    """

    def __init__(self, plain: one_page.Genie, prompt: Tensor, sampling: SamplingConfig, seed: int) -> None:
        for name, wanted in (("ordering", "random"), ("schedule", "cosine")):
            if getattr(sampling, name) != wanted:
                raise ValueError(f"{name}: found {getattr(sampling, name)!r}, wanted {wanted!r}: the page has no other")
        self.world = one_page.World(plain, prompt, sampling.maskgit_steps, sampling.temperature)
        self.num_latent_actions = len(plain.latent_action.quantizer.codebook.vectors)
        self.seed, self.position = seed, prompt.shape[1]
        self.prompt = prompt_hash((prompt * 255).round().byte().cpu().numpy())

    @property
    def tokens(self) -> Tensor:
        """Tokens of the frames that are kept, [B, T, N]."""
        return self.world.tokens

    def step(self, latent_actions: Tensor) -> Tensor:
        """Take one latent action [B] in each world: the new frames [B, H, W, C]."""
        self.world.generator.manual_seed(frame_seed(self.seed, self.prompt, self.position))
        self.position += 1
        return self.world.step(latent_actions)
