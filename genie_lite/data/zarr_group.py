"""Reading a Zarr group whose metadata were checked before zarr sees them.

Zarr builds whichever codecs an array's metadata name, and numcodecs registers one that unpickles, so a dataset from a
stranger could run code. Here the metadata must describe genie-lite's own format (`zarr_store`), and zarr is given a
copy of the checked fields. It never reads the metadata files itself: a server could answer differently the second time.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
import struct
from pathlib import Path
from typing import Any, TypeGuard

import fsspec
import numcodecs
import numpy as np
from fsspec.implementations.local import LocalFileSystem
from numcodecs import Blosc

from genie_lite.data.errors import DatasetError, MissingArrayError
from genie_lite.data.zarr_store import ARRAYS

RECOLLECT = "copy or collect it again"
MAX_METADATA = 2**24  # bytes of one metadata file
MAX_CHUNK = 2**28  # bytes of one chunk, decoded
MAX_FRAMES = 10**9
ATTRIBUTES = {
    "format": str, "complete": bool, "frames_written": int, "episodes_written": int, "game": str, "policy": str,
    "frame_stride": int, "action_repeat": int, "num_envs": int, "options": dict, "levels": list,
}  # fmt: skip
CODECS = ("blosclz", "lz4", "lz4hc", "zlib", "zstd")  # inside Blosc


class WholeBlosc(Blosc):
    """Blosc that refuses a chunk that was cut off; Blosc itself trusts its header and reads past the end."""

    codec_id = "genie-lite-blosc"

    def decode(self, buf: Any, out: Any = None) -> Any:
        content = memoryview(buf).cast("B")
        decoded, encoded = struct.unpack("<4xI4xI", content[:16]) if len(content) >= 16 else (0, 0)
        if encoded != len(content) or decoded > MAX_CHUNK:
            raise ValueError(f"found {len(content)} bytes, while its header says {encoded} for {decoded} decoded")
        return super().decode(buf, out)


numcodecs.register_codec(WholeBlosc)


class ZarrGroup:
    """A Zarr group (format 2) in a local folder or at a URL of fsspec: its attributes and its arrays."""

    def __init__(self, name: str) -> None:
        """DatasetError when there is no group, or when its attributes are damaged."""
        self.name = name
        try:
            self._fs, self._root = fsspec.core.url_to_fs(name)
        except Exception as error:  # noqa: BLE001 - each driver has errors of its own
            raise DatasetError(
                f"{name}: cannot be opened ({_said(error)}); check the path, and that fsspec's driver for this kind "
                "of storage is installed"
            ) from error
        self.local = Path(self._root) if isinstance(self._fs, LocalFileSystem) else None
        found = self._json(".zgroup")
        if found is None and self._json("zarr.json") is not None:
            raise DatasetError(
                f"{name}: found a Zarr group of format 3, wanted format 2: it was not written by genie-lite; read it "
                "with zarr and write it with genie_lite.data.write_dataset"
            )
        if found is None or found.get("zarr_format") != 2:
            raise DatasetError(
                f"{name}: cannot be opened as a Zarr group (found {'no' if found is None else 'a damaged'} .zgroup, "
                f"wanted format 2); check the path, or {RECOLLECT}"
            )
        self.attributes = self._attributes()

    def __contains__(self, array: str) -> bool:
        return self.exists(f"{array}/.zarray")

    def exists(self, key: str) -> bool:
        """Whether the group holds the file `key`."""
        try:
            return self._fs.exists(f"{self._root}/{key}")
        except Exception as error:  # noqa: BLE001 - each driver has errors of its own
            raise DatasetError(f"{self.name}/{key}: cannot be read ({_said(error)})") from error

    def array(self, array: str) -> ZarrArray:
        """One of the arrays of `zarr_store.ARRAYS`; MissingArrayError when the group does not have it."""
        import zarr
        from zarr.storage import FsspecStore, LocalStore, StorePath

        found = self._json(f"{array}/.zarray")
        if found is None:
            raise MissingArrayError(f"{self.name}: videos without {array}; collect videos of a game to have them")
        checked = checked_metadata(found, array, f"{self.name}/{array}")
        store: Any = (
            LocalStore(self.local, read_only=True) if self.local else FsspecStore.from_url(self.name, read_only=True)
        )
        opened = ZarrArray(self, array, zarr.Array.from_dict(StorePath(store, array), checked))
        opened.check_files()
        return opened

    def _attributes(self) -> dict[str, Any]:
        attributes = self._json(".zattrs") or {}
        for key, kind in ATTRIBUTES.items():
            value = attributes.get(key)
            if value is not None and type(value) is not kind:
                raise DatasetError(
                    f"{self.name}/.zattrs: found {key} {_short(value)}, wanted {kind.__name__}; {RECOLLECT}"
                )
        levels = attributes.get("levels", [0, 1])
        if len(levels) != 2 or any(type(level) is not int for level in levels):
            raise DatasetError(
                f"{self.name}/.zattrs: found levels {_short(levels)}, wanted [first, number of levels]; {RECOLLECT}"
            )
        return attributes

    def _json(self, key: str) -> dict[str, Any] | None:
        """One metadata file, or None where there is none."""
        where = f"{self.name}/{key}"
        try:
            if self.local and os.path.lexists(self.local / key) and not (self.local / key).is_file():
                raise OSError("no regular file")
            with self._fs.open(f"{self._root}/{key}", "rb") as file:
                content = file.read(MAX_METADATA + 1)
            if len(content) > MAX_METADATA:
                raise OSError(f"over {MAX_METADATA:,} bytes")
            tree = json.loads(content)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # noqa: BLE001 - each driver has errors of its own
            raise DatasetError(f"{where}: unreadable ({_said(error)}); the dataset is damaged, {RECOLLECT}") from error
        if not isinstance(tree, dict):
            raise DatasetError(f"{where}: found {_short(tree)}, wanted a mapping; the dataset is damaged, {RECOLLECT}")
        return tree


class ZarrArray:
    """An array of a `ZarrGroup`, read chunk by chunk along its first axis."""

    def __init__(self, group: ZarrGroup, name: str, array: Any) -> None:
        self._group, self._name, self._array = group, name, array
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype = array.dtype
        self.chunk = int(array.chunks[0])
        self.compressor: dict[str, Any] = array.metadata.compressor.get_config()

    @property
    def num_chunks(self) -> int:
        """Pieces that the array is stored in."""
        return -(-self.shape[0] // self.chunk)

    def read(self, index: int) -> np.ndarray:
        """Chunk `index`; the last ends where the array ends. DatasetError when it is missing or damaged."""
        key = f"{self._name}/{'.'.join([str(index), *['0'] * (len(self.shape) - 1)])}"
        where = f"{self._group.name}/{key}: chunk {index} of {self.num_chunks}"
        try:
            values = np.asarray(self._array[index * self.chunk : (index + 1) * self.chunk])
        except Exception as error:  # noqa: BLE001 - codecs and drivers have errors of their own
            raise DatasetError(f"{where} is damaged ({_said(error)}); {RECOLLECT}") from error
        if not values.any() and not self._group.exists(key):  # zarr takes a chunk that is not there for zeros
            raise DatasetError(f"{where} is missing; the dataset was copied or deleted in part, {RECOLLECT}")
        return values

    def read_all(self, count: int) -> np.ndarray:
        """The first `count` entries."""
        if count > self.shape[0]:
            raise DatasetError(f"{self._group.name}: found {self.shape[0]} {self._name}, wanted {count}; {RECOLLECT}")
        parts = [self.read(index) for index in range(-(-count // self.chunk))]
        return np.concatenate([np.zeros((0, *self.shape[1:]), self.dtype), *parts])[:count]

    def check_files(self) -> None:
        """DatasetError unless each chunk of a local group is a regular file, and no larger than a chunk can be."""
        if self._group.local is None:
            return
        limit = int(np.prod(self._array.chunks)) * self.dtype.itemsize + 2**16  # what does not compress grows a little
        try:
            files = [
                entry
                for entry in os.scandir(self._group.local / self._name)
                if entry.name[0].isdigit() and not entry.name.endswith(".part") and entry.is_file()
            ]
            large = [entry.path for entry in files if entry.stat().st_size > limit]
        except OSError as error:
            raise DatasetError(f"{self._group.name}: unreadable ({error}); {RECOLLECT}") from error
        if large:
            raise DatasetError(f"{large[0]}: over {limit:,} bytes, more than a chunk can have; {RECOLLECT}")
        if len(files) < self.num_chunks:
            raise DatasetError(
                f"{self._group.name}: found {len(files)} chunk files of {self._name}, wanted {self.num_chunks}; "
                f"{RECOLLECT}"
            )


def read_attributes(path: Path) -> dict[str, Any]:
    """The attributes of a local dataset, finished or not; empty where there is none."""
    return ZarrGroup(str(path)).attributes if (path / ".zgroup").exists() else {}


def checked_metadata(found: dict[str, Any], array: str, where: str) -> dict[str, Any]:
    """The metadata of an array if they describe it in genie-lite's format, and no more; else DatasetError."""
    dtype, ndim = ARRAYS[array]
    wanted = {"zarr_format": 2, "dtype": dtype, "order": "C", "filters": None, "dimension_separator": "."}
    problems = [
        f"{key} {_short(found.get(key))} (wanted {value!r})"
        for key, value in wanted.items()
        if (found.get(key) or value if value in (None, ".") else found.get(key)) != value
    ]
    shape, chunks = found.get("shape"), found.get("chunks")
    if not _sizes(shape, 0) or not _sizes(chunks, 1) or len(shape) != ndim or shape[1:] != chunks[1:]:
        problems.append(
            f"shape {_short(shape)} in chunks {_short(chunks)} (wanted {ndim} axes, chunks along the first only)"
        )
    elif shape[0] > MAX_FRAMES or math.prod(chunks) * np.dtype(dtype).itemsize > MAX_CHUNK:
        problems.append(
            f"shape {shape} in chunks {chunks} (wanted {MAX_FRAMES:,} frames and {MAX_CHUNK:,} bytes a chunk at most)"
        )
    compressor = _blosc(found.get("compressor"))
    if compressor is None:
        problems.append(f"compressor {_short(found.get('compressor'))} (wanted Blosc)")
    if problems:
        raise DatasetError(
            f"{where}/.zarray: found {'; '.join(problems)}; if the dataset is not damaged, write it anew with "
            "genie_lite.data.write_dataset"
        )
    return {**wanted, "shape": shape, "chunks": chunks, "fill_value": 0, "compressor": compressor}


def _blosc(compressor: Any) -> dict[str, Any] | None:
    """The settings of a Blosc codec that are known and possible; None for anything else."""
    limits = {"clevel": range(10), "shuffle": range(-1, 3), "blocksize": range(2**31)}
    if not isinstance(compressor, dict) or compressor.get("id") != "blosc" or compressor.get("cname") not in CODECS:
        return None
    settings = {key: compressor.get(key, 0) for key in limits}
    if any(type(value) is not int or value not in limits[key] for key, value in settings.items()):
        return None
    return {"id": WholeBlosc.codec_id, "cname": compressor["cname"], **settings}


def _sizes(value: Any, least: int) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and least <= n < 2**40 for n in value)


def _short(value: Any) -> str:
    return reprlib.repr(value)


def _said(error: BaseException) -> str:
    return str(error)[:200] or type(error).__name__
