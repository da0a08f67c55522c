"""True environment actions, for evaluation only: what latent actions reveal of them, and they of the motion."""

from __future__ import annotations

from typing import Any

import numpy as np

from genie_lite.evaluation.motion import Motion
from genie_lite.evaluation.probes import Probe, probe, probe_motion

IDLE = 4  # procgen's action that presses nothing


def read_env_actions(dataset: Any, starts: np.ndarray, frames: int, stride: int = 1) -> np.ndarray:
    """Environment action after each frame of the clips except the last, int64 [B, T-1]. DatasetError if unknown.

    With a stride, the first of the environment actions between two frames.
    """
    return np.asarray(dataset.env_actions())[starts[:, None] + np.arange(frames - 1) * stride].astype(np.int64)


def env_action_classes(env_actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """CoinRun's reading of environment actions (0 to 14): indices into LEFT_RIGHT and UP_DOWN, same shape.

    Procgen numbers nine directions, left to right and within each down to up; its six other buttons do nothing here.
    """
    env_actions = np.asarray(env_actions).astype(np.int64)
    direction = np.where(env_actions < 9, env_actions, IDLE)
    return direction // 3, 2 - direction % 3


def probe_env_actions(codes: np.ndarray, env_actions: np.ndarray, *, num_codes: int, seed: int = 0) -> dict[str, Probe]:
    """What `codes` [B, T] tell about true `env_actions` [B, T]: left/none/right, up/none/down, jump, both axes.

    Scores are lower than for motion, because a key pressed against a wall or in mid-air has no effect.
    """
    across, down = env_action_classes(env_actions)
    return {
        "left_right": probe(codes, across, num_codes=num_codes, num_classes=3, seed=seed),
        "up_down": probe(codes, down, num_codes=num_codes, num_classes=3, seed=seed),
        "jump": probe(codes, (down == 0).astype(np.int64), num_codes=num_codes, num_classes=2, seed=seed),
        "both": probe(codes, across * 3 + down, num_codes=num_codes, num_classes=9, seed=seed),
    }


def probe_motion_by_env_actions(env_actions: np.ndarray, motion: Motion, *, seed: int = 0) -> dict[str, Probe]:
    """What the true action itself tells about the measured motion, with the nine directions as codes."""
    across, down = env_action_classes(env_actions)
    return probe_motion(across * 3 + down, motion, num_codes=9, seed=seed)
