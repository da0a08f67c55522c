"""Reading films: `open_dataset`, `FrameDataset` and the endless `ClipLoader`."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .fit import fit_frames
from .store import FORMAT, DatasetError, LocalChunks, read_json

RECOLLECT = "copy or collect it again"


class Chunks(Protocol):
    """What frames are read from: an array [F, H, W, C] whose first axis comes in chunks."""

    shape: tuple[int, ...]
    dtype: Any
    chunk: int

    def read(self, index: int) -> np.ndarray: ...


class MemoryChunks:
    """Frames held in memory (a decoded video) as one chunk."""

    def __init__(self, frames: np.ndarray) -> None:
        self._frames = frames
        self.shape, self.dtype, self.chunk = frames.shape, frames.dtype, max(1, len(frames))

    def read(self, index: int) -> np.ndarray:
        return self._frames


class ZarrChunks:
    """An array read through zarr itself: object storage, and local groups that others wrote."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape, self.dtype, self.chunk = tuple(array.shape), array.dtype, int(array.chunks[0])

    def read(self, index: int) -> np.ndarray:
        return np.asarray(self._array[index * self.chunk : (index + 1) * self.chunk])


class FrameDataset:
    """Films: frames uint8 [F, H, W, C] in episodes, read clip by clip. Made by `open_dataset`."""

    def __init__(self, chunks: Chunks, episode_starts: np.ndarray, attributes: dict[str, Any], path: str,
                 read_env_actions: Callable[[], np.ndarray] | None = None,
                 frame_size: tuple[int, int] | None = None) -> None:
        self._chunks = chunks
        self._read_env_actions = read_env_actions
        self.path = path
        self.attributes = attributes
        self.episode_starts = np.asarray(episode_starts, np.int64)
        self.num_frames = int(chunks.shape[0])
        self.channels = int(chunks.shape[3])
        self.frame_size: tuple[int, int] = frame_size or (int(chunks.shape[1]), int(chunks.shape[2]))

    def __repr__(self) -> str:
        height, width = self.frame_size
        return f"FrameDataset({self.path!r}: {self.num_frames} frames of {height}x{width}, {len(self.episode_starts)} episodes)"

    def resized(self, frame_size: tuple[int, int]) -> FrameDataset:
        """The same films fitted to (H, W) as they are read."""
        return FrameDataset(self._chunks, self.episode_starts, self.attributes, self.path, self._read_env_actions,
                            (int(frame_size[0]), int(frame_size[1])))

    @property
    def episode_lengths(self) -> np.ndarray:
        """Frames of each episode, int64 [E]."""
        return np.diff(np.append(self.episode_starts, self.num_frames))

    def clip_starts(self, length: int, stride: int = 1) -> np.ndarray:
        """Every frame, int64 [...], from which `length` frames, `stride` apart, stay inside one episode."""
        room = np.maximum(self.episode_lengths - ((length - 1) * stride), 0)
        offsets = np.arange(room.sum()) - np.repeat(np.cumsum(room) - room, room)
        return np.repeat(self.episode_starts, room) + offsets

    def read_clips(self, starts: np.ndarray, length: int, stride: int = 1) -> np.ndarray:
        """Clips uint8 [B, T, H, W, C] from `starts` [B]; each chunk they touch is decoded once.

        DatasetError for a start outside the dataset or a clip that would cross into another episode.
        """
        starts = np.atleast_1d(np.asarray(starts, np.int64))
        last = starts + (length - 1) * stride
        episode = np.searchsorted(self.episode_starts, starts, side="right")
        bad = (starts < 0) | (last >= self.num_frames) | (episode != np.searchsorted(self.episode_starts, last, side="right"))
        if bad.any():
            at = int(starts[bad][0])
            raise DatasetError(f"{self.path}: a clip of {length} frames, stride {stride}, from frame {at} leaves its "
                               f"episode or the {self.num_frames} frames; take starts from clip_starts({length}, {stride})")
        index = (starts[:, None] + np.arange(length) * stride).ravel()
        frames = np.empty((len(index), *self._chunks.shape[1:]), np.uint8)
        chunk_of = index // self._chunks.chunk
        for chunk in np.unique(chunk_of):
            wanted = chunk_of == chunk
            frames[wanted] = self._chunks.read(int(chunk))[index[wanted] - chunk * self._chunks.chunk]
        frames = fit_frames(frames, self.frame_size)
        return frames.reshape(len(starts), length, *frames.shape[1:])

    def env_actions(self) -> np.ndarray:
        """The true env action taken after each frame, uint8 [F]: for evaluation only, no training stage may call this."""
        if self._read_env_actions is None:
            raise DatasetError(f"{self.path}: films without env actions; probes of true actions need a collected dataset")
        return self._read_env_actions()


def open_dataset(path: str | os.PathLike[str], frame_size: tuple[int, int] | None = None) -> FrameDataset:
    """Open a Zarr folder or URL (``s3://``, ``gs://``, ``https://`` ... through fsspec), a video, or a folder of videos.

    `frame_size` (H, W) fits frames by centre crop and area resize; by default films keep their stored size and
    videos become 64x64. DatasetError for anything missing, foreign, damaged or not yet complete.
    """
    name = os.fspath(path)
    local = Path(name.removeprefix("file://")) if "://" not in name or name.startswith("file://") else None
    if local is None:
        dataset = _open_zarr(name, None)
    elif not local.exists():
        raise DatasetError(f"{local}: found nothing there, wanted a .zarr folder, a video or a folder of videos")
    elif local.is_dir() and any((local / f).exists() for f in (".zgroup", ".zattrs", ".zarray", "zarr.json")):
        dataset = _open_zarr(str(local), local)
    else:
        from .video import read_videos

        frames, starts, attributes = read_videos(local, frame_size or (64, 64))
        return FrameDataset(MemoryChunks(frames), starts, attributes, str(local))
    return dataset.resized(frame_size) if frame_size else dataset


def _open_zarr(name: str, local: Path | None) -> FrameDataset:
    import zarr

    try:
        group = zarr.open_group(name, mode="r")
        attributes = dict(group.attrs)
        names = set(group.array_keys())
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise DatasetError(f"{name}: cannot be opened as a Zarr group ({error}); check the path, and for a URL that "
                           "fsspec and its driver for this kind of storage are installed") from error
    missing = {"frames", "episode_starts"} - names
    if missing:
        raise DatasetError(f"{name}: found arrays {sorted(names)}, wanted also {sorted(missing)}; this Zarr group was "
                           "not written by genie-lite, or was damaged")
    if attributes.get("format") == FORMAT and not attributes.get("complete"):
        raise DatasetError(f"{name}: collection stopped after {attributes.get('frames_written', 0)} frames; run the "
                           "same collection again and it goes on from there")
    chunks: Chunks = ZarrChunks(group["frames"])
    if local is not None and (local / "frames" / ".zarray").exists() and attributes.get("format") == FORMAT:
        fast = LocalChunks(local, "frames")
        files = sum(1 for entry in os.scandir(fast.folder) if entry.name[0].isdigit() and not entry.name.endswith(".part"))
        if files < fast.num_chunks:
            raise DatasetError(f"{name}: found {files} chunk files of frames, wanted {fast.num_chunks}; {RECOLLECT}")
        chunks = fast
    shape = tuple(chunks.shape)
    if len(shape) != 4 or chunks.dtype != np.uint8:
        raise DatasetError(f"{name}: found frames {chunks.dtype} {shape}, wanted uint8 [F, H, W, C]")
    starts = np.asarray(group["episode_starts"][:])
    problem = starts_problem(starts, shape[0])
    if problem:
        raise DatasetError(f"{name}: {problem}; {RECOLLECT}")
    read_env_actions = None
    if "env_actions" in names:
        if tuple(group["env_actions"].shape) != shape[:1]:
            raise DatasetError(f"{name}: found env_actions {tuple(group['env_actions'].shape)}, wanted [{shape[0]}] as "
                               f"there are that many frames; {RECOLLECT}")
        read_env_actions = lambda: np.asarray(group["env_actions"][:], np.uint8)  # noqa: E731
    return FrameDataset(chunks, starts, attributes, name, read_env_actions)


def starts_problem(starts: np.ndarray, num_frames: int) -> str | None:
    """What is wrong with `episode_starts`, if anything."""
    if starts.ndim != 1 or starts.dtype.kind not in "iu":
        return f"found episode_starts {starts.dtype} {starts.shape}, wanted whole numbers [E]"
    if num_frames == 0 or len(starts) == 0:
        return f"found {num_frames} frames in {len(starts)} episodes, wanted at least one"
    if starts[0] != 0 or (np.diff(starts) <= 0).any():
        return "episode_starts do not begin at 0 and rise"
    if starts[-1] >= num_frames:
        return f"episode_starts reach frame {starts[-1]}, but there are only {num_frames} frames: the dataset is truncated"
    return None


class ClipLoader:
    """Endless batches of clips, uint8 [B, T, H, W, C]; batch i is a pure function of (seed, i).

    One background thread reads `prefetch` batches ahead (no worker processes: nothing to hang in a notebook). A batch
    decodes each chunk it touches once, from the chunk's file: zarr 3's own indexing crosses an event loop per chunk.
    DatasetError when no episode is long enough for a clip. Use as an iterator; `close()` or ``with`` ends the thread.
    """

    def __init__(self, dataset: FrameDataset, clips: int, frames: int, stride: int = 1, seed: int = 0,
                 prefetch: int = 2) -> None:
        self.dataset, self.clips, self.frames, self.stride, self.seed = dataset, clips, frames, stride, seed
        self.step = 0  # index of the next batch
        self._prefetch = prefetch
        self._starts = dataset.clip_starts(frames, stride)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        if len(self._starts) == 0:
            raise DatasetError(f"{dataset.path}: found no episode of {(frames - 1) * stride + 1} frames (the longest has "
                               f"{dataset.episode_lengths.max()}), wanted some for clips of {frames} frames at stride "
                               f"{stride}; use shorter clips, a smaller stride or longer films")

    def batch(self, index: int) -> np.ndarray:
        """Batch `index`, read now, whatever was read before."""
        rng = np.random.default_rng([self.seed, index])
        starts = self._starts[rng.integers(len(self._starts), size=self.clips)]
        return self.dataset.read_clips(starts, self.frames, self.stride)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        if self._prefetch < 1:
            batch: np.ndarray | BaseException = self.batch(self.step)
        else:
            if self._thread is None:
                self._start()
            batch = self._queue.get()
        if isinstance(batch, BaseException):
            self.close()
            raise batch
        self.step += 1
        return batch

    def seek(self, step: int) -> None:
        """Go on with batch `step`."""
        self.close()
        self.step = step

    def close(self) -> None:
        """End the background thread; iterating starts it again."""
        if self._thread is not None:
            self._stop.set()
            while self._thread.is_alive():
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    self._thread.join(0.01)
            self._thread = None

    def __enter__(self) -> ClipLoader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self._stop = threading.Event()
        self._queue: queue.Queue[np.ndarray | BaseException] = queue.Queue(self._prefetch)
        self._thread = threading.Thread(target=self._read_ahead, args=(self.step, self._queue, self._stop), daemon=True)
        self._thread.start()

    def _read_ahead(self, index: int, out: queue.Queue[np.ndarray | BaseException], stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                out.put(self.batch(index))
            except Exception as error:  # handed to the thread that asked, which raises it
                out.put(error)
                return
            index += 1
