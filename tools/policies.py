"""How often each policy solves a level, and how quickly: a table. For the expert, whose failures are rewound, also a
picture of the levels it solved (--picture)."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from genie_lite.config import DataConfig
from genie_lite.data.expert import make_expert
from genie_lite.data.policies import POLICIES
from genie_lite.data.procgen_games import GAMES, make_games
from genie_lite.data.rewinding import Episode
from genie_lite.evaluation import LevelsPlayed, play_levels

GAMES_AT_ONCE = 32
COLUMNS = 16  # frames of an episode in the picture


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
                player = POLICIES[policy](data, np.random.default_rng(options.seed))
                levels = -(-options.levels // GAMES_AT_ONCE) * GAMES_AT_ONCE
                result = play_levels(data, player, data.train_levels, levels, games=GAMES_AT_ONCE, seed=options.seed)
            print(f"| {options.game} | {mode} | {policy} | {described(result)} |", flush=True)
    if options.picture:
        Image.fromarray(picture(rows)).save(options.picture)


def play_expert(data: DataConfig, levels: int, seed: int) -> tuple[LevelsPlayed, list[Episode]]:
    game = make_games(data, data.train_levels, 1, seed=seed)
    expert = make_expert(data, game, np.random.default_rng(seed))
    start = time.perf_counter()
    episodes = [episode for episode in (expert.play_level() for _ in range(levels)) if episode is not None]
    seconds = time.perf_counter() - start
    game.close()
    frames, seeds = [len(e.frames) for e in episodes], [e.level_seed for e in episodes]
    return LevelsPlayed(levels, len(episodes), frames, seeds, expert.steps, seconds), episodes


def described(result: LevelsPlayed) -> str:
    value, low, high = result.share
    share = f"{value:.3f} [{low:.3f}, {high:.3f}] of {result.levels}"
    if not result.solved:
        return f"{share} | | 0 | "
    speed, cost = result.solved / result.seconds, result.steps / result.solved
    return f"{share} | {np.median(result.frames):.0f} | {speed:.1f} | {cost:.0f}"


def picture(episodes: list[Episode]) -> np.ndarray:
    """One row per episode: COLUMNS frames from its first to its last."""
    rows = []
    for episode in episodes:
        shown = np.linspace(0, len(episode.frames) - 1, COLUMNS).round().astype(int)
        rows.append(np.concatenate(list(episode.frames[shown]), axis=1))
    return np.concatenate(rows, axis=0)


if __name__ == "__main__":
    main()
