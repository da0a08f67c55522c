"""Solutions of notebook 04, the latent action model."""

from __future__ import annotations

import numpy as np
import torch

from genie_lite.course.checking import solution


@solution("04.1")
def training_triple(
    frames: torch.Tensor, latent_actions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The last frame has no successor, so nothing is predicted from it; the first has no past, so it is no target."""
    return frames[:, :-1], latent_actions, frames[:, 1:]


@solution("04.2")
def mean_motion(codes: np.ndarray, dx: np.ndarray, sure: np.ndarray, num_codes: int) -> np.ndarray:
    """Only transitions with this code *and* a reliable motion count; an empty selection has no mean, hence the 0."""
    own = [dx[(codes == code) & sure] for code in range(num_codes)]
    return np.array([motions.mean() if motions.size else 0.0 for motions in own])


@solution("04.3")
def gain_over_copying(before: np.ndarray, after: np.ndarray, prediction: np.ndarray) -> float:
    """A difference of logarithms is the logarithm of the ratio: how many times smaller the error is, in decibels."""
    copying = np.square(before - after).mean()
    predicting = np.square(prediction - after).mean()
    return float(10 * np.log10(copying / predicting))
