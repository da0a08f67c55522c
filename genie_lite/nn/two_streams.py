"""Attention over time of two streams in one pass: complete frames, and masked ones that see the complete past."""

from __future__ import annotations

import functools

import torch
from einops import rearrange
from torch import Tensor

from genie_lite.nn.attention import FOLD, Attention, attend, rotate
from genie_lite.nn.layers import layer_norm


def attend_streams(layer: Attention, x: Tensor, mask: Tensor) -> Tensor:
    """`layer.forward` over time, for x [B, 2 · (T-1), N, D]: complete frames 1 .. T-1, then masked frames 2 .. T."""
    steps = x.shape[1] // 2
    qk, v = layer.qkv(x).split(layer.widths, dim=-1)
    qk = layer_norm(rearrange(qk, "b t n (two h d) -> b t n two h d", two=2, h=layer.num_heads))
    qk = torch.cat([rotate(qk[:, :steps]), rotate(qk[:, steps:], start=1)], dim=1)
    v = rearrange(v, "b t n (h d) -> b t n h d", h=layer.num_heads)
    fold, unfold = FOLD["time"]
    q, k, v = (rearrange(part, fold) for part in (*qk.unbind(dim=3), v))
    return layer.out(rearrange(attend(q, k, v, mask), unfold, b=len(x), t=2 * steps))


@functools.lru_cache(maxsize=16)
def two_stream_mask(steps: int, window: int, device: torch.device) -> Tensor:
    """bool [2 · steps, 2 · steps], True where attention is not allowed: complete frames, then masked ones.

    A complete frame sees itself and complete frames before it. A masked frame sees complete frames before it, and of
    the masked ones itself alone. Each sees `window` frames at most, its own among them.
    """
    with torch.inference_mode(False):  # the cached mask must also serve training
        ones = torch.ones(steps, steps, dtype=torch.bool, device=device)
        complete = ones.triu(1) | ones.tril(-window)
        before = ones.triu(1) | ones.tril(1 - window)  # row i is frame i + 1, column j is frame j
        itself = ~torch.eye(steps, dtype=torch.bool, device=device)
        return torch.cat([torch.cat([complete, ones], dim=1), torch.cat([before, itself], dim=1)])
