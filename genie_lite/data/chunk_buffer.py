"""Collecting frames into the chunks of a dataset, and compressing full chunks in the background."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numcodecs import Blosc

WAITING_BYTES = 2**26  # of full chunks that wait for a background thread; beyond that the caller compresses


class ChunkBuffer:
    """Takes numbered frames in any order, and compresses and stores each chunk once it is full.

    It holds the chunks that are not full yet, and up to `WAITING_BYTES` of full ones.
    """

    def __init__(self, codec: Blosc, chunk: int, shape: tuple[int, ...], store: Callable[[int, bytes], Path]) -> None:
        """`chunk` frames per chunk, each uint8 of `shape` (H, W, C); `store` writes chunk i and returns its file."""
        self.codec, self.chunk, self.shape, self.store = codec, chunk, shape, store
        self._open: dict[int, np.ndarray] = {}  # chunks that are not full, by number
        self._count: dict[int, int] = {}  # frames in each of them
        self._waiting: dict[int, np.ndarray] = {}  # full, not compressed yet
        self._stored: dict[int, Future[Path]] = {}
        self._spare: list[np.ndarray] = []  # memory to reuse: the page faults of a new chunk can take half a game step
        # Half of the cores: the games need the others. The threads end with this object.
        self._threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2))

    @property
    def num_frames(self) -> int:
        """Frames taken and not yet returned by `finish`, including those of a last chunk that is still open."""
        return sum(self._count.values()) + self.chunk * len(self._stored)

    def place(self, first: int, frames: np.ndarray) -> None:
        """Take frames uint8 [n, H, W, C], numbered from `first` in the dataset; a number is taken once."""
        done = 0
        while done < len(frames):
            index, at = divmod(first + done, self.chunk)
            part = frames[done : done + self.chunk - at]
            if index not in self._open:
                self._open[index] = self._spare.pop() if self._spare else np.empty((self.chunk, *self.shape), np.uint8)
                self._count[index] = 0
            self._open[index][at : at + len(part)] = part
            self._count[index] += len(part)
            done += len(part)
            if self._count[index] == self.chunk:
                self._compress(index)

    def finish(self) -> dict[int, Path]:
        """The files of all chunks that received frames since the last call, by number.

        A last chunk that is not full is padded with zeros, and stays open for the frames that follow.
        """
        places = {}
        for index, part in self._open.items():
            part[self._count[index] :] = 0
            places[index] = self.store(index, self.codec.encode(part))
        for index in reversed(self._stored):  # the latest ones are still waiting: compress them here
            future = self._stored[index]
            places[index] = self._put(index) if future.cancel() else future.result()
        self._stored.clear()
        return places

    def _compress(self, index: int) -> None:
        self._waiting[index] = self._open.pop(index)
        del self._count[index]
        if len(self._waiting) * self._waiting[index].nbytes <= WAITING_BYTES:
            self._stored[index] = self._threads.submit(self._put, index)
        else:
            self._stored[index] = Future()
            self._stored[index].set_result(self._put(index))

    def _put(self, index: int) -> Path:
        frames = self._waiting.pop(index)
        content = self.codec.encode(frames)  # Blosc releases the interpreter lock
        self._spare.append(frames)
        return self.store(index, content)
