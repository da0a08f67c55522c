"""A stand-in for procgen whose pictures tell everything that happened."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from genie_lite.data.procgen_games import GAMES


class PretendGames:
    """Each picture holds its level, its episode of this game, the game step within it, and the last env action.

    Episodes last 3 to 40 game steps, so that many end while an env action is held. One that ends on a key to the right
    has solved its level.
    """

    plays = 0
    stop_after: int | None = None  # raise KeyboardInterrupt at this many calls of act, over all games

    def __init__(self, num: int, start_level: int, num_levels: int, rand_seed: int, **options: Any) -> None:
        assert num_levels > 0 and options["env_name"] in GAMES
        self.first = np.ones(num, bool)
        self.states: list[dict[str, Any]] = [
            {
                "rng": np.random.default_rng([rand_seed, i]),
                "range": (start_level, num_levels),
                "episode": -1,
                "level": -1,
                "solved": False,
            }
            for i in range(num)
        ]
        for i in range(num):
            self._begin(i)

    def _begin(self, i: int) -> None:
        state = self.states[i]
        first, count = state["range"]
        state |= {
            "before": state["level"],
            "level": first + int(state["rng"].integers(count)),
            "episode": state["episode"] + 1,
            "step": 0,
            "action": 255,
            "last": int(state["rng"].integers(3, 41)),
        }
        self.first[i] = True

    def act(self, env_actions: np.ndarray) -> None:
        assert env_actions.dtype == np.int32
        PretendGames.plays += 1
        if PretendGames.stop_after is not None and PretendGames.plays > PretendGames.stop_after:
            raise KeyboardInterrupt
        self.first[:] = False
        for i, state in enumerate(self.states):
            state |= {"step": state["step"] + 1, "action": int(env_actions[i])}
            if state["step"] == state["last"]:
                state["solved"] = state["action"] in (7, 8)
                self._begin(i)

    def observe(self) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        pictures = np.zeros((len(self.states), 64, 64, 3), np.uint8)
        for picture, state in zip(pictures, self.states, strict=True):
            told = [state["level"] % 256, state["level"] // 256 % 256, state["episode"], state["step"], state["action"]]
            picture[0, :5, 0] = told
        return np.zeros(len(pictures)), {"rgb": pictures}, self.first.copy()

    def get_info(self) -> list[dict[str, int]]:
        return [
            {"level_seed": s["level"], "prev_level_seed": s["before"], "prev_level_complete": int(s["solved"])}
            for s in self.states
        ]

    def get_state(self) -> list[dict[str, Any]]:
        return copy.deepcopy(self.states)

    def set_state(self, states: list[dict[str, Any]]) -> None:
        self.states = copy.deepcopy(states)

    def close(self) -> None:
        pass
