"""Collecting videos of CoinRun, another of procgen's platform games (appendix F.1 of the paper), or a robot arm.

Frames come in blocks: `num_envs` streams, each as long as the longest episode, committed to disk together. A block is a
pure function of (settings, split, block number), which is all that stopping, resuming and appending need: a dataset
collected in ten sittings equals one collected in one.
"""

from __future__ import annotations

import dataclasses
import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

from tqdm import tqdm

from genie_lite.config import DataConfig
from genie_lite.data.blocks import Block, Split, play_expert, play_policy, play_robot, stream_frames
from genie_lite.data.dataset import FrameDataset, open_dataset
from genie_lite.data.errors import DatasetError, looking_at
from genie_lite.data.expert import expert_odds
from genie_lite.data.policies import POLICIES
from genie_lite.data.procgen_games import FRAME_SHAPE, game_options, import_procgen
from genie_lite.data.pusher import Pusher
from genie_lite.data.robot_arm import import_pybullet
from genie_lite.data.writer import DatasetWriter, existing_attributes
from genie_lite.data.zarr_store import CHUNK_FRAMES, LEVEL, writing

PLAY = {"expert": play_expert, "pusher": play_robot}  # policies that play in their own way
_PACKAGES = ("genie-lite", "procgen-mirror", "procgen-gym", "pybullet", "numpy")


def collect(
    data: DataConfig,
    path: str | os.PathLike[str],
    split: Split = "train",
    frames: int | None = None,
    progress: bool = True,
    resume: bool = True,
    *,
    level: int = LEVEL,
    chunk_frames: int = CHUNK_FRAMES,
) -> FrameDataset:
    """Collect `frames` frames (default: the split's number in `data`) to a Zarr folder and open it.

    An unfinished or shorter dataset of the same settings is continued; one that is long enough is opened as it is.
    `level` (1-9) and `chunk_frames` say how new files are compressed. DatasetError without procgen (PyBullet for the
    robot), or when `path` holds something else, or videos of other settings, or anything at all and `resume` is false.
    """
    path = Path(path)
    wanted = frames if frames is not None else getattr(data, f"{split}_frames")
    with looking_at(path):
        if path.exists() and not resume:
            raise DatasetError(f"{path}: exists already; delete it, choose another path, or pass resume=True")
    if _collected(data, path, split) >= wanted:
        return open_dataset(path)
    import_pybullet() if data.game == "robot" else import_procgen()
    with writing(path):
        _collected(data, path, split)  # again: another collector may have ended meanwhile
        _collect(data, path, split, wanted, progress, level, chunk_frames)
    return open_dataset(path)


def _collected(data: DataConfig, path: Path, split: Split) -> int:
    """Frames of a complete dataset of these settings at `path`, else 0; DatasetError for anything else there."""
    with looking_at(path):
        found = existing_attributes(path)
    different = settings_differ(found, collection_settings(data, split)) if found else ""
    if different:
        raise DatasetError(f"{path}: videos of other settings ({different}); delete the folder or choose another path")
    return found.get("frames_written", 0) if found.get("complete") else 0


def _collect(
    data: DataConfig, path: Path, split: Split, wanted: int, progress: bool, level: int, chunk_frames: int
) -> None:
    attributes = {
        "split": split,
        **collection_settings(data, split),
        "frame_stride": data.action_repeat,
        "versions": {name: _version(name) for name in _PACKAGES},
    }
    writer = DatasetWriter(
        path, FRAME_SHAPE, attributes, arrays=("env_actions", "level_seeds"), level=level, chunk_frames=chunk_frames
    )
    size = data.num_envs * stream_frames(data)
    with tqdm(
        total=wanted,
        initial=writer.num_frames,
        desc=f"collecting {split} videos",
        unit=" frames",
        mininterval=0.5,
        disable=not progress,
    ) as bar:
        while writer.num_frames < wanted:
            number, skip = divmod(writer.num_frames, size)
            block = Block(data, split, number, skip, min(size, wanted - number * size), writer, bar)
            PLAY.get(data.policy, play_policy)(block)
            block.commit()
    writer.finish()


def collection_settings(data: DataConfig, split: Split) -> dict[str, Any]:
    """What decides the content of a split, apart from its length: stored with it, compared on resuming.

    Besides the settings these are the odds by which the policy plays, so that a dataset is not continued with another
    policy of the same name.
    """
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(data).items()}
    keys = (
        "game",
        "policy",
        "sticky_probability",
        "right_bias",
        "action_repeat",
        "num_envs",
        "frames_per_level",
        "seed",
    )
    return {
        "options": game_options(data),
        "levels": plain[f"{split}_levels"],
        **{key: plain[key] for key in keys},
        "policy_odds": json.loads(json.dumps(_odds(data))),  # as it is read back
    }


def settings_differ(found: dict[str, Any], settings: dict[str, Any]) -> str:
    """In words, the settings in which a dataset's attributes differ from those wanted; empty if there are none."""
    differing = []
    for key, wanted in settings.items():
        there = found.get(key)
        if isinstance(wanted, dict) and isinstance(there, dict):
            differing += [(f"{key}, {name!r}", there.get(name), wanted.get(name)) for name in {**wanted, **there}]
        else:
            differing.append((key, there, wanted))
    return ", ".join(f"{key}: found {a!r}, wanted {b!r}" for key, a, b in differing if a != b)


def _odds(data: DataConfig) -> dict[str, object]:
    if data.policy == "pusher":
        return Pusher.odds
    return expert_odds(data) if data.policy == "expert" else POLICIES[data.policy].odds


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
