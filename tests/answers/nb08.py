"""Answers of learners to notebook 08: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

from typing import Any

import numpy as np

from genie_lite.course.solutions.nb08 import equal_ratio, scores, verdict


def count(**other: Any) -> Any:
    """Scores, right but for the kinds that are given."""
    return lambda t, n, kind: other[kind](t, n) if kind in other else scores(t, n, kind)


def with_arrays(t, n, kind):
    tables = {"space": [(t, n, n)], "st": [(t, n, n), (n, t, t)], "full": [(1, t * n, t * n)]}
    return sum(np.empty(shape, bool).size for shape in tables[kind])


def ratio(columns=lambda h, qk, v: h * (2 * qk + 2 * v), unit=lambda d: 2 * d, keep=lambda old: old) -> Any:
    return lambda d, h, qk, v, old: keep(old) + columns(h, qk, v) / unit(d)


def solved(d, heads, qk, v, old):
    attention = d * heads * (2 * qk + v) + heads * v * d
    low, high = old, old + 100.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if 2 * d * d * (middle - old) < attention else (low, middle)
    return low


def signs(judge) -> Any:
    return lambda a, b: judge(np.sign(np.subtract(a, b)))


def majority(s):
    return "agrees" if s.sum() > 0 else "disagrees" if s.sum() < 0 else "cannot tell"


def by_intervals(a, b):
    if len(a) < 2:
        return "cannot tell"
    return "agrees" if min(a) > max(b) else "disagrees" if max(a) < min(b) else "cannot tell"


def by_first_seed(a, b):
    if len(a) < 2 or a[0] == b[0]:
        return "cannot tell"
    return "agrees" if a[0] > b[0] else "disagrees"


def by_margin(a, b):
    differences = np.subtract(a, b)
    if len(differences) < 2 or np.abs(differences).min() < 0.5:
        return "cannot tell"
    return "agrees" if (differences > 0).all() else "disagrees" if (differences < 0).all() else "cannot tell"


WRONG: dict[str, dict[str, Any]] = {
    "08.1": {
        "space and time are exchanged": count(space=lambda t, n: n * t * t),
        "the number of tokens twice": count(full=lambda t, n: 2 * t * n),
        "one table of each": count(st=lambda t, n: n * n + t * t),
        "each pair once": count(full=lambda t, n: t * n * (t * n - 1) // 2),
        "one after the other: add them": count(st=lambda t, n: t * n * n * n * t * t),
        "a single number": lambda t, n, kind: (t, n, n),
        "those are bytes": lambda t, n, kind: 4 * scores(t, n, kind),
    },
    "08.2": {
        # a student's
        "second feed-forward layer": lambda d, h, qk, v, old: 2 * old,
        "the ratio must grow": ratio(lambda h, qk, v: -h * (2 * qk + 2 * v)),
        "heads are counted twice": ratio(lambda h, qk, v: h * h * (2 * qk + 2 * v)),
        "old ratio is multiplied": lambda d, h, qk, v, old: old * (1 + h * (2 * qk + 2 * v) / (2 * d)),
        "twice what one attention has": ratio(unit=lambda d: d),
        "four times": ratio(unit=lambda d: d / 2),
        "whole number": lambda *sizes: round(equal_ratio(*sizes)),
        "a single number": lambda *sizes: [equal_ratio(*sizes)] * 2,
    },
    "08.3": {
        # a student's
        "sorting breaks": lambda a, b: verdict(sorted(a), sorted(b)),
        "the smallest of one with the largest": by_intervals,
        "a majority of seeds": lambda a, b: "cannot tell" if len(a) < 2 else signs(majority)(a, b),
        "the first seed alone": by_first_seed,
        "every seed puts the first above": by_margin,
        "larger *minus* smaller": lambda a, b: verdict(b, a),
        'expected "agrees"': lambda a, b: {"agrees": "yes", "disagrees": "no"}.get(verdict(a, b), "cannot tell"),
        "the median": lambda a, b: "cannot tell" if len(a) < 2 else majority(np.sign([np.median(a) - np.median(b)])),
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "08.1": {"with arrays": with_arrays, "as floats": lambda *a: float(scores(*a))},
    "08.2": {"by bisection": solved, "numpy's float": lambda *a: np.float64(equal_ratio(*a))},
    "08.3": {
        "by signs": signs(
            lambda s: "cannot tell" if len(s) < 2 or abs(s.sum()) < len(s) else "agrees" if s[0] > 0 else "disagrees"
        ),
        "numpy's text": lambda a, b: np.str_(verdict(a, b)),
    },
}
