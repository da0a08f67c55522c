"""Attention within a frame and along time, and the cache that makes a played frame cheap.

Time is encoded relatively: queries and keys are turned by an angle that grows with the frame's index (rotary
embedding, Su et al., 2021), so a score depends on how far apart two frames are, never on where they stand. That
is why keys and values of past frames stay valid when the window slides, and why a cache can keep them.
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention with QK-norm along one axis of x [B, T, N, D].

    axis "space": the N tokens of a frame attend to each other. axis "time": the token at each place attends to
    itself and to the same place in up to `window` - 1 frames before, with time encoded by rotation. axis "both": to
    every token of all these frames. qk_size and v_size are the widths of one head's queries and keys, and of its
    values.
    """

    scale: Tensor

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        qk_size: int,
        v_size: int,
        axis: Literal["space", "time", "both"],
        window: int = 16,
    ) -> None:
        super().__init__()
        self.num_heads, self.v_size, self.axis, self.window = num_heads, v_size, axis, window
        self.widths = (2 * num_heads * qk_size, num_heads * v_size)
        self.qkv = nn.Linear(d_model, sum(self.widths), bias=False)
        self.out = nn.Linear(num_heads * v_size, d_model, bias=False)
        self.register_buffer("scale", torch.full((qk_size,), qk_size**-0.25), persistent=False)  # of q and of k

    def forward(self, x: Tensor) -> Tensor:
        batch, length = x.shape[:2]
        qk, v = self.qkv(x).split(self.widths, dim=-1)
        qk = rearrange(qk, "b t n (s h d) -> b t n s h d", s=2, h=self.num_heads)
        qk = F.layer_norm(qk, qk.shape[-1:])  # QK-norm: scores stay bounded (section 3)
        v = rearrange(v, "b t n (h d) -> b t n h d", h=self.num_heads)
        if self.axis == "space":
            q, k = rearrange(qk, "b t n s h d -> s (b t) h n d")
            y = attend(q, k, rearrange(v, "b t n h d -> (b t) h n d"))
            return self.out(rearrange(y, "(b t) h n d -> b t n (h d)", b=batch))
        mask = _sliding_mask(length, self.window, x.device)
        if self.axis == "both":
            q, k = rearrange(rotate(qk), "b t n s h d -> s b h (t n) d")
            count = x.shape[2]
            mask = mask.repeat_interleave(count, dim=0).repeat_interleave(count, dim=1)
            y = attend(q, k, rearrange(v, "b t n h d -> b h (t n) d"), mask)
            return self.out(rearrange(y, "b h (t n) d -> b t n (h d)", n=count))
        q, k = rearrange(rotate(qk), "b t n s h d -> s (b n) h t d")
        v = rearrange(v, "b t n h d -> (b n) h t d")
        y = attend(q, k, v, mask, causal=length <= self.window)
        return self.out(rearrange(y, "(b n) h t d -> b t n (h d)", b=batch))

    def newest(self, x: Tensor, batch: int, cache: TemporalCache, rows: Tensor | None = None) -> Tensor:
        """`forward` for the newest frames alone, x [B·N, D], before `out`; the frames before them are in `cache`.

        With axis "time", x may be some of the B·N rows only: `rows` says which.

        The same function, arranged for few and small operations: a product for each head, which leaves everything in
        the order that attention wants and keeps two cores busier than one product of N rows, no copies between, the
        scores' 1 / sqrt(d) multiplied in where the norm multiplies anyway, and time counted from the newest frame,
        so that its own queries and keys need no turning.
        """
        count, heads = len(x), self.num_heads
        qkv = torch.bmm(x.expand(3 * heads, -1, -1), cache.weights(self, x.dtype))  # [3h, B·N, d]
        qk, v = qkv[: 2 * heads, :, : len(self.scale)], qkv[2 * heads :, :, : self.v_size]
        qk = F.layer_norm(qk, qk.shape[-1:], self.scale.to(qk.dtype))
        if self.axis == "space":
            q, k = qk.view(2, heads * batch, -1, qk.shape[-1]).unbind()
            v = v.reshape(heads * batch, -1, self.v_size)
        else:
            q, k = qk.view(2, heads * count, 1, -1).unbind()
            k, v = cache.extend(self, k, v.reshape(heads * count, 1, -1), rows)  # nothing but the window: no mask
            if self.axis == "both":
                q, k, v = (rearrange(part, "(h b n) t d -> (h b) (t n) d", h=heads, b=batch) for part in (q, k, v))
        y = torch.bmm(torch.bmm(q, k.mT).softmax(dim=-1), v)
        return y.view(heads, count, -1).transpose(0, 1).reshape(count, -1)

    def by_head(self, dtype: torch.dtype) -> Tensor:
        """The matrices that make queries, keys and values, [3h, D, d]; the narrower kind is filled up with zeros."""
        to_qk, to_v = self.qkv.weight.to(dtype).split(self.widths)
        to_qk = rearrange(to_qk, "(s h d) m -> (s h) m d", s=2, h=self.num_heads)
        to_v = rearrange(to_v, "(h d) m -> h m d", h=self.num_heads)
        widest = max(to_qk.shape[-1], to_v.shape[-1])
        return torch.cat([F.pad(part, (0, widest - part.shape[-1])) for part in (to_qk, to_v)])


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """softmax(q k' / sqrt(d)) v for q [..., Lq, d], k [..., Lk, d], v [..., Lk, e]; mask is True where barred.

    `causal` says that the mask bars the future and nothing else. On a CPU with bfloat16 short sequences run
    several times faster as two matrix products than through PyTorch's fused attention, whose backward pass is slow
    there; in float32 the two are close (docs/experiments.md). GPUs get the fused kernel; the quickest of these take
    [B, h, L, d] and no mask but the causal one.
    """
    if q.device.type != "cpu" or (k.shape[-2] > 128 and q.dtype == torch.float32):
        allowed = None if mask is None or causal else ~mask
        return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, is_causal=causal)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(mask, float("-inf"))
    return scores.softmax(dim=-1) @ v


def rotate(x: Tensor, start: int = 0) -> Tensor:
    """Turn pairs of columns of x [B, T, ..., d] by angles proportional to the frame's index, start .. start + T - 1.

    The product of a rotated query and a rotated key depends on how many frames lie between them alone.
    """
    return _turn(x, range(start, start + x.shape[1]))


def _turn(x: Tensor, frames: range | tuple[int, ...]) -> Tensor:
    """`rotate`, with an index for each entry of the second axis."""
    cos, sin = _turns(x.shape[-1] // 2, frames, x.device, x.dtype)
    shape = (x.shape[1], *[1] * (x.ndim - 3), x.shape[-1])
    return torch.addcmul(x * cos.view(shape), x.roll(x.shape[-1] // 2, dims=-1), sin.view(shape))


@functools.lru_cache(maxsize=256)
def _turns(
    half: int, frames: range | tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines [T, 2 · half]; angles in float64, so they are exact after any number of frames."""
    with torch.inference_mode(False):
        rates = 10_000.0 ** -(torch.arange(half, dtype=torch.float64) / half)
        angles = torch.tensor(frames, dtype=torch.float64)[:, None] * rates
        cos, sin = angles.cos(), angles.sin()
        turns = torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)
        return turns[0].to(device, dtype), turns[1].to(device, dtype)


class TemporalCache:
    """Keys and values of the last `window` frames, one ring of slots for each temporal attention.

    A pass over the newest frame writes its slot and attends over the filled ones. The slot may be written again
    (every MaskGIT step does); `advance` makes the frame part of the past. Memory does not grow with frames played.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.position = 0  # index of the newest frame, counted from the first of the prompt
        self._rings: dict[Attention, tuple[Tensor, Tensor]] = {}  # keys as they were made, values: [h·B·N, window, d]
        self._views: dict[Attention, tuple[Tensor, Tensor]] = {}  # of the newest frame: keys turned for it, values
        self._weights: dict[Attention, Tensor] = {}

    def weights(self, layer: Attention, dtype: torch.dtype) -> Tensor:
        """What `layer.by_head` gives, arranged once: the model must not learn while the cache is in use."""
        if layer not in self._weights:
            self._weights[layer] = layer.by_head(dtype)
        return self._weights[layer]

    def extend(self, layer: Attention, k: Tensor, v: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Put the newest frame's k, v [h·B·N, 1, d] after those of the past: all that this frame may attend to.

        With `rows`, k and v are of these of the B·N rows only, and so is the result; the cache does not keep them.
        """
        if rows is not None and not self.position:  # the first frame has no past
            return k, v
        if layer not in self._views:
            self._views[layer] = self._look_back(layer, k, v)
        keys, values = self._views[layer]
        slot = self.position % self.window
        if rows is not None:
            keys, values = (
                part.unflatten(0, (layer.num_heads, -1)).index_select(1, rows).flatten(0, 1) for part in (keys, values)
            )
        keys[:, slot] = k[:, 0]
        values[:, slot] = v[:, 0]
        return keys, values

    def _look_back(self, layer: Attention, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The filled slots as the newest frame sees them: each key turned by how long ago its frame was."""
        if layer not in self._rings:
            keys, values = (x.new_zeros(len(x), self.window, x.shape[-1]) for x in (k, v))
            self._rings[layer] = keys, values
        keys, values = self._rings[layer]
        slot, filled = self.position % self.window, min(self.position + 1, self.window)
        ages = tuple(-((slot - other) % self.window) for other in range(filled))
        return _turn(keys[:, :filled], ages), values[:, :filled]

    def advance(self) -> None:
        """Make the newest frame part of the past."""
        slot = self.position % self.window
        for layer, (turned, _) in self._views.items():
            self._rings[layer][0][:, slot] = turned[:, slot]  # its own turn is none
        self._move(1)

    def _move(self, frames: int) -> None:
        self.position += frames
        self._views.clear()

    def snapshot(self) -> list[tuple[Tensor, Tensor]]:
        """Copies of the slots that the next frame will overwrite: what `rewind` needs to undo one `advance`."""
        slot = self.position % self.window
        return [(keys[:, slot].clone(), values[:, slot].clone()) for keys, values in self._rings.values()]

    def rewind(self, snapshot: list[tuple[Tensor, Tensor]]) -> None:
        """Return to the state in which `snapshot` was taken, one frame ago."""
        self._move(-1)
        slot = self.position % self.window
        for (keys, values), (k, v) in zip(self._rings.values(), snapshot, strict=True):
            keys[:, slot], values[:, slot] = k, v


@functools.lru_cache(maxsize=16)
def _sliding_mask(length: int, window: int, device: torch.device) -> Tensor:
    """[L, L], True where row i may not look: into the future, or further back than the window."""
    with torch.inference_mode(False):
        ones = torch.ones(length, length, dtype=torch.bool, device=device)
        return ones.triu(1) | ones.tril(-window)
