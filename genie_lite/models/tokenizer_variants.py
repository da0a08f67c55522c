"""A tokenizer that departs from the paper's: one without an encoder.

The rivals of table 3 need no class of their own: they are a VideoTokenizer of other blocks (nn/table3_blocks.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.tokenizer import TokenizerOutput, VideoTokenizer
from genie_lite.nn import STBlock, k_means
from genie_lite.nn.st_transformer import Block

GREY = 0.5  # patches are stored relative to mid-grey, so that the length of a code means something


class PatchTokenizer(VideoTokenizer):
    """No encoder (setting `codes: patches`; not in the paper): a token is the nearest of K typical patches.

    `fit_patches` finds those before training. The decoder starts by showing them unchanged, and learns what
    neighbouring patches and earlier frames add. docs/experiments.md says what this is good for.
    """

    def __init__(self, config: ModelConfig, block: Block = STBlock) -> None:
        super().__init__(config, block)
        nn.init.zeros_(self.to_patch.weight)
        nn.init.zeros_(self.to_patch.bias)

    def _build_encoder(self, config: ModelConfig, block: Block) -> None:
        """Build nothing: patches are their own latents."""

    def forward(self, frames: Tensor) -> TokenizerOutput:
        output = super().forward(frames)
        return output._replace(loss=output.reconstruction_loss)  # without an encoder nothing can commit to a code

    def latents(self, frames: Tensor) -> Tensor:
        """The patches themselves, [B, T, N, latent_dim], from -0.5 to 0.5."""
        return self.patches.cut(frames) - GREY

    def to_frames(self, decoded: Tensor, vectors: Tensor) -> Tensor:
        """The chosen patches, plus what the decoder changes in them."""
        return self.patches.join(GREY + vectors + self.to_patch(decoded).to(vectors.dtype))

    @torch.no_grad()
    def fit_patches(self, frames: Tensor, generator: torch.Generator | None = None) -> None:
        """Set the codebook to K typical patches of frames [B, T, H, W, C] in [0, 1], by k-means."""
        points = self.latents(frames).flatten(0, 2)  # [B·T·N, latent_dim]
        self.quantizer.codebook.copy_(k_means(points, self.quantizer.num_codes, generator))
