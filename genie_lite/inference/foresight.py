"""What each latent action would do here and now, as the latent action model's decoder predicts it."""

from __future__ import annotations

import numpy as np
import torch

from genie_lite.inference.arrays import frames_to_tensor
from genie_lite.inference.compute import playing
from genie_lite.models import GenieModel
from genie_lite.models.shift_latent_action import ShiftLatentActionModel
from genie_lite.nn.displacement import match_displacements

PAST = 2  # frames that it looks at: enough to see how fast the scene moves


class Foresight:
    """Predicts, for each latent action, how far the hero would move.

    Latent actions that are choices of a player do not name motions: the same one starts a run and keeps it going. So
    what a key should do is compared with what each action would do in this moment. Raises ValueError for a world whose
    latent action model predicts no displacements.
    """

    def __init__(self, model: GenieModel, precision: str = "auto") -> None:
        if not self.known(model):
            raise ValueError("foresight: this world predicts no displacements; train it with `latent_action.shift`")
        self.model, self.precision = model, precision

    @staticmethod
    def known(model: GenieModel) -> bool:
        """Whether a world predicts displacements."""
        return isinstance(model.latent_action, ShiftLatentActionModel)

    def motions(self, frames: np.ndarray) -> np.ndarray:
        """Pixels to the right and down after the last of frames uint8 [B, T, H, W, C]: float64 [B, A, 2]."""
        pixels, _ = frames_to_tensor(self.model, np.asarray(frames)[:, -PAST:])
        model = self.model.latent_action
        assert isinstance(model, ShiftLatentActionModel)
        with playing(self.model, len(pixels), self.precision):
            actions = torch.zeros(len(pixels), 0, dtype=torch.int64, device=pixels.device)
            if pixels.shape[1] > 1:
                actions = model.encode(pixels)
            count = self.model.num_latent_actions
            choices = torch.arange(count, device=pixels.device).repeat(len(pixels))[:, None]  # [B · A, 1]
            vectors = model.quantizer.lookup(torch.cat([actions.repeat_interleave(count, 0), choices], dim=1))
            motion = model.motion(pixels).repeat_interleave(count, 0)
            sharp = self.model.config.model.dynamics.sharp_guess
            found = model.displacements(pixels.repeat_interleave(count, 0), vectors, motion, sharp=sharp)[:, -1]
        return found.flip(-1).to(torch.float64).cpu().numpy().reshape(len(pixels), count, 2)

    def moved(self, frames: np.ndarray, count: int = 1) -> np.ndarray:
        """Pixels right and down that the hero moved to each of the last `count` frames: float64 [B, count, 2].

        frames are uint8 [B, T, H, W, C]; where there are too few, nothing moved. Read off the scene, which moves the
        other way; a hero is at rest where that is half as likely as any motion, so also before an empty sky.
        """
        pixels, _ = frames_to_tensor(self.model, np.asarray(frames)[:, -count - 1 :])
        model = self.model.latent_action
        assert isinstance(model, ShiftLatentActionModel)
        with playing(self.model, len(pixels), self.precision):
            likely = match_displacements(pixels, model.reach)  # [B, T-1, 2, 2 · reach + 1]
            rests = 2 * likely[..., model.reach] >= likely.amax(dim=-1)
            steps = (likely.argmax(dim=-1) - model.reach).masked_fill(rests, 0)
        found = steps.flip(-1).to(torch.float64).cpu().numpy()
        return np.pad(found, ((0, 0), (count - found.shape[1], 0), (0, 0)))
