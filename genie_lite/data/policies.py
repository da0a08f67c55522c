"""Policies: who presses the keys while videos are collected. They know no more of a game than its pictures.

A policy plays many games side by side. Its env actions are a pure function of its random numbers and of the pictures,
so that collecting can stop and resume.
"""

from __future__ import annotations

import abc
import functools
from typing import ClassVar

import numpy as np

from genie_lite.config import DataConfig
from genie_lite.data.procgen_games import NUM_ENV_ACTIONS, STILL

# Procgen numbers movements 3 * (left, none, right) + (down, none, up); 9-14 are special keys, which CoinRun ignores.
UP = 2
NONE = 1
# Directions are drawn with these odds: more walking than standing, and, by the sticky policy, more jumps than uniform
# odds would give, because most keys do nothing in the air and against walls. Only `right_bias` prefers a side.
HORIZONTAL = (0.4, 0.2, 0.4)
VERTICAL = (0.15, 0.4, 0.45)


class Policy(abc.ABC):
    """What all policies share."""

    odds: ClassVar[dict[str, object]] = {}  # stored with the videos

    def __init__(self, data: DataConfig, rng: np.random.Generator, games: int | None = None) -> None:
        """For `games` games, by default `data.num_envs`. `rng` is shared with the caller."""
        self.data, self.rng = data, rng
        self.count = data.num_envs if games is None else games

    @abc.abstractmethod
    def choose(self, pictures: np.ndarray) -> np.ndarray:
        """The next env action of each game, int64 [games].

        `pictures` uint8 [n, H, W, C] shows the first n games. The random numbers of all games are drawn whatever n is.
        """

    def restart(self, games: np.ndarray) -> None:  # noqa: B027 (most policies have nothing to forget)
        """An episode has ended in `games` (indices): forget what was pressed and seen there."""

    def horizontal(self) -> np.ndarray:
        """A direction for each game: 0 left, 1 none, 2 right."""
        right = self.rng.random(self.count) < self.data.right_bias
        return np.where(right, 2, _draw(HORIZONTAL, self.count, self.rng))


class UniformPolicy(Policy):
    """Presses any key at any time, as in the paper's CoinRun case study (policy "uniform", appendix F.1)."""

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        return self.rng.integers(NUM_ENV_ACTIONS, size=self.count)


class StickyPolicy(Policy):
    """Repeats its last key with `sticky_probability`, else draws another (policy "sticky")."""

    odds: ClassVar = {"left, none, right": HORIZONTAL, "down, none, up": VERTICAL}

    def __init__(self, data: DataConfig, rng: np.random.Generator, games: int | None = None) -> None:
        super().__init__(data, rng, games)
        self.last = np.full(self.count, -1)

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        drawn = 3 * self.horizontal() + _draw(VERTICAL, self.count, self.rng)
        keep = (self.rng.random(self.count) < self.data.sticky_probability) & (self.last >= 0)
        self.last = np.where(keep, self.last, drawn)
        return self.last

    def restart(self, games: np.ndarray) -> None:
        self.last[games] = -1


class WalkerPolicy(Policy):
    """Walks, and jumps when a jump can do something (policy "walker").

    Keeps its direction with `sticky_probability` and jumps now and then. When it walks and the scene does not scroll,
    something is in its way: it jumps or turns. It never jumps before its last jump is over. So most of its keys have an
    effect, whereas half of the other policies' keys are pressed in mid-air or against walls.
    """

    AIRBORNE = 16  # game steps that a jump takes from flat ground
    JUMP, JUMP_WHEN_STUCK = 0.2, 0.75  # probabilities, once the last jump is over
    odds: ClassVar = {"left, none, right": HORIZONTAL, "jump": JUMP, "jump when stuck": JUMP_WHEN_STUCK}
    PATIENCE = 0.5  # factor of `sticky_probability` when stuck
    MOVING = 0.1  # fraction of pixels that must change for the scene to count as scrolling

    def __init__(self, data: DataConfig, rng: np.random.Generator, games: int | None = None) -> None:
        super().__init__(data, rng, games)
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
        """Games [games] whose picture hardly changed since the last choice."""
        stuck = np.zeros(self.count, bool)
        if self.seen is not None:
            stuck[: len(pictures)] = (pictures != self.seen).any(-1).mean((1, 2)) < self.MOVING
        return stuck


class ExpertPolicy(Policy):
    """Heads for the goal with random keys, each held for a while (policy "expert").

    By itself it solves about half of CoinRun's levels. Collecting rewinds the game where it fails, which makes it the
    expert that its name promises; in CoinRun it is asked only where walking and jumping do not help: see
    `genie_lite.data.expert`.
    """

    HOLD = (2, 11)  # game steps that a key is held, drawn uniformly
    RIGHT: ClassVar = {"right": 0.45, "right + up": 0.38, "none": 0.04, "up": 0.05, "left": 0.04, "left + up": 0.04}
    AROUND: ClassVar = {"right": 0.12, "right + up": 0.35, "none": 0.03, "up": 0.03, "left": 0.12, "left + up": 0.35}
    KEYS: ClassVar = {"right": 7, "right + up": 8, "none": 4, "up": 5, "left": 1, "left + up": 2}
    odds: ClassVar = {"game steps held": HOLD, "to the right": RIGHT, "to any side": AROUND}

    def __init__(self, data: DataConfig, rng: np.random.Generator, games: int | None = None) -> None:
        super().__init__(data, rng, games)
        # CoinRun and ninja end at the right; in climber the goal is above, in jumper anywhere.
        self.keys = self.RIGHT if data.game in ("coinrun", "ninja") else self.AROUND
        self.key = np.full(self.count, STILL)
        self.left = np.zeros(self.count, int)  # choices for which the key is still held

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        drawn = np.array([self.KEYS[key] for key in self.keys])[_draw(tuple(self.keys.values()), self.count, self.rng)]
        low, high = self.HOLD
        held = np.rint(self.rng.integers(low, high + 1, self.count) / self.data.action_repeat).astype(int)
        new = self.left <= 0
        self.key = np.where(new, drawn, self.key)
        self.left = np.where(new, np.maximum(held, 1), self.left) - 1
        return self.key

    def restart(self, games: np.ndarray) -> None:
        self.left[games] = 0


POLICIES: dict[str, type[Policy]] = {
    "uniform": UniformPolicy,
    "sticky": StickyPolicy,
    "walker": WalkerPolicy,
    "expert": ExpertPolicy,
}


def _draw(odds: tuple[float, ...], count: int, rng: np.random.Generator) -> np.ndarray:
    """What rng.choice(len(odds), count, p=odds) draws, without its checks, which take four times as long."""
    sums = _sums(odds)
    return np.searchsorted(sums, rng.random(count), side="right")


@functools.lru_cache
def _sums(odds: tuple[float, ...]) -> np.ndarray:
    sums = np.cumsum(odds)
    return sums / sums[-1]
