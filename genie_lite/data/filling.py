"""Filling the chunks of a dataset frame by frame, and storing the full ones while others are still filled."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numcodecs import Blosc

WAITING_BYTES = 2**26  # full chunks that may wait for a background thread; beyond, whoever fills them compresses


class ChunkFiller:
    """Takes numbered frames in any order, and compresses and stores the chunks that they make.

    Memory holds the chunks that lack frames and `WAITING_BYTES` of full ones.
    """

    def __init__(self, codec: Blosc, chunk: int, shape: tuple[int, ...], store: Callable[[int, bytes], Path]) -> None:
        """Chunks are of `chunk` frames, uint8 [H, W, C] = `shape`; `store` puts one by its number and says where."""
        self.codec, self.chunk, self.shape, self.store = codec, chunk, shape, store
        self._open: dict[int, np.ndarray] = {}  # chunks that lack frames, by number
        self._count: dict[int, int] = {}  # how many frames each of them holds
        self._waiting: dict[int, np.ndarray] = {}  # full, not yet begun to be compressed
        self._stored: dict[int, Future[Path]] = {}
        self._spare: list[np.ndarray] = []  # memory to use again: a fresh page can cost as much as half a game step
        # Half of the cores: whoever makes the frames needs the others. The threads end with this object.
        self._threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2))

    @property
    def num_frames(self) -> int:
        """Frames taken and not given back, with those of a last chunk that `finish` left open."""
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
        """Where all chunks are that frames were placed in since the last call; the last may lack frames at its end.

        Such a last chunk is padded with zeros, and stays open for the frames that follow.
        """
        places = {}
        for index, part in self._open.items():
            part[self._count[index] :] = 0
            places[index] = self.store(index, self.codec.encode(part))
        for index in reversed(self._stored):  # the latest were not begun in the background yet: they are done here
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
        content = self.codec.encode(frames)  # Blosc lets go of the interpreter lock
        self._spare.append(frames)
        return self.store(index, content)
