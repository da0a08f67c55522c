"""The controller: a key takes a latent action that does what the key says, and of these the most plausible."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from genie_lite.config import load_config
from genie_lite.play import Controller

#           still      right        left          jump       jump right    fall
MOTIONS = [(0.0, 0.0), (4.0, 0.0), (-4.0, 0.0), (0.0, -20.0), (4.0, -20.0), (0.0, 20.0)]
STILL, RIGHT, LEFT, JUMP, JUMP_RIGHT, FALL = range(6)
FRAMES = np.zeros((1, 2, 8, 8, 3), np.uint8)


class Prior:
    """The same probabilities whatever was seen."""

    def __init__(self, **shares: float) -> None:
        values = np.array([shares.get(name, 1e-4) for name in ("still", "right", "left", "jump", "jump_right", "fall")])
        self.logs = np.log(values / values.sum())

    def log_probabilities(self, frames: np.ndarray) -> np.ndarray:
        return np.repeat(self.logs[None], len(frames), axis=0)


def controller(prior: Prior | None = None, preset: str = "laptop", motions: Any = MOTIONS) -> Controller:
    rows: list[dict[str, Any]] = [
        {"dx": dx, "dy": dy, "spread_dx": 0.5, "spread_dy": 1.0, "share": 1 / len(motions)} for dx, dy in motions
    ]
    genie: Any = SimpleNamespace(
        card={"actions": rows}, num_latent_actions=len(motions), config=load_config(preset), action_prior=None
    )
    return Controller(genie, prior=prior)


def pressed(key: str, prior: Prior | None = None) -> int:
    return int(controller(prior).latent_actions(FRAMES, key)[0])


def test_without_a_prior_keys_are_bound_by_measured_motion_alone() -> None:
    assert [pressed(key) for key in ("none", "right", "left", "up-right")] == [STILL, RIGHT, LEFT, JUMP_RIGHT]
    assert pressed("up") == JUMP


def test_on_the_ground_keys_do_what_they_say() -> None:
    ground = Prior(still=0.4, right=0.2, left=0.1, jump=0.15, jump_right=0.15)
    assert [pressed(key, ground) for key in ("none", "right", "left", "up", "up-right")] == [
        STILL,
        RIGHT,
        LEFT,
        JUMP,
        JUMP_RIGHT,
    ]


def test_in_the_air_every_key_falls() -> None:
    falling = Prior(fall=0.97)
    assert {pressed(key, falling) for key in controller().keys} == {FALL}


def test_a_rising_hero_goes_on_rising_without_a_key() -> None:
    assert pressed("none", Prior(jump=0.9, jump_right=0.05)) == JUMP


def test_each_world_gets_its_own_key() -> None:
    frames = np.repeat(FRAMES, 3, axis=0)
    assert controller().latent_actions(frames, ["left", "none", "right"]).tolist() == [LEFT, STILL, RIGHT]
    with pytest.raises(ValueError, match="sideways"):
        controller().latent_actions(frames, ["left", "none", "sideways"])
    with pytest.raises(ValueError, match="found 1"):
        controller().latent_actions(frames, ["left"])


def test_in_a_world_without_jumps_keys_are_directions_and_only_those_that_an_action_obeys() -> None:
    motions = [(0.0, 0.0), (6.0, 0.0), (-6.0, 0.0), (0.0, -5.0), (0.0, 5.0), (6.0, 5.0)]
    rare = dict.fromkeys(("right", "left", "jump", "jump_right", "fall"), 0.04)
    arm = controller(Prior(still=0.9, **rare), "robot", motions)  # nothing hinders an arm: a rare motion is obeyed too
    assert [int(arm.latent_actions(FRAMES, key)[0]) for key in arm.keys] == [2, 1, 3, 4, 0, 5]
    assert arm.keys == ("left", "right", "up", "down", "none", "down-right") and not arm.jumps
    with pytest.raises(ValueError, match="up-left"):
        arm.latent_actions(FRAMES, "up-left")
    assert "down" not in controller().keys and controller().jumps


def test_autoplay_draws_what_is_plausible() -> None:
    frames, rng = np.repeat(FRAMES, 2000, axis=0), np.random.default_rng(0)
    drawn = controller(Prior(right=0.75, jump=0.25)).autoplay(frames, rng)
    assert np.bincount(drawn, minlength=6)[[RIGHT, JUMP]] / 2000 == pytest.approx([0.75, 0.25], abs=0.05)


def test_a_world_without_measured_motions_is_refused() -> None:
    genie: Any = SimpleNamespace(card={}, num_latent_actions=6)
    with pytest.raises(ValueError, match="describe_actions"):
        Controller(genie)
