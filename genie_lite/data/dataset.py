"""Reading videos: `open_dataset` and the `FrameDataset` it returns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from genie_lite.data.errors import DatasetError, MissingArrayError, looking_at
from genie_lite.data.fit import fit_frames
from genie_lite.data.video import read_videos
from genie_lite.data.zarr_group import ZarrGroup
from genie_lite.data.zarr_metadata import RECOLLECT
from genie_lite.data.zarr_store import FORMAT


class Chunks(Protocol):
    """What frames are read from: an array [F, H, W, C] whose first axis is cut into chunks."""

    shape: tuple[int, ...]
    chunk: int

    def read(self, index: int) -> np.ndarray: ...


class MemoryChunks:
    """Frames held in memory (decoded videos), as one chunk."""

    def __init__(self, frames: np.ndarray) -> None:
        self._frames = frames
        self.shape, self.chunk = frames.shape, max(1, len(frames))

    def read(self, index: int) -> np.ndarray:
        return self._frames


class FrameDataset:
    """Videos: frames uint8 [F, H, W, C] in episodes, read clip by clip. Made by `open_dataset`."""

    def __init__(
        self,
        chunks: Chunks,
        episode_starts: np.ndarray,
        attributes: dict[str, Any],
        path: str,
        group: ZarrGroup | None = None,
        frame_size: tuple[int, int] | None = None,
    ) -> None:
        self._chunks = chunks
        self._group = group  # for the arrays that reading clips does not need; None for video files
        self.path = path
        self.attributes = attributes
        self.episode_starts = np.asarray(episode_starts, np.int64)
        self.num_frames = int(chunks.shape[0])
        self.channels = int(chunks.shape[3])
        self.frame_size: tuple[int, int] = frame_size or (int(chunks.shape[1]), int(chunks.shape[2]))

    def __repr__(self) -> str:
        height, width = self.frame_size
        episodes = len(self.episode_starts)
        return f"FrameDataset({self.path!r}: {self.num_frames} frames of {height}x{width} in {episodes} episodes)"

    def resized(self, frame_size: tuple[int, int]) -> FrameDataset:
        """The same videos fitted to (H, W) as they are read."""
        return FrameDataset(
            self._chunks,
            self.episode_starts,
            self.attributes,
            self.path,
            self._group,
            (int(frame_size[0]), int(frame_size[1])),
        )

    @property
    def episode_lengths(self) -> np.ndarray:
        """Frames of each episode, int64 [E]."""
        return np.diff(np.append(self.episode_starts, self.num_frames))

    def clip_starts(self, length: int, stride: int = 1) -> np.ndarray:
        """Every frame, int64 [...], from which `length` frames, `stride` apart, stay inside one episode."""
        room = np.maximum(self.episode_lengths - ((length - 1) * stride), 0)
        offsets = np.arange(room.sum()) - np.repeat(np.cumsum(room) - room, room)
        return np.repeat(self.episode_starts, room) + offsets

    def draw_clips(self, starts: np.ndarray, clips: int, rng: np.random.Generator, *, again: bool = True) -> np.ndarray:
        """`clips` of `starts` [...], int64 [clips], drawn uniformly; not `again`: each at most once."""
        return starts[rng.integers(len(starts), size=clips)] if again else rng.choice(starts, clips, replace=False)

    def read_clips(self, starts: np.ndarray, length: int, stride: int = 1) -> np.ndarray:
        """Clips uint8 [B, T, H, W, C] from `starts` [B]; each chunk they touch is decoded once.

        DatasetError for a start outside the dataset or a clip that would cross into another episode.
        """
        starts = np.atleast_1d(np.asarray(starts, np.int64))
        last = starts + (length - 1) * stride
        episode = np.searchsorted(self.episode_starts, starts, side="right")
        bad = (
            (starts < 0)
            | (last >= self.num_frames)
            | (episode != np.searchsorted(self.episode_starts, last, side="right"))
        )
        if bad.any():
            at = int(starts[bad][0])
            raise DatasetError(
                f"{self.path}: a clip of {length} frames, stride {stride}, from frame {at} leaves its "
                f"episode or the {self.num_frames} frames; take starts from clip_starts({length}, {stride})"
            )
        index = (starts[:, None] + np.arange(length) * stride).ravel()
        frames = np.empty((len(index), *self._chunks.shape[1:]), np.uint8)
        chunk_of = index // self._chunks.chunk
        for chunk in np.unique(chunk_of):
            wanted = chunk_of == chunk
            frames[wanted] = self._chunks.read(int(chunk))[index[wanted] - chunk * self._chunks.chunk]
        frames = fit_frames(frames, self.frame_size)
        return frames.reshape(len(starts), length, *frames.shape[1:])

    @property
    def num_chunks(self) -> int:
        """Chunks that the frames are stored in."""
        return -(-self.num_frames // self._chunks.chunk)

    def read_chunk(self, index: int) -> np.ndarray:
        """One chunk of the frames in their stored size, uint8 [n, h, w, C]; DatasetError when it is damaged."""
        return self._chunks.read(index)

    def env_actions(self) -> np.ndarray:
        """The true env action taken after each frame, uint8 [F], for evaluation only: no training stage calls this.

        The only place where they are read. MissingArrayError for videos without them.
        """
        return self._rows("env_actions", self.num_frames, "frames")

    def level_seeds(self) -> np.ndarray:
        """The level that each episode plays, int64 [E]. MissingArrayError for videos without levels."""
        return self._rows("level_seeds", len(self.episode_starts), "episodes")

    def _rows(self, name: str, wanted: int, of: str) -> np.ndarray:
        if self._group is None:
            raise MissingArrayError(f"{self.path}: videos without {name}; collect videos of a game to have them")
        rows = self._group.array(name)
        if rows.shape != (wanted,):
            raise DatasetError(
                f"{self.path}: found {name} {rows.shape}, wanted one for each of {wanted} {of}; {RECOLLECT}"
            )
        return rows.read_all(wanted)


def open_dataset(path: str | os.PathLike[str], frame_size: tuple[int, int] | None = None) -> FrameDataset:
    """Open a Zarr folder or URL (``s3://``, ``https://`` ... through fsspec), a video, or a folder of videos.

    `frame_size` (H, W) fits frames by centre crop and area resize; by default a Zarr dataset keeps its stored size
    and videos become 64x64. DatasetError for anything missing, foreign, damaged or not yet complete.
    """
    name = os.fspath(path)
    if "://" in name and not name.startswith("file://"):
        dataset = _open_zarr(name)
        return dataset.resized(frame_size) if frame_size else dataset
    local = Path(name.removeprefix("file://"))
    with looking_at(local):
        if not local.exists():
            raise DatasetError(f"{local}: found nothing there, wanted a .zarr folder, a video or a folder of videos")
        files = set(os.listdir(local)) if local.is_dir() else set()
    if files & {".zgroup", ".zattrs", ".zarray", "zarr.json"}:
        dataset = _open_zarr(str(local))
        return dataset.resized(frame_size) if frame_size else dataset
    frames, starts, attributes = read_videos(local, frame_size or (64, 64))
    return FrameDataset(MemoryChunks(frames), starts, attributes, str(local))


def _open_zarr(name: str) -> FrameDataset:
    group = ZarrGroup(name)
    missing = [array for array in ("frames", "episode_starts") if array not in group]
    if missing:
        raise DatasetError(
            f"{name}: found no {' and no '.join(missing)}; this Zarr group was not written by genie-lite, or is damaged"
        )
    attributes = group.attributes
    if attributes.get("format") == FORMAT and not attributes.get("complete"):
        raise DatasetError(
            f"{name}: collection stopped after {attributes.get('frames_written', 0)} frames; run the "
            "same collection again and it goes on from there"
        )
    frames, starts = group.array("frames"), group.array("episode_starts")
    count = starts.shape[0]
    problem = None if count <= frames.shape[0] else f"found {count} episodes of {frames.shape[0]} frames"
    episode_starts = starts.read_all(0 if problem else count)
    problem = problem or starts_problem(episode_starts, frames.shape[0])
    if problem:
        raise DatasetError(f"{name}: {problem}; {RECOLLECT}")
    return FrameDataset(frames, episode_starts, attributes, name, group)


def starts_problem(starts: np.ndarray, num_frames: int) -> str | None:
    """What is wrong with `episode_starts`, if anything."""
    if num_frames == 0 or len(starts) == 0:
        return f"found {num_frames} frames in {len(starts)} episodes, wanted at least one"
    if starts[0] != 0 or (np.diff(starts) <= 0).any():
        return "episode_starts do not begin at 0 and rise"
    if starts[-1] >= num_frames:
        return (
            f"episode_starts reach frame {starts[-1]}, but there are only {num_frames} frames: the dataset is truncated"
        )
    return None
