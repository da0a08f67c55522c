"""Expert video without reinforcement learning: a player without skill, and a game that can be rewound.

Where the player fails, the game goes back to a saved state, the frames since then are discarded, and the player tries
something else. What is kept shows only keys that led to the goal, so it is clean expert video. In CoinRun the player
walks and jumps where it must (`genie_lite.data.walking_expert`); in the other games its keys are random.

It lives beside the collector, not in `agents`, because `collect` uses it and `data` imports nothing from `agents`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from genie_lite.config import DataConfig
from genie_lite.data.policies import ExpertPolicy
from genie_lite.data.rewinding import Attempt, Episode, Expert
from genie_lite.data.walking_expert import AHEAD, BACK, DISTURBANCE, DISTURBED, LIMIT, MIDDLE, WalkingExpert

SAVE_EVERY = 12  # game steps from one saved state to the next
STATES_BACK = 8  # saved states to go back at most
TRIES = 40  # failures after which a level is given up


class RandomExpert(Expert):
    """Presses the keys of `ExpertPolicy`, and other random keys where they have failed."""

    def play_level(self) -> Episode | None:
        level_seed = self.game.get_info()[0]["level_seed"]
        every = max(1, round(SAVE_EVERY / self.data.action_repeat))
        attempt = Attempt()
        self.policy.restart(np.zeros(1, int))
        failures = 0
        while True:
            if len(attempt.frames) % every == 0 and len(attempt.saved) <= len(attempt.frames) // every:
                attempt.saved.append((len(attempt.frames), self.game.get_state()[0]))
            attempt.frames.append(self.picture())
            attempt.env_actions.append(int(self.policy.choose(attempt.frames[-1][None])[0]))
            if not self.press(attempt.env_actions[-1]):
                continue
            if self.solved():
                return Episode(np.stack(attempt.frames), np.array(attempt.env_actions, np.uint8), level_seed)
            failures += 1
            if failures == TRIES:
                return None
            back = int(self.rng.integers(1, STATES_BACK + 1))
            self.game.set_state([attempt.cut(max(0, len(attempt.saved) - back))])
            self.policy.restart(np.zeros(1, int))


def make_expert(data: DataConfig, game: Any, rng: np.random.Generator) -> Expert:
    """The expert of `data.game`; `game` is a ProcgenGym3Env of one game, at the start of a level."""
    return (WalkingExpert if data.game == "coinrun" else RandomExpert)(data, game, rng)


def expert_odds(data: DataConfig) -> dict[str, object]:
    """How the expert of `data.game` plays: what is stored with its videos."""
    if data.game == "coinrun":
        walking = {"steps to survive": AHEAD, "steps back to a jump": BACK, "steps per level": LIMIT}
        disturbed = {"levels that begin disturbed": DISTURBED, "steps disturbed": DISTURBANCE}
        walking["exponent of the middle"] = MIDDLE
        return walking | disturbed | ExpertPolicy.odds
    rewinding = {"states saved every": SAVE_EVERY, "states back": STATES_BACK, "tries": TRIES}
    return ExpertPolicy.odds | rewinding
