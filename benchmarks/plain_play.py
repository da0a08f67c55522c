"""Playing without a cache: every MaskGIT step computes every frame of the window again.

With `crop`, only the newest `context_frames` frames are kept, as open reproductions do; it is the cheaper way, and the
one that speeds are compared with. Without it, all frames so far are computed again, each seeing what it saw when it was
played (the sliding window, in every layer), which is exact. The two agree until the window is full.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.plain import PlainGenie
from genie_lite.config import SamplingConfig
from genie_lite.inference.maskgit import masked_after
from genie_lite.inference.rollout import frame_seed, prompt_hash


class PlainPlay:
    """Worlds [B] that grow by a frame a `step`, from prompt frames [B, T, H, W, C], float in [0, 1].

    Random numbers are those of `genie_lite.inference.Rollout`: same seed for a frame, drawn in the same order.
    """

    @torch.no_grad()
    def __init__(self, plain: PlainGenie, prompt: Tensor, sampling: SamplingConfig, seed: int, crop: bool) -> None:
        if sampling.ordering != "random":
            raise ValueError(f"ordering: found {sampling.ordering!r}, wanted 'random': the reference has no other")
        self.plain, self.sampling, self.seed = plain, sampling, seed
        self.past = plain.config.model.context_frames - 1 if crop else None  # frames kept beside the new one
        self.prompt = prompt_hash((prompt * 255).round().byte().cpu().numpy())
        self.tokens = plain.tokenizer.encode(prompt)  # [B, T, N]
        self.actions = plain.latent_action.encode(prompt)  # [B, T-1]
        self.position = prompt.shape[1]
        self.generator = torch.Generator(prompt.device)

    @torch.no_grad()
    def step(self, latent_actions: Tensor) -> Tensor:
        """Take one latent action [B] in each world: the new frames [B, H, W, C]."""
        self.actions = torch.cat([self.actions, latent_actions[:, None]], dim=1)
        if self.past:
            self.tokens, self.actions = self.tokens[:, -self.past :], self.actions[:, -self.past :]
        self.generator.manual_seed(frame_seed(self.seed, self.prompt, self.position))
        self.position += 1
        self.tokens = torch.cat([self.tokens, self.sample()[:, None]], dim=1)
        return self.plain.tokenizer.decode(self.tokens)[:, -1].clamp(0, 1)

    def sample(self) -> Tensor:
        """Decode the new frame by MaskGIT with random unmasking: tokens [B, N]."""
        model, vectors = self.plain.dynamics, self.plain.latent_action.quantizer.lookup(self.actions)
        mask, steps = model.num_tokens, self.sampling.maskgit_steps
        new = torch.full_like(self.tokens[:, 0], mask)
        order, points = torch.rand(2, *new.shape, device=new.device, generator=self.generator)
        for step in range(steps):
            logits = model.logits(torch.cat([self.tokens, new[:, None]], dim=1), vectors)[:, -1]
            new = torch.where(new == mask, self.draw(logits, points), new)
            remaining = masked_after(step + 1, steps, new.shape[1], self.sampling.schedule)
            # Positions that come first in a fixed random order stay masked longest.
            new = new.scatter(1, order.argsort(dim=1)[:, :remaining], mask)
            if not remaining:
                break
        return new

    def draw(self, logits: Tensor, points: Tensor) -> Tensor:
        """Tokens [B, N] drawn from logits [B, N, K]: where each cumulative distribution passes its point, [B, N]."""
        if self.sampling.temperature == 0:
            return logits.argmax(dim=-1)
        shares = (logits / self.sampling.temperature).softmax(dim=-1).cumsum(dim=-1)
        return (shares < points[..., None] * shares[..., -1:]).sum(dim=-1).clamp_max(logits.shape[-1] - 1)
