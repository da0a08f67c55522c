"""Solutions of notebook 02."""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from genie_lite.course.checking import solution


@solution("02.1", why="Space: T tables of N × N. Time: N triangles of 1 + 2 + ... + T pairs.")
def pairs(frames: int, tokens: int, kind: str) -> int:
    if kind == "full":
        return (frames * tokens) ** 2
    if kind == "space":
        return frames * tokens**2
    return tokens * frames * (frames + 1) // 2


@solution("02.2", why="With the frames folded into the batch, tokens of different frames cannot meet.")
def attend_in_space(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    B, T, N, heads, d = q.shape
    q, k, v = (rearrange(x, "b t n h d -> (b t) h n d") for x in (q, k, v))
    scores = (q * d**-0.5) @ k.mT  # [B·T, heads, N, N]
    y = scores.softmax(dim=-1) @ v
    return rearrange(y, "(b t) h n e -> b t n h e", b=B)


@solution("02.3", why="The positions are folded into the batch; the mask hides the future and what lies too far back.")
def attend_in_time(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    B, T, N, heads, d = q.shape
    q, k, v = (rearrange(x, "b t n h d -> (b n) h t d") for x in (q, k, v))
    scores = (q * d**-0.5) @ k.mT  # [B·N, heads, T, T]
    frame = torch.arange(T, device=q.device)
    back = frame[:, None] - frame[None, :]  # how many frames the key lies behind the query
    scores = scores.masked_fill((back < 0) | (back >= window), float("-inf"))
    y = scores.softmax(dim=-1) @ v
    return rearrange(y, "(b n) h t e -> b t n h e", b=B)


Layer = Callable[[Tensor], Tensor]


@solution("02.4", why="Each step adds to what it read, so a block whose steps add nothing passes x on unchanged.")
def st_block(x: Tensor, space: Layer, time: Layer, feed_forward: Layer, norm: Layer) -> Tensor:
    x = x + space(norm(x))
    x = x + time(norm(x))
    return x + feed_forward(norm(x))


@solution(
    "02.5",
    why="Queries and keys have heads × qk_size columns, values heads × v_size; the way back to D has as many rows.",
)
def block_parameters(d_model: int, num_heads: int, qk_size: int, v_size: int, ffn_size: int) -> int:
    attention = d_model * num_heads * (2 * qk_size + v_size) + num_heads * v_size * d_model
    return 2 * attention + 2 * d_model * ffn_size
