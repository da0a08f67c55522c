"""Solutions of notebook 02."""

from __future__ import annotations

import numpy as np

from genie_lite.course.checking import solution


@solution("02.1", why="Space: T tables of N × N. Time: N triangles of 1 + 2 + ... + T pairs.")
def pairs(frames: int, tokens: int, kind: str) -> int:
    if kind == "full":
        return (frames * tokens) ** 2
    if kind == "space":
        return frames * tokens**2
    return tokens * frames * (frames + 1) // 2


@solution("02.2", why="In the temporal layer a token sees its own position, 0 to window - 1 frames back.")
def may_attend(frames: int, tokens: int, window: int) -> np.ndarray:
    frame, position = np.divmod(np.arange(frames * tokens), tokens)
    back = frame[:, None] - frame[None, :]
    return (position[:, None] == position[None, :]) & (back >= 0) & (back < window)


@solution(
    "02.3",
    why="Queries and keys have heads × qk_size columns, values heads × v_size; the way back to D has as many rows.",
)
def block_parameters(d_model: int, num_heads: int, qk_size: int, v_size: int, ffn_size: int) -> int:
    attention = d_model * num_heads * (2 * qk_size + v_size) + num_heads * v_size * d_model
    return 2 * attention + 2 * d_model * ffn_size
