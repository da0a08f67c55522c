"""Reading a whole dataset to find what is wrong with it (``genie-lite data check``)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from genie_lite.data.dataset import FrameDataset, open_dataset
from genie_lite.data.errors import DatasetError, MissingArrayError
from genie_lite.data.procgen_games import GAMES, NUM_ENV_ACTIONS
from genie_lite.data.robot_arm import NUM_DIRECTIONS


def check_dataset(path: str | os.PathLike[str], progress: bool = False) -> list[str]:
    """Read everything at `path` and return what is wrong, one sentence each; an empty list means a sound dataset.

    `open_dataset` checks only what is quick to check; this also decodes every chunk and every array.
    """
    try:
        dataset = open_dataset(path)
    except DatasetError as error:
        return [str(error)]
    problems = _unreadable_chunks(dataset, progress)
    written = dataset.attributes.get("frames_written", dataset.num_frames)
    if written != dataset.num_frames:
        problems.append(f"{dataset.path}: found {dataset.num_frames} frames, wanted the {written} that were written")
    episodes = dataset.attributes.get("episodes_written", len(dataset.episode_starts))
    if episodes != len(dataset.episode_starts):
        problems.append(f"{dataset.path}: found {len(dataset.episode_starts)} episodes, wanted the {episodes} written")
    for read, look in ((dataset.level_seeds, _wrong_levels), (dataset.env_actions, _wrong_env_actions)):
        try:
            problems += [f"{dataset.path}: {problem}" for problem in look(dataset, read())]
        except MissingArrayError as error:
            problems += [str(error)] * ("policy" in dataset.attributes)  # videos that `collect` made have both arrays
        except DatasetError as error:
            problems.append(str(error))
    local = Path(dataset.path)
    if local.is_dir():
        left = sum(1 for _ in local.rglob("*.part"))
        problems += [f"{local}: {left} unfinished files ending in .part were left by a kill; delete them"] * bool(left)
    return problems


def _unreadable_chunks(dataset: FrameDataset, progress: bool) -> list[str]:
    problems = []
    for index in tqdm(range(dataset.num_chunks), desc="reading", unit=" chunks", disable=not progress):
        try:
            dataset.read_chunk(index)
        except DatasetError as error:
            problems.append(str(error))
    return problems


def _wrong_levels(dataset: FrameDataset, seeds: np.ndarray) -> list[str]:
    if "levels" not in dataset.attributes:
        return []
    first, count = dataset.attributes["levels"]
    outside = np.unique(seeds[(seeds < first) | (seeds >= first + count)])
    return [f"found levels {outside[:5].tolist()}, wanted only {first} to {first + count - 1}"] * bool(len(outside))


def _wrong_env_actions(dataset: FrameDataset, env_actions: np.ndarray) -> list[str]:
    top = int(env_actions.max(initial=0))
    game = dataset.attributes.get("game")
    count = NUM_ENV_ACTIONS if game in GAMES else NUM_DIRECTIONS if game == "robot" else 256
    return [f"found env action {top}, wanted 0 to {count - 1}"] * (top >= count)
