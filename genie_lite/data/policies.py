"""Who presses the keys while videos are collected: players that know no more than the pictures.

A player plays many games side by side. It is a pure function of its random numbers and of what it has seen, so that
videos can be stopped and resumed.
"""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from genie_lite.config import DataConfig

NUM_ENV_ACTIONS = 15
# Procgen numbers movements 3 * (left, none, right) + (down, none, up); 9-14 are keys that CoinRun ignores.
UP = 2
NONE = 1
# Directions are drawn with these odds: more walking than standing, and, by the sticky player, more jumps than chance
# would give, for in the air and against walls most keys show nothing. Only `right_bias` prefers a side.
HORIZONTAL = (0.4, 0.2, 0.4)
VERTICAL = (0.15, 0.4, 0.45)


class Player:
    """What all have in common; this one presses any key at any time, as the paper's does (policy "uniform")."""

    odds: ClassVar[dict[str, float | tuple[float, ...]]] = {}  # stored with the videos

    def __init__(self, data: DataConfig, rng: np.random.Generator) -> None:
        """`rng` is shared with the caller; each choice draws from it for `data.num_envs` games."""
        self.data, self.rng, self.count = data, rng, data.num_envs

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        """The next env action of each game, int64 [num_envs], given what is seen of the first n, uint8 [n, H, W, C]."""
        return self.rng.integers(NUM_ENV_ACTIONS, size=self.count)

    def restart(self, games: np.ndarray) -> None:
        """An episode has ended in `games` (indices): what was pressed and seen there means nothing to the next."""

    def horizontal(self) -> np.ndarray:
        """A direction for each game: 0 left, 1 none, 2 right."""
        right = self.rng.random(self.count) < self.data.right_bias
        return np.where(right, 2, _draw(HORIZONTAL, self.count, self.rng))


class StickyPlayer(Player):
    """Keeps its key with `sticky_probability`, else presses another (policy "sticky")."""

    odds: ClassVar = {"left, none, right": HORIZONTAL, "down, none, up": VERTICAL}

    def __init__(self, data: DataConfig, rng: np.random.Generator) -> None:
        super().__init__(data, rng)
        self.last = np.full(self.count, -1)

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        drawn = 3 * self.horizontal() + _draw(VERTICAL, self.count, self.rng)
        keep = (self.rng.random(self.count) < self.data.sticky_probability) & (self.last >= 0)
        self.last = np.where(keep, self.last, drawn)
        return self.last

    def restart(self, games: np.ndarray) -> None:
        self.last[games] = -1


class Walker(Player):
    """Walks, and jumps when a jump can do something (policy "walker").

    Keeps its direction with `sticky_probability`, and jumps now and then. When it walks and nothing moves, then
    something is in its way: it jumps or turns. It never jumps before its last jump is over. So most of its keys have
    an effect, which cannot be said of the other players: theirs are half spent in mid-air and against walls.
    """

    AIRBORNE = 16  # game steps that a jump takes from flat ground
    JUMP, JUMP_WHEN_STUCK = 0.2, 0.75  # chances, of a game whose last jump is over
    odds: ClassVar = {"left, none, right": HORIZONTAL, "jump": JUMP, "jump when stuck": JUMP_WHEN_STUCK}
    PATIENCE = 0.5  # share of `sticky_probability` that is left when stuck
    MOVING = 0.1  # share of pixels that change, from which on the scene is said to scroll

    def __init__(self, data: DataConfig, rng: np.random.Generator) -> None:
        super().__init__(data, rng)
        self.rest = -(-self.AIRBORNE // data.action_repeat)  # choices from one jump to the next
        self.direction = np.full(self.count, -1)
        self.since_jump = np.full(self.count, self.rest)
        self.seen: np.ndarray | None = None

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        stuck = self._stuck(pictures)
        self.seen = pictures.copy()
        stuck &= self.direction != NONE
        persistence = np.where(stuck, self.PATIENCE, 1) * self.data.sticky_probability
        keep = (self.rng.random(self.count) < persistence) & (self.direction >= 0)
        self.direction = np.where(keep, self.direction, self.horizontal())
        chance = np.where(stuck, self.JUMP_WHEN_STUCK, self.JUMP)
        jump = (self.rng.random(self.count) < chance) & (self.since_jump >= self.rest)
        self.since_jump = np.where(jump, 1, self.since_jump + 1)
        return 3 * self.direction + np.where(jump, UP, NONE)

    def restart(self, games: np.ndarray) -> None:
        self.direction[games] = -1
        self.since_jump[games] = self.rest

    def _stuck(self, pictures: np.ndarray) -> np.ndarray:
        """Games [num_envs] whose picture hardly changed since the last choice."""
        stuck = np.zeros(self.count, bool)
        if self.seen is not None:
            stuck[: len(pictures)] = (pictures != self.seen).any(-1).mean((1, 2)) < self.MOVING
        return stuck


PLAYERS = {"uniform": Player, "sticky": StickyPlayer, "walker": Walker}


def _draw(odds: tuple[float, ...], count: int, rng: np.random.Generator) -> np.ndarray:
    """What rng.choice(len(odds), count, p=odds) draws, without its checks, which take four times as long."""
    sums = _sums(odds)
    return np.searchsorted(sums, rng.random(count), side="right")


@functools.lru_cache
def _sums(odds: tuple[float, ...]) -> np.ndarray:
    sums = np.cumsum(odds)
    return sums / sums[-1]
