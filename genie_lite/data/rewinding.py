"""What experts share: they play a game that can be rewound, and keep only what led to the goal."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from genie_lite.config import DataConfig
from genie_lite.data.errors import DatasetError
from genie_lite.data.policies import ExpertPolicy

HOPELESS = 50  # levels given up in a row after which collecting stops


class Episode(NamedTuple):
    """A level that the expert solved: frames uint8 [n, H, W, C], the env action after each [n], the level's seed."""

    frames: np.ndarray
    env_actions: np.ndarray
    level_seed: int


@dataclass
class Attempt:
    """What was recorded so far in a level, and the saved states to go back to."""

    frames: list[np.ndarray] = field(default_factory=list)
    env_actions: list[int] = field(default_factory=list)
    saved: list[tuple[int, bytes]] = field(default_factory=list)  # number of frames before the state, the state

    def copy(self) -> Attempt:
        return Attempt(self.frames[:], self.env_actions[:], self.saved[:])

    def cut(self, kept: int) -> bytes:
        """Discard everything after saved state number `kept`, and hand that state over."""
        count, state = self.saved[kept]
        del self.saved[kept + 1 :], self.frames[count:], self.env_actions[count:]
        return state


class Expert(abc.ABC):
    """Plays one game, level after level."""

    def __init__(self, data: DataConfig, game: Any, rng: np.random.Generator) -> None:
        """`game` is a ProcgenGym3Env of one game, at the start of a level."""
        self.data, self.game, self.rng = data, game, rng
        self.policy = ExpertPolicy(data, rng, games=1)
        self.steps = 0  # game steps played, those of discarded tries too

    @abc.abstractmethod
    def play_level(self) -> Episode | None:
        """Solve the level that the game is in, or give it up (None); the game is then in its next level."""

    def play(self, frames: int) -> list[Episode]:
        """Solved levels one after another, until they have `frames` frames; the last is cut off there.

        DatasetError when HOPELESS levels in a row are given up.
        """
        episodes: list[Episode] = []
        missing, given_up = frames, 0
        while missing > 0:
            episode = self.play_level()
            if episode is None:
                given_up += 1
                if given_up == HOPELESS:
                    raise DatasetError(
                        f"policy expert: gave up {HOPELESS} levels of {self.data.game} in a row; choose other levels, "
                        "or another policy"
                    )
                continue
            given_up = 0
            episodes.append(Episode(episode.frames[:missing], episode.env_actions[:missing], episode.level_seed))
            missing -= len(episodes[-1].frames)
        return episodes

    def press(self, env_action: int) -> bool:
        """Hold a key for `action_repeat` game steps; whether the episode ended, which ends the hold."""
        for _ in range(self.data.action_repeat):
            self.game.act(np.array([env_action], np.int32))
            self.steps += 1
            if self.game.observe()[2][0]:
                return True
        return False

    def solved(self) -> bool:
        """Whether the episode that has just ended was a success."""
        return bool(self.game.get_info()[0]["prev_level_complete"])

    def picture(self) -> np.ndarray:
        return np.array(self.game.observe()[1]["rgb"][0])
