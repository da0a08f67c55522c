"""Exercises of notebook 04: solutions pass, each mistake is named, a placeholder is not a mistake."""

from __future__ import annotations

import numpy as np
import pytest

from genie_lite.course.checking import get_solution, verdict

NAMES = ("04.1", "04.2", "04.3")


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_is_right_and_says_why(name: str) -> None:
    found = get_solution(name)
    assert verdict(name, found.answer).status == "right"
    assert found.why


@pytest.mark.parametrize("name", NAMES)
def test_a_stub_is_not_answered_yet(name: str) -> None:
    assert verdict(name, lambda *_: None).status == "unanswered"
    assert verdict(name, None).status == "unanswered"


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_of_the_learner_becomes_a_message(name: str) -> None:
    def broken(*_: object) -> None:
        raise IndexError("too far")

    found = verdict(name, broken)
    assert found.status == "wrong" and "IndexError" in found.message


TRIPLES = {
    "three things": lambda x, a: x[:, :-1],
    "a leak": lambda x, a: (x, a, x[:, 1:]),
    "Nothing comes before": lambda x, a: (x[:, :-1], a, x),
    "expected all of them": lambda x, a: (x[:, :-1], a[:, :-1], x[:, 1:]),
    "That is the leak": lambda x, a: (x[:, 1:], a, x[:, 1:]),
    "one frame later": lambda x, a: (x[:, :-1], a, x[:, :-1]),
    "swapped": lambda x, a: (x[:, 1:], a, x[:, :-1]),
    "T - 1 = 4 each": lambda x, a: (x[:, :-2], a, x[:, 2:]),
    "The codes: not the expected": lambda x, a: (x[:, :-1], a.flip(1), x[:, 1:]),
}


@pytest.mark.parametrize("message", TRIPLES)
def test_triple_mistakes(message: str) -> None:
    found = verdict("04.1", TRIPLES[message])
    assert found.status == "wrong" and message in found.message


def of_each(reduce, num_codes: int) -> np.ndarray:
    return np.array([reduce(code) for code in range(num_codes)], dtype=float)


def mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


MEANS = {
    "one number": lambda c, d, s, k: 4.0,
    "even when a code never occurs": lambda c, d, s, k: of_each(lambda i: mean(d[(c == i) & s]), c.max() + 1),
    "NaN": lambda c, d, s, k: of_each(lambda i: mean(d[(c == i) & s]) if (c == i).any() else np.nan, k),
    "Unreliable motions were counted too": lambda c, d, s, k: of_each(lambda i: mean(d[c == i]), k),
    "sums": lambda c, d, s, k: of_each(lambda i: d[(c == i) & s].sum(), k),
    "counted as 0": lambda c, d, s, k: of_each(lambda i: mean((d * s)[c == i]), k),
    "sign is reversed": lambda c, d, s, k: of_each(lambda i: -mean(d[(c == i) & s]), k),
    "medians": lambda c, d, s, k: of_each(lambda i: np.median(d[(c == i) & s]) if (c == i).any() else 0, k),
    "absolute values": lambda c, d, s, k: of_each(lambda i: mean(np.abs(d)[(c == i) & s]), k),
    "mask is inverted": lambda c, d, s, k: of_each(lambda i: mean(d[(c == i) & ~s]), k),
    "not by the number of all": lambda c, d, s, k: of_each(lambda i: d[(c == i) & s].sum() / c.size, k),
    "not by how many": lambda c, d, s, k: of_each(lambda i: d[(c == i) & s].sum() / s.sum(), k),
    "found 9.00": lambda c, d, s, k: np.full(k, 9.0),
}


@pytest.mark.parametrize("message", MEANS)
def test_mean_motion_mistakes(message: str) -> None:
    found = verdict("04.2", MEANS[message])
    assert found.status == "wrong" and message in found.message


def mse(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.square(first - second).mean())


GAINS = {
    "one number": lambda b, a, p: np.square(a - p).mean((1, 2, 3)),
    "sign is reversed": lambda b, a, p: 10 * np.log10(mse(p, a) / mse(b, a)),
    "own PSNR": lambda b, a, p: -10 * np.log10(mse(p, a)),
    "PSNR of copying": lambda b, a, p: -10 * np.log10(mse(b, a)),
    "Twice the correct": lambda b, a, p: 20 * np.log10(mse(b, a) / mse(p, a)),
    "natural logarithm": lambda b, a, p: 10 * np.log(mse(b, a) / mse(p, a)),
    "bels": lambda b, a, p: np.log10(mse(b, a) / mse(p, a)),
    "compared with `before`": lambda b, a, p: 10 * np.log10(mse(b, a) / mse(p, b)),
    "difference of squared errors": lambda b, a, p: mse(b, a) - mse(p, a),
    "ratio of the errors": lambda b, a, p: mse(b, a) / mse(p, a),
    "absolute errors": lambda b, a, p: 10 * np.log10(np.abs(b - a).mean() / np.abs(p - a).mean()),
    "dB, expected": lambda b, a, p: 123.0,
}


@pytest.mark.parametrize("message", GAINS)
def test_gain_mistakes(message: str) -> None:
    found = verdict("04.3", GAINS[message])
    assert found.status == "wrong" and message in found.message


def test_the_mean_over_videos_is_right_too() -> None:
    """The figure of the notebook averages decibels over videos."""

    def psnr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return -10 * np.log10(np.square(first - second).mean((1, 2, 3)))

    found = verdict("04.3", lambda b, a, p: (psnr(p, a) - psnr(b, a)).mean())
    assert found.status == "right" and "average the gain over videos" in found.message
    assert verdict("04.3", lambda b, a, p: np.array(10 * np.log10(mse(b, a) / mse(p, a)))).status == "right"


def test_a_loop_over_codes_and_bincount_are_right_too() -> None:
    def by_bincount(codes, dx, sure, num_codes):
        sums = np.bincount(codes[sure], weights=dx[sure], minlength=num_codes)
        return sums / np.maximum(np.bincount(codes[sure], minlength=num_codes), 1)

    assert verdict("04.2", by_bincount).status == "right"
    assert verdict("04.1", lambda x, a: [x[:, : a.shape[1]], a, x[:, 1:].clone()]).status == "right"
