"""Confidence intervals by bootstrapping over clips: how far a number might move with other clips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95


class EvaluationError(ValueError):
    """An impossible evaluation: the message says what was found, what was wanted and what to do."""


class Interval(NamedTuple):
    """A number and the ends of its confidence interval (95 % unless stated otherwise)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def clip_weights(clips: int, *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each bootstrap sample draws each clip, int64 [resamples, clips]; each row sums to `clips`."""
    if clips < 1:
        raise EvaluationError(f"clips: found {clips}, wanted 1 or more; give a dataset with longer episodes")
    generator = np.random.default_rng(seed)
    return generator.multinomial(clips, np.full(clips, 1 / clips), size=resamples)


def interval(
    value: float, resampled: np.ndarray, *, level: float = LEVEL, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """`value` with the percentiles of its bootstrap replicates [resamples]; NaN replicates are ignored.

    Replicates are centred on the value: since they draw some clips twice, statistics such as an entropy or a minimum
    are biased in all of them. `bounds` are limits that the number cannot exceed.
    """
    known = resampled[np.isfinite(resampled)]
    if known.size == 0:
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.quantile(known - known.mean() + value, [(1 - level) / 2, (1 + level) / 2])
    low, high = min(value, max(low, bounds[0])), max(value, min(high, bounds[1]))
    return Interval(float(value), float(low), float(high))


def bootstrap_mean(values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> list[Interval]:
    """Mean over clips of each column of `values` [B, X] with its interval; one list entry per column.

    NaN entries are ignored within their column.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2:
        raise EvaluationError(f"values: found shape {list(values.shape)}, wanted [clips, numbers per clip]")
    weights = clip_weights(len(values), resamples=resamples, seed=seed).astype(np.float64)
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = filled.sum(0) / known.sum(0)
        copies = (weights @ filled) / (weights @ known)
    return [interval(mean, copy) for mean, copy in zip(means, copies.T, strict=True)]
