"""Confidence intervals: how far a number could move if other clips had been drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95


class EvaluationError(ValueError):
    """An evaluation that cannot be made: the message names what was found, what was wanted, and what to do."""


class Interval(NamedTuple):
    """A number with the ends of its confidence interval (95 % unless said otherwise)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def clip_weights(clips: int, *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each clip is drawn in each bootstrap sample, int64 [resamples, clips]; each row sums to `clips`."""
    if clips < 1:
        raise EvaluationError(f"clips: found {clips}, wanted 1 or more; give a dataset with longer episodes")
    generator = np.random.default_rng(seed)
    return generator.multinomial(clips, np.full(clips, 1 / clips), size=resamples)


def interval(
    value: float, resampled: np.ndarray, *, level: float = LEVEL, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """`value` with the percentiles of its bootstrap copies [resamples]; copies that are not numbers are left out.

    Copies are centred on the value: numbers such as an entropy or a minimum lean to one side in every copy, because a
    copy draws some clips twice. `bounds` are values that the number cannot pass.
    """
    known = resampled[np.isfinite(resampled)]
    if known.size == 0:
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.quantile(known - known.mean() + value, [(1 - level) / 2, (1 + level) / 2])
    low, high = min(value, max(low, bounds[0])), max(value, min(high, bounds[1]))
    return Interval(float(value), float(low), float(high))


def bootstrap_mean(values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> list[Interval]:
    """Mean over clips of each column of `values` [B, X], with its interval over clips (one list entry a column).

    A clip without a number in a column (NaN) is left out of that column.
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
