"""Reading video files as episodes, in the frame size that a model wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from genie_lite.data.errors import DatasetError, looking_at
from genie_lite.data.fit import fit_frames

SUFFIXES = (".mp4", ".gif", ".webm", ".mov", ".mkv", ".avi", ".m4v")
WANTED = f"wanted a video ({', '.join(SUFFIXES)})"
MAX_PIXELS = 2**25  # of one picture: 8K video


def read_videos(path: Path, frame_size: tuple[int, int] = (64, 64)) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Read one video, or every video of a folder in the order of their names; each file is one episode.

    Returns frames uint8 [F, H, W, 3], episode_starts int64 [E], attributes. Frames are held in memory (12 KiB each at
    64x64): write hours of video once with `write_dataset` instead. DatasetError for a file that cannot be decoded.
    """
    with looking_at(path):
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise DatasetError(
            f"{path}: found neither a Zarr group nor videos, wanted files ending in {', '.join(SUFFIXES)}"
        )
    episodes = [np.stack(list(video_frames(file, frame_size))) for file in files]
    lengths = [len(episode) for episode in episodes]
    attributes = {"game": "video", "files": [file.name for file in files], "frame_stride": 1}
    return np.concatenate(episodes), np.cumsum([0, *lengths[:-1]]), attributes


def video_frames(file: Path, frame_size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The pictures of one video, uint8 [H, W, 3], fitted by centre crop and area resize, decoded one at a time."""
    count = 0
    try:
        if not file.is_file():
            raise DatasetError(f"{file}: found no regular file, {WANTED}")
        for picture in _gif_pictures(file) if file.suffix.lower() == ".gif" else _av_pictures(file):
            yield fit_frames(picture, frame_size)
            count += 1
    except DatasetError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise whatever a damaged file makes them stumble over
        raise DatasetError(
            f"{file}: cannot be decoded after {count} frames ({error}); {WANTED} that plays, convert or remove it"
        ) from error
    if count == 0:
        raise DatasetError(f"{file}: found a video without frames; remove it")


def _av_pictures(file: Path) -> Iterator[np.ndarray]:
    try:
        import av
    except ImportError as error:
        raise DatasetError(f"{file}: reading videos needs PyAV, which is missing; `pip install av`") from error
    with av.open(str(file)) as container:
        if not container.streams.video:
            raise DatasetError(f"{file}: found no pictures in it, {WANTED}")
        _check_size(file, container.streams.video[0].width, container.streams.video[0].height)
        for picture in container.decode(video=0):
            _check_size(file, picture.width, picture.height)
            yield picture.to_ndarray(format="rgb24")


def _gif_pictures(file: Path) -> Iterator[np.ndarray]:
    """By Pillow: of a GIF without delays, as Pillow writes it by default, PyAV decodes the first picture only."""
    with Image.open(file, formats=["GIF"]) as gif:
        _check_size(file, gif.width, gif.height)
        for picture in ImageSequence.Iterator(gif):
            yield np.asarray(picture.convert("RGB"))


def _check_size(file: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DatasetError(
            f"{file}: found pictures of {width} x {height}, wanted at most {MAX_PIXELS:,} pixels; shrink the video"
        )
