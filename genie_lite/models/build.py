"""Settings to building blocks, once for all three models."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from genie_lite.config import CodebookConfig, TransformerConfig
from genie_lite.nn import STTransformer, VectorQuantizer


def st_transformer(
    settings: TransformerConfig, window: int, attention: Literal["st", "space", "full"] = "st"
) -> STTransformer:
    """The ST-transformer that `settings` describe, with a temporal window of `window` frames."""
    return STTransformer(
        settings.num_layers,
        settings.d_model,
        settings.num_heads,
        settings.head_width,
        settings.value_width,
        round(settings.d_model * settings.ffn_ratio),
        window,
        attention,
    )


def codebook(settings: CodebookConfig) -> VectorQuantizer:
    """The vector quantizer that `settings` describe."""
    return VectorQuantizer(
        settings.num_codes,
        settings.latent_dim,
        normalize=settings.normalize,
        update=settings.update,
        decay=settings.decay,
        commitment=settings.commitment,
        restart_after=settings.restart_after,
    )


def position_embedding(count: int, d_model: int) -> nn.Parameter:
    """A learned vector for each of `count` places in a frame, [N, D]; time needs none (nn.attention)."""
    return nn.Parameter(0.02 * torch.randn(count, d_model))
