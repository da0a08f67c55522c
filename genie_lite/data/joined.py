"""Videos of several games behind the interface of one dataset; every batch of clips has equal shares of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from genie_lite.data.dataset import FrameDataset
from genie_lite.data.errors import DatasetError

Draw = Callable[[Sequence[np.ndarray], int, np.random.Generator], np.ndarray]


def equal_shares(starts: Sequence[np.ndarray], clips: int, rng: np.random.Generator) -> np.ndarray:
    """`clips` frames to start from, int64 [clips]: as many from each list of `starts`, in random order.

    Where `clips` does not divide evenly, the lists that give one more are drawn at random.
    """
    counts = np.full(len(starts), clips // len(starts))
    counts[rng.permutation(len(starts))[: clips % len(starts)]] += 1
    chosen = [own[rng.integers(len(own), size=count)] for own, count in zip(starts, counts, strict=True)]
    return rng.permutation(np.concatenate(chosen))


class JoinedDataset(FrameDataset):
    """Several datasets, one after the other. Made by `join_datasets`.

    parts: the datasets. draw: draws the clips of a batch; `equal_shares` unless another is put in its place.
    """

    def __init__(self, parts: Sequence[FrameDataset]) -> None:
        self.parts = list(parts)
        self.offsets = np.cumsum([0, *(part.num_frames for part in self.parts)])
        self.path = " + ".join(part.path for part in self.parts)
        self.attributes = {"joined": [part.attributes for part in self.parts]}
        starts = [part.episode_starts + first for part, first in zip(self.parts, self.offsets, strict=False)]
        self.episode_starts = np.concatenate(starts)
        self.num_frames = int(self.offsets[-1])
        self.channels, self.frame_size = self.parts[0].channels, self.parts[0].frame_size
        self.draw: Draw = equal_shares

    def resized(self, frame_size: tuple[int, int]) -> JoinedDataset:
        """The same videos fitted to (H, W) as they are read."""
        joined = JoinedDataset([part.resized(frame_size) for part in self.parts])
        joined.draw = self.draw
        return joined

    def read_clips(self, starts: np.ndarray, length: int, stride: int = 1) -> np.ndarray:
        """Clips uint8 [B, T, H, W, C] from `starts` [B], as FrameDataset.read_clips."""
        starts = np.atleast_1d(np.asarray(starts, np.int64))
        owner = self._owner(starts)
        clips = np.empty((len(starts), length, *self.frame_size, self.channels), np.uint8)
        for index in np.unique(owner):
            own = owner == index
            clips[own] = self.parts[index].read_clips(starts[own] - self.offsets[index], length, stride)
        return clips

    def draw_clips(self, starts: np.ndarray, clips: int, rng: np.random.Generator, *, again: bool = True) -> np.ndarray:
        """`clips` of `starts` [...], int64 [clips], as `draw` draws them: a clip may come twice whatever `again` says.

        DatasetError where a game has none.
        """
        owner = self._owner(starts)
        groups = [starts[owner == index] for index in range(len(self.parts))]
        for part, group in zip(self.parts, groups, strict=True):
            if not len(group):
                raise DatasetError(
                    f"{part.path}: no episode is long enough for a clip, but each of {len(groups)} datasets is to give "
                    "an equal share; use shorter clips or longer videos"
                )
        return np.asarray(self.draw(groups, clips, rng), np.int64)

    @property
    def num_chunks(self) -> int:
        """Chunks that the frames are stored in, in all datasets."""
        return sum(part.num_chunks for part in self.parts)

    def read_chunk(self, index: int) -> np.ndarray:
        """One chunk of the frames, counted through all datasets, as FrameDataset.read_chunk."""
        for part in self.parts:
            if index < part.num_chunks:
                return part.read_chunk(index)
            index -= part.num_chunks
        raise DatasetError(f"{self.path}: has {self.num_chunks} chunks; there is none at {index} beyond the last")

    def env_actions(self) -> np.ndarray:
        """The true env actions, uint8 [F], for evaluation only, as FrameDataset.env_actions."""
        return np.concatenate([part.env_actions() for part in self.parts])

    def level_seeds(self) -> np.ndarray:
        """The level that each episode plays, int64 [E]; the same number is another level in another game."""
        return np.concatenate([part.level_seeds() for part in self.parts])

    def _owner(self, starts: np.ndarray) -> np.ndarray:
        """Index of the dataset of each frame; those outside belong to the first or last, which will refuse them."""
        return np.clip(np.searchsorted(self.offsets, starts, side="right") - 1, 0, len(self.parts) - 1)


def join_datasets(parts: Sequence[FrameDataset]) -> JoinedDataset:
    """Join datasets, so that a model learns from several games at once: every batch has equal shares of them.

    DatasetError unless there are two or more, of the same frame size and channels.
    """
    shapes = {(*part.frame_size, part.channels) for part in parts}
    if len(parts) < 2 or len(shapes) > 1:
        raise DatasetError(
            f"datasets to join: found {len(parts)} with frames of {sorted(shapes)} (H, W, C), wanted two or more of "
            "one shape; open them with the same frame_size"
        )
    return JoinedDataset(parts)
