"""A world without a neural network, with the face of Genie: for tests of what is built on top of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from genie_lite.config import Config, SamplingConfig

MOTIONS = [(-2, 0), (0, -2), (2, 0), (0, 2), (0, 0), (3, -3)]  # dx, dy of the picture under each latent action


class FakeRollout:
    """The picture shifts by the action's motion, and a few pixels get random colours; undo is exact."""

    def __init__(self, frames: np.ndarray, sampling: SamplingConfig, seed: int) -> None:
        self.sampling = sampling
        self._past: list[tuple[np.ndarray, dict]] = []
        self._rng = np.random.default_rng(seed)
        self.frame = frames[:, -1].copy()

    def step(self, latent_actions: np.ndarray) -> np.ndarray:
        self._past.append((self.frame, self._rng.bit_generator.state))
        frame, noisy = self.frame.copy(), self.sampling.maskgit_steps
        for b, action in enumerate(latent_actions):
            dx, dy = MOTIONS[int(action)]
            frame[b] = np.roll(frame[b], (dy, dx), axis=(0, 1))
            rows, columns = (self._rng.integers(0, side, noisy) for side in frame.shape[1:3])
            frame[b, rows, columns] = self._rng.integers(0, 256, (noisy, frame.shape[-1]))
        self.frame = frame
        return frame

    def undo(self) -> np.ndarray:
        if not self._past:
            raise IndexError("undo: no step left to undo")
        self.frame, self._rng.bit_generator.state = self._past.pop()
        return self.frame


class FakeGenie:
    """The parts of Genie's API that play needs."""

    num_latent_actions = len(MOTIONS)
    context_frames = 16
    frame_size = (64, 64)
    device = "cpu"
    action_prior = None

    def __init__(self) -> None:
        self.config = Config()
        self.card: dict = {}

    def rollout(
        self,
        prompt_frames: np.ndarray,
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        min_p: float | None = None,
        seed: int = 0,
    ) -> FakeRollout:
        chosen = {"maskgit_steps": maskgit_steps, "temperature": temperature, "min_p": min_p}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        return FakeRollout(np.asarray(prompt_frames), dataclasses.replace(self.config.sampling, **chosen), seed)


def scenes(count: int = 8, size: tuple[int, int] = (64, 64), seed: int = 0) -> np.ndarray:
    """Simple drawn scenes, uint8 [N, H, W, C]: a ground, some blocks, a player."""
    rng = np.random.default_rng(seed)
    height, width = size
    frames = np.zeros((count, height, width, 3), np.uint8)
    for frame in frames:
        frame[:] = (14, 16, 38)
        ground = height - int(rng.integers(8, 24))
        frame[ground:] = (110, 76, 44)
        frame[ground : ground + 3] = (92, 168, 70)
        for _ in range(3):
            x = int(rng.integers(0, width - 10))
            frame[ground - 9 : ground, x : x + 9] = (176, 128, 72)
        x = int(rng.integers(4, width - 12))
        frame[ground - 12 : ground, x : x + 8] = (222, 120, 160)
    return frames
