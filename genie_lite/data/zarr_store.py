"""The layout of a dataset on disk, and its files, written so that a kill at any moment leaves a valid dataset.

A dataset is a Zarr group of format 2: ``frames`` uint8 [F, H, W, C] · ``episode_starts`` int64 [E] · optional
``env_actions`` uint8 [F] (the action taken *after* frame f; for evaluation only) and ``level_seeds`` int64 [E] ·
attributes that say how it was made. Every chunk is stored, compressed with Blosc.

Reading goes through zarr (`zarr_group`). Writing does not, because its stores are not atomic: here each file is written
under a temporary name and renamed, and the frames of a block take effect together, when the attributes count them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from genie_lite.data.errors import DatasetError
from genie_lite.files import FolderInUseError, reason, sole_writer, whole_file, whole_folder

FORMAT = "genie-lite frames"
CHUNK_FRAMES = 32  # a 16-frame clip touches one or two chunks; twice the frames of a clip compress 15 % smaller
LEVEL = 1  # of 1-9: 45 % more disk than 5 for a fifth of the work, which collecting would wait for
ROW_CHUNK = 65_536  # entries per chunk of the one-dimensional arrays
_numbers = itertools.count()  # of temporary files
ROWS = {"episode_starts": "<i8", "level_seeds": "<i8", "env_actions": "|u1"}  # the one-dimensional arrays
ARRAYS = {"frames": ("|u1", 4), **{name: (dtype, 1) for name, dtype in ROWS.items()}}  # dtype and number of axes


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Keep every other writer out of the dataset at `path`; DatasetError when there is one already."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(sole_writer(path))
        except FolderInUseError as error:
            raise DatasetError(str(error)) from error
        except OSError as error:
            raise unwritable(path, error) from error
        yield


@contextlib.contextmanager
def whole_dataset(path: Path) -> Iterator[Path]:
    """`files.whole_folder` for a dataset: DatasetError when the disk refuses, or when somebody else writes it too."""
    try:
        with whole_folder(path) as draft:
            yield draft
    except FolderInUseError as error:
        raise DatasetError(str(error)) from error
    except (OSError, DatasetError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__  # which names a file of the draft
        if not isinstance(cause, OSError):
            raise
        again = "make room or choose another folder, and try again"
        raise DatasetError(f"{path}: cannot be written ({reason(cause)}); {again}") from cause


def write_part(path: Path, content: bytes) -> Path:
    """Write the content of file `path` to a temporary file beside it, which `put_in_place` renames."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{next(_numbers)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    return temporary


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file of `write_part` to `path`, replacing what was there."""
    try:
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write a file completely or not at all. DatasetError when the disk refuses."""
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        raise unwritable(path, error) from error


def remove_parts(path: Path) -> None:
    """Delete the temporary files under `path` that a kill left behind."""
    for unfinished in path.rglob("*.part"):
        unfinished.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> DatasetError:
    """What to raise when the disk refuses to write `path`."""
    return DatasetError(
        f"{path}: cannot be written ({reason(error)}); make room or choose another folder, then run the "
        "same command again: it goes on from the last finished block"
    )
