"""Which moments of the real game each script of the play test starts from, and what the real game shows there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genie_lite.data.fit import fit_frames
from genie_lite.evaluation.bootstrap import EvaluationError
from genie_lite.evaluation.key_scripts import SEQUENCES, KeyScript, env_actions
from genie_lite.evaluation.motion import Motion, measure_motion
from genie_lite.evaluation.play_measures import jumps, moves, stands
from genie_lite.evaluation.real_game import GameStates, RealGame

PRESSES = 12  # of a held key, that the direction is judged by
FREE = slice(1, 4)  # presses during which the real game moves; the first may still turn it round
MOST_BATCHES = 100  # of candidates, before a script is given up


@dataclass(frozen=True)
class ScriptRun:
    """One script in the real game: B prompts, what is pressed, and what the game shows."""

    script: KeyScript
    prompts: np.ndarray  # uint8 [B, T0, H, W, C]
    keys: list[list[str]]  # [B][T]
    game: np.ndarray  # uint8 [B, T, H, W, C]
    others: np.ndarray  # uint8 [M, T, H, W, C], what the game shows from M further moments

    @property
    def groups(self) -> np.ndarray:
        """Which prompts get the same keys: the number of the first of them, int64 [B]."""
        return np.array([self.keys.index(row) for row in self.keys])

    def motion(self, frames: np.ndarray, presses: int) -> Motion:
        """Motion during the first `presses` presses of `frames` [B, T, H, W, C] that follow the prompts."""
        return measure_motion(np.concatenate([self.prompts[:, -1:], frames[:, :presses]], axis=1))


class PromptSource:
    """Candidates from held-out levels in a fixed order, made as they are asked for, so that scripts share them."""

    def __init__(self, game: RealGame, history: int, frame_size: tuple[int, int]) -> None:
        self.game, self.frame_size = game, frame_size
        self._moments = game.states(history)
        self._batches: list[GameStates] = []

    def batch(self, index: int) -> GameStates:
        """Some moments, as many as games are played at once."""
        while len(self._batches) <= index:
            lot, size = next(self._moments), self.game.games
            for first in range(0, len(lot) - size + 1, size):
                self._batches.append(lot[np.arange(first, first + size)])
        return self._batches[index]

    def run(self, script: KeyScript, prompts: int, frames: int, others: int = 0) -> ScriptRun:
        """Press the script's keys from moments that it is meant for and whose episode outlasts it."""
        count = prompts + others
        sequences = np.arange(self.game.games) % SEQUENCES
        keys = script.table(sequences, frames)
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for index in range(MOST_BATCHES):
            moments = self.batch(index)
            shown, running = self.game.replay(moments, env_actions(keys))
            good = np.flatnonzero(running[:, -1])
            if script.chosen_for and len(good):
                good = good[self._suits(script, moments[good], shown[good])]
            found.append((moments.frames[good], sequences[good], shown[good]))
            if sum(len(part[0]) for part in found) >= count:
                break
        before, chosen, shown = (np.concatenate(part)[:count] for part in zip(*found, strict=True))
        if len(before) < count:
            raise EvaluationError(
                f"play test, script {script.name!r}: found {len(before)} of {count} moments among {MOST_BATCHES} x "
                f"{self.game.games}; ask for fewer prompts or frames"
            )
        pressed = [keys[sequence] for sequence in chosen[:prompts]]  # the first rows of `keys` are all sequences
        shown = self._fitted(shown)
        return ScriptRun(script, self._fitted(before[:prompts]), pressed, shown[:prompts], shown[prompts:])

    def _suits(self, script: KeyScript, moments: GameStates, shown: np.ndarray) -> np.ndarray:
        """Which moments a script is meant for, bool [B]."""
        if script.chosen_for == "ground":
            still, _ = self.game.replay(moments, env_actions([["none"] * 3] * len(moments)))
            off, landed = jumps(self._motion(moments, shown))
            return stands(self._motion(moments, still)).all(1) & off & (landed >= 0)
        moved = moves(self._motion(moments, shown[:, :PRESSES]), 1 if script.chosen_for == "right" else -1)
        return moved[:, FREE].all(1) & ~moved[:, FREE.stop :].all(1)

    @staticmethod
    def _motion(moments: GameStates, shown: np.ndarray) -> Motion:
        return measure_motion(np.concatenate([moments.frames[:, -1:], shown], axis=1))

    def _fitted(self, frames: np.ndarray) -> np.ndarray:
        flat = fit_frames(frames.reshape(-1, *frames.shape[2:]), self.frame_size)
        return flat.reshape(*frames.shape[:2], *flat.shape[1:])
