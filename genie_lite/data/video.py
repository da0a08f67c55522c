"""Any video to frames: video files become episodes of the frame size a model wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from genie_lite.data.errors import DatasetError
from genie_lite.data.fit import fit_frames

SUFFIXES = (".mp4", ".gif", ".webm", ".mov", ".mkv", ".avi", ".m4v")


def read_videos(path: Path, frame_size: tuple[int, int] = (64, 64)) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Read one video, or every video of a folder in the order of their names; each file is one episode.

    Returns frames uint8 [F, H, W, 3], episode_starts int64 [E], attributes. Frames are held in memory (12 KiB each at
    64x64): for hours of video, write them once with `write_dataset`. DatasetError for a file that cannot be decoded.
    """
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
    try:
        import av
    except ImportError as error:
        raise DatasetError(f"{file}: reading videos needs PyAV, which is missing; `pip install av`") from error
    count = 0
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise DatasetError(f"{file}: found no pictures in it, wanted a video ({', '.join(SUFFIXES)})")
            for picture in container.decode(video=0):
                yield fit_frames(picture.to_ndarray(format="rgb24"), frame_size)
                count += 1
    except (OSError, ValueError) as error:  # PyAV's errors derive from these
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"{file}: cannot be decoded after {count} frames ({error}); wanted a video "
            f"({', '.join(SUFFIXES)}) that plays, convert or remove it"
        ) from error
    if count == 0:
        raise DatasetError(f"{file}: found a video without frames; remove it")
