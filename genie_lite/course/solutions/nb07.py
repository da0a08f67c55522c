"""Solutions of notebook 07, measuring worlds."""

from __future__ import annotations

from typing import Any

import numpy as np

from genie_lite.course.checking import solution


@solution("07.1")
def my_psnr(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Convert to float (uint8 wraps around below 0), take one mean per frame, then the logarithm."""
    error = np.square(real.astype(np.float64) - made).mean(axis=(-3, -2, -1))
    return 10 * np.log10(255**2 / error)


@solution("07.2")
def my_delta_psnr(genie: Any, videos: np.ndarray, t: int, seed: int) -> float:
    """Same prompt, same seed, different actions: what differs is due to the actions. x_t is new frame t - 1."""
    inferred = genie.infer_actions(videos)[:, :t]
    random = np.random.default_rng(seed).integers(genie.num_latent_actions, size=inferred.shape)
    inferred_db, random_db = (
        my_psnr(videos[:, t], genie.generate(videos[:, :1], actions, seed=seed)[:, t - 1])
        for actions in (inferred, random)
    )
    return float((inferred_db - random_db).mean())


@solution("07.3")
def my_probe(codes: np.ndarray, classes: np.ndarray, fitted: np.ndarray) -> float:
    """Shares within each class keep a common class from claiming every code; the rest of the data judges."""
    table = np.zeros((codes.max() + 1, classes.max() + 1))
    np.add.at(table, (codes[fitted], classes[fitted]), 1)
    meaning = (table / np.maximum(table.sum(axis=0), 1)).argmax(axis=1)
    right = meaning[codes] == classes
    return float(np.mean([right[~fitted & (classes == c)].mean() for c in np.unique(classes[~fitted])]))
