"""Solutions of notebook 06."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from genie_lite.course.checking import solution


@solution("06.1")
def play_loop(
    tokens: Tensor, codes: Tensor, actions: Tensor, window: int, imagine: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The new frame counts as one of the window, so window - 1 are left for the past; as many codes go with them."""
    for t in range(actions.shape[1]):
        codes = torch.cat([codes, actions[:, t : t + 1]], dim=1)
        past = tokens[:, -(window - 1) :]
        new = imagine(past, codes[:, -past.shape[1] :])
        tokens = torch.cat([tokens, new[:, None]], dim=1)
    return tokens[:, -actions.shape[1] :]


@solution("06.2")
def agreement(classes: np.ndarray) -> float:
    """Ordered pairs that agree, minus each prompt with itself, divided by P (P - 1)."""
    P = classes.shape[1]
    alike = classes[:, :, None] == classes[:, None, :]
    return float((alike.sum(axis=(1, 2)) - P).mean() / (P * (P - 1)))


@solution("06.3")
def horizon(model: np.ndarray, rival: np.ndarray) -> int:
    """A running product of wins is 1 until the first loss and 0 from then on."""
    wins = model.mean(axis=0) > rival.mean(axis=0)
    return int(np.cumprod(wins).sum())


@solution("06.4")
def dictionary(latent: np.ndarray, env: np.ndarray, A: int) -> np.ndarray:
    """`bincount` counts; `argmax` takes the first, and so the smallest, of equally frequent actions."""
    keys = np.full(A, -1)
    for a in np.unique(latent):
        keys[a] = np.bincount(env[latent == a]).argmax()
    return keys
