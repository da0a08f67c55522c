"""Collecting CoinRun videos with procgen (appendix F.1 of the paper).

Frames come in blocks: `num_envs` streams side by side, each as long as the longest episode, each put on disk in one
piece. A block is a pure function of (settings, split, block number), which is all that stopping, resuming and
appending need: a video collected in ten sittings equals one collected in one.
"""

from __future__ import annotations

import dataclasses
import os
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from genie_lite.config import DataConfig
from genie_lite.data.dataset import FrameDataset, open_dataset
from genie_lite.data.errors import DatasetError
from genie_lite.data.policies import PLAYERS
from genie_lite.data.procgen_games import import_procgen
from genie_lite.data.writer import DatasetWriter, existing_attributes
from genie_lite.data.zarr_store import CHUNK_FRAMES, LEVEL, writing

Split = Literal["train", "test"]
LONGEST_EPISODE = 1_000  # game steps, after which procgen ends an episode of CoinRun
FRAME_SHAPE = (64, 64, 3)
STILL = 4


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
    `level` (1-9) and `chunk_frames` say how new files are compressed. DatasetError without procgen, or when `path`
    holds something else, or videos of other settings, or anything at all and `resume` is false.
    """
    path = Path(path)
    wanted = frames if frames is not None else getattr(data, f"{split}_frames")
    if path.exists() and not resume:
        raise DatasetError(f"{path}: exists already; delete it, choose another path, or pass resume=True")
    if _collected(data, path, split) >= wanted:
        return open_dataset(path)
    procgen = import_procgen()
    with writing(path):
        _collected(data, path, split)  # again: another collector may have ended meanwhile
        _collect(procgen, data, path, split, wanted, progress, level, chunk_frames)
    return open_dataset(path)


def _collected(data: DataConfig, path: Path, split: Split) -> int:
    """Frames of a complete dataset of these settings at `path`, else 0; DatasetError for anything else there."""
    found = existing_attributes(path)
    different = settings_differ(found, collection_settings(data, split)) if found else ""
    if different:
        raise DatasetError(f"{path}: videos of other settings ({different}); delete the folder or choose another path")
    return found.get("frames_written", 0) if found.get("complete") else 0


def _collect(
    procgen: Any, data: DataConfig, path: Path, split: Split, wanted: int, progress: bool, level: int, chunk_frames: int
) -> None:
    attributes = {
        "game": "coinrun",
        "split": split,
        **collection_settings(data, split),
        "frame_stride": data.action_repeat,
        "policy_odds": PLAYERS[data.policy].odds,
        "versions": {name: _version(name) for name in ("genie-lite", "procgen-mirror", "procgen-gym", "numpy")},
    }
    writer = DatasetWriter(
        path, FRAME_SHAPE, attributes, arrays=("env_actions", "level_seeds"), level=level, chunk_frames=chunk_frames
    )
    size = data.num_envs * _stream_frames(data)
    with tqdm(
        total=wanted,
        initial=writer.num_frames,
        desc=f"collecting {split} videos",
        unit=" frames",
        mininterval=0.5,
        disable=not progress,
    ) as bar:
        while writer.num_frames < wanted:
            block, skip = divmod(writer.num_frames, size)
            stop = min(size, wanted - block * size)
            actions, starts, seeds = _play_block(procgen, data, split, block, writer, skip, stop, bar)
            inside = (starts >= skip) & (starts < stop)
            writer.commit(stop - skip, starts[inside] - skip, env_actions=actions[skip:stop], level_seeds=seeds[inside])
    writer.finish()


def collection_settings(data: DataConfig, split: Split) -> dict[str, Any]:
    """What decides the content of a split, apart from its length: stored with it, compared on resuming."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(data).items()}
    options = {
        "distribution_mode": plain["distribution_mode"],
        "use_backgrounds": plain["backgrounds"],
        "restrict_themes": plain["restrict_themes"],
    }
    keys = ("policy", "sticky_probability", "right_bias", "action_repeat", "num_envs", "frames_per_level", "seed")
    return {"options": options, "levels": plain[f"{split}_levels"], **{key: plain[key] for key in keys}}


def settings_differ(found: dict[str, Any], settings: dict[str, Any]) -> str:
    """The settings in which a dataset's attributes differ from those wanted, in words; empty if none."""
    return ", ".join(
        f"{key}: found {found.get(key)!r}, wanted {value!r}"
        for key, value in settings.items()
        if found.get(key) != value
    )


class _Envs:
    """The first `streams` of the `num_envs` games of one block, side by side."""

    def __init__(self, procgen: Any, data: DataConfig, split: Split, block: int, streams: int) -> None:
        first, count = data.train_levels if split == "train" else data.test_levels
        self.rng = np.random.default_rng([data.seed, 0 if split == "train" else 1, block])
        options = {
            "env_name": "coinrun",
            "distribution_mode": data.distribution_mode,
            "use_backgrounds": data.backgrounds,
            "restrict_themes": data.restrict_themes,
            "num_threads": min(streams, os.cpu_count() or 1),
            "rand_seed": int(self.rng.integers(2**31 - 1)),
        }
        # num_levels is never 0, which procgen reads as "all levels": DataConfig sees to it.
        self.games = procgen.ProcgenGym3Env(num=streams, start_level=first, num_levels=count, **options)
        if data.frames_per_level:  # stream s plays one level: its game is made alone and moved here
            states = []
            for stream in range(block * data.num_envs, block * data.num_envs + streams):
                one = procgen.ProcgenGym3Env(
                    num=1, start_level=first + stream % count, num_levels=1, **{**options, "num_threads": 0}
                )
                states += one.get_state()
                one.close()
            self.games.set_state(states)

    def level_seeds(self) -> np.ndarray:
        return np.array([info["level_seed"] for info in self.games.get_info()], np.int64)


def _play_block(
    procgen: Any, data: DataConfig, split: Split, block: int, writer: DatasetWriter, skip: int, stop: int, bar: tqdm
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Play one block and place its frames `skip` to `stop`: env actions, episode starts, level seeds of the block."""
    length = _stream_frames(data)
    streams = -(-stop // length)  # those after them are not wanted; draws are made for all, to be the same for each
    envs = _Envs(procgen, data, split, block, streams)
    first = np.arange(streams) * length  # number of each stream's first frame in the block
    offset = writer.num_frames - skip  # of the block in the dataset
    actions = np.empty((streams, length), np.uint8)
    starts, seeds = [first], [envs.level_seeds()]
    player = PLAYERS[data.policy](data, envs.rng)
    shown = skip
    pictures = envs.games.observe()[1]["rgb"]
    pile = np.empty((streams, CHUNK_FRAMES, *FRAME_SHAPE), np.uint8)  # frames go to the writer some at a time
    for t in range(length):
        pile[:, t % CHUNK_FRAMES] = pictures[:streams]
        if (t + 1) % CHUNK_FRAMES == 0 or t + 1 == length:
            for stream in range(streams):
                begin, end = first[stream] + t - t % CHUNK_FRAMES, first[stream] + t + 1
                low, high = int(np.clip(begin, skip, stop)), int(np.clip(end, skip, stop))
                writer.place(offset + low, pile[stream, low - begin : high - begin])
        action = player.choose(pictures[:streams])[:streams]
        actions[:, t] = action
        ended = np.zeros(streams, bool)
        for _ in range(data.action_repeat):
            # An episode that ended while its action was held waits for the others: the action is not the new one's.
            envs.games.act(np.where(ended, STILL, action).astype(np.int32))
            _, seen, first_frames = envs.games.observe()
            ended |= first_frames.astype(bool)
        pictures = seen["rgb"]
        if ended.any():
            player.restart(np.flatnonzero(ended))
            if t + 1 < length:
                starts.append(np.flatnonzero(ended) * length + t + 1)
                seeds.append(envs.level_seeds()[ended])
        if (done := min((t + 1) * streams, stop)) > shown:
            bar.update(done - shown)
            shown = done
    envs.games.close()
    all_starts = np.concatenate(starts)
    order = np.argsort(all_starts, kind="stable")
    return actions.reshape(-1), all_starts[order], np.concatenate(seeds)[order]


def _stream_frames(data: DataConfig) -> int:
    if data.frames_per_level:
        return data.frames_per_level
    frames = -(-LONGEST_EPISODE // data.action_repeat)
    return -(-frames // CHUNK_FRAMES) * CHUNK_FRAMES


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
