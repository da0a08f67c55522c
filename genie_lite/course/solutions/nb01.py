"""Solutions of notebook 01."""

from __future__ import annotations

import numpy as np

from genie_lite.course.checking import solution


@solution(
    "01.1",
    why="Go episode by episode: a start is valid while the last frame of its clip lies before the end of the episode.",
)
def clip_starts(episode_starts: np.ndarray, num_frames: int, length: int, stride: int) -> list[int]:
    ends = [*episode_starts[1:], num_frames]
    starts: list[int] = []
    for first, end in zip(episode_starts, ends, strict=True):
        starts += range(first, end - (length - 1) * stride)
    return starts


@solution("01.2", why="Convert to float first, since uint8 differences wrap around; average over H, W and C only.")
def copy_psnr(clips: np.ndarray) -> np.ndarray:
    clips = clips.astype(np.float64) / 255
    error = np.square(clips[:, 1:] - clips[:, :-1]).mean(axis=(2, 3, 4))
    return -10 * np.log10(error)


@solution("01.3", why="Two ranges overlap when each begins before the other ends; 0 levels means all of them.")
def share_levels(a: tuple[int, int], b: tuple[int, int]) -> bool:
    if a[1] == 0 or b[1] == 0:
        return True
    return a[0] < b[0] + b[1] and b[0] < a[0] + a[1]
