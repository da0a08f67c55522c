"""The small layers that all three models share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import TransformerConfig


def layer_norm(x: Tensor) -> Tensor:
    """Layer norm over the last axis, without weights: the matrix that follows can scale."""
    return F.layer_norm(x, x.shape[-1:])


def feed_forward(config: TransformerConfig) -> nn.Sequential:
    """Two linear layers with a SiLU between them; the second starts at zero, so a fresh block adds nothing.

    SiLU rather than GELU because on a CPU in bfloat16 it takes a tenth of the time.
    """
    hidden = round(config.d_model * config.ffn_ratio)
    grow, shrink = nn.Linear(config.d_model, hidden, bias=False), nn.Linear(hidden, config.d_model, bias=False)
    nn.init.zeros_(shrink.weight)
    return nn.Sequential(grow, nn.SiLU(), shrink)


def position_embedding(count: int, d_model: int) -> nn.Parameter:
    """A learned vector [N, D] for each of the `count` positions in a frame. Time needs none: see `attention.rotate`."""
    return nn.Parameter(0.02 * torch.randn(count, d_model))
