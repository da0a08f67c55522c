"""Choosing evaluation clips, and splitting them into batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from genie_lite.evaluation.bootstrap import EvaluationError

BATCH_PIXELS = 16 * 16 * 64 * 64  # 16 clips of 16 frames of 64x64: well under a gigabyte for the course's models


def pick_clips(dataset: Any, clips: int, frames: int, stride: int = 1, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Starts of `clips` randomly drawn clips of `frames` frames, and notes about the choice.

    Intervals treat clips as independent, so clips share no frame as long as the dataset is large enough. If there are
    fewer possible starts than `clips`, all are used.
    """
    if clips < 1 or frames < 2:
        raise EvaluationError(f"clips, frames: found {clips}, {frames}, wanted 1 or more clips of 2 or more frames")
    places = dataset.clip_starts(frames, stride)
    if len(places) == 0:
        raise EvaluationError(
            f"{getattr(dataset, 'path', 'dataset')}: no episode is long enough for {frames} frames "
            f"at stride {stride}; ask for fewer frames or a smaller stride"
        )
    span = (frames - 1) * stride
    taken = np.zeros(int(places[-1]) + span + 1, dtype=bool)
    chosen: list[int] = []
    spare: list[int] = []
    for start in np.random.default_rng(seed).permutation(places):
        if len(chosen) == clips:
            break
        if taken[start] or taken[start + span]:
            spare.append(int(start))
            continue
        taken[start : start + span + 1] = True
        chosen.append(int(start))
    notes = []
    missing = min(clips - len(chosen), len(spare))
    if missing:
        notes.append(f"{missing} of {len(chosen) + missing} clips share frames with others: intervals are too narrow")
        chosen += spare[:missing]
    if len(chosen) < clips:
        notes.append(f"{len(chosen)} clips instead of {clips}: the dataset has no more")
    return np.sort(np.array(chosen, dtype=np.int64)), notes


def batches(starts: np.ndarray, frames: int, frame_size: tuple[int, int]) -> Iterator[np.ndarray]:
    """`starts` in groups small enough for a laptop's memory."""
    size = max(1, min(64, BATCH_PIXELS // (frames * frame_size[0] * frame_size[1])))
    for first in range(0, len(starts), size):
        yield starts[first : first + size]
