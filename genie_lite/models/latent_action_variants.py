"""Latent action models that depart from the paper's: options that make it learn faster, and the input of table 2."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.latent_action import LatentActionModel
from genie_lite.nn import Patches


class ExtendedLatentActionModel(LatentActionModel):
    """The paper's model with three options, each on or off.

    `difference_input`: the encoder also sees the change since the frame before, as extra channels.
    `residual_output`: the decoder predicts a change to the last frame and starts by copying it.
    `loss: relative`: a frame's error counts less, the more the frame changed.
    """

    def __init__(self, config: ModelConfig, *, patches: Patches | None = None) -> None:
        settings = config.latent_action
        super().__init__(config, patches=patches, encoder_views=2 if settings.difference_input else 1)
        self.difference_input, self.residual_output = settings.difference_input, settings.residual_output
        self.relative_loss = settings.loss == "relative"
        if self.residual_output:
            nn.init.zeros_(self.to_patch.weight)
            nn.init.zeros_(self.to_patch.bias)

    def encoder_input(self, frames: Tensor) -> Tensor:
        patches = self.patches.cut(frames)
        if not self.difference_input:
            return patches
        change = F.pad(patches.diff(dim=1), (0, 0, 0, 0, 1, 0))  # zero for the first frame, which has none before it
        return torch.cat([patches, change], dim=-1)

    def next_frames(self, frames: Tensor, output: Tensor) -> Tensor:
        return frames + output if self.residual_output else super().next_frames(frames, output)

    def weigh(self, errors: Tensor, frames: Tensor) -> Tensor:
        """Errors, divided by how much each frame changed: a fall changes more pixels than a step and would drown it."""
        if not self.relative_loss:
            return errors
        changes = frames.diff(dim=1).square().flatten(2).mean(-1)  # [B, T-1]
        usual = changes.mean().clamp_min(1e-9)
        return errors * (usual / (changes + usual / 2))


class TokenLatentActionModel(ExtendedLatentActionModel):
    """Reads and predicts tokens (table 2: "replacing x with z in figure 5"), with the same options.

    A frame is the picture made of its tokens' codes, [B, T, rows, columns, latent_dim of the tokenizer]
    (`GenieModel.latent_action_inputs`). A patch covers the same part of the frame as in the model that reads pixels,
    and the loss is the squared error of the predicted codes.
    """

    inputs = "tokens"

    def __init__(self, config: ModelConfig) -> None:
        token = config.tokenizer
        tokens_per_side = config.latent_action.patch_size // token.patch_size  # of a patch
        patches = Patches(config.grid(token.patch_size), tokens_per_side, token.codebook.latent_dim)
        super().__init__(config, patches=patches)

    def latents(self, frames: Tensor) -> Tensor:
        wanted = (*self.patches.frame_size, self.patches.channels)
        if tuple(frames.shape[2:]) != wanted:
            raise ValueError(
                f"frames: found {list(frames.shape)}, wanted the codes of tokens, "
                f"[B, T, {', '.join(map(str, wanted))}]; "
                "this model does not read pixels: ask the whole Genie, or take its latent_action_inputs(frames)"
            )
        return super().latents(frames)

    def next_frames(self, frames: Tensor, output: Tensor) -> Tensor:
        return frames + output if self.residual_output else output  # codes are not confined to [0, 1]: no sigmoid
