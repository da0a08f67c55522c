"""An expert whose keys follow from what it sees: it walks to the right, and jumps only where walking fails.

Where it dies or gets stuck, the game goes back, and the expert tries a jump at each moment of the last BACK game
steps. Of the moments that help it takes one at random, most often one in the middle: a player who learns from it and
is early or late by one still survives, and having seen the others, learns that the last must not be missed. So in its
videos jumps stand just before pits, saws, enemies and walls. Where one jump does not help, it tries two, then random
keys, which is rare.

Some of its episodes begin inside the level, after random keys that are not recorded. There the hero stands at walls, or
is in the air where no expert would be, as a player who learns from it will: the videos then show how to go on (after
Laskey et al., "DART: Noise Injection for Robust Imitation Learning", arXiv 1703.09327). All recorded keys are its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from genie_lite.config import DataConfig
from genie_lite.data.procgen_games import LONGEST_EPISODE, STILL
from genie_lite.data.rewinding import Attempt, Episode, Expert

WALK, JUMP = 7, 8  # to the right, without and with up
UNIT = 4  # game steps between two moments at which a jump is tried, and for which its key is held
AHEAD = 32  # game steps that the hero must survive after a jump, walking on
BACK = 24  # game steps before a failure in which a jump is tried
MIDDLE = 2  # a moment twice as far from the ends of those that help is taken 2**MIDDLE times as often
STUCK = 8  # game steps in which the picture stays as it is
MOVING = 0.02  # fraction of pixels that must change for the hero to count as moving
ELSEWHERE = 0.1  # fraction of pixels in which pictures of two places differ
RANDOM_TRIES, RANDOM_KEYS = 60, 40  # at one place, with random keys for up to so many game steps
RANDOM_BACK, FURTHER_BACK = 32, 1  # game steps to go back before random keys at most, and more with every try
LIMIT = 15_000  # game steps after which a level is given up
DISTURBED = 0.5  # fraction of levels that begin with random keys, which are not recorded
DISTURBANCE = 64  # game steps of random keys at most

DIED, STOPPED, SOLVED, AGAIN = "died", "stopped", "solved", "again"  # how a walk ends; AGAIN: stopped at a known place
Failure = tuple[Attempt, str]
Help = tuple[Attempt, str | None, bytes]  # a try that helped: what was recorded, how it ended, the game's state


class WalkingExpert(Expert):
    """Walks to the right, and jumps where walking has failed."""

    def __init__(self, data: DataConfig, game: Any, rng: np.random.Generator) -> None:
        super().__init__(data, game, rng)
        self.unit = self._choices(UNIT)
        self.attempt = Attempt()
        self.places: list[np.ndarray] = []  # pictures of where walking has stopped in this level
        self.failures: list[Failure] = []  # to go on from, the furthest last
        self.over = False  # whether the key pressed last ended the episode
        self.give_up = LIMIT  # game steps after which the level is given up

    def play_level(self) -> Episode | None:
        level_seed, start = self.game.get_info()[0]["level_seed"], self.game.get_state()[0]
        episode = None
        if self.rng.random() < DISTURBED:
            if self._disturb():
                episode = self._solve(level_seed)
            if episode is None:  # random keys ended the level, or led to where nothing helps
                self.game.set_state([start])
        episode = episode or self._solve(level_seed)
        while episode is None and not self.over:
            self.over = self.press(STILL)
        return episode

    def _disturb(self) -> bool:
        """Press random keys for up to DISTURBANCE game steps; whether the level goes on."""
        self.policy.restart(np.zeros(1, int))
        blank = self.picture()[None]
        for _ in range(self.rng.integers(1, self._choices(DISTURBANCE) + 1)):
            if self.press(int(self.policy.choose(blank)[0])):
                return False
        return True

    def _solve(self, level_seed: int) -> Episode | None:
        """Play from where the hero is to the coin, or give the level up (None)."""
        self.attempt, self.places, self.failures = Attempt(), [], []
        self.give_up = self.steps + LIMIT
        while True:
            end = None
            while end is None:
                end = self._step(WALK)
            if end == STOPPED:
                self.places.append(self.picture())
            if end != SOLVED:
                self.failures.append((self.attempt, end))
                end = self._go_on()
            if end == SOLVED:
                frames, env_actions = np.stack(self.attempt.frames), np.array(self.attempt.env_actions, np.uint8)
                return Episode(frames, env_actions, level_seed)
            if end is not None:
                return None

    def _go_on(self) -> str | None:
        """Get past the last failure, or past one before it: None, SOLVED, or DIED if nothing helps."""
        while self.failures:
            failure = self.failures[-1]
            end = self._jump(failure, 0, twice=True)
            tries = 0
            while end == DIED and tries < RANDOM_TRIES:
                if self.steps > self.give_up:
                    return DIED
                end = self._press_randomly(failure, RANDOM_BACK + FURTHER_BACK * tries)
                tries += 1
            if end in (None, SOLVED):
                return end
            if end != STOPPED:  # stopped further on: that is now the last failure
                self.failures.pop()
        return DIED

    def _jump(self, failure: Failure, earliest: int, *, twice: bool) -> str | None:
        """Jump at one of the moments before a failure, from `earliest` on; if none helps, a second time after it."""
        attempt = failure[0]
        helped: list[Help] = []
        died: list[tuple[Failure, int]] = []
        for moment in dict.fromkeys(len(attempt.frames) - self._choices(back) for back in range(BACK, 0, -UNIT)):
            if moment < earliest:
                continue
            end = self._try(attempt, moment, [JUMP] * self.unit)
            if end == DIED:
                died.append(((self.attempt, end), moment + 2 * self.unit))
            elif end != AGAIN:
                helped.append((self.attempt, end, self.game.get_state()[0]))
        if helped:
            weights = np.minimum(np.arange(len(helped)), np.arange(len(helped))[::-1]) + 1.0
            return self._take(helped[self.rng.choice(len(helped), p=weights**MIDDLE / (weights**MIDDLE).sum())])
        for second, after in died if twice else ():
            end = self._jump(second, after, twice=False)
            if end != DIED:
                return end
        return DIED

    def _take(self, helped: Help) -> str | None:
        """Go on from a try that helped; where it stopped is then the last failure."""
        self.attempt, end, state = helped
        self.game.set_state([state])
        if end == STOPPED:
            self.places.append(self.picture())
            self.failures.append((self.attempt, end))
        return end

    def _press_randomly(self, failure: Failure, back: int) -> str | None:
        """Try random keys up to `back` game steps before a failure, and a jump after them if they end in death."""
        moment = max(0, len(failure[0].frames) - 1 - int(self.rng.integers(self._choices(back))))
        self.policy.restart(np.zeros(1, int))
        blank = self.picture()[None]
        keys = [int(self.policy.choose(blank)[0]) for _ in range(self.rng.integers(1, self._choices(RANDOM_KEYS) + 1))]
        end = self._try(failure[0], moment, keys)
        if end == DIED:
            return self._jump((self.attempt, end), moment + len(keys), twice=False)
        return DIED if end == AGAIN else self._take((self.attempt, end, self.game.get_state()[0]))

    def _try(self, attempt: Attempt, moment: int, keys: list[int]) -> str | None:
        """Go back to a moment of an attempt, press `keys`, walk on: None if the hero lives for AHEAD game steps."""
        self.attempt = attempt.copy()
        self.game.set_state([self.attempt.cut(moment)])
        del self.attempt.saved[moment:]  # saved again by the next step
        end = None
        for key in [*keys, *[WALK] * self._choices(AHEAD)]:
            end = self._step(key)
            if end is not None:
                break
        if end == STOPPED:
            now = self.picture()
            known = any(_changed(now, place) < ELSEWHERE for place in self.places)
            return AGAIN if known else STOPPED
        return end

    def _step(self, key: int) -> str | None:
        """Press one key and record it: SOLVED, DIED, STOPPED, or None if the game goes on."""
        attempt = self.attempt
        attempt.saved.append((len(attempt.frames), self.game.get_state()[0]))
        attempt.frames.append(self.picture())
        attempt.env_actions.append(key)
        self.over = self.press(key)
        if self.over:
            return SOLVED if self.solved() else DIED
        if (len(attempt.frames) + 1) * self.data.action_repeat >= LONGEST_EPISODE:
            return DIED
        still = self._choices(STUCK)
        if len(attempt.frames) > still and set(attempt.env_actions[-still:]) <= {WALK, JUMP}:
            recent = [*attempt.frames[-still:], self.picture()]
            if all(_changed(a, b) < MOVING for a, b in zip(recent, recent[1:], strict=False)):
                return STOPPED
        return None

    def _choices(self, steps: int) -> int:
        """Env actions in so many game steps, at least one."""
        return max(1, round(steps / self.data.action_repeat))


def _changed(picture: np.ndarray, other: np.ndarray) -> float:
    """Fraction of pixels that differ."""
    return float((picture != other).any(-1).mean())
