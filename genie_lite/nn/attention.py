"""Self-attention within a frame and along time.

Time is encoded relatively, by rotary embedding (Su et al., 2021): queries and keys are rotated by an angle that grows
with the frame's index, so a score depends on how many frames lie between the two, never on where in the video they are.
Keys and values of past frames therefore stay valid when the temporal window slides.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_lite.config import TransformerConfig
from genie_lite.nn.layers import layer_norm

# Which axes of [B, T, N, heads, d] become the sequence and which join the batch, and the way back.
FOLD = {
    "space": ("b t n h d -> (b t) h n d", "(b t) h n d -> b t n (h d)"),
    "time": ("b t n h d -> (b n) h t d", "(b n) h t d -> b t n (h d)"),
    "both": ("b t n h d -> b h (t n) d", "b h (t n) d -> b t n (h d)"),
}


class Attention(nn.Module):
    """Multi-head self-attention with QK-norm along one axis of x [B, T, N, D]; the result has the same shape.

    axis "space": the N tokens of a frame attend to each other.
    axis "time": a token attends to the same position in its own frame and in the `window` - 1 frames before it.
    axis "both": a token attends to every token of those frames.
    """

    def __init__(self, config: TransformerConfig, axis: Literal["space", "time", "both"], window: int = 16) -> None:
        super().__init__()
        self.num_heads, self.qk_size, self.v_size = config.num_heads, config.head_width, config.value_width
        self.axis, self.window = axis, window
        self.widths = (2 * self.num_heads * self.qk_size, self.num_heads * self.v_size)  # columns of Q and K, and of V
        self.qkv = nn.Linear(config.d_model, sum(self.widths), bias=False)
        self.out = nn.Linear(self.num_heads * self.v_size, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        qk, v = self.qkv(x).split(self.widths, dim=-1)
        qk = rearrange(qk, "b t n (two h d) -> b t n two h d", two=2, h=self.num_heads)
        v = rearrange(v, "b t n (h d) -> b t n h d", h=self.num_heads)
        qk = layer_norm(qk)  # QK-norm: scores stay bounded (section 3)
        if self.axis != "space":
            qk = rotate(qk)
        q, k = qk.unbind(dim=3)
        return self.out(self.mix(q, k, v))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Values averaged along the axis, [B, T, N, heads · e], for q, k [B, T, N, heads, d] and v [B, T, N, heads, e].

        What is not the axis joins the batch; only the order in which the axes are folded tells space from time.
        """
        num_clips, num_frames, num_tokens = v.shape[:3]
        fold, unfold = FOLD[self.axis]
        q, k, v = (rearrange(part, fold) for part in (q, k, v))
        causal = self.axis == "time" and num_frames <= self.window
        y = attend(q, k, v, self._mask(num_frames, num_tokens, v.device), causal)
        return rearrange(y, unfold, b=num_clips, t=num_frames)

    def _mask(self, num_frames: int, num_tokens: int, device: torch.device) -> Tensor | None:
        if self.axis == "space":
            return None
        mask = sliding_mask(num_frames, self.window, device)  # [T, T]
        if self.axis == "both":  # what holds for a frame holds for each of its tokens: [T·N, T·N]
            mask = mask.repeat_interleave(num_tokens, dim=0).repeat_interleave(num_tokens, dim=1)
        return mask


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """softmax(q kᵀ / √d) v for q [..., Lq, d], k [..., Lk, d] and v [..., Lk, e].

    `mask` [Lq, Lk] is True where attention is not allowed; `causal` says that it hides the future and nothing else.

    On a CPU short sequences take two matrix products instead of PyTorch's fused attention, whose backward pass is
    several times slower there in bfloat16; in float32 the two are close (docs/experiments.md). GPUs get the fused
    kernel, which is fastest for [B, h, L, d] with no mask but the causal one.
    """
    if q.device.type != "cpu" or (k.shape[-2] > 128 and q.dtype == torch.float32):
        allowed = None if mask is None or causal else ~mask
        return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, is_causal=causal)
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if mask is not None:
        scores = scores.masked_fill(mask, float("-inf"))
    return scores.softmax(dim=-1) @ v


@functools.lru_cache(maxsize=16)
def sliding_mask(length: int, window: int, device: torch.device) -> Tensor:
    """bool [L, L], True where frame i must not see frame j: the future, and all but the newest `window` frames."""
    with torch.inference_mode(False):  # the cached mask must also serve training
        ones = torch.ones(length, length, dtype=torch.bool, device=device)
        return ones.triu(1) | ones.tril(-window)


# ---------------------------------------------------------------------------------------------- rotary time


def rotate(x: Tensor, start: int = 0) -> Tensor:
    """Rotate pairs of columns of x [B, T, ..., d] by angles proportional to the frame index, start .. start + T - 1.

    The dot product of a rotated query and a rotated key depends only on how many frames lie between them.
    """
    return rotate_to(x, range(start, start + x.shape[1]))


def rotate_to(x: Tensor, frames: Sequence[int]) -> Tensor:
    """`rotate` with a frame index given for each entry of the second axis; `frames` must be hashable."""
    half = x.shape[-1] // 2
    cos, sin = _rotations(half, frames, x.device, x.dtype)
    shape = (x.shape[1], *[1] * (x.ndim - 3), x.shape[-1])  # [T, 1, ..., d]
    return torch.addcmul(x * cos.view(shape), x.roll(half, dims=-1), sin.view(shape))


@functools.lru_cache(maxsize=256)
def _rotations(half: int, frames: Sequence[int], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines, [T, 2 · half] each. Angles are float64: exact after any number of frames."""
    with torch.inference_mode(False):
        rates = 10_000.0 ** -(torch.arange(half, dtype=torch.float64) / half)
        angles = torch.tensor(frames, dtype=torch.float64)[:, None] * rates  # [T, half]
        cos = torch.cat([angles.cos(), angles.cos()], dim=-1)
        sin = torch.cat([-angles.sin(), angles.sin()], dim=-1)
        return cos.to(device, dtype), sin.to(device, dtype)
