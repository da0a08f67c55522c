"""Keys that a person presses, as names, and the scripts of keys that the play test presses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from genie_lite.evaluation.bootstrap import EvaluationError

# Procgen numbers env actions 3 * (left, none, right) + (down, none, up).
ENV_ACTIONS = {"left": 1, "up-left": 2, "none": 4, "up": 5, "right": 7, "up-right": 8}
KEYS = tuple(ENV_ACTIONS)
MASH_ODDS = {"left": 0.2, "up-left": 0.15, "none": 0.15, "up": 0.15, "right": 0.2, "up-right": 0.15}
MASH_HOLDS = (1, 5)  # presses that a mashed key is held, from and to
SEQUENCES = 8  # different sequences of a script, shared by the prompts in turn
RUN = 8  # presses to one side before turning
JUMP_PRESSES = 2
JUMP_FRAMES = 16  # long enough to land from any jump


@dataclass(frozen=True)
class KeyScript:
    """Keys to press, one name a frame.

    `keys(sequence, frames)` gives the names for one of SEQUENCES sequences, which prompts share in turn. `chosen_for`
    says from which states the script is played: "right" or "left", those in which the real game moves that way at
    first and is stopped by a wall within 12 presses; "ground", those in which the hero stands still on the ground; ""
    for any. `frames` limits the length.
    """

    name: str
    keys: Callable[[int, int], list[str]]
    chosen_for: str = ""
    frames: int | None = None

    def length(self, frames: int) -> int:
        """Frames that this script is played for when `frames` are asked for."""
        return frames if self.frames is None else min(frames, self.frames)

    def table(self, sequences: Iterable[int], frames: int) -> list[list[str]]:
        """Keys [B][T] of these sequences."""
        return [self.keys(int(sequence), self.length(frames)) for sequence in sequences]


def env_actions(keys: Sequence[Sequence[str]]) -> np.ndarray:
    """The env action of each key, int64 [B, T]. EvaluationError for a name that CoinRun has no key for."""
    unknown = {key for row in keys for key in row} - set(ENV_ACTIONS)
    if unknown:
        raise EvaluationError(f"keys: found {sorted(unknown)}, expected some of {list(KEYS)}")
    return np.array([[ENV_ACTIONS[key] for key in row] for row in keys], np.int64)


def _held(key: str) -> Callable[[int, int], list[str]]:
    return lambda sequence, frames: [key] * frames


def _run_and_jump(sequence: int, frames: int) -> list[str]:
    """Runs to one side and back, turning every 8 presses, with a jump of two presses in every 6."""
    keys = []
    for t in range(sequence, sequence + frames):
        side = "right" if t % (2 * RUN) < RUN else "left"
        keys.append(f"up-{side}" if t % 6 in (3, 4) else side)
    return keys


def _jump(sequence: int, frames: int) -> list[str]:
    return ["up" if t < JUMP_PRESSES else "none" for t in range(frames)]


def _mashed(sequence: int, frames: int) -> list[str]:
    rng = np.random.default_rng([sequence, 14])
    keys: list[str] = []
    while len(keys) < frames:
        key = str(rng.choice(list(MASH_ODDS), p=list(MASH_ODDS.values())))
        keys += [key] * int(rng.integers(MASH_HOLDS[0], MASH_HOLDS[1] + 1))
    return keys[:frames]


SCRIPTS = {
    script.name: script
    for script in (
        KeyScript("hold right", _held("right"), "right"),
        KeyScript("hold left", _held("left"), "left"),
        KeyScript("stand still", _held("none")),
        KeyScript("jump", _jump, "ground", JUMP_FRAMES),
        KeyScript("run and jump", _run_and_jump),
        KeyScript("mashed keys", _mashed),
    )
}
