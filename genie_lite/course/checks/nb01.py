"""Checks of notebook 01: clips inside episodes, the copying baseline, levels shared by two splits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from genie_lite.course.checking import IMPRECISE, Mistake, call, exercise, imprecise, numbers, yes_or_no

CLIP_CASES = [  # episode starts, number of frames, frames per clip, stride
    ([0, 5, 12], 20, 3, 1),
    ([0, 2, 9], 14, 4, 1),
    ([0, 5, 12], 20, 3, 2),
]


@exercise("01.1")
def check_clip_starts(answer: Any) -> str:
    """clip_starts(episode_starts, num_frames, length, stride) gives every start of a clip inside one episode."""
    for starts, num_frames, length, stride in CLIP_CASES:
        found = call(answer, np.array(starts), num_frames, length, stride)
        _compare_starts(_flat(found), starts, num_frames, length, stride)
    return "Every clip stays inside its episode, and no start is missing."


def _flat(found: Any) -> list[int]:
    """The starts that were found, from whatever can be gone through."""
    if not hasattr(found, "__iter__") or isinstance(found, (str, dict)):
        raise Mistake(f"Expected a list or array of start frames, found {found!r}.")
    given = found if hasattr(found, "shape") else list(found)
    if any(isinstance(start, (list, tuple, range, np.ndarray)) and len(start) != 2 for start in given):
        raise Mistake("Found a list for each episode; expected one flat list of all starts.")
    starts = numbers(given, "the first frame of each clip")
    if starts.ndim > 1:
        raise Mistake(f"Found shape {list(starts.shape)}; expected one number for each clip, the frame it starts at.")
    if str(getattr(found, "dtype", "")) in ("bool", "torch.bool"):
        raise Mistake("That is a mask over all frames; expected the numbers of the frames, `np.flatnonzero(mask)`.")
    if not np.isfinite(starts).all():
        raise Mistake(f"Found {starts.tolist()}; expected the first frame of each clip.")
    return [int(start) for start in starts]


def _compare_starts(given: list[int], starts: list[int], num_frames: int, length: int, stride: int) -> None:
    case = f"With episodes starting at {starts}, {num_frames} frames, clips of {length} frames and stride {stride}: "
    right = _inside(starts, num_frames, length, stride)
    if stride > 1 and set(given) == set(_inside(starts, num_frames, length, 1)):
        raise Mistake(case + "those are the starts for stride 1. The last frame is start + (length - 1) * stride.")
    if stride > 1 and set(given) == set(_inside(starts, num_frames, length, stride, step=stride)):
        raise Mistake(
            case + "you skip starts: the stride is the distance between the frames of one clip, and a clip may start "
            "at any frame."
        )
    _known_starts(given, case, starts, num_frames, length, stride)
    for start in given:
        last = start + (length - 1) * stride
        if start < 0 or last >= num_frames:
            raise Mistake(
                case + f"a clip from {start} would end at frame {last}, but the last frame is {num_frames - 1}."
            )
        crossed = [s for s in starts if start < s <= last]
        if crossed:
            raise Mistake(
                case + f"a clip from {start} ends at frame {last}, but the next episode begins at frame {crossed[0]}: "
                "the picture jumps there, and no action explains the jump."
            )
    missing = sorted(set(right) - set(given))
    for start, end in zip(starts, [*starts[1:], num_frames], strict=True):
        if set(range(start, end)) & set(right) and not set(range(start, end)) & set(given):
            if end == num_frames:
                raise Mistake(
                    case + "there is no clip from the last episode. No later start marks its end: it ends at frame "
                    f"{num_frames - 1}."
                )
            raise Mistake(case + f"there is no clip from the episode that begins at frame {start}.")
    if missing:
        last = missing[0] + (length - 1) * stride
        raise Mistake(
            case + f"start {missing[0]} is missing. Its clip ends at frame {last}, inside the episode; off by one? "
            "The last frame of a clip is start + (length - 1) * stride."
        )
    if len(given) != len(set(given)):
        raise Mistake(case + "some start appears twice, so its clip would be drawn twice as often.")


def _known_starts(given: list[int], case: str, starts: list[int], num_frames: int, length: int, stride: int) -> None:
    """A Mistake for starts that follow from a usual misunderstanding."""
    right = _inside(starts, num_frames, length, stride)
    began = {s: max(start for start in starts if start <= s) for s in right}
    if sorted(given) == sorted(s - began[s] for s in right):
        raise Mistake(case + "those are counted from the beginning of its episode; expected indices into all frames.")
    if given != right and given == _inside(starts, num_frames, length, stride, step=length * stride):
        raise Mistake(case + "you lay clips end to end. They may overlap: every start inside the episode counts.")
    if stride > 1 and given == _inside(starts, num_frames, length, stride, span=length * stride - 1):
        raise Mistake(case + "a clip spans (length - 1) * stride + 1 frames, not length * stride.")


def _inside(
    starts: list[int], num_frames: int, length: int, stride: int, step: int = 1, span: int | None = None
) -> list[int]:
    """Every start of a clip inside an episode; `step` and `span` (of frames, less one) make mistakes."""
    ends = [*starts[1:], num_frames]
    last = (length - 1) * stride if span is None else span
    return [s for start, end in zip(starts, ends, strict=True) for s in range(start, end - last, step)]


@exercise("01.2")
def check_copy_psnr(answer: Any) -> str:
    """copy_psnr(clips) gives the PSNR in dB of predicting each frame by the previous one, [B, T-1]."""
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 241, (2, 4, 8, 8, 3), dtype=np.uint8)  # no pixel is as bright as a pixel can be
    clips[:, 2] = np.clip(clips[:, 1].astype(int) + rng.integers(-9, 10, clips[:, 1].shape), 0, 240)
    found = numbers(call(answer, clips.copy()), "one PSNR for each prediction, [B, T-1]")
    squared = np.square((clips[:, 1:].astype(float) - clips[:, :-1]) / 255)
    right = -10 * np.log10(squared.mean((2, 3, 4)))
    if found.shape == ():
        raise Mistake(
            "That is one number for everything; expected one per prediction, [B, T-1]: average over H, W and C only."
        )
    if found.shape != right.shape:
        raise Mistake(
            f"Found shape {list(found.shape)}, expected {list(right.shape)}: each of the {len(clips)} clips has 4 "
            "frames and therefore 3 predictions, and a mean over H, W and C leaves [B, T-1]."
        )
    if np.allclose(found, right, atol=1e-3):
        return "This is the number that every model here has to beat."
    for message, values in _copy_psnr_mistakes(clips, squared, right).items():
        if any(np.allclose(found, value, rtol=1e-6, atol=1e-4, equal_nan=True) for value in values):
            raise Mistake(message)
    if imprecise(found, right):
        raise Mistake(IMPRECISE)
    raise Mistake(f"For the first prediction found {found[0, 0]:.3f} dB, expected {right[0, 0]:.3f} dB.")


def _copy_psnr_mistakes(clips: np.ndarray, squared: np.ndarray, right: np.ndarray) -> dict[str, list[np.ndarray]]:
    axes = (2, 3, 4)
    wrapped = np.square((clips[:, 1:] - clips[:, :-1]) / 255).mean(axes)
    overflow = np.square(clips[:, 1:] - clips[:, :-1]).astype(float).mean(axes)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        small = np.square(clips[:, 1:].astype(np.int16) - clips[:, :-1].astype(np.int16)).astype(float).mean(axes)
        int16 = [-10 * np.log10(small / 255**2), -10 * np.log10(small)]
    return {
        "The differences wrap around: uint8 has no negative numbers, so 3 - 5 is 254. Convert to float first.": [
            -10 * np.log10(wrapped),
            10 * np.log10(255**2 / overflow),
            -10 * np.log10(overflow / 255**2),
            -10 * np.log10(overflow),
        ],
        "The differences are right, but their squares overflow: int16 ends at 32,767, and 255² is 65,025. "
        "Convert to float first.": int16,
        "All numbers are 48.13 dB too low: for values from 0 to 255 the peak is 255; divide by it first.": [
            right - 20 * np.log10(255)
        ],
        "The sign is reversed: a better prediction must have a higher PSNR.": [-right, -right + 20 * np.log10(255)],
        "That is the natural logarithm: decibels use `log10`.": [right * np.log(10)],
        "Half of the correct number: take 10 log10 of the mean *squared* error (or 20 log10 of its root).": [right / 2],
        "That is the mean absolute error in the logarithm; PSNR uses the mean squared error.": [
            -10 * np.log10(np.sqrt(squared).mean(axes))
        ],
        "The peak is the largest value a pixel can take, 255, not the brightest pixel of these clips.": [
            right + 20 * np.log10(clips.max() / 255)
        ],
        "The largest value of a pixel is 255, not 256: uint8 has 256 values, from 0 on.": [
            right + 20 * np.log10(256 / 255)
        ],
        "That is the mean of the decibels of each colour. Average the squared error over H, W *and* C, then take the "
        "logarithm.": [-10 * np.log10(squared.mean((2, 3))).mean(-1)],
        "First square, then take the mean.": [-20 * np.log10(np.sqrt(squared).mean(axes))],
        "That is the mean squared error itself; decibels are -10 log10 of it.": [
            squared.mean(axes),
            squared.mean(axes) * 255**2,
        ],
        "The squared error was summed. Take its mean.": [-10 * np.log10(squared.sum(axes))],
        "Each frame seems to be compared with the first frame of its clip; compare it with the previous one.": [
            -10 * np.log10(np.square((clips[:, 1:].astype(float) - clips[:, :1]) / 255).mean(axes))
        ],
    }


LEVEL_CASES = [  # (start_level, num_levels) twice, whether they share a level, what it tests
    ((0, 10_000), (1_000_000, 1_000), False, "these ranges lie far apart"),
    ((0, 100), (99, 10), True, "level 99 is in both"),
    ((99, 10), (0, 100), True, "level 99 is in both, also when the higher range comes first"),
    ((0, 100), (100, 10), False, "the first has levels 0 to 99, the second begins at 100"),
    ((100, 10), (0, 100), False, "the second has levels 0 to 99, the first begins at 100"),
    ((0, 100), (20, 10), True, "the second lies entirely inside the first"),
    ((20, 10), (0, 100), True, "the first lies entirely inside the second"),
    ((0, 10), (50, 100), False, "the first has levels 0 to 9, and the shorter one comes first"),
    ((50, 100), (0, 10), False, "the second has levels 0 to 9, and the shorter one comes first"),
    ((0, 100), (50, 100), True, "levels 50 to 99 are in both"),
    ((50, 100), (0, 100), True, "levels 50 to 99 are in both, also when the higher range comes first"),
    ((7, 3), (7, 3), True, "the two ranges are the same"),
    ((500, 0), (0, 100), True, "num_levels 0 means *every* level, wherever the range starts"),
    ((0, 0), (1_000_000, 1_000), True, "num_levels 0 means *every* level, so the first range contains the second"),
    ((500, 10), (0, 0), True, "num_levels 0 means *every* level, also when it is the second range"),
    ((500, 10), (2_000, 0), True, "with num_levels 0 procgen ignores start_level and draws from every level"),
]


Levels = tuple[int, int]


def _overlap(a: Levels, b: Levels) -> bool:
    return 0 in (a[1], b[1]) or (a[0] < b[0] + b[1] and b[0] < a[0] + a[1])


def _as_first_and_last(a: Levels, b: Levels) -> bool:
    return a[0] < b[1] and b[0] < a[1]


LEVEL_MISTAKES: dict[str, Callable[[Levels, Levels], bool]] = {
    "you answer the opposite question, whether they have *no* level in common": lambda a, b: not _overlap(a, b),
    "the pair is (start_level, num_levels), not (first, last)": _as_first_and_last,
    "the pair is (start_level, num_levels), not (first, last); levels end before start + number": lambda a, b: (
        0 in (a[1], b[1]) or _as_first_and_last(a, b)
    ),
}


@exercise("01.3")
def check_share_levels(answer: Any) -> str:
    """share_levels(a, b) tells whether two (start_level, num_levels), as procgen reads them, share a level."""
    for first, second, right, reason in LEVEL_CASES:
        found = call(answer, first, second)
        if yes_or_no(found) != right:
            said = [yes_or_no(call(answer, *case[:2])) for case in LEVEL_CASES]
            for text, rule in LEVEL_MISTAKES.items():
                if said == [rule(*case[:2]) for case in LEVEL_CASES]:
                    reason = text
            raise Mistake(f"share_levels({first}, {second}) gave {found!r}, expected {right}: {reason}.")
    return "A test split that passes this check measures something new."
