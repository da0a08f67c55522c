"""Solutions of notebook 08."""

from __future__ import annotations

from genie_lite.course.checking import solution


@solution("08.1", why="Space: T tables of N × N. Time: N tables of T × T, masked half included. Full: one table.")
def scores(frames: int, tokens: int, attention: str) -> int:
    if attention == "full":
        return (frames * tokens) ** 2
    space = frames * tokens**2
    return space if attention == "space" else space + tokens * frames**2


@solution(
    "08.2",
    why="The attention removed has 2 · heads · (qk_size + v_size) · D weights; one unit of the ratio has 2 · D².",
)
def equal_ratio(d_model: int, num_heads: int, qk_size: int, v_size: int, ffn_ratio: float) -> float:
    attention = num_heads * (2 * qk_size + v_size) * d_model + num_heads * v_size * d_model
    return ffn_ratio + attention / (2 * d_model**2)


@solution("08.3", why="Seeds are paired: the same videos in the same order. All of them must agree.")
def verdict(larger: list[float], smaller: list[float]) -> str:
    differences = [a - b for a, b in zip(larger, smaller, strict=True)]
    if len(differences) >= 2 and all(d > 0 for d in differences):
        return "agrees"
    if len(differences) >= 2 and all(d < 0 for d in differences):
        return "disagrees"
    return "cannot tell"
