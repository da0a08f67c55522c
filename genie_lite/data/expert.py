"""Expert video without reinforcement learning: a random policy and a game that can be rewound.

`ExpertPolicy` presses keys that head for the goal. The state of the game is saved every few steps. When the episode
ends without success, the game goes back to one of the last saved states, the frames since then are discarded, and the
policy tries other keys from there. What is kept shows only keys that led to the goal, so it is clean expert video.

It lives beside the collector, not in `agents`, because `collect` uses it and `data` imports nothing from `agents`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from genie_lite.config import DataConfig
from genie_lite.data.errors import DatasetError
from genie_lite.data.policies import ExpertPolicy

SAVE_EVERY = 12  # game steps from one saved state to the next
BACK = 8  # saved states to go back at most
TRIES = 40  # failures after which a level is given up
HOPELESS = 50  # levels given up in a row after which collecting stops


class Episode(NamedTuple):
    """A level that the expert solved: frames uint8 [n, H, W, C], the env action after each [n], the level's seed."""

    frames: np.ndarray
    env_actions: np.ndarray
    level_seed: int


@dataclass
class _Try:
    """What was recorded so far in a level, and the saved states to go back to."""

    frames: list[np.ndarray] = field(default_factory=list)
    env_actions: list[int] = field(default_factory=list)
    saved: list[tuple[int, bytes]] = field(default_factory=list)  # number of frames before the state, the state

    def rewind(self, back: int) -> bytes:
        """Discard everything after the state saved `back` states ago (1: the latest), or after the first."""
        kept = max(0, len(self.saved) - back)
        count, state = self.saved[kept]
        del self.saved[kept + 1 :], self.frames[count:], self.env_actions[count:]
        return state


class Expert:
    """Plays one game, level after level."""

    def __init__(self, data: DataConfig, game: Any, rng: np.random.Generator) -> None:
        """`game` is a ProcgenGym3Env of one game, at the start of a level."""
        self.data, self.game, self.rng = data, game, rng
        self.policy = ExpertPolicy(data, rng, games=1)
        self.steps = 0  # game steps played, those of discarded tries too

    def play_level(self) -> Episode | None:
        """Solve the level that the game is in, or give it up (None); the game is then in its next level."""
        level_seed = self.game.get_info()[0]["level_seed"]
        every = max(1, round(SAVE_EVERY / self.data.action_repeat))
        attempt = _Try()
        self.policy.restart(np.zeros(1, int))
        failures = 0
        while True:
            if len(attempt.frames) % every == 0 and len(attempt.saved) <= len(attempt.frames) // every:
                attempt.saved.append((len(attempt.frames), self.game.get_state()[0]))
            picture = self.game.observe()[1]["rgb"]
            attempt.frames.append(picture[0].copy())
            attempt.env_actions.append(int(self.policy.choose(picture)[0]))
            if not self._press(attempt.env_actions[-1]):
                continue
            if self.game.get_info()[0]["prev_level_complete"]:
                return Episode(np.stack(attempt.frames), np.array(attempt.env_actions, np.uint8), level_seed)
            failures += 1
            if failures == TRIES:
                return None
            self.game.set_state([attempt.rewind(int(self.rng.integers(1, BACK + 1)))])
            self.policy.restart(np.zeros(1, int))

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

    def _press(self, env_action: int) -> bool:
        """Hold a key for `action_repeat` game steps; whether the episode ended, which ends the hold."""
        for _ in range(self.data.action_repeat):
            self.game.act(np.array([env_action], np.int32))
            self.steps += 1
            if self.game.observe()[2][0]:
                return True
        return False
