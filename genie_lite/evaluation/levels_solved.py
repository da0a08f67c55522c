"""How many levels of the real game a policy solves: what figure 15 of the paper counts."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

import numpy as np

from genie_lite.config import DataConfig
from genie_lite.data.procgen_games import STILL, make_games
from genie_lite.evaluation.bootstrap import EvaluationError, Interval

GAMES_AT_ONCE = 32


class Player(Protocol):
    """Whoever presses keys in several games side by side, such as a policy of `genie_lite.data.policies`."""

    def choose(self, pictures: np.ndarray) -> np.ndarray: ...

    def restart(self, games: np.ndarray) -> None: ...


class LevelsPlayed(NamedTuple):
    """Of a player: levels played and solved, frames of the solved ones, seeds of all levels, game steps, seconds.

    `outcomes` says of each of `level_seeds` whether it was solved.
    """

    levels: int
    solved: int
    frames: list[int]
    level_seeds: list[int]
    outcomes: list[bool]
    steps: int
    seconds: float

    @property
    def share(self) -> Interval:
        """Share of levels solved, with Wilson's 95 % interval."""
        return Interval(self.solved / self.levels, *wilson(self.solved, self.levels))


def play_levels(
    data: DataConfig,
    player: Player,
    level_range: tuple[int, int],
    levels: int,
    *,
    games: int = GAMES_AT_ONCE,
    seed: int = 0,
) -> LevelsPlayed:
    """Let `player`, made for `games` games, play `levels` levels of `level_range` (first seed, number of levels).

    Each game plays its share of the levels, so that levels which end early do not count more often; `levels` must be a
    multiple of `games`. An env action is held for `data.action_repeat` game steps, as in the videos. A level counts as
    solved when the hero reaches the coin: not when he dies, nor when procgen ends the episode after 1,000 game steps.
    With the same `seed` every player gets the same levels. DatasetError where procgen is missing.
    """
    if levels < 1 or levels % games:
        raise EvaluationError(f"levels: found {levels}, wanted a multiple of {games}, the number of games side by side")
    each = levels // games
    running = make_games(data, level_range, games, seed=seed)
    played, age = np.zeros(games, int), np.zeros(games, int)
    frames: list[int] = []
    seeds: list[list[int]] = [[] for _ in range(games)]
    outcomes: list[list[bool]] = [[] for _ in range(games)]
    steps, start = 0, time.perf_counter()
    while (played < each).any():
        env_actions = player.choose(running.observe()[1]["rgb"])
        ended, solved = np.zeros(games, bool), np.zeros(games, bool)
        age += 1
        for _ in range(data.action_repeat):
            # A game whose episode ended while the key was held stands still: the key is not one of the new episode.
            running.act(np.where(ended, STILL, env_actions).astype(np.int32))
            steps += int(((played < each) & ~ended).sum())
            first = running.observe()[2].astype(bool) & ~ended
            if first.any():
                info = running.get_info()
                solved |= first & np.array([game["prev_level_complete"] for game in info], bool)
                for game in np.flatnonzero(first & (played < each)):
                    seeds[game].append(int(info[game]["prev_level_seed"]))
                    outcomes[game].append(bool(solved[game]))
            ended |= first
        frames += age[solved & (played < each)].tolist()
        played += ended
        age[ended] = 0
        player.restart(np.flatnonzero(ended))
    running.close()
    passed = time.perf_counter() - start
    return LevelsPlayed(levels, len(frames), frames, sum(seeds, []), sum(outcomes, []), steps, passed)


def watch_level(
    data: DataConfig, player: Player, level_range: tuple[int, int], *, seed: int = 0
) -> tuple[np.ndarray, bool]:
    """One level of `level_range`, chosen by `seed`: what `player`, made for one game, saw, and whether it was solved.

    Frames are uint8 [n, H, W, C]. The first level of `play_levels` with one game and the same seed.
    """
    running = make_games(data, level_range, 1, seed=seed)
    frames: list[np.ndarray] = []
    ended = False
    while not ended:
        picture = running.observe()[1]["rgb"]
        frames.append(picture[0].copy())
        env_action = player.choose(picture).astype(np.int32)
        for _ in range(data.action_repeat):
            running.act(env_action)
            ended = bool(running.observe()[2][0])
            if ended:
                break
    solved = bool(running.get_info()[0]["prev_level_complete"])
    running.close()
    player.restart(np.zeros(1, int))
    return np.stack(frames), solved


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = 1.96
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return float(centre - half), float(centre + half)
