"""Solutions of notebook 06."""

from __future__ import annotations

import numpy as np

from genie_lite.course.checking import solution


@solution("06.1")
def agreement(classes: np.ndarray) -> float:
    """Ordered pairs that agree, minus each prompt with itself, divided by P (P - 1)."""
    P = classes.shape[1]
    alike = classes[:, :, None] == classes[:, None, :]
    return float((alike.sum(axis=(1, 2)) - P).mean() / (P * (P - 1)))


@solution("06.2")
def horizon(model: np.ndarray, rival: np.ndarray) -> int:
    """A running product of wins is 1 until the first loss and 0 from then on."""
    wins = model.mean(axis=0) > rival.mean(axis=0)
    return int(np.cumprod(wins).sum())


@solution("06.3")
def dictionary(latent: np.ndarray, env: np.ndarray, A: int) -> np.ndarray:
    """`bincount` counts; `argmax` takes the first, and so the smallest, of equally frequent actions."""
    keys = np.full(A, -1)
    for a in np.unique(latent):
        keys[a] = np.bincount(env[latent == a]).argmax()
    return keys
