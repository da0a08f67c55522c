"""Where frames come from: collecting games, reading videos, endless clips for training.

::

    dataset = open_dataset("data/coinrun/train.zarr")
    for clips in ClipLoader(dataset, clips=16, frames=16):  # uint8 [B, T, H, W, C]
        ...
"""

from genie_lite.data.collector import collect
from genie_lite.data.dataset import FrameDataset, open_dataset
from genie_lite.data.errors import DatasetError, MissingArrayError
from genie_lite.data.fit import fit_frames
from genie_lite.data.joined import JoinedDataset, join_datasets
from genie_lite.data.loader import ClipLoader, mirror
from genie_lite.data.procgen_games import import_procgen, procgen_available
from genie_lite.data.robot_arm import import_pybullet, robot_available
from genie_lite.data.samples import copy_sample, course_dataset, data_folder, sample_dataset, sample_game
from genie_lite.data.validate import check_dataset
from genie_lite.data.writer import DatasetWriter, write_dataset

__all__ = [
    "ClipLoader",
    "DatasetError",
    "DatasetWriter",
    "FrameDataset",
    "JoinedDataset",
    "MissingArrayError",
    "check_dataset",
    "collect",
    "copy_sample",
    "course_dataset",
    "data_folder",
    "fit_frames",
    "import_procgen",
    "import_pybullet",
    "join_datasets",
    "mirror",
    "open_dataset",
    "procgen_available",
    "robot_available",
    "sample_dataset",
    "sample_game",
    "write_dataset",
]
