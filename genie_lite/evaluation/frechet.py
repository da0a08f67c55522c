"""Fréchet distance between two sets of features: how far one set of videos is from another as a whole."""

from __future__ import annotations

import numpy as np

from genie_lite.evaluation.bootstrap import EvaluationError


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Fréchet distance between two sets of features [videos, D], each modelled as a Gaussian (Heusel et al., 2017).

    ``|m1 - m2|^2 + trace(S1 + S2 - 2 sqrt(S1 S2))``, for at least 2 videos per set. Small sets bias it upwards:
    only compare distances between equally large sets.
    """
    for name, array in (("features", features), ("others", others)):
        if np.ndim(array) != 2 or len(array) < 2:
            raise EvaluationError(
                f"{name}: found shape {list(np.shape(array))}, wanted [videos, features] of 2 or more "
                "videos; extract the features of more videos"
            )
    if features.shape[1] != others.shape[1]:
        raise EvaluationError(
            f"others: found {others.shape[1]} features a video, wanted {features.shape[1]}; "
            "use one network for both sets"
        )
    first, second = np.asarray(features, dtype=np.float64), np.asarray(others, dtype=np.float64)
    return gaussian_frechet_distance(
        first.mean(0),
        np.atleast_2d(np.cov(first, rowvar=False)),
        second.mean(0),
        np.atleast_2d(np.cov(second, rowvar=False)),
    )


def gaussian_frechet_distance(
    mean: np.ndarray, cov: np.ndarray, other_mean: np.ndarray, other_cov: np.ndarray
) -> float:
    """Fréchet distance between two Gaussians, from means [D] and covariances [D, D].

    The trace of ``sqrt(S1 S2)`` needs no matrix square root: with S1 = R1 R1' and S2 = R2 R2' it is the sum of the
    singular values of R1' R2, which stays exact when a covariance is singular.
    """
    overlap = np.linalg.svd(_root(cov).T @ _root(other_cov), compute_uv=False).sum()
    difference = mean - other_mean
    distance = difference @ difference + np.trace(cov) + np.trace(other_cov) - 2 * overlap
    return max(0.0, float(distance))


def _root(cov: np.ndarray) -> np.ndarray:
    """A matrix R with R R' = cov."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.clip(values, 0, None))
