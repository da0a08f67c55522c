"""The ST-transformer (section 2, figure 4): attention over space and over time, in turns, at linear cost in time."""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.nn.attention import Attention, TemporalCache


class STBlock(nn.Module):
    """Spatial attention within each frame, causal temporal attention per position, then one feed-forward layer.

    x and the result are [B, T, N, D]. The paper leaves out the feed-forward layer after the spatial attention.
    """

    def __init__(self, d_model: int, num_heads: int, qk_size: int, v_size: int, ffn_size: int, window: int) -> None:
        super().__init__()
        self.spatial = Attention(d_model, num_heads, qk_size, v_size, "space")
        self.temporal = Attention(d_model, num_heads, qk_size, v_size, "time", window)
        self.feed_forward = _feed_forward(d_model, ffn_size)

        # With its feed-forward layer, a block starts as the identity, so depth does not slow the first steps.
        nn.init.zeros_(self.spatial.out.weight)
        nn.init.zeros_(self.temporal.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.spatial(_norm(x))
        x = x + self.temporal(_norm(x))
        return x + self.feed_forward(_norm(x))

    def newest(self, x: Tensor, batch: int, cache: TemporalCache, rows: Tensor | None = None) -> Tensor:
        """`forward` for the newest frames alone, x [B·N, D], or for some of its rows; the past comes from `cache`."""
        grow, act, shrink = cast("tuple[nn.Linear, nn.SiLU, nn.Linear]", self.feed_forward)
        y = self.spatial.newest(_norm(x), batch, cache)
        if rows is not None:  # each token needs all others up to here, and none after
            x, y = x[rows], y[rows]
        x = torch.addmm(x, y, self.spatial.out.weight.t())
        x = torch.addmm(x, self.temporal.newest(_norm(x), batch, cache, rows), self.temporal.out.weight.t())
        return torch.addmm(x, act(F.linear(_norm(x), grow.weight)), shrink.weight.t())


class STTransformer(nn.Module):
    """A stack of ST blocks over x [B, T, N, D], D unchanged.

    Frame t sees itself and up to `window` - 1 frames before it in every layer. With a `cache`, x is the newest
    frame alone [B, 1, N, D] and the past comes from the cache; the result is the same. `attention` other than "st"
    stacks the blocks that the paper compares with (OneAttentionBlock).
    """

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        num_heads: int,
        qk_size: int,
        v_size: int,
        ffn_size: int,
        window: int,
        attention: Literal["st", "space", "full"] = "st",
    ) -> None:
        super().__init__()
        sizes = (d_model, num_heads, qk_size, v_size, ffn_size, window)
        self.blocks = nn.ModuleList(
            STBlock(*sizes) if attention == "st" else OneAttentionBlock(*sizes, attention) for _ in range(num_layers)
        )

    def forward(self, x: Tensor, cache: TemporalCache | None = None) -> Tensor:
        if cache is not None:
            return self.newest(x, cache).view_as(x)
        for block in self.blocks:
            x = block(x)
        return _norm(x)

    def newest(self, x: Tensor, cache: TemporalCache, rows: Tensor | None = None) -> Tensor:
        """What comes of the newest frame x [B, 1, N, D], as rows [B·N, D], or of these `rows` of it alone, [R, D].

        The last block computes no more than it is asked for, and the cache then keeps nothing of the frame.
        """
        if x.shape[1] != 1:
            raise ValueError(f"cache: found {x.shape[1]} new frames, wanted 1; feed frames one at a time")
        newest = x.flatten(0, 2)
        *blocks, last = cast("list[STBlock | OneAttentionBlock]", self.blocks)
        for block in blocks:
            newest = block.newest(newest, len(x), cache)
        return _norm(last.newest(newest, len(x), cache, rows))


class OneAttentionBlock(nn.Module):
    """The rivals of the ST block in table 3: one attention, then one feed-forward layer; x and result [B, T, N, D].

    attention "space" (ViT): each frame by itself. attention "full" (C-ViViT): every token attends to all tokens of its
    own frame and of the `window` - 1 frames before it, at a cost that grows with the square of T · N.

    The paper says of C-ViViT that it "employs a full space-time attention mechanism" whose cost "grows quadratically
    with the number of frames"; Phenaki (Villegas et al., 2023), where it comes from, describes spatial layers followed
    by causal temporal ones. We take this paper's words for the attention, and the C, causal in time, from Phenaki: no
    token looks at a later frame, so tokens can be made, and decoded, while a world is being played.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        qk_size: int,
        v_size: int,
        ffn_size: int,
        window: int,
        attention: Literal["space", "full"],
    ) -> None:
        super().__init__()
        axis: Literal["space", "both"] = "space" if attention == "space" else "both"
        self.attention = Attention(d_model, num_heads, qk_size, v_size, axis, window)
        self.feed_forward = _feed_forward(d_model, ffn_size)
        nn.init.zeros_(self.attention.out.weight)  # as in STBlock: at first the identity

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(_norm(x))
        return x + self.feed_forward(_norm(x))

    def newest(self, x: Tensor, batch: int, cache: TemporalCache, rows: Tensor | None = None) -> Tensor:
        """As in STBlock; the past, where it counts, comes from `cache`."""
        x = x + self.attention.out(self.attention.newest(_norm(x), batch, cache))
        x = x if rows is None else x[rows]
        return x + self.feed_forward(_norm(x))


def _feed_forward(d_model: int, ffn_size: int) -> nn.Sequential:
    """Zero at first. SiLU: in bfloat16 on a CPU it takes a tenth of the time of GELU."""
    grow, shrink = nn.Linear(d_model, ffn_size, bias=False), nn.Linear(ffn_size, d_model, bias=False)
    nn.init.zeros_(shrink.weight)
    return nn.Sequential(grow, nn.SiLU(), shrink)


def _norm(x: Tensor) -> Tensor:
    """Layer norm without weights: the matrices that follow it can scale."""
    return F.layer_norm(x, x.shape[-1:])
