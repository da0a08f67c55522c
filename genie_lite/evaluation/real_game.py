"""The real game as a yardstick for play: states of held-out levels, from which any keys can be pressed again and again.

Procgen can save the state of a game and return to it. So a prompt for a world can be taken from a running game, and the
same keys pressed in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from genie_lite.config import DataConfig
from genie_lite.data.collector import collection_settings
from genie_lite.data.policies import POLICIES
from genie_lite.data.procgen_games import GAMES, STILL, import_procgen
from genie_lite.evaluation.bootstrap import EvaluationError

GAMES_AT_ONCE = 64
FIRST_PRESSES = 8  # of the policy, before the first state is taken
BETWEEN = 16  # presses of the policy between two states of one game
ROUNDS = 4  # states taken from each game


@dataclass(frozen=True)
class GameStates:
    """Moments of real games: `frames` uint8 [B, T, H, W, C] up to and including now, and the saved state of each."""

    frames: np.ndarray
    states: list[bytes]

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, chosen: np.ndarray) -> GameStates:
        """Those with the indices `chosen`, int64 [b]."""
        return GameStates(self.frames[chosen], [self.states[i] for i in chosen])

    @classmethod
    def join(cls, parts: list[GameStates]) -> GameStates:
        """Several, in their order."""
        return cls(np.concatenate([part.frames for part in parts]), [state for part in parts for state in part.states])


class RealGame:
    """Held-out levels of CoinRun, or another of Procgen's games, with the settings of `data`.

    EvaluationError for a game that Procgen does not have, DatasetError where procgen is missing.

    One press holds an env action for `data.action_repeat` game steps and shows one frame, as in the videos that worlds
    are trained on.
    """

    def __init__(self, data: DataConfig, seed: int = 0) -> None:
        if data.game not in GAMES:
            raise EvaluationError(
                f"play test: found a world of game {data.game!r}, wanted one of Procgen's ({', '.join(GAMES)}), in "
                "which the same keys are pressed; measure this world on held-out videos: "
                "genie-lite evaluate CHECKPOINT --data FOLDER"
            )
        self.games = GAMES_AT_ONCE
        self.data = replace(data, num_envs=self.games)
        self.seed = seed
        first, count = data.test_levels
        self._games = import_procgen().ProcgenGym3Env(
            num=self.games,
            env_name=data.game,
            start_level=first,
            num_levels=count,
            num_threads=0,
            rand_seed=1 + seed,
            **collection_settings(data, "test")["options"],
        )

    def close(self) -> None:
        """Free the games."""
        self._games.close()

    def press(self, env_actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hold an env action [games] in each game: frames uint8 [games, H, W, C], and whose episode ended."""
        ended = np.zeros(self.games, bool)
        for _ in range(self.data.action_repeat):
            self._games.act(env_actions.astype(np.int32))
            _, seen, first = self._games.observe()
            ended |= first.astype(bool)
        return seen["rgb"].copy(), ended

    def states(self, history: int = 1) -> Iterator[GameStates]:
        """Moments of games that the policy of `data` plays, without end; each with its last `history` frames.

        They come in shuffled lots of up to GAMES_AT_ONCE * ROUNDS, early and late ones of new levels in each.
        """
        rng = np.random.default_rng([self.seed, 41])
        policy = POLICIES[self.data.policy](self.data, rng)
        while True:
            found: list[GameStates] = []
            frames = self._games.observe()[1]["rgb"].copy()
            recent = np.repeat(frames[:, None], history, axis=1)
            age = np.ones(self.games, int)  # frames since the episode began
            # Each game at presses of its own.
            due = FIRST_PRESSES + rng.integers(BETWEEN, size=self.games) + BETWEEN * np.arange(ROUNDS)[:, None]
            for press in range(int(due.max()) + 1):
                frames, ended = self.press(policy.choose(frames))
                policy.restart(np.flatnonzero(ended))
                recent = np.concatenate([recent[:, 1:], frames[:, None]], axis=1)
                age = np.where(ended, 1, age + 1)
                chosen = np.flatnonzero((due == press).any(0) & (age >= max(history, FIRST_PRESSES)))
                if len(chosen):
                    saved = self._games.get_state()
                    found.append(GameStates(recent[chosen].copy(), [saved[i] for i in chosen]))
            self._new_levels()
            policy.restart(np.arange(self.games))
            everything, before = GameStates.join(found), self._games.get_state()
            yield everything[rng.permutation(len(everything))]
            self._games.set_state(before)  # others have played meanwhile

    def replay(self, states: GameStates, env_actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Press env actions [B, T] from saved states: frames uint8 [B, T, H, W, C], and where the episode still runs.

        The second is bool [B, T]: False from the frame on at which the episode is over; frames then show another level.
        """
        parts = []
        for first in range(0, len(states), self.games):
            rows = np.arange(first, min(first + self.games, len(states)))
            actions = np.full((self.games, env_actions.shape[1]), STILL)
            actions[: len(rows)] = env_actions[rows]
            parts.append(self._play(states[rows], actions))
        frames, running = zip(*parts, strict=True)
        return np.concatenate(frames), np.concatenate(running)

    def _play(self, states: GameStates, env_actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = len(states)
        self._games.set_state([*states.states, *states.states[:1] * (self.games - count)])
        running = np.ones(self.games, bool)
        shown, lives = [], []
        for held in env_actions.T:
            frames, ended = self.press(held)
            running = running & ~ended
            shown.append(frames[:count])
            lives.append(running[:count])
        return np.stack(shown, axis=1), np.stack(lives, axis=1)

    def _new_levels(self) -> None:
        """Begin another level in every game: procgen's action -1 gives up the episode."""
        self._games.act(np.full(self.games, -1, np.int32))
        self._games.observe()
