"""Exercises of notebook 11: solutions pass, each mistake is named, and what passes is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genie_lite.course.checking import get_solution, verdict
from genie_lite.course.checks.nb11 import case, exchanged, nats
from genie_lite.course.parts.nb11 import Measures
from genie_lite.course.yours import Yours
from genie_lite.data import ClipLoader, join_datasets, open_dataset, write_dataset
from genie_lite.data.joined import equal_shares
from genie_lite.evaluation import mutual_information, probe

solved = get_solution("11.1").answer
shares = get_solution("11.2").answer


@pytest.mark.parametrize("name", ["11.1", "11.2"])
def test_the_solution_passes_and_the_placeholder_is_not_answered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert verdict(name, lambda *arguments: None).status == "unanswered"


def test_the_solution_finds_what_the_package_does() -> None:
    codes, classes = case()
    value, chance = solved(codes, classes, np.random.default_rng(3))
    known = classes >= 0
    assert value == pytest.approx(mutual_information(codes[known], classes[known]))
    package = probe(codes, np.maximum(classes, 0), num_codes=6, num_classes=3, known=known)
    assert value == pytest.approx(package.information.value)
    assert chance == pytest.approx(package.chance_information, rel=0.15)


def test_the_case_tells_the_ways_of_exchanging_codes_apart() -> None:
    """Clips, single transitions and frames in time must give chance levels that no draw of 200 confuses."""
    codes, classes = case()
    rng = np.random.default_rng(5)
    clips = np.array(list(exchanged(codes, classes)))
    singly = [nats(rng.permutation(codes.ravel()).reshape(codes.shape), classes) for _ in range(400)]
    in_time = [nats(codes[:, rng.permutation(8)], classes) for _ in range(400)]
    assert np.mean(singly) < 0.7 * clips.mean() < 1.5 * clips.mean() < np.mean(in_time)
    assert 5 * clips.std() / np.sqrt(200) < 0.2 * clips.mean()


OTHER: dict[str, tuple[Callable, str]] = {
    "log10": (lambda c, k, r: (nats(c, k) / np.log(10), 0.03), "log10"),
    "sign": (lambda c, k, r: (-nats(c, k), 0.03), "never negative"),
    "counts": (lambda c, k, r: (nats(c, k) * (k >= 0).sum(), 0.03), "divide the table by its sum"),
    "alone": (lambda c, k, r: nats(c, k), "the information alone"),
    "random codes": (
        lambda c, k, r: (nats(c, k), np.mean([nats(r.integers(6, size=c.shape), k) for _ in range(200)])),
        "Too low",
    ),
    "bits": (lambda c, k, r: (nats(c, k), np.mean(list(exchanged(c, k))) / np.log(2)), "the chance level is in bits"),
    "other": (lambda c, k, r: (nats(c, k), 0.07), "the mean over 200 exchanges"),
    "wrong": (lambda c, k, r: (0.123, 0.03), "expected 0.3"),
    "float16": (lambda c, k, r: (nats(c, k) * 1.001, 0.03), "float16"),
}


@pytest.mark.parametrize("name", OTHER)
def test_wrong_information_is_told_what_is_wrong(name: str) -> None:
    answer, words = OTHER[name]
    found = verdict("11.1", answer)
    assert found.status == "wrong" and words.lower() in found.message.lower(), found


DRAWS: dict[str, tuple[Callable, str]] = {
    "more of the first": (
        lambda s, n, r: r.permutation(np.r_[r.choice(s[0], n - 3), [r.choice(o) for o in s[1:]]]),
        "",
    ),
    "columns": (lambda s, n, r: shares(s, n, r)[:, None], "expected [clips]"),
    "short": (lambda s, n, r: shares(s, n, r)[:-1], "expected 8"),
    "not starts": (lambda s, n, r: shares(s, n, r) + 1, "not among `starts`"),
    "first frames": (
        lambda s, n, r: r.permutation([s[g][0] for g in np.resize(r.permutation(4), n)]),
        "never comes up",
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_wrong_draws_are_told_what_is_wrong(name: str) -> None:
    answer, words = DRAWS[name]
    found = verdict("11.2", answer)
    assert found.status == "wrong" and words in found.message, found


def test_what_passes_is_used_and_solutions_do_what_the_package_does(tmp_path: Path) -> None:
    measures = Measures()
    Yours({"11.1": lambda codes, classes, rng: (7.0, 0.0)})(measures)
    assert measures.information(*case(), np.random.default_rng(0)) == (7.0, 0.0)
    starts = [np.arange(5), np.arange(10, 40)]
    drawn = [draw(starts, 5, np.random.default_rng(2)) for draw in (shares, equal_shares)]
    assert sorted((part < 5).sum() for part in drawn) in ([2, 2], [3, 3])
    for shade in (40, 80):
        write_dataset(tmp_path / f"{shade}.zarr", [np.full((9, 8, 8, 3), shade, np.uint8)])
    joined = join_datasets([open_dataset(tmp_path / f"{shade}.zarr") for shade in (40, 80)])
    Yours({"11.2": lambda starts, clips, rng: np.repeat(starts[1][:1], clips)})(joined)
    assert (ClipLoader(joined, clips=3, frames=4, prefetch=0).batch(0) == 80).all()
