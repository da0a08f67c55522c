"""Exercises of notebook 10: solutions pass, each mistake is named, and what passes is used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from genie_lite.agents import CodeLists, PolicyNetwork
from genie_lite.course.checking import get_solution, verdict
from genie_lite.course.yours import Yours


@pytest.mark.parametrize("name", ["10.1", "10.2", "10.3"])
def test_the_solution_passes_and_the_placeholder_is_not_answered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert verdict(name, lambda *arguments: None).status == "unanswered"


def each(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.clamp(min=0).flatten(), reduction="none").view(targets.shape)


def by_hand(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    known = targets != -1
    return -logits.log_softmax(-1)[known].gather(1, targets[known][:, None]).mean()


LOSSES: dict[str, tuple[Callable, str]] = {
    "number": (lambda x, y: by_hand(x, y).item(), "expected a tensor"),
    "unreduced": (each, "expected a single number"),
    "all": (lambda x, y: each(x, y).mean(), "as if their action were 0"),
    "last": (lambda x, y: each(x, y % x.shape[-1]).mean(), "the last one"),
    "divided": (lambda x, y: each(x, y)[y >= 0].sum() / y.numel(), "number of all frames"),
    "sum": (lambda x, y: each(x, y)[y >= 0].sum(), "a sum"),
    "by clip": (
        lambda x, y: torch.stack([a[b >= 0].mean() for a, b in zip(each(x, y), y, strict=True)]).mean(),
        "in each clip first",
    ),
    "softmax": (lambda x, y: by_hand(x.softmax(-1), y), "twice"),
    "sign": (lambda x, y: -by_hand(x, y), "sign"),
    "bits": (lambda x, y: by_hand(x, y) / np.log(2), "in bits"),
    "detached": (lambda x, y: by_hand(x.detach(), y), "no gradient"),
    "other": (lambda x, y: by_hand(x, y) * 3.3, "expected"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_wrong_loss_is_told_what_is_wrong(name: str) -> None:
    answer, words = LOSSES[name]
    found = verdict("10.1", answer)
    assert found.status == "wrong" and words in found.message


def counted(codes: np.ndarray, keys: np.ndarray, A: int, U: int) -> np.ndarray:
    counts = np.zeros((A, U))
    np.add.at(counts, (codes, keys), 1)
    return counts


def divided(counts: np.ndarray, empty: np.ndarray | float) -> np.ndarray:
    table = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    table[counts.sum(1) == 0] = empty
    return table


def once(codes: np.ndarray, keys: np.ndarray, A: int, U: int) -> np.ndarray:
    counts = np.zeros((A, U))
    counts[codes, keys] += 1
    return divided(counts, 0)


def spoiling(codes: np.ndarray, keys: np.ndarray, A: int, U: int) -> np.ndarray:
    codes += 0
    keys[:] = 0
    return counted(codes, keys, A, U)


def undefined(*given: object) -> np.ndarray:
    counts = counted(*given)
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(1, keepdims=True)


LISTS: dict[str, tuple[Callable, str]] = {
    "in place": (spoiling, "in place"),
    "turned": (lambda *given: counted(*given).T, "the other way round"),
    "undefined": (undefined, "not a number"),
    "counts": (counted, "those are counts"),
    "joint": (lambda *given: counted(*given) / counted(*given).sum(), "p(code, key)"),
    "by key": (lambda *given: counted(*given) / np.maximum(counted(*given).sum(0), 1), "p(code | key)"),
    "once": (once, "np.add.at"),
    "best": (lambda c, k, A, U: np.eye(U)[counted(c, k, A, U).argmax(1)], "most frequent"),
    "empty": (lambda *given: divided(counted(*given), 0), "row of code 2"),
    "alike": (lambda *given: divided(counted(*given), 1 / given[3]), "all keys alike"),
    "noise": (lambda *given: divided(counted(*given) + 1, 0), "shares are wrong"),
}


@pytest.mark.parametrize("name", LISTS)
def test_wrong_lists_are_told_what_is_wrong(name: str) -> None:
    answer, words = LISTS[name]
    found = verdict("10.2", answer)
    assert found.status == "wrong" and words.lower() in found.message.lower()


def test_what_passes_is_used_and_solutions_compute_what_the_package_does() -> None:
    network = PolicyNetwork((64, 64), 3, 5)
    logits, targets = torch.randn(2, 4, 5), torch.tensor([[1, 2, -1, 0], [4, -1, -1, 3]])
    package = network.loss(logits, targets)
    Yours({"10.1": get_solution("10.1").answer})(network)
    assert torch.equal(network.loss(logits, targets), package)
    Yours({"10.1": lambda logits, targets: logits.sum() * 0 + 7})(network)
    assert network.loss(logits, targets) == 7
    rng = np.random.default_rng(0)
    codes, keys = rng.choice([0, 2, 3], 60), rng.integers(0, 15, 60)
    own, kept = CodeLists(codes, keys, 4, 15), CodeLists(codes, keys, 4, 15)
    Yours({"10.2": get_solution("10.2").answer})(own)
    np.testing.assert_allclose(own.shares, kept.shares)
    Yours({"10.2": lambda c, k, A, U: np.full((A, U), 1 / U)})(own)
    assert (own.env_action_probabilities(np.eye(4), np.zeros((4, 1))) == 1 / 15).all()
