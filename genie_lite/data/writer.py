"""Writing videos to disk so that they can be stopped, continued and appended to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import Blosc

from genie_lite.data.chunk_buffer import ChunkBuffer
from genie_lite.data.errors import DatasetError, looking_at
from genie_lite.data.zarr_group import ZarrGroup, read_attributes
from genie_lite.data.zarr_metadata import RECOLLECT
from genie_lite.data.zarr_store import (
    ARRAYS,
    CHUNK_FRAMES,
    FORMAT,
    LEVEL,
    ROW_CHUNK,
    ROWS,
    put_in_place,
    remove_parts,
    replace_file,
    whole_dataset,
    write_part,
)


class DatasetWriter:
    """Appends videos to a dataset on disk; a kill loses only what was not committed yet.

    `append` adds frames at once. `place` takes them in pieces and in any order and compresses full chunks in the
    background, and `commit` then adds them, so that a block of frames need not fit in memory.

    A new dataset is created at `path`; an existing one is continued (its frame shape must agree). Until `finish`
    is called the attribute ``complete`` is false and `open_dataset` refuses the dataset. A dataset takes one writer
    at a time: `collect` and `write_dataset` see to it with `zarr_store.writing`.
    """

    def __init__(
        self,
        path: str | Path,
        frame_shape: tuple[int, int, int],
        attributes: dict[str, Any] | None = None,
        *,
        arrays: Iterable[str] = (),
        chunk_frames: int = CHUNK_FRAMES,
        level: int = LEVEL,
    ) -> None:
        """`frame_shape` is (H, W, C); `arrays` names the optional arrays; `level` 1-9 is that of the compression."""
        self.path = Path(path)
        self._rows: dict[str, np.ndarray] = {}
        if existing_attributes(self.path).get("frames_written"):
            self._resume(frame_shape)
            return
        self.shape = frame_shape
        self.chunk = chunk_frames
        # One Blosc block per chunk: frames repeat their predecessors, and blocks are compressed separately.
        self._codec = Blosc(
            "zstd", clevel=level, shuffle=Blosc.NOSHUFFLE, blocksize=chunk_frames * int(np.prod(frame_shape))
        )
        for name in ("episode_starts", *arrays):
            self._rows[name] = np.zeros(0, ROWS[name])
        self._buffer = ChunkBuffer(self._codec, chunk_frames, frame_shape, self._write_chunk)
        self.attributes = {
            "format": FORMAT,
            "format_version": 1,
            **(attributes or {}),
            "complete": False,
            "frames_written": 0,
            "episodes_written": 0,
        }
        replace_file(self.path / ".zgroup", json.dumps({"zarr_format": 2}).encode())
        self._write_attributes()
        self._commit()

    @property
    def num_frames(self) -> int:
        """Frames that are safely on disk."""
        return int(self.attributes["frames_written"])

    def append(self, frames: np.ndarray, episode_starts: np.ndarray, **rows: np.ndarray) -> None:
        """Add frames uint8 [n, H, W, C] and commit them.

        `episode_starts` counts from the first of these frames; unless it begins with 0 they continue the last episode.
        `rows` are the other arrays: env_actions [n], level_seeds [len(episode_starts)].
        """
        self._check(len(frames), episode_starts, rows)
        self.place(self.num_frames, frames)
        self.commit(len(frames), episode_starts, **rows)

    def place(self, first: int, frames: np.ndarray) -> None:
        """Take frames uint8 [n, H, W, C] for the next `commit`; `first` is the number of the first in the dataset.

        Full chunks are written under temporary names: a kill before the commit leaves the dataset as it was.
        """
        if frames.dtype != np.uint8 or frames.shape[1:] != self.shape:
            raise DatasetError(
                f"{self.path}: found frames {frames.dtype} {frames.shape}, wanted uint8 (n, *{self.shape})"
            )
        self._buffer.place(first, frames)

    def commit(self, count: int, episode_starts: np.ndarray, **rows: np.ndarray) -> None:
        """Add the `count` frames placed since the last commit, each placed once; other arguments as in `append`."""
        self._check(count, episode_starts, rows)
        placed = self._buffer.num_frames - self.num_frames % self.chunk
        if placed != count:
            raise DatasetError(f"{self.path}: found {placed} frames placed, wanted {count}")
        if self.attributes["complete"]:
            self.attributes["complete"] = False
            self._write_attributes()
        for index, temporary in self._buffer.finish().items():
            put_in_place(temporary, self._chunk_file(index))
        rows = {**rows, "episode_starts": np.asarray(episode_starts) + self.num_frames}
        before = {name: len(values) for name, values in self._rows.items()}
        for name, values in rows.items():
            self._rows[name] = np.concatenate([self._rows[name], np.asarray(values, ROWS[name])])
        self.attributes["frames_written"] = self.num_frames + count
        self.attributes["episodes_written"] = len(self._rows["episode_starts"])
        self._commit(before)

    def finish(self) -> None:
        """Declare the dataset complete; only then can it be opened."""
        remove_parts(self.path)
        self.attributes["complete"] = True
        self._write_attributes()

    def _chunk_file(self, index: int) -> Path:
        return self.path / "frames" / f"{index}.0.0.0"

    def _write_chunk(self, index: int, content: bytes) -> Path:
        return write_part(self._chunk_file(index), content)

    def _check(self, count: int, episode_starts: np.ndarray, rows: dict[str, np.ndarray]) -> None:
        if self.num_frames == 0 and (len(episode_starts) == 0 or episode_starts[0] != 0):
            raise DatasetError(f"{self.path}: the first frame of a dataset must start an episode")
        wanted = {name: count if name == "env_actions" else len(episode_starts) for name in self._rows}
        found = {"episode_starts": len(episode_starts), **{name: len(values) for name, values in rows.items()}}
        if found != wanted:
            raise DatasetError(f"{self.path}: found arrays of lengths {found}, wanted {wanted}")

    def _commit(self, before: dict[str, int] | None = None) -> None:
        for name, values in self._rows.items():
            codec = Blosc("zstd", clevel=5, shuffle=Blosc.SHUFFLE)
            for index in range((before or {}).get(name, 0) // ROW_CHUNK, -(-len(values) // ROW_CHUNK)):
                part = _padded(values[index * ROW_CHUNK : (index + 1) * ROW_CHUNK], ROW_CHUNK)
                replace_file(self.path / name / str(index), codec.encode(part))
            self._describe(name, values.shape, (ROW_CHUNK,), ROWS[name], codec)
        self._describe("frames", (self.num_frames, *self.shape), (self.chunk, *self.shape), "|u1", self._codec)
        self._write_attributes()  # last: these counts are what is believed after a kill

    def _write_attributes(self) -> None:
        replace_file(self.path / ".zattrs", json.dumps(self.attributes, indent=1).encode())

    def _describe(self, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str, codec: Blosc) -> None:
        description = {
            "zarr_format": 2,
            "shape": shape,
            "chunks": chunks,
            "dtype": dtype,
            "fill_value": 0,
            "order": "C",
            "filters": None,
            "dimension_separator": ".",
            "compressor": codec.get_config(),
        }
        replace_file(self.path / name / ".zarray", json.dumps(description, indent=1).encode())

    def _resume(self, frame_shape: tuple[int, int, int]) -> None:
        self.attributes = {"complete": False, **existing_attributes(self.path)}
        if "episodes_written" not in self.attributes:
            raise DatasetError(f"{self.path}/.zattrs: found no episodes_written; the dataset is damaged, {RECOLLECT}")
        remove_parts(self.path)
        group = ZarrGroup(str(self.path))
        frames = group.array("frames")
        if frames.shape[1:] != frame_shape:
            raise DatasetError(
                f"{self.path}: holds frames of {frames.shape[1:]}, wanted {frame_shape}; choose another path"
            )
        if frames.shape[0] < self.num_frames:
            raise DatasetError(f"{self.path}: found {frames.shape[0]} frames, wanted {self.num_frames}; {RECOLLECT}")
        codec = {key: value for key, value in frames.compressor.items() if key != "id"}
        self.shape, self.chunk, self._codec = frame_shape, frames.chunk, Blosc.from_config(codec)
        counts = {"env_actions": self.num_frames}
        for name in ROWS:
            if name in group:
                count = counts.get(name, int(self.attributes["episodes_written"]))
                self._rows[name] = group.array(name).read_all(count)
        self._buffer = ChunkBuffer(self._codec, self.chunk, frame_shape, self._write_chunk)
        if left := self.num_frames % self.chunk:
            self._buffer.place(self.num_frames - left, frames.read(self.num_frames // self.chunk)[:left])


def existing_attributes(path: Path) -> dict[str, Any]:
    """Attributes of the dataset at `path`; empty if there is nothing. DatasetError when something else is there."""
    for name in ARRAYS:
        if (path / name).is_symlink():
            raise DatasetError(f"{path / name}: found a link, wanted a folder: its target would be written to; copy it")
    attributes = read_attributes(path)
    if attributes.get("format") == FORMAT:
        return attributes
    names = [file.name for file in path.iterdir()] if path.is_dir() else [path.name]
    if not path.exists() or all(name in (".zgroup", ".lock") or name.endswith(".part") for name in names):
        return {}  # nothing, or what a kill before the attributes were written leaves
    raise DatasetError(f"{path}: exists and is no dataset; nothing was overwritten, choose another path")


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    if len(values) == length:
        return values
    return np.concatenate([values, np.zeros((length - len(values), *values.shape[1:]), values.dtype)])


def write_dataset(
    path: str | Path,
    episodes: Iterable[np.ndarray],
    attributes: dict[str, Any] | None = None,
    env_actions: Iterable[np.ndarray] | None = None,
) -> None:
    """Write videos of your own as a dataset: `episodes` are uint8 [n, H, W, C], all of one frame size.

    `env_actions`, if known, gives uint8 [n] for each episode. The dataset appears complete or not at all.
    DatasetError when `path` exists already.
    """
    path = Path(path)
    exists = DatasetError(f"{path}: exists already; choose another path or delete it")
    with looking_at(path):
        if path.exists():
            raise exists
    arrays = () if env_actions is None else ("env_actions",)
    actions = iter(() if env_actions is None else env_actions)
    with whole_dataset(path) as draft:
        writer: DatasetWriter | None = None
        for number, episode in enumerate(episodes):
            if np.ndim(episode) != 4 or len(episode) == 0:
                raise DatasetError(
                    f"{path}: found episode {number} of shape {list(np.shape(episode))}, wanted frames [n, H, W, C]"
                )
            height, width, channels = episode.shape[1:]
            writer = writer or DatasetWriter(draft, (height, width, channels), attributes, arrays=arrays)
            writer.append(episode, np.array([0]), **{name: next(actions, np.zeros(0)) for name in arrays})
        if writer is None:
            raise DatasetError(f"{path}: found no episode, wanted one or more")
        writer.finish()
        if path.exists():  # another program was quicker
            raise exists
