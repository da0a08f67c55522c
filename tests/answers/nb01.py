"""Answers of learners to notebook 01: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from genie_lite.course.solutions.nb01 import clip_starts, copy_psnr, share_levels


def every(step=lambda length, stride: 1, span=lambda length, stride: (length - 1) * stride, first=0) -> Any:
    """Starts of clips, episode by episode, with another distance between starts or another length of a clip."""

    def answer(episode_starts, num_frames, length, stride):
        ends = [*episode_starts[1:], num_frames]
        spans = list(zip(episode_starts, ends, strict=True))[first:]
        return [s for start, end in spans for s in range(start, end - span(length, stride), step(length, stride))]

    return answer


def pairs(episode_starts, num_frames, length, stride):
    return [(s, s + (length - 1) * stride) for s in clip_starts(episode_starts, num_frames, length, stride)]


def nested(episode_starts, num_frames, length, stride):
    ends = [*episode_starts[1:], num_frames]
    return [list(range(a, b - (length - 1) * stride)) for a, b in zip(episode_starts, ends, strict=True)]


def as_mask(episode_starts, num_frames, length, stride):
    mask = np.zeros(num_frames, bool)
    mask[clip_starts(episode_starts, num_frames, length, stride)] = True
    return mask


def within_episodes(episode_starts, num_frames, length, stride):
    starts = every()(episode_starts, num_frames, length, stride)
    return [s - max(e for e in episode_starts if e <= s) for s in starts]


def by_episode_number(episode_starts, num_frames, length, stride):
    episode = np.searchsorted(episode_starts, np.arange(num_frames), side="right")
    last = (length - 1) * stride
    return np.flatnonzero(episode[: num_frames - last] == episode[last:])


def one_after_another(episode_starts, num_frames, length, stride):
    for start in range(num_frames - (length - 1) * stride):
        if not any(start < e <= start + (length - 1) * stride for e in episode_starts):
            yield start


def squares(clips, numbers=np.float64):
    clips = clips.astype(numbers)
    return np.square(clips[:, 1:] - clips[:, :-1])


def colour_by_colour(clips):
    return (-10 * np.log10(squares(clips).mean((2, 3)) / 255**2)).mean(-1)


def mean_first(clips):
    difference = clips[:, 1:].astype(float) - clips[:, :-1]
    return 10 * np.log10(255**2 / np.square(np.abs(difference).mean((2, 3, 4))))


def half_precision(clips):
    small = clips.astype(np.float16) / np.float16(255)
    return -10 * np.log10(np.square(small[:, 1:] - small[:, :-1]).mean((2, 3, 4)))


def decibels(error, peak=255.0):
    return 10 * np.log10(peak**2 / error)


def in_torch(clips):
    frames = torch.from_numpy(clips).float() / 255
    return -10 * (frames[:, 1:] - frames[:, :-1]).square().flatten(2).mean(-1).log10()


def as_text(clips):
    return [["12.3"] * 3, ["many"] * 3]


def ends_inside(a, b):
    return 0 in (a[1], b[1]) or a[0] <= b[0] < a[0] + a[1] or a[0] < b[0] + b[1] <= a[0] + a[1]


WRONG: dict[str, dict[str, Any]] = {
    "01.1": {
        # a student's
        "skip starts: the stride is the distance": every(step=lambda length, stride: stride),
        "may overlap": every(step=lambda length, stride: length * stride),
        "spans (length - 1) * stride + 1 frames": every(span=lambda length, stride: length * stride - 1),
        "one number for each clip": pairs,
        "one flat list": nested,
        "a mask": as_mask,
        "no clip from the episode that begins at frame 0": every(first=1),
        "counted from the beginning of its episode": within_episodes,
    },
    "01.2": {
        # a student's
        "int16 ends at 32,767": lambda c: decibels(squares(c, np.int16).mean((2, 3, 4))),
        # a student's
        "float16 keeps only about three": half_precision,
        "not the brightest pixel": lambda c: decibels(squares(c).mean((2, 3, 4)), c.max().astype(float)),
        "255, not 256": lambda c: decibels(squares(c).mean((2, 3, 4)), 256),
        "of each colour": colour_by_colour,
        "First square": mean_first,
        "mean squared error itself": lambda c: squares(c).mean((2, 3, 4)) / 255**2,
        "was summed": lambda c: decibels(squares(c).sum((2, 3, 4))),
        "4 frames and therefore 3 predictions": lambda c: decibels(squares(c[:, [-1, *range(4)]]).mean((2, 3, 4))),
        "expected numbers": as_text,
    },
    "01.3": {
        # a student's
        "when the higher range comes first": lambda a, b: a[0] <= b[0] < a[0] + a[1],
        "(start_level, num_levels), not (first, last)": lambda a, b: 0 in (a[1], b[1]) or (a[0] < b[1] and b[0] < a[1]),
        "the opposite": lambda a, b: not share_levels(a, b),
        "the shorter one comes first": lambda a, b: 0 in (a[1], b[1]) or abs(a[0] - b[0]) < max(a[1], b[1]),
        "entirely inside the second": ends_inside,
        "wherever the range starts": lambda a, b: (0, 0) in (a, b) or (a[1] and b[1] and share_levels(a, b)),
        "expected True or False": lambda a, b: np.arange(3),
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "01.1": {
        "episode numbers": by_episode_number,
        "a generator": one_after_another,
        "a set": lambda *arguments: set(clip_starts(*arguments)),
    },
    "01.2": {
        "torch": in_torch,
        "int32": lambda c: decibels(squares(c, np.int32).mean((2, 3, 4))),
        "a list of lists": lambda c: copy_psnr(c).tolist(),
    },
    "01.3": {
        "largest start, smallest end": lambda a, b: (
            not (a[1] and b[1]) or max(a[0], b[0]) < min(a[0] + a[1], b[0] + b[1])
        ),
        "numpy's bool": lambda a, b: np.bool_(share_levels(a, b)),
        "as ranges": lambda a, b: not (a[1] and b[1]) or len(set(range(a[0], sum(a))) & set(range(b[0], sum(b)))) > 0,
    },
}
