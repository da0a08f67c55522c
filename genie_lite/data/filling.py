"""Filling the chunks of a dataset frame by frame, and compressing the full ones while others are still filled."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numcodecs import Blosc

WAITING_BYTES = 2**26  # full chunks that may wait for a background thread; beyond, whoever fills them compresses


class ChunkFiller:
    """Takes numbered frames in any order and gives back compressed chunks.

    Memory holds the chunks that lack frames, `WAITING_BYTES` of full ones, and what the others were compressed to.
    """

    def __init__(self, codec: Blosc, chunk: int, shape: tuple[int, ...]) -> None:
        """Chunks are of `chunk` frames, uint8 [H, W, C] = `shape`."""
        self.codec, self.chunk, self.shape = codec, chunk, shape
        self._open: dict[int, np.ndarray] = {}  # chunks that lack frames, by number
        self._count: dict[int, int] = {}  # how many frames each of them holds
        self._waiting: dict[int, np.ndarray] = {}  # full, not yet begun to be compressed
        self._content: dict[int, Future[bytes]] = {}
        self._spare: list[np.ndarray] = []  # memory to use again: a fresh page can cost as much as half a game step
        # Half of the cores: whoever makes the frames needs the others. The threads end with this object.
        self._threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2))

    @property
    def num_frames(self) -> int:
        """Frames taken and not given back, with those of a last chunk that `finish` left open."""
        return sum(self._count.values()) + self.chunk * len(self._content)

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

    def finish(self) -> dict[int, bytes]:
        """All chunks that frames were placed in since the last call, compressed; the last may lack frames at its end.

        Such a last chunk is padded with zeros, and stays open for the frames that follow.
        """
        contents = {}
        for index, part in self._open.items():
            part[self._count[index] :] = 0
            contents[index] = self.codec.encode(part)
        for index in reversed(self._content):  # the latest were not begun in the background yet: they are done here
            future = self._content[index]
            contents[index] = self._encode(index) if future.cancel() else future.result()
        self._content.clear()
        return contents

    def _compress(self, index: int) -> None:
        self._waiting[index] = self._open.pop(index)
        del self._count[index]
        if len(self._waiting) * self._waiting[index].nbytes <= WAITING_BYTES:
            self._content[index] = self._threads.submit(self._encode, index)
        else:
            self._content[index] = Future()
            self._content[index].set_result(self._encode(index))

    def _encode(self, index: int) -> bytes:
        frames = self._waiting.pop(index)
        content: bytes = self.codec.encode(frames)  # Blosc lets go of the interpreter lock
        self._spare.append(frames)
        return content
