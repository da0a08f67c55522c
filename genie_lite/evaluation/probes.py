"""Probes: what a code means, found by comparing it with a measured quantity.

A probe learns on one half of the clips which class each code stands for and is scored on the other half. Every score
comes with its chance level: the score of codes that carry no information.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from genie_lite import nn
from genie_lite.evaluation.bootstrap import EvaluationError, Interval, clip_weights, interval
from genie_lite.evaluation.motion import Motion

UNIT = (0.0, 1.0)


@dataclass(frozen=True)
class CodeUsage:
    """How often each code occurs: `shares` float64 [K], summing to 1, and statistics derived from them."""

    shares: np.ndarray

    @property
    def perplexity(self) -> float:
        """Effective number of codes, the exponential of the entropy: 1 (collapse) to K (uniform use)."""
        return float(perplexity(self.shares))

    @property
    def used(self) -> int:
        """Number of codes that occur at all."""
        return int((self.shares > 0).sum())


def code_usage(codes: np.ndarray, num_codes: int) -> CodeUsage:
    """Shares of `codes` (integers of any shape, 0 to `num_codes` - 1)."""
    return CodeUsage(_counts(np.asarray(codes).reshape(-1), num_codes, "codes") / max(1, np.size(codes)))


def perplexity(shares: np.ndarray) -> np.ndarray:
    """Exponential of the entropy of `shares` [..., K]."""
    return nn.perplexity(torch.from_numpy(np.asarray(shares))).numpy()


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Mutual information of two labellings (integers >= 0, same shape) in nats, from their counts."""
    return float(_information(_table(first, second))[0])


def normalized_mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Mutual information over the mean of the two entropies: 0 (independent) to 1 (identical up to renaming)."""
    return float(_information(_table(first, second))[1])


def balanced_accuracy(truth: np.ndarray, guesses: np.ndarray) -> float:
    """Accuracy within each class that occurs in `truth`, averaged over those classes."""
    return float(_balanced(_table(truth, guesses, square=True)))


@dataclass(frozen=True)
class Probe:
    """What codes tell about classes; chance levels are means over random exchanges of codes between clips."""

    accuracy: Interval  # balanced accuracy on clips not used for fitting
    chance_accuracy: float
    nmi: Interval  # normalised mutual information
    chance_nmi: float
    information: Interval  # mutual information, nats
    chance_information: float
    meanings: np.ndarray  # int64 [K]: the class each code stands for, fitted on all clips
    class_shares: np.ndarray  # float64 [classes]
    transitions: int  # number of (code, class) pairs


def probe(
    codes: np.ndarray,
    classes: np.ndarray,
    *,
    num_codes: int,
    num_classes: int,
    known: np.ndarray | None = None,
    permutations: int = 200,
    resamples: int = 1000,
    seed: int = 0,
) -> Probe:
    """Score how well `codes` [B, T] predict `classes` [B, T] (integers) where `known` [B, T] is True.

    A code stands for the class under which it is most likely, the mapping that maximises balanced accuracy on the
    clips it is fitted on. Clips are split in half at random (`seed`); each half is scored with the mapping fitted on
    the other, and the two are pooled. For the chance level each clip gets the codes of another clip.
    """
    codes, classes = np.asarray(codes), np.asarray(classes)
    known = np.ones(codes.shape, dtype=bool) if known is None else np.asarray(known, dtype=bool)
    if codes.ndim != 2 or codes.shape != classes.shape or codes.shape != known.shape:
        raise EvaluationError(
            f"codes, classes, known: found shapes {list(codes.shape)}, {list(classes.shape)}, "
            f"{list(known.shape)}, wanted one shape [clips, transitions]"
        )
    if len(codes) < 4:
        raise EvaluationError(f"codes: found {len(codes)} clips, wanted 4 or more; a probe is fitted on half of them")
    if not known.any():
        raise EvaluationError("known: found no transition with a sure class, wanted some; evaluate more clips")
    generator = np.random.default_rng(seed)
    half = np.zeros(len(codes), dtype=bool)
    half[generator.permutation(len(codes))[: len(codes) // 2]] = True

    tables = _clip_tables(codes, classes, known, num_codes, num_classes)
    confusions = _confusions(tables, half)
    mi, nmi = _information(tables.sum(0))
    weights = clip_weights(len(codes), resamples=resamples, seed=seed)
    copies_mi, copies_nmi = _information(np.tensordot(weights, tables, 1))
    chances = []
    for _ in range(permutations):
        exchanged = _clip_tables(codes[generator.permutation(len(codes))], classes, known, num_codes, num_classes)
        chances.append((_balanced(_confusions(exchanged, half).sum(0)), *_information(exchanged.sum(0))))
    chance = np.mean(chances, axis=0) if chances else np.full(3, np.nan)
    shares = tables.sum((0, 1))
    return Probe(
        accuracy=interval(
            float(_balanced(confusions.sum(0))), _balanced(np.tensordot(weights, confusions, 1)), bounds=UNIT
        ),
        chance_accuracy=float(chance[0]),
        nmi=interval(float(nmi), copies_nmi, bounds=UNIT),
        chance_nmi=float(chance[2]),
        information=interval(float(mi), copies_mi, bounds=(0, np.inf)),
        chance_information=float(chance[1]),
        meanings=_meanings(tables.sum(0)),
        class_shares=shares / shares.sum(),
        transitions=int(known.sum()),
    )


def probe_motion(codes: np.ndarray, motion: Motion, *, num_codes: int, seed: int = 0) -> dict[str, Probe]:
    """What `codes` [B, T] tell about measured motion: left/still/right, up/still/down, and the nine combinations."""
    across, down, sure_x, sure_y = motion.left_right(), motion.up_down(), motion.sure_x, motion.sure_y
    return {
        "left_right": probe(codes, across, num_codes=num_codes, num_classes=3, known=sure_x, seed=seed),
        "up_down": probe(codes, down, num_codes=num_codes, num_classes=3, known=sure_y, seed=seed),
        "both": probe(codes, across * 3 + down, num_codes=num_codes, num_classes=9, known=sure_x & sure_y, seed=seed),
    }


# --------------------------------------------------------------------------------------- tables of counts


def _counts(values: np.ndarray, size: int, name: str) -> np.ndarray:
    if values.size and (values.min() < 0 or values.max() >= size):
        raise EvaluationError(f"{name}: found values from {values.min()} to {values.max()}, wanted 0 to {size - 1}")
    return np.bincount(values.astype(np.int64), minlength=size)


def _table(first: np.ndarray, second: np.ndarray, square: bool = False) -> np.ndarray:
    """Counts of pairs, int64 [values of first, values of second]."""
    first, second = np.asarray(first).reshape(-1), np.asarray(second).reshape(-1)
    if first.shape != second.shape or first.size == 0:
        raise EvaluationError(f"labels: found {first.size} and {second.size}, wanted as many of each, and 1 or more")
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    if square:
        rows = columns = max(rows, columns)
    _counts(first, rows, "labels"), _counts(second, columns, "labels")
    return np.bincount(first.astype(np.int64) * columns + second, minlength=rows * columns).reshape(rows, columns)


def _clip_tables(codes: np.ndarray, classes: np.ndarray, known: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """A table of counts for each clip, int64 [B, K, classes]."""
    clips = np.broadcast_to(np.arange(len(codes))[:, None], codes.shape)
    _counts(codes[known], rows, "codes"), _counts(classes[known], columns, "classes")
    index = (clips[known] * rows + codes[known]) * columns + classes[known]
    return np.bincount(index, minlength=len(codes) * rows * columns).reshape(len(codes), rows, columns)


def _information(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mutual information in nats and its normalised form, for tables [..., K, classes]."""
    joint = tables / np.maximum(tables.sum((-2, -1), keepdims=True), 1)
    entropies = [_entropy(joint.sum(axis), -1) for axis in (-1, -2)]
    information = np.maximum(entropies[0] + entropies[1] - _entropy(joint, (-2, -1)), 0)
    mean = (entropies[0] + entropies[1]) / 2
    # Two constant labellings determine each other completely.
    return information, np.where(mean > 0, information / np.where(mean > 0, mean, 1), 1.0)


def _entropy(shares: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axes)


def _meanings(table: np.ndarray) -> np.ndarray:
    """The class [K] under which each code is most likely, from counts [K, classes]; 0 for codes never seen."""
    return (table / np.maximum(table.sum(0), 1)).argmax(1)


def _confusions(tables: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Counts [B, true class, predicted class]; each half is predicted with the mapping fitted on the other."""
    confusions = np.zeros((len(tables), tables.shape[2], tables.shape[2]), dtype=np.int64)
    for judged in (half, ~half):
        guesses = np.eye(tables.shape[2], dtype=np.int64)[_meanings(tables[~judged].sum(0))]
        confusions[judged] = np.einsum("bkc,kg->bcg", tables[judged], guesses)
    return confusions


def _balanced(confusions: np.ndarray) -> np.ndarray:
    """Balanced accuracy of counts [..., true class, predicted class], over the classes that occur."""
    totals = confusions.sum(-1)
    right = np.diagonal(confusions, axis1=-2, axis2=-1) / np.maximum(totals, 1)
    return right.sum(-1) / np.maximum((totals > 0).sum(-1), 1)
