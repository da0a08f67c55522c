"""Checks of notebook 04, the latent action model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from genie_lite.course.checking import IMPRECISE, Mistake, call, exercise, imprecise, numbers, one_number
from genie_lite.course.checks.training_step import check_training_step
from genie_lite.course.solutions import nb04 as solutions

exercise("04.1")(check_training_step)


@exercise("04.2")
def mean_motion(answer: Any) -> str:
    """Mean reliable motion of each code."""
    generator = np.random.default_rng(4)
    codes = generator.choice(4, size=(40, 7), p=[0.5, 0.2, 0.2, 0.1])  # code 4 never occurs
    dx = np.array([0.5, 4.0, -3.0, 1.0])[codes] + generator.normal(0, 0.5, codes.shape)
    sure = generator.random(codes.shape) < 0.7
    dx = np.where(sure, dx, -20.0)  # an unreliable motion is far off
    found = numbers(call(answer, codes.copy(), dx.copy(), sure.copy(), 5), "the mean motion of each code")
    if found.ndim == 0:
        raise Mistake(
            "Found one number; expected the means of all codes, [num_codes]. The largest tells which code means right."
        )
    if found.shape != (5,):
        raise Mistake(f"Found shape {list(found.shape)}, expected [num_codes] = [5], even when a code never occurs.")
    expected = solutions.mean_motion(codes, dx, sure, 5)
    if np.allclose(found, expected):
        return f"Code {int(expected.argmax())} means right here, although code 0 is the most frequent."
    if not np.isfinite(found).all():
        raise Mistake("A code without any reliable motion gave NaN (the mean of nothing). It gets 0.")
    for value, text in _motion_mistakes(codes, dx, sure, expected):
        if np.allclose(found, value):
            raise Mistake(text)
    if imprecise(found, expected):
        raise Mistake(IMPRECISE)
    worst = int(np.abs(found - expected).argmax())
    raise Mistake(f"Code {worst}: found {found[worst]:.2f}, expected {expected[worst]:.2f}.")


def _motion_mistakes(
    codes: np.ndarray, dx: np.ndarray, sure: np.ndarray, expected: np.ndarray
) -> list[tuple[np.ndarray, str]]:
    def each(reduce: Any, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        picked = [values[(codes == code) & chosen] for code in range(5)]
        return np.array([reduce(part) if part.size else 0.0 for part in picked])

    everything = np.ones_like(sure)
    sums = each(np.sum, dx, sure)
    rows = [solutions.mean_motion(*row, 5) for row in zip(codes, dx, sure, strict=True)]
    return [
        (
            np.mean(rows, axis=0),
            "That is the mean of the means of each video, in which a code may not occur. Take all "
            "transitions of a code at once.",
        ),
        (np.trunc(expected), "Those are whole numbers: an array of `int` cuts off what follows the point. Use float."),
        (np.where(np.bincount(codes.ravel(), minlength=5) > 0, expected, -1), "A code that never occurs gets 0."),
        (
            np.where(np.bincount(codes.ravel(), minlength=5) > 0, expected, dx[sure].mean()),
            "A code that never occurs gets 0, not the mean of all.",
        ),
        (
            each(np.mean, dx, sure.all(axis=1, keepdims=True) & sure),
            "You keep only videos where every transition is sure. `sure` judges each transition by itself.",
        ),
        (each(np.max, dx, sure), "Those are the largest motion of each code; expected the mean."),
        (np.sort(expected), "The means are sorted, so nobody knows which code they belong to. Entry i is code i."),
        (each(np.mean, dx, everything), "Unreliable motions were counted too. `sure` says which ones to trust."),
        (each(np.mean, dx, ~sure), "The mask is inverted: those are the means of the motions that are *not* sure."),
        (sums, "Those are sums: a frequent code wins by being frequent. Expected means."),
        (each(np.median, dx, sure), "Those are medians; the exercise asks for means."),
        (each(np.mean, np.abs(dx), sure), "Those are means of absolute values: left and right look the same."),
        (
            each(np.mean, np.where(sure, dx, 0), everything),
            "Unreliable motions were counted as 0, which pulls every mean towards still. Leave them out.",
        ),
        (-expected, "The sign is reversed. `dx` is the motion of the *hero*: positive already means right."),
        (sums / codes.size, "Divide by how often this code is sure, not by the number of all transitions."),
        (sums / sure.sum(), "Divide by how often *this* code is sure, not by how many transitions are sure in all."),
    ]


@exercise("04.3")
def gain_over_copying(answer: Any) -> str:
    """PSNR of the prediction minus PSNR of copying; from the pooled error, or as a mean over videos."""
    generator = np.random.default_rng(5)
    after = generator.random((2, 8, 8, 3))
    noise = np.array([0.1, 0.3])[:, None, None, None]  # the second video moves more
    before = np.clip(after + generator.normal(0, 1, after.shape) * noise, 0, 1)
    prediction = np.clip(after + generator.normal(0, 0.07, after.shape), 0, 1)
    value = numbers(call(answer, before.copy(), after.copy(), prediction.copy()), "the gain in dB")
    if value.ndim != 0:
        raise Mistake(
            f"Found shape {list(value.shape)}, expected one number: average the squared error over everything."
        )
    found, expected = one_number(value, "the gain in dB"), solutions.gain_over_copying(before, after, prediction)
    if math.isclose(found, expected, abs_tol=1e-3):
        return (
            f"{expected:.1f} dB: the squared error is {10 ** (expected / 10):.0f} times smaller than that of copying."
        )
    if math.isclose(found, _mean_over_videos(before, after, prediction), abs_tol=1e-3):
        return (
            "You average the gain over videos, as the next figure does; pooling the error first is as good an answer."
        )
    copying, predicting, to_before = (
        float(np.square(first - second).mean())
        for first, second in ((before, after), (prediction, after), (prediction, before))
    )
    mistakes = [
        (-expected, "The sign is reversed: a prediction better than copying has a *positive* gain."),
        (-10 * math.log10(predicting), "That is the prediction's own PSNR. Subtract the PSNR of copying `before`."),
        (-10 * math.log10(copying), "That is the PSNR of copying. How much better is the prediction?"),
        (
            2 * expected,
            "Twice the correct number: use 10 log10 of the squared error (20 log10 belongs to its *root*).",
        ),
        (expected * math.log(10), "That is a natural logarithm; decibels use log10."),
        (expected * math.log2(10), "That is the logarithm to base 2; decibels use log10."),
        (expected / 2, "Half of the correct number: use 10 log10 of the squared error."),
        (1 - predicting / copying, "That is the share of the error that is gone. Decibels are 10 log10 of the ratio."),
        (
            100 * (1 - predicting / copying),
            "That is the share of the error that is gone, in %. Decibels are 10 log10 of the ratio.",
        ),
        (
            copying**0.5 - predicting**0.5,
            "That is a difference of roots, in pixel values. Take the PSNR of each first.",
        ),
        (math.log10(copying) / math.log10(predicting), "Divide the errors, not their logarithms."),
        (10 * math.log10(copying) / math.log10(predicting), "Divide the errors, not their logarithms."),
        (
            10 * math.log10(abs(copying - predicting)),
            "That is the logarithm of the difference. Take the difference of the logarithms.",
        ),
        (-10 * math.log10(predicting) - 10 * math.log10(copying), "The two PSNR are added; subtract that of copying."),
        (expected / 10, "Those are bels; a decibel is a tenth of one, so multiply by 10."),
        (
            10 * math.log10(copying / to_before),
            "The prediction was compared with `before`. It is a prediction of `after`.",
        ),
        (copying - predicting, "That is a difference of squared errors. Take the PSNR of each first."),
        (copying / predicting, "That is the ratio of the errors; the gain is 10 log10 of it."),
        (
            10 * math.log10(np.abs(before - after).mean() / np.abs(prediction - after).mean()),
            "Those are absolute errors; PSNR uses squared ones.",
        ),
    ]
    for mistaken, text in mistakes:
        if math.isclose(found, mistaken, abs_tol=1e-3):
            raise Mistake(text)
    if imprecise(np.array(found), np.array(expected)):
        raise Mistake(IMPRECISE)
    raise Mistake(
        f"Found {found:.3f} dB, expected {expected:.3f} dB, for squared errors of {copying:.4f} (copying) and "
        f"{predicting:.4f} (prediction)."
    )


def _mean_over_videos(before: np.ndarray, after: np.ndarray, prediction: np.ndarray) -> float:
    copying, predicting = (np.square(frames - after).mean((1, 2, 3)) for frames in (before, prediction))
    return float((10 * np.log10(copying / predicting)).mean())
