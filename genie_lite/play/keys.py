"""Keys: names of intentions ("left", "up-right", "none"), and what turns them into latent actions."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from genie_lite.play.actions import card_labels
from genie_lite.play.controller import Controller

ARROWS = ("left", "up", "right", "down")


class KeyController(Protocol):
    """What a play session needs of a controller."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys it knows."""

    def latent_actions(self, frames: np.ndarray, keys: list[str]) -> np.ndarray:
        """The latent action, int64 [B], for each key, given the known past, frames uint8 [B, T, H, W, C]."""


class NumberedKeys:
    """For a world of which nobody has measured what its latent actions do: the arrow keys take the first four."""

    def __init__(self, num_latent_actions: int) -> None:
        self.keys = ARROWS[:num_latent_actions]

    def latent_actions(self, frames: np.ndarray, keys: list[str]) -> np.ndarray:
        """The latent action of each key, int64 [B]; `frames` [B, T, H, W, C] make no difference."""
        return np.array([self.keys.index(key) for key in keys], dtype=np.int64)


def controller_for(genie: Any, actions: Any = None) -> KeyController:
    """A controller for a world, by the motions in its card, or by `actions` as `describe_actions` returns them."""
    if actions is None and card_labels(genie) is None:
        return NumberedKeys(genie.num_latent_actions)
    return Controller(genie, actions=actions)
