"""The action prior: which latent action is likely to come next, learned from video alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genie_lite.inference.arrays import frames_to_tensor
from genie_lite.inference.compute import playing
from genie_lite.models import GenieModel
from genie_lite.models.complete_past import CompletePastDynamicsModel

PAST = 4  # frames that it looks at: enough for speed and acceleration, and few enough to ask before every frame


class ActionPrior:
    """p(next latent action | past frames) of a world that has learned one.

    It is a network of its own (training.train_action_prior) or, without one, part of a dynamics model trained with
    `past: complete`. The controller and auto-play read it. Raises ValueError for a world that has neither.
    """

    def __init__(self, model: GenieModel, precision: str = "auto") -> None:
        if not self.known(model):
            raise ValueError(
                "action prior: this world has none; train one with training.train_action_prior, or a dynamics model "
                "with `past: complete`"
            )
        self.model, self.precision = model, precision

    @staticmethod
    def known(model: GenieModel) -> bool:
        """Whether a world has learned a prior."""
        return model.action_prior_network is not None or isinstance(model.dynamics, CompletePastDynamicsModel)

    def log_probabilities(self, frames: np.ndarray) -> np.ndarray:
        """Log-probability of each latent action after the last of frames uint8 [B, T, H, W, C]: float64 [B, A]."""
        frames = np.asarray(frames)
        # The network also needs the change that led to the first frame it looks at.
        length = PAST + 1 if self.model.action_prior_network is not None else min(PAST, self.model.context_frames)
        return self.after_each(frames[:, -length:])[:, -1]

    def after_each(self, frames: np.ndarray) -> np.ndarray:
        """Log-probability of each latent action after each of frames uint8 [B, T, H, W, C]: float64 [B, T, A]."""
        pixels, _ = frames_to_tensor(self.model, frames)
        with playing(self.model, len(pixels), self.precision):
            network = self.model.action_prior_network
            found = self._of_dynamics(pixels) if network is None else network(pixels).float().log_softmax(dim=-1)
        return found.to(torch.float64).cpu().numpy()

    def _of_dynamics(self, pixels: Tensor) -> Tensor:
        dynamics = self.model.dynamics
        assert isinstance(dynamics, CompletePastDynamicsModel)
        tokens = self.model.tokenizer.encode(pixels)
        actions = tokens.new_zeros(len(tokens), 0)
        if pixels.shape[1] > 1:
            actions = self.model.latent_action.encode(self.model.latent_action_inputs(pixels, tokens))
        vectors = self.model.latent_action.quantizer.lookup(actions)
        return dynamics.prior(dynamics.features(tokens, vectors))
