"""Solutions of notebook 04, the latent action model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from genie_lite.course.checking import solution

Function = Callable[..., Any]


@solution("04.1")
def training_step(
    frames: Tensor,
    encode: Function,
    to_latent: Function,
    quantize: Function,
    embed: Function,
    to_action: Function,
    decode: Function,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The encoder has seen frame t + 1, the decoder has not: the code is all that gets across."""
    past, future = frames[:, :-1], frames[:, 1:]
    features = encode(frames)  # [B, T, N, D]; those of frame t know frames up to t
    latents = to_latent(features.mean(dim=2)[:, 1:])  # [B, T-1, latent_dim]; nothing leads to the first frame
    vectors, codes, quantizer_loss = quantize(latents)
    x = embed(past) + to_action(vectors)[:, :, None]  # the same action for each of the N patches
    prediction = decode(x, past)  # [B, T-1, H, W, C]
    error = (prediction - future).square().flatten(2).mean(-1).mean()
    return prediction, codes, error + quantizer_loss, error


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
