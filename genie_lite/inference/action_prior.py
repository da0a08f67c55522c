"""The action prior: which latent action is likely to come next, learned from video alone."""

from __future__ import annotations

import numpy as np
import torch

from genie_lite.inference.arrays import frames_to_tensor
from genie_lite.inference.compute import computing
from genie_lite.models import GenieModel
from genie_lite.models.complete_past import CompletePastDynamicsModel

PAST = 4  # frames that it looks at: enough for speed and acceleration, and few enough to ask before every frame


class ActionPrior:
    """p(next latent action | past frames) of a world whose dynamics model has learned one.

    The controller and auto-play read it. Raises ValueError for another kind of dynamics model.
    """

    def __init__(self, model: GenieModel, precision: str = "auto") -> None:
        if not isinstance(model.dynamics, CompletePastDynamicsModel):
            raise ValueError("action prior: this world has none; train its dynamics model with `past: complete`")
        self.model, self.dynamics, self.precision = model, model.dynamics, precision

    def log_probabilities(self, frames: np.ndarray) -> np.ndarray:
        """Log-probability of each latent action after frames uint8 [B, T, H, W, C]: float64 [B, A]."""
        frames = np.asarray(frames)
        pixels, _ = frames_to_tensor(self.model, frames[:, -min(PAST, self.model.context_frames) :])
        with computing(self.model, self.precision):
            tokens = self.model.tokenizer.encode(pixels)
            actions = tokens.new_zeros(len(tokens), 0)
            if pixels.shape[1] > 1:
                actions = self.model.latent_action.encode(self.model.latent_action_inputs(pixels, tokens))
            vectors = self.model.latent_action.quantizer.lookup(actions)
            found = self.dynamics.prior(self.dynamics.features(tokens, vectors))[:, -1]
        return found.to(torch.float64).cpu().numpy()
