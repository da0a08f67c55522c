"""Keys: names of intentions ("left", "up-right", "none") and the latent actions that carry them out."""

from __future__ import annotations

from itertools import permutations
from typing import Any, Protocol

import numpy as np

from genie_lite.play.actions import STILL, ActionLabel, card_labels

ARROWS = {"left": (-1.0, 0.0), "up": (0.0, -1.0), "right": (1.0, 0.0), "down": (0.0, 1.0)}
DIAGONALS = {"up-left": "↖", "up-right": "↗", "down-left": "↙", "down-right": "↘"}


class KeyController(Protocol):
    """What a play session needs of a controller."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys it knows."""

    def latent_actions(self, frames: np.ndarray, keys: list[str]) -> np.ndarray:
        """The latent action, int64 [B], for each key, given the known past, frames uint8 [B, T, H, W, C]."""


class MeasuredKeys:
    """Binds each key to one latent action, the one whose typical motion in video fits it best, whatever the past.

    labels: one for each of `num_latent_actions`; without them the arrow keys take the first four actions.
    """

    def __init__(self, labels: list[ActionLabel] | None, num_latent_actions: int) -> None:
        self.bindings = arrow_keys(labels, num_latent_actions)
        for action, label in sorted(enumerate(labels or []), key=lambda item: item[1].speed):  # the fastest comes last
            taken = action in self.bindings.values()
            diagonal = next((key for key, glyph in DIAGONALS.items() if glyph == label.glyph), None)
            if label.speed < STILL:
                self.bindings.setdefault("none", action)  # the stillest
            elif diagonal and not taken:
                self.bindings[diagonal] = action

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that some latent action fits."""
        return tuple(self.bindings)

    def latent_actions(self, frames: np.ndarray, keys: list[str]) -> np.ndarray:
        """The latent action of each key, int64 [B]; `frames` [B, T, H, W, C] make no difference here."""
        return np.array([self.bindings[key] for key in keys], dtype=np.int64)


def controller_for(genie: Any, labels: list[ActionLabel] | None = None) -> KeyController:
    """The controller of a world; labels replace those in its card."""
    return MeasuredKeys(card_labels(genie) if labels is None else labels, genie.num_latent_actions)


def arrow_keys(labels: list[ActionLabel] | None, num_latent_actions: int) -> dict[str, int]:
    """The latent action for each arrow key: the one whose typical motion goes furthest and straightest that way.

    Sideways motion counts half against it. No action gets two keys, and a key that no action follows (within 60
    degrees) is left out. Without labels left, up, right and down take actions 0, 1, 2 and 3, as far as there are any.
    """
    if labels is None:
        return dict(zip(ARROWS, range(num_latent_actions), strict=False))
    reach = {  # pixels along the key's direction minus half of those across it, for the actions that move its way
        key: {
            action: along - abs(d.dx * y - d.dy * x) / 2
            for action, d in enumerate(labels)
            if d.speed >= STILL and (along := d.dx * x + d.dy * y) > 0.5 * d.speed
        }
        for key, (x, y) in ARROWS.items()
    }
    best: dict[str, int] = {}
    best_total = 0.0
    for order in permutations(ARROWS):  # the key served first takes its best action; try every order
        taken: dict[str, int] = {}
        for key in order:
            free = {action: along for action, along in reach[key].items() if action not in taken.values()}
            if free:
                taken[key] = max(free, key=lambda action: free[action])
        total = sum(reach[key][action] for key, action in taken.items())
        if total > best_total + 1e-9:
            best, best_total = taken, total
    return best
