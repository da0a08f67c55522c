"""The videos that ship with genie-lite, and the videos a course notebook trains on."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Literal

from genie_lite.config import Config
from genie_lite.data.blocks import Split
from genie_lite.data.collector import collect, collection_settings, settings_differ
from genie_lite.data.dataset import FrameDataset, open_dataset
from genie_lite.data.errors import DatasetError, looking_at
from genie_lite.data.procgen_games import import_procgen, procgen_available
from genie_lite.data.robot_arm import robot_available
from genie_lite.data.zarr_group import read_attributes
from genie_lite.data.zarr_store import whole_dataset
from genie_lite.machine import data_folder

log = logging.getLogger(__name__)

Game = Literal["plain", "full", "robot"]
FOLDERS: dict[Game, str] = {"plain": "coinrun/", "full": "coinrun/full_", "robot": "robot/"}


def sample_dataset(
    split: Split = "train", frame_size: tuple[int, int] | None = None, *, game: Game = "plain"
) -> FrameDataset:
    """The videos that ship, test levels disjoint from training levels.

    game "plain": CoinRun as in the course, easy levels of one look. "full": hard levels, all backgrounds and themes,
    for the world `coinrun`; of these only a test split ships. "robot": a simulated arm that pushes an object.
    DatasetError for what is not there.
    """
    path = data_folder() / f"{FOLDERS[game]}{split}.zarr"
    if game == "full" and split == "train":
        raise DatasetError(
            f"{path}: no training videos of the full game ship; collect them with "
            "`genie-lite collect --preset coinrun --out FOLDER`, which needs procgen"
        )
    if not path.exists():
        raise DatasetError(
            f"{path}: the shipped videos are not there; clone the repository and install it with "
            "`pip install -e .`, or point the environment variable GENIE_LITE_DATA at its data folder"
        )
    return open_dataset(path, frame_size)


def copy_sample(split: Split, folder: str | os.PathLike[str]) -> FrameDataset:
    """Copy the shipped videos of `split` to ``folder/<split>.zarr``, completely or not at all; DatasetError."""
    source, target = Path(sample_dataset(split).path), Path(folder) / f"{split}.zarr"
    with looking_at(target):
        if target.exists():
            raise DatasetError(f"{target}: exists already; delete it or choose another folder")
    with whole_dataset(target) as draft:
        shutil.copytree(source, draft, dirs_exist_ok=True)
    return open_dataset(target)


def sample_game(config: Config) -> Game:
    """Which of the shipped videos are of the game that a world of `config` plays."""
    if config.data.game == "robot":
        return "robot"
    return "full" if config.data.backgrounds else "plain"


def course_dataset(
    config: Config, folder: str | os.PathLike[str], split: Split = "train", progress: bool = True
) -> FrameDataset:
    """``folder/<split>.zarr`` in the model's frame size, collected first where it is missing, unfinished or short.

    Without procgen (PyBullet for the robot) it is the shipped videos (said in the log), unless the folder has videos
    of these settings. DatasetError when the folder's videos were made with other settings.
    """
    path = Path(folder) / f"{split}.zarr"
    size = config.model.frame_size
    robot = config.data.game == "robot"
    if not (robot_available() if robot else procgen_available()):
        attributes = read_attributes(path)
        if attributes.get("complete") and not settings_differ(attributes, collection_settings(config.data, split)):
            return open_dataset(path, size)
        if config.data.game not in ("coinrun", "robot"):
            import_procgen()  # videos of another game do not ship: say what is missing
        missing = "PyBullet" if robot else "procgen"
        log.warning("%s is not installed, so no new videos: taking the %s videos that ship", missing, split)
        return sample_dataset(split, size, game=sample_game(config))
    dataset = collect(config.data, path, split, progress=progress)
    return dataset if dataset.frame_size == size else dataset.resized(size)
