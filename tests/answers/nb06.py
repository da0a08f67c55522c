"""Answers of learners to notebook 06: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np

from genie_lite.course.solutions.nb06 import agreement, dictionary, horizon


def same(classes):
    """Whether two prompts move alike, [A, P, P]."""
    return classes[:, :, None] == classes[:, None, :]


def with_the_first(classes):
    return (classes[:, 1:] == classes[:, :1]).mean()


def all_alike(classes):
    return (classes == classes[:, :1]).all(axis=1).mean()


def by_counts(classes):
    P = classes.shape[1]
    return np.mean([sum(n * (n - 1) for n in Counter(row.tolist()).values()) / (P * (P - 1)) for row in classes])


def by_permutations(classes):
    return sum(sum(a == b for a, b in permutations(row, 2)) for row in classes.tolist()) / classes.shape[0] / 20


def means(model, rival):
    return model.mean(0), rival.mean(0)


def while_it_wins(model, rival):
    t = 0
    while t < model.shape[1] and sum(model[:, t]) > sum(rival[:, t]):
        t += 1
    return t


def by_accumulate(model, rival):
    return int(np.logical_and.accumulate(model.mean(0) > rival.mean(0)).sum())


def curve_of_means(model, rival):
    """A mistake that is never seen with one frame: the running mean over time is compared."""
    frames = np.arange(1, model.shape[1] + 1)
    ours, theirs = (x.mean(0).cumsum() / frames for x in (model, rival))
    return int(np.cumprod(ours > theirs).sum())


def table(count=lambda t: t.argmax(1), weigh=lambda t: t, empty=-1) -> Any:
    """From a table [codes, keys] of how often each pair occurs."""

    def answer(latent, env, A):
        counts = np.zeros((A, 15))
        np.add.at(counts, (latent, env), 1)
        return np.where(counts.any(1), count(weigh(counts)), empty)

    return answer


def by_dict(latent, env, A):
    return {int(a): int(np.bincount(env[latent == a]).argmax()) for a in np.unique(latent)}


def by_unique(latent, env, A):
    keys = [-1] * A
    for a in range(A):
        values, counts = np.unique(env[latent == a], return_counts=True)
        if len(values):
            keys[a] = values[counts.argmax()]
    return keys


def last_seen(latent, env, A):
    keys = np.full(A, -1)
    keys[latent] = env
    return keys


WRONG: dict[str, dict[str, Any]] = {
    "06.1": {
        "with the first prompt only": with_the_first,
        "whether *all* prompts agree": all_alike,
        "In %": lambda c: 100 * agreement(c),
        "most frequent class. The question": lambda c: np.mean([np.bincount(row).max() / len(row) for row in c]),
        "added up over actions": lambda c: agreement(c) * len(c),
        "a single number": lambda c: same(c).mean((1, 2)),
    },
    "06.2": {
        # a student's
        "averages over frames": lambda m, c: np.argmax(m.mean(1) <= c.mean(1)),
        # a student's
        "then the mean": lambda m, c: (m > c).cumprod(1).sum(1).mean().round(),
        "running mean over time": curve_of_means,
        "is a bool": lambda m, c: bool((m.mean(0) > c.mean(0)).all()),
        "counted from the end": lambda m, c: horizon(m[:, ::-1], c[:, ::-1]),
        "on the *rival's* side": lambda m, c: horizon(c, m),
        "a single number, a whole number": lambda m, c: np.flatnonzero(np.cumprod(m.mean(0) > c.mean(0))),
        "the first video alone": lambda m, c: horizon(m[:1], c[:1]),
    },
    "06.3": {
        "of equally frequent actions": lambda k, e, A: [
            Counter(e[k == a].tolist()).most_common(1)[0][0] if a in k else -1
            for a in range(A)
            # a student's
        ],
        "the *last* action": last_seen,
        "Code 2 never occurs": table(count=lambda t: t.argmax(1), empty=0),
        "of the whole data": table(count=lambda t: np.full(len(t), t.sum(0).argmax())),
        "a dictionary": by_dict,
        "least frequent": table(count=lambda t: np.where(t > 0, t, 99).argmin(1)),
        "how much more often than elsewhere": table(weigh=lambda t: t / t.sum(0).clip(1)),
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "06.1": {"by counts": by_counts, "all permutations": by_permutations},
    "06.2": {"a while loop": while_it_wins, "logical and": by_accumulate},
    "06.3": {"a table": table(), "unique": by_unique, "as a list": lambda *a: dictionary(*a).tolist()},
}
