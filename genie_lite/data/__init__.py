"""Where frames come from: collecting CoinRun, reading films, endless clips for training.

::

    dataset = open_dataset("data/coinrun/train.zarr")
    for clips in ClipLoader(dataset, clips=16, frames=16):  # uint8 [B, T, H, W, C]
        ...
"""

from .check import check_dataset
from .clips import ClipLoader
from .coinrun import collect, procgen_available
from .dataset import FrameDataset, open_dataset
from .fit import fit_frames
from .sample import course_dataset, data_folder, sample_dataset, sample_game
from .store import DatasetError
from .writer import DatasetWriter, write_dataset

__all__ = [
    "ClipLoader",
    "DatasetError",
    "DatasetWriter",
    "FrameDataset",
    "check_dataset",
    "collect",
    "course_dataset",
    "data_folder",
    "fit_frames",
    "open_dataset",
    "procgen_available",
    "sample_dataset",
    "sample_game",
    "write_dataset",
]
