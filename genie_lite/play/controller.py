"""Keys as intentions: which latent action does what a person means by "left" or "jump", here and now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from genie_lite.play.actions import card_labels, read_labels
from genie_lite.play.choice import REMEMBERED, choose_by_motion

if TYPE_CHECKING:
    from genie_lite.api import Genie
    from genie_lite.inference import Rollout
    from genie_lite.inference.foresight import Foresight

# What a key means: the direction across (-1 left, 0 none, +1 right), and whether it jumps.
INTENTIONS = {
    "left": (-1, False),
    "right": (1, False),
    "up": (0, True),
    "none": (0, False),
    "up-left": (-1, True),
    "up-right": (1, True),
}
# In a world without jumps (the robot's): the direction across, and the direction down (-1 up, 0 none, +1 down).
DIRECTIONS = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "none": (0, 0),
    "up-left": (-1, -1),
    "up-right": (1, -1),
    "down-left": (-1, 1),
    "down-right": (1, 1),
}
KNOWN = 0.25  # least probability that a latent action moves as a direction says, for the world to know that key
ACROSS, UPWARDS = 0.5, 2.0  # pixels a frame, from which on a transition counts as motion
SPREAD = 0.4  # of the normal curve around a median motion, for each pixel of deviation: deviations are mostly outliers
LEAST_SPREAD = 0.5  # pixels
UNSURE = 0.02  # least probability that a direction is given, so that no factor rules an action out alone
PLAUSIBLE = 0.05  # actions less plausible than this share of the most plausible one are not taken
UNWANTED_JUMP = 0.3  # factor for an action that jumps under a key that does not
WEIGHT = 2.0  # of what an action does, against how plausible it is


class Prior(Protocol):
    """What says which latent action is likely to come next: genie_lite.inference.action_prior.ActionPrior."""

    def log_probabilities(self, frames: np.ndarray) -> np.ndarray: ...


class Controller:
    """Turns keys into latent actions, for one world or many.

    A latent action is bound to keys without labels, by its measured motion in real videos: how likely it is to go
    left, right, up or neither. Where several actions fit a key, the one is taken that is most plausible given the past
    frames, by the world's action prior; without a prior plausibility is the share of the action in real videos.
    A world whose latent action model predicts displacements says what each action would do at this moment, and with a
    prior that takes the place of the average motion (`choose_by_motion`).

    In platform games "up" is a jump (`jumps`). The robot's world has eight directions and rest instead, of which it
    knows the keys that one of its latent actions obeys: see `keys`.

    actions: motions as `describe_actions` returns them; None takes those of the world's card.
    prior: gives log_probabilities [B, A] of frames uint8 [B, T, H, W, C]; "world" takes the world's own if it has one,
    None does without.
    Raises ValueError where no motions are known.
    """

    def __init__(
        self,
        genie: Genie,
        *,
        actions: Any = None,
        prior: Prior | Literal["world"] | None = "world",
        weight: float = WEIGHT,
    ) -> None:
        source = genie.card.get("actions") if actions is None else actions
        labels = card_labels(genie) if actions is None else read_labels(actions, genie.num_latent_actions)
        if labels is None:
            raise ValueError(
                "controller: the world's card does not say what its latent actions do; pass "
                "actions=genie_lite.evaluation.describe_actions(genie, dataset)"
            )
        self.genie = genie
        self.prior: Prior | None = genie.action_prior if prior == "world" else prior
        self.reads_rollout = prior == "world" and self.prior is not None
        self.weight = weight
        self.foresight: Foresight | None = None if self.prior is None else getattr(genie, "foresight", None)
        shares = np.array([label.share or 0.0 for label in labels])
        shares = np.maximum(shares if shares.sum() else np.ones(len(labels)), 1e-3)
        self._log_shares = np.log(shares / shares.sum())
        spreads = _spreads(source, len(labels))
        across, down = np.array([label.dx for label in labels]), np.array([label.dy for label in labels])
        right, left = _above(across - ACROSS, spreads[0]), _above(-ACROSS - across, spreads[0])
        self._across = {-1: left, 0: np.clip(1 - left - right, 0, 1), 1: right}  # probabilities [A]
        up, falls = _above(-UPWARDS - down, spreads[1]), _above(down - UPWARDS, spreads[1])
        level = np.clip(1 - up - falls, 0, 1)
        self.jumps = genie.config.data.game != "robot"
        if self.jumps:
            # A prior tells when the hero falls; without one a key that does not jump stays level.
            not_jumping = _softened(level) if self.prior is None else 1 - (1 - UNWANTED_JUMP) * up
            self._log_fit = {
                key: self._fit(direction, _softened(up) if jumps else not_jumping)
                for key, (direction, jumps) in INTENTIONS.items()
            }
        else:
            vertical = {-1: up, 0: level, 1: falls}
            self._log_fit = {
                key: self._fit(direction, _softened(vertical[downwards]))
                for key, (direction, downwards) in DIRECTIONS.items()
                if (self._across[direction] * vertical[downwards]).max() >= KNOWN
            }

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the keys, "none" for no key at all."""
        return tuple(self._log_fit)

    def latent_actions(
        self,
        frames: np.ndarray,
        keys: str | Sequence[str],
        *,
        rollout: Rollout | None = None,
        before: Sequence[Sequence[str | None]] | None = None,
    ) -> np.ndarray:
        """The latent action of each world, int64 [B], given its key and its past frames uint8 [B, T, H, W, C].

        `keys` is one name for each world, or one for all. From the rollout that made the frames much of what is needed
        can be read, if the prior is the world's own (`reads_rollout`). `before`, [B][t], are the keys that led to the
        last frames, None where a latent action was taken by itself. Raises ValueError for an unknown name.
        """
        plausible = self.log_plausible(frames, rollout)
        names = [keys] * len(plausible) if isinstance(keys, str) else list(keys)
        if len(names) != len(plausible) or not set(names) <= set(self.keys):
            raise ValueError(
                f"keys: found {len(names)} of {sorted(set(names))}, expected {len(plausible)} of {list(self.keys)}"
            )
        if self.foresight is not None:
            motions = None if rollout is None else rollout.motions()
            motions = self.foresight.motions(frames) if motions is None else motions
            sides = _sides(before or [[] for _ in names])
            moved = self.foresight.moved(frames, sides.shape[1])
            intentions = [INTENTIONS[name] for name in names]
            return choose_by_motion(motions, plausible, intentions, self.genie.config.play, moved, sides)
        fit = np.stack([self._log_fit[name] for name in names])
        ruled_out = plausible < plausible.max(1, keepdims=True) + math.log(PLAUSIBLE)
        if self.prior is None or not self.jumps:  # an arm may go any way at any moment
            ruled_out[:] = False
        return np.where(ruled_out, -np.inf, plausible + self.weight * fit).argmax(1)

    def autoplay(self, frames: np.ndarray, rng: np.random.Generator, *, rollout: Rollout | None = None) -> np.ndarray:
        """A latent action for each world, int64 [B], drawn from the prior: the world plays by itself."""
        plausible = self.log_plausible(frames, rollout)
        return (plausible + rng.gumbel(size=plausible.shape)).argmax(1)

    def log_plausible(self, frames: np.ndarray, rollout: Rollout | None = None) -> np.ndarray:
        """Log-probability of each latent action given past frames uint8 [B, T, H, W, C], float64 [B, A].

        The rollout that made the frames spares asking the prior.
        """
        if rollout is not None and rollout.log_prior is not None:
            return rollout.log_prior
        frames = np.asarray(frames)
        if frames.ndim != 5:
            raise ValueError(f"frames: found shape {list(frames.shape)}, expected [B, T, H, W, C], one past a key")
        if self.prior is None:
            return np.repeat(self._log_shares[None], len(frames), axis=0)
        return self.prior.log_probabilities(frames)

    def _fit(self, direction: int, vertical: np.ndarray) -> np.ndarray:
        """How well each latent action goes to `direction`, and up or down as is meant (`vertical` [A]): log [A]."""
        return np.log(_softened(self._across[direction])) + np.log(vertical)


def _sides(keys: Sequence[Sequence[str | None]]) -> np.ndarray:
    """The direction of each of keys [B][t], 0 where there is none: int64 [B, the last REMEMBERED of t, at least 1]."""
    count = int(np.clip(max(len(row) for row in keys), 1, REMEMBERED))
    rows = [[INTENTIONS.get(key or "none", (0, False))[0] for key in row][-count:] for row in keys]
    return np.array([[0] * (count - len(row)) + row for row in rows])


def _softened(probability: np.ndarray) -> np.ndarray:
    return UNSURE + (1 - UNSURE) * probability


def _above(distance: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Probability that a normal variable with mean `distance` and deviation `spread` is above 0."""
    return np.array([0.5 * (1 + math.erf(d / (math.sqrt(2) * s))) for d, s in zip(distance, spread, strict=True)])


def _spreads(source: Any, count: int) -> np.ndarray:
    """Width of the normal curves around dx and dy in pixels, [2, A]; 1 where deviations were not measured."""
    rows = source["actions"] if isinstance(source, dict) and "actions" in source else source

    def one(row: Any, name: str) -> float:
        found = row.get(name) if isinstance(row, dict) else getattr(row, name, None)
        return 1.0 if found is None else max(SPREAD * float(found), LEAST_SPREAD)

    if not isinstance(rows, (list, tuple)):
        return np.ones((2, count))
    return np.array([[one(row, name) for row in rows] for name in ("spread_dx", "spread_dy")])
