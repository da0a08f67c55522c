"""Blocks of video: `num_envs` games, side by side, or one after another by the expert and on the robot arm.

A block is a pure function of (settings, split, block number).
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from genie_lite.config import DataConfig
from genie_lite.data.expert import make_expert
from genie_lite.data.policies import POLICIES
from genie_lite.data.procgen_games import FRAME_SHAPE, LONGEST_EPISODE, STILL, make_games
from genie_lite.data.pusher import Pusher
from genie_lite.data.robot_arm import RobotArm
from genie_lite.data.writer import DatasetWriter
from genie_lite.data.zarr_store import CHUNK_FRAMES

Split = Literal["train", "test"]


@dataclasses.dataclass
class Block:
    """One block: `streams` of `num_envs` streams of `length` frames, of which frames `skip` to `stop` are wanted."""

    data: DataConfig
    split: Split
    number: int
    skip: int
    stop: int
    writer: DatasetWriter
    bar: tqdm

    def __post_init__(self) -> None:
        self.length = stream_frames(self.data)
        self.streams = -(-self.stop // self.length)  # the later ones are not wanted
        self.offset = self.writer.num_frames - self.skip  # of the block in the dataset
        self.env_actions = np.zeros((self.streams, self.length), np.uint8)
        self.starts: list[np.ndarray] = []  # of episodes, counted from the start of the block
        self.level_seeds: list[np.ndarray] = []
        self._shown = self.skip

    def place(self, stream: int, at: int, frames: np.ndarray) -> None:
        """Hand the wanted ones of frames uint8 [n, H, W, C] to the writer; the first is frame `at` of its stream."""
        begin = stream * self.length + at
        low, high = (int(np.clip(frame, self.skip, self.stop)) for frame in (begin, begin + len(frames)))
        self.writer.place(self.offset + low, frames[low - begin : high - begin])

    def begin(self, streams: np.ndarray, at: int, level_seeds: np.ndarray) -> None:
        """Episodes on levels of these seeds begin at frame `at` of `streams`."""
        self.starts.append(streams * self.length + at)
        self.level_seeds.append(level_seeds)

    def show(self, done: int) -> None:
        """Let the progress bar stand at `done` frames of the block."""
        done = min(done, self.stop)
        if done > self._shown:
            self.bar.update(done - self._shown)
            self._shown = done

    def commit(self) -> None:
        """Add the wanted frames to the dataset."""
        starts = np.concatenate(self.starts)
        order = np.argsort(starts, kind="stable")
        starts, seeds = starts[order], np.concatenate(self.level_seeds)[order]
        inside = (starts >= self.skip) & (starts < self.stop)
        self.writer.commit(
            self.stop - self.skip,
            starts[inside] - self.skip,
            env_actions=self.env_actions.reshape(-1)[self.skip : self.stop],
            level_seeds=seeds[inside],
        )


def _games(block: Block) -> tuple[Any, np.random.Generator]:
    """The block's games side by side, each at the start of a level, and the block's random numbers."""
    data = block.data
    first, count = data.train_levels if block.split == "train" else data.test_levels
    rng = np.random.default_rng([data.seed, 0 if block.split == "train" else 1, block.number])
    seed = int(rng.integers(2**31 - 1))
    threads = min(block.streams, os.cpu_count() or 1)
    games = make_games(data, (first, count), block.streams, seed=seed, threads=threads)
    if data.frames_per_level:  # stream s plays one level: its game is made alone and moved here
        states = []
        for stream in range(block.number * data.num_envs, block.number * data.num_envs + block.streams):
            one = make_games(data, (first + stream % count, 1), 1, seed=seed)
            states += one.get_state()
            one.close()
        games.set_state(states)
    return games, rng


def play_policy(block: Block) -> None:
    """Let a policy play the block's games side by side."""
    data, streams, length = block.data, block.streams, block.length
    games, rng = _games(block)
    policy = POLICIES[data.policy](data, rng)
    block.begin(np.arange(streams), 0, _level_seeds(games))
    pictures = games.observe()[1]["rgb"]
    recent = np.empty((streams, CHUNK_FRAMES, *FRAME_SHAPE), np.uint8)  # frames not handed to the writer yet
    for t in range(length):
        recent[:, t % CHUNK_FRAMES] = pictures
        if (t + 1) % CHUNK_FRAMES == 0 or t + 1 == length:
            for stream in range(streams):
                block.place(stream, t - t % CHUNK_FRAMES, recent[stream, : t % CHUNK_FRAMES + 1])
        env_actions = policy.choose(pictures)[:streams]
        block.env_actions[:, t] = env_actions
        ended = np.zeros(streams, bool)
        for _ in range(data.action_repeat):
            # A game whose episode ended while the key was held stands still: the key is not one of the new episode.
            games.act(np.where(ended, STILL, env_actions).astype(np.int32))
            _, seen, first_frames = games.observe()
            ended |= first_frames.astype(bool)
        pictures = seen["rgb"]
        if ended.any():
            policy.restart(np.flatnonzero(ended))
            if t + 1 < length:
                block.begin(np.flatnonzero(ended), t + 1, _level_seeds(games)[ended])
        block.show((t + 1) * streams)
    games.close()


def play_expert(block: Block) -> None:
    """Let the expert play the block's games one after another, each in a game that can be rewound alone."""
    data, split = block.data, 0 if block.split == "train" else 1
    games, _ = _games(block)
    states = games.get_state()
    games.close()
    game = make_games(data, data.train_levels, 1, seed=0)  # whose levels and random numbers come with each state
    for stream in range(block.skip // block.length, block.streams):
        game.set_state([states[stream]])
        expert = make_expert(data, game, np.random.default_rng([data.seed, split, block.number, stream]))
        at = 0
        for episode in expert.play(min(block.length, block.stop - stream * block.length)):
            count = len(episode.frames)
            block.begin(np.array([stream]), at, np.array([episode.level_seed]))
            block.env_actions[stream, at : at + count] = episode.env_actions
            block.place(stream, at, episode.frames)
            at += count
        block.show(stream * block.length + at)
    game.close()


def play_robot(block: Block) -> None:
    """Let somebody push objects about with the robot arm: one level a stream, one stream after another."""
    data, split = block.data, 0 if block.split == "train" else 1
    first, count = data.train_levels if block.split == "train" else data.test_levels
    for stream in range(block.skip // block.length, block.streams):
        level = first + (block.number * data.num_envs + stream) % count
        pusher = Pusher(data.sticky_probability, np.random.default_rng([data.seed, split, block.number, stream]))
        frames = np.empty((min(block.length, block.stop - stream * block.length), *FRAME_SHAPE), np.uint8)
        arm = RobotArm(level)
        block.begin(np.array([stream]), 0, np.array([level]))
        for t in range(len(frames)):
            frames[t] = arm.picture()
            block.env_actions[stream, t] = pusher.choose(arm.tool, arm.object)
            for _ in range(data.action_repeat):
                arm.step(int(block.env_actions[stream, t]))
            block.show(stream * block.length + t + 1)
        arm.close()
        block.place(stream, 0, frames)


def _level_seeds(games: Any) -> np.ndarray:
    return np.array([info["level_seed"] for info in games.get_info()], np.int64)


def stream_frames(data: DataConfig) -> int:
    """Frames of one stream of a block: the longest episode, in whole chunks, or `frames_per_level`."""
    if data.frames_per_level:
        return data.frames_per_level
    frames = -(-LONGEST_EPISODE // data.action_repeat)
    return -(-frames // CHUNK_FRAMES) * CHUNK_FRAMES
