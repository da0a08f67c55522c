"""Exercises of notebook 06: solutions pass, each mistake is named, a placeholder is not a mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from genie_lite.course.checking import get_solution, verdict


@pytest.mark.parametrize("name", ["06.1", "06.2", "06.3", "06.4"])
def test_the_solution_passes_and_the_placeholder_is_not_answered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert verdict(name, lambda *arguments: None).status == "unanswered"
    assert verdict(name).status == "unanswered"


def alike(classes: np.ndarray) -> np.ndarray:
    return classes[:, :, None] == classes[:, None, :]


def pairs(row: np.ndarray) -> float:
    return float(np.mean([row[i] == row[j] for i, j in combinations(range(len(row)), 2)]))


AGREEMENTS: dict[str, tuple[Callable, str]] = {
    "with itself": (lambda c: alike(c).mean(), "Leave the diagonal out"),
    "upper triangle": (lambda c: np.mean([m[np.triu_indices(len(m))].mean() for m in alike(c)]), "k=1"),
    "P squared": (lambda c: np.mean([(m.sum() - len(m)) / m.size for m in alike(c)]), "P * (P - 1)"),
    "twice": (lambda c: 2 * np.mean([pairs(row) for row in c]), "counted twice"),
    "count": (lambda c: np.mean([np.triu(m, 1).sum() for m in alike(c)]), "number of pairs"),
    "mode": (lambda c: np.mean([np.bincount(row).max() / len(row) for row in c]), "most frequent class"),
    "columns": (lambda c: np.mean([pairs(column) for column in c.T]), "pairs within a row"),
    "all pairs": (lambda c: pairs(c.ravel()), "chance level"),
    "neighbours": (lambda c: np.mean(c[:, 1:] == c[:, :-1]), "neighbouring"),
    "differ": (lambda c: 1 - np.mean([pairs(row) for row in c]), "differ"),
    "each action": (lambda c: np.array([pairs(row) for row in c]), "single number"),
    "else": (lambda c: 0.123, "expected"),
}


@pytest.mark.parametrize("name", AGREEMENTS)
def test_a_wrong_agreement_is_told_what_is_wrong(name: str) -> None:
    answer, words = AGREEMENTS[name]
    found = verdict("06.2", answer)
    assert found.status == "wrong" and words in found.message


def wins(model: np.ndarray, rival: np.ndarray) -> np.ndarray:
    return model.mean(0) > rival.mean(0)


HORIZONS: dict[str, tuple[Callable, str]] = {
    "all wins": (lambda m, c: wins(m, c).sum(), "after a gap"),
    "last win": (lambda m, c: np.flatnonzero(wins(m, c)).max() + 1, "last frame above"),
    "index": (lambda m, c: np.cumprod(wins(m, c)).sum() - 1, "One too few"),
    "first loss": (lambda m, c: np.argmin(wins(m, c)) + 1, "One too many"),
    "every video": (lambda m, c: np.cumprod((m > c).all(0)).sum(), "every single video"),
    "some video": (lambda m, c: np.cumprod((m > c).any(0)).sum(), "only some video"),
    "most videos": (lambda m, c: np.cumprod((m > c).mean(0) > 0.5).sum(), "in how many videos"),
    "mean of horizons": (lambda m, c: (m > c).cumprod(1).sum(1).mean().round(), "then the mean"),
    "best horizon": (lambda m, c: (m > c).cumprod(1).sum(1).max(), "best video"),
    "wrong axis": (lambda m, c: np.argmax(m.mean(1) <= c.mean(1)), "averages over frames"),
    "wrong axis, product": (lambda m, c: np.cumprod(m.mean(1) > c.mean(1)).sum(), "averages over frames"),
    "longest run": (lambda m, c: max(map(len, "".join("01"[int(w)] for w in wins(m, c)).split("0"))), "wins later"),
    "argmin": (lambda m, c: np.argmin(wins(m, c)), "always wins"),
    "ties": (lambda m, c: np.cumprod(m.mean(0) >= c.mean(0)).sum(), "tie"),
    "fraction": (lambda m, c: wins(m, c).mean(), "whole number"),
    "each video": (lambda m, c: np.cumprod(m > c, axis=1).sum(1), "single number, a whole number"),
}


@pytest.mark.parametrize("name", HORIZONS)
def test_a_wrong_horizon_is_told_what_is_wrong(name: str) -> None:
    answer, words = HORIZONS[name]
    found = verdict("06.3", answer)
    assert found.status == "wrong" and words in found.message


def until_the_first_loss(model: np.ndarray, rival: np.ndarray) -> int:
    for t, (ours, theirs) in enumerate(zip(model.mean(axis=0), rival.mean(axis=0), strict=True)):
        if ours <= theirs:
            return t
    return model.shape[1]


def argmax_with_a_sentinel(model: np.ndarray, rival: np.ndarray) -> np.integer:
    return np.argmax(np.append((model - rival).mean(0) <= 0, True))


@pytest.mark.parametrize("answer", [until_the_first_loss, argmax_with_a_sentinel])
def test_other_horizons_are_right_too(answer: Callable) -> None:
    assert verdict("06.3", answer).status == "right"


def test_a_sorted_counter_is_right_too() -> None:
    def answer(latent: np.ndarray, env: np.ndarray, A: int) -> list[int]:
        keys = []
        for a in range(A):
            counts = Counter(env[latent == a].tolist())
            keys.append(min(counts, key=lambda key: (-counts[key], key)) if counts else -1)
        return keys

    assert verdict("06.4", answer).status == "right"


def per_code(choose: Callable, unused: int = -1, every: bool = True) -> Callable:
    def answer(latent: np.ndarray, env: np.ndarray, A: int) -> np.ndarray:
        codes = range(A) if every else np.unique(latent)
        return np.array([choose(env[latent == a]) if (latent == a).any() else unused for a in codes])

    return answer


def commonest(keys: np.ndarray) -> int:
    return int(np.bincount(keys).argmax())


DICTIONARIES: dict[str, tuple[Callable, str]] = {
    "used codes only": (per_code(commonest, every=False), "one entry per code"),
    "unused is 0": (per_code(commonest, unused=0), "never occurs"),
    "mean": (per_code(lambda keys: int(np.round(np.mean(keys)))), "Actions are names"),
    "largest of ties": (per_code(lambda keys: int(15 - np.bincount(15 - keys).argmax())), "the smaller"),
    "how often": (per_code(lambda keys: int(np.bincount(keys).max())), "how *often*"),
    "largest": (per_code(lambda keys: int(keys.max())), "largest action number"),
    "turned": (lambda latent, env, A: per_code(commonest)(env, latent, A), "Code 2"),
    "smallest": (per_code(lambda keys: int(keys.min())), "smallest action number"),
    "first of ties": (per_code(lambda keys: Counter(keys.tolist()).most_common(1)[0][0]), "the smaller"),
    "else": (per_code(lambda keys: 14), "Count the game actions"),
}


@pytest.mark.parametrize("name", DICTIONARIES)
def test_a_wrong_dictionary_is_told_what_is_wrong(name: str) -> None:
    answer, words = DICTIONARIES[name]
    found = verdict("06.4", answer)
    assert found.status == "wrong" and words in found.message
