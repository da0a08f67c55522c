"""Endless batches of clips for training."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from genie_lite.data.dataset import FrameDataset
from genie_lite.data.errors import DatasetError


class ClipLoader:
    """Endless batches of clips, uint8 [B, T, H, W, C]; batch i is a pure function of (seed, i).

    One background thread reads `prefetch` batches ahead (0: none). There are no worker processes, which can hang in a
    notebook. DatasetError when no episode is long enough for a clip. `close()` or ``with`` ends the thread.

    `torch.utils.data` is not used: its samplers are consumed in order, so resuming at step 10,000 would draw 10,000
    batches first, and its workers are processes.
    """

    def __init__(
        self, dataset: FrameDataset, clips: int, frames: int, stride: int = 1, seed: int = 0, prefetch: int = 2,
        part: tuple[int, int] = (0, 1), mirrored: float = 0,
    ) -> None:  # fmt: skip
        """`clips` per batch (B), `frames` per clip (T), `stride` stored frames from one frame of a clip to the next.

        part (i, n): only part i of n of every batch, B / n clips; together the parts are the batch. `mirrored`: the
        share of clips, drawn at random, that come mirrored (see `mirror`).
        """
        if clips % part[1]:
            raise DatasetError(f"clips: found {clips} a step, wanted a multiple of {part[1]}, the number of processes")
        starts = dataset.clip_starts(frames, stride)
        if len(starts) == 0:
            raise DatasetError(
                f"{dataset.path}: the longest episode has {dataset.episode_lengths.max()} frames, wanted "
                f"{(frames - 1) * stride + 1} for clips of {frames} frames at stride {stride}; use "
                "shorter clips, a smaller stride or longer videos"
            )
        self.step = 0  # index of the next batch
        self._read = functools.partial(_batch, dataset, starts, clips, frames, stride, seed, part, mirrored)
        self._prefetch = prefetch
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[np.ndarray]] = {}  # by index; an interrupt at any point leaves it valid

    def batch(self, index: int) -> np.ndarray:
        """Batch `index`, read now, whichever batches were read before."""
        return self._read(index)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        if self._prefetch < 1:
            batch = self._read(self.step)
        else:
            self._thread = self._thread or ThreadPoolExecutor(1, "clips")
            for index in range(self.step, self.step + self._prefetch + 1):
                if index not in self._ahead:
                    self._ahead[index] = self._thread.submit(self._read, index)
            try:
                batch = self._ahead[self.step].result()
            except DatasetError:
                self.close()
                raise
            self._ahead = {index: future for index, future in self._ahead.items() if index > self.step}
        self.step += 1
        return batch

    def seek(self, step: int) -> None:
        """Continue with batch `step`."""
        self.close()
        self.step = step

    def close(self) -> None:
        """End the background thread; asking for a batch starts a new one."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None
            self._ahead.clear()

    def __enter__(self) -> ClipLoader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _batch(
    dataset: FrameDataset, starts: np.ndarray, clips: int, frames: int, stride: int, seed: int,
    part: tuple[int, int], mirrored: float, index: int,
) -> np.ndarray:  # fmt: skip
    rng = np.random.default_rng([seed, index])
    chosen = dataset.draw_clips(starts, clips, rng)
    to_mirror = rng.random(clips) < mirrored
    mine = slice(part[0], None, part[1])
    return mirror(dataset.read_clips(chosen[mine], frames, stride), to_mirror[mine])


def mirror(clips: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Clips [B, T, H, W, C] of which those where `which` [B] is true are seen in a mirror, left for right.

    A game whose rules know no side looks as real in a mirror, and players who lean to one side then lean to both.
    """
    return np.where(which[:, None, None, None, None], clips[:, :, :, ::-1], clips)
