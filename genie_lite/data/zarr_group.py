"""Reading a Zarr group whose metadata were checked before zarr sees them.

Zarr builds whichever codecs an array's metadata name, and numcodecs registers one that unpickles, so a dataset from a
stranger could run code. Here the metadata must describe genie-lite's own format (`zarr_metadata`), and zarr is given
the checked fields. It never reads the metadata files itself: a server could answer differently the second time.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import fsspec
import numcodecs
import numpy as np
from fsspec.implementations.local import LocalFileSystem
from numcodecs import Blosc

from genie_lite.data.errors import DatasetError, MissingArrayError
from genie_lite.data.zarr_metadata import MAX_CHUNK, RECOLLECT, ArrayMetadata, Attributes, GroupMetadata, Model, parse

MAX_METADATA = 2**24  # bytes of one metadata file


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
        if self._metadata(".zgroup", GroupMetadata) is None:
            raise DatasetError(
                f"{name}: cannot be opened as a Zarr group of format 2 (found no .zgroup); check the path, and write a "
                "group of another format with genie_lite.data.write_dataset"
            )
        attributes = self._metadata(".zattrs", Attributes) or Attributes()
        self.attributes: dict[str, Any] = attributes.model_dump(exclude_unset=True)

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

        found = self._metadata(f"{array}/.zarray", ArrayMetadata)
        if found is None:
            raise MissingArrayError(f"{self.name}: videos without {array}; collect videos of a game to have them")
        found.check(array, f"{self.name}/{array}/.zarray")
        checked = found.model_dump() | {"fill_value": 0, "filters": None}
        checked["compressor"] |= {"id": WholeBlosc.codec_id}
        store: Any = (
            LocalStore(self.local, read_only=True) if self.local else FsspecStore.from_url(self.name, read_only=True)
        )
        opened = ZarrArray(self, array, zarr.Array.from_dict(StorePath(store, array), checked))
        opened.check_files()
        return opened

    def _metadata(self, key: str, model: type[Model]) -> Model | None:
        """One metadata file, or None where there is none."""
        try:
            if self.local and os.path.lexists(self.local / key) and not (self.local / key).is_file():
                raise OSError("no regular file")
            with self._fs.open(f"{self._root}/{key}", "rb") as file:
                content = file.read(MAX_METADATA + 1)
            if len(content) > MAX_METADATA:
                raise OSError(f"over {MAX_METADATA:,} bytes")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # noqa: BLE001 - each driver has errors of its own
            raise DatasetError(f"{self.name}/{key}: unreadable ({_said(error)}); {RECOLLECT}") from error
        return parse(model, content, f"{self.name}/{key}")


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


def _said(error: BaseException) -> str:
    return str(error)[:200] or type(error).__name__
