"""How often each policy solves a level, and how quickly: a table. For the expert, whose failures are rewound, also a
picture of the levels it solved (--picture)."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from genie_lite.config import DataConfig
from genie_lite.data.expert import Episode, Expert
from genie_lite.data.policies import POLICIES
from genie_lite.data.procgen_games import GAMES, make_games

GAMES_AT_ONCE = 32
COLUMNS = 16  # frames of an episode in the picture


class Result(NamedTuple):
    """Of a policy: levels played and solved, frames of the solved ones, game steps and seconds of all."""

    levels: int
    solved: int
    frames: list[int]
    steps: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--game", choices=GAMES, default="coinrun")
    parser.add_argument("--modes", nargs="+", choices=("easy", "hard"), default=["easy", "hard"])
    parser.add_argument("--policies", nargs="+", choices=sorted(POLICIES), default=list(POLICIES))
    parser.add_argument("--levels", type=int, default=256, help="levels each policy plays (default: 256)")
    parser.add_argument("--repeat", type=int, default=4, help="game steps a key is held (default: 4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="rows of frames of levels the expert solved")
    options = parser.parse_args()

    columns = ("game", "mode", "policy", "solved, 95 % interval", "median frames", "solved levels/s", "game steps each")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    rows: list[Episode] = []
    for mode in options.modes:
        for policy in options.policies:
            data = DataConfig(
                game=options.game,
                distribution_mode=mode,
                policy=policy,
                action_repeat=options.repeat,
                num_envs=GAMES_AT_ONCE,
                train_levels=(0, 100_000),
            )
            if policy == "expert":
                result, episodes = play_expert(data, options.levels, options.seed)
                rows += episodes[:8]
            else:
                result = play(data, options.levels, options.seed)
            print(f"| {options.game} | {mode} | {policy} | {described(result)} |", flush=True)
    if options.picture:
        Image.fromarray(picture(rows)).save(options.picture)


def play(data: DataConfig, levels: int, seed: int) -> Result:
    """Each of GAMES_AT_ONCE games plays its share of the levels; more would favour those that end early."""
    each = -(-levels // GAMES_AT_ONCE)
    games = make_games(data, data.train_levels, GAMES_AT_ONCE, seed=seed)
    policy = POLICIES[data.policy](data, np.random.default_rng(seed))
    played = np.zeros(GAMES_AT_ONCE, int)
    age = np.zeros(GAMES_AT_ONCE, int)
    frames, steps, start = [], 0, time.perf_counter()
    while (played < each).any():
        ended = np.zeros(GAMES_AT_ONCE, bool)
        solved = np.zeros(GAMES_AT_ONCE, bool)
        keys = policy.choose(games.observe()[1]["rgb"])
        age += 1
        for _ in range(data.action_repeat):
            games.act(keys.astype(np.int32))
            steps += int((played < each).sum())
            first = games.observe()[2].astype(bool) & ~ended
            if first.any():
                solved |= first & np.array([info["prev_level_complete"] for info in games.get_info()], bool)
            ended |= first
        frames += age[solved & (played < each)].tolist()
        played += ended
        age[ended] = 0
        policy.restart(np.flatnonzero(ended))
    games.close()
    return Result(each * GAMES_AT_ONCE, len(frames), frames, steps, time.perf_counter() - start)


def play_expert(data: DataConfig, levels: int, seed: int) -> tuple[Result, list[Episode]]:
    game = make_games(data, data.train_levels, 1, seed=seed)
    expert = Expert(data, game, np.random.default_rng(seed))
    start = time.perf_counter()
    episodes = [episode for episode in (expert.play_level() for _ in range(levels)) if episode is not None]
    seconds = time.perf_counter() - start
    game.close()
    return Result(levels, len(episodes), [len(e.frames) for e in episodes], expert.steps, seconds), episodes


def described(result: Result) -> str:
    low, high = wilson(result.solved, result.levels)
    share = f"{result.solved / result.levels:.3f} [{low:.3f}, {high:.3f}] of {result.levels}"
    if not result.solved:
        return f"{share} | | 0 | "
    speed, cost = result.solved / result.seconds, result.steps / result.solved
    return f"{share} | {np.median(result.frames):.0f} | {speed:.1f} | {cost:.0f}"


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = 1.96
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return centre - half, centre + half


def picture(episodes: list[Episode]) -> np.ndarray:
    """One row per episode: COLUMNS frames from its first to its last."""
    rows = []
    for episode in episodes:
        shown = np.linspace(0, len(episode.frames) - 1, COLUMNS).round().astype(int)
        rows.append(np.concatenate(list(episode.frames[shown]), axis=1))
    return np.concatenate(rows, axis=0)


if __name__ == "__main__":
    main()
