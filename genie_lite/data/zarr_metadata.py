"""The metadata files of genie-lite's Zarr format, checked field by field (pydantic)."""

from __future__ import annotations

import math
import reprlib
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pydantic
from pydantic import Field

from genie_lite.data.errors import DatasetError
from genie_lite.data.zarr_store import ARRAYS

RECOLLECT = "copy or collect it again"
MAX_CHUNK = 2**28  # bytes of one chunk, decoded
MAX_FRAMES = 10**9

Whole = Annotated[int, Field(ge=0, lt=2**40)]
Model = TypeVar("Model", bound=pydantic.BaseModel)


class GroupMetadata(pydantic.BaseModel, strict=True):
    """`.zgroup`."""

    zarr_format: Literal[2]


class Compressor(pydantic.BaseModel, strict=True):
    """Blosc, the only codec: another could run code, and would not be ours."""

    id: Literal["blosc"]
    cname: Literal["blosclz", "lz4", "lz4hc", "zlib", "zstd"]
    clevel: Annotated[int, Field(ge=0, le=9)] = 5
    shuffle: Annotated[int, Field(ge=-1, le=2)] = 1
    blocksize: Annotated[int, Field(ge=0, lt=2**31)] = 0


class ArrayMetadata(pydantic.BaseModel, strict=True):
    """`.zarray`."""

    zarr_format: Literal[2]
    dtype: Literal["|u1", "<i8"]
    order: Literal["C"]
    filters: Annotated[list[Any], Field(max_length=0)] | None = None
    dimension_separator: Literal["."] = "."
    shape: list[Whole]
    chunks: list[Annotated[int, Field(ge=1, lt=2**40)]]
    compressor: Compressor

    def check(self, array: str, where: str) -> None:
        """DatasetError unless these are the metadata of the array named `array`."""
        dtype, axes = ARRAYS[array]
        if self.dtype != dtype or len(self.shape) != axes or self.shape[1:] != self.chunks[1:]:
            raise DatasetError(
                f"{where}: found {self.dtype} {self.shape} in chunks {self.chunks}, wanted {dtype} with {axes} axes, "
                f"in chunks along the first; {RECOLLECT}"
            )
        if self.shape[0] > MAX_FRAMES or math.prod(self.chunks) * np.dtype(dtype).itemsize > MAX_CHUNK:
            raise DatasetError(
                f"{where}: found {self.shape} in chunks {self.chunks}, wanted at most {MAX_FRAMES:,} frames and "
                f"{MAX_CHUNK:,} bytes per chunk; {RECOLLECT}"
            )


class Attributes(pydantic.BaseModel, strict=True, extra="allow"):
    """`.zattrs`: what is known of how the videos were made. All of it is optional, and more may be there."""

    format: str = ""
    complete: bool = False
    frames_written: Whole = 0
    episodes_written: Whole = 0
    game: str = ""
    policy: str = ""
    frame_stride: Annotated[int, Field(ge=1)] = 1
    action_repeat: Annotated[int, Field(ge=1)] = 1
    num_envs: Annotated[int, Field(ge=1)] = 1
    options: dict[str, Any] = {}
    levels: Annotated[list[Whole], Field(min_length=2, max_length=2)] = [0, 1]


def parse(model: type[Model], content: bytes, where: str) -> Model:
    """The metadata in a file's content; DatasetError with each wrong field, what was found and what was wanted."""
    try:
        return model.model_validate_json(content)
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"found {'.'.join(map(str, problem['loc'])) or 'it'} {reprlib.repr(problem['input'])} ({problem['msg']})"
            for problem in error.errors()[:5]
        )
        raise DatasetError(
            f"{where}: {problems}; {RECOLLECT}, or write it with genie_lite.data.write_dataset"
        ) from error
