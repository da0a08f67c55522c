"""The next frame as the latent action model predicts it, for dynamics models that begin from this guess."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from genie_lite.models import GenieModel
from genie_lite.models.shift_latent_action import ShiftLatentActionModel

Shown = list[tuple[Tensor, Tensor, Tensor | None]]


class FirstGuess:
    """Keeps the frames that a rollout has shown, and predicts the next one by the latent action model's decoder."""

    def __init__(self, model: GenieModel) -> None:
        self.model = model.latent_action
        self._shown: deque[tuple[Tensor, Tensor, Tensor | None]] = deque(maxlen=model.context_frames)

    def append(self, frame: Tensor, action_vectors: Tensor) -> None:
        """Show the newest frame [B, H, W, C] and the action that led to it, [B, 1, latent_dim] ([B, 0, ...]: none)."""
        self._shown.append((frame, action_vectors, self._motion(frame)))

    def predict(self, action_vectors: Tensor) -> Tensor:
        """The frame [B, 1, H, W, C] that action_vectors [B, 1, latent_dim] should lead to."""
        frames = torch.stack([frame for frame, _, _ in self._shown], dim=1)
        vectors = torch.cat([*(vectors for _, vectors, _ in list(self._shown)[1:]), action_vectors], dim=1)
        if isinstance(self.model, ShiftLatentActionModel) and self.model.motion_input:
            motion = torch.cat([motion for _, _, motion in self._shown if motion is not None], dim=1)
            motion = torch.cat([torch.zeros_like(motion[:, :1]), motion[:, 1:]], dim=1)  # none up to the first
            predicted = self.model.predict(frames, vectors, motion)
        else:
            predicted = self.model.predict(frames, vectors)
        return predicted[:, -1:].float().clamp(0, 1)

    def snapshot(self) -> Shown:
        """What `rewind` needs to return to this moment."""
        return list(self._shown)

    def rewind(self, snapshot: Shown) -> None:
        """Return to the moment of `snapshot`."""
        self._shown.clear()
        self._shown.extend(snapshot)

    def _motion(self, frame: Tensor) -> Tensor | None:
        if not (isinstance(self.model, ShiftLatentActionModel) and self.model.motion_input):
            return None
        before = self._shown[-1][0] if self._shown else frame
        return self.model.motion(torch.stack([before, frame], dim=1))[:, 1:]
