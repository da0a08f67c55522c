"""Exercises of notebook 08: solutions agree with the package, and each mistake is named."""

from __future__ import annotations

import numpy as np
import pytest

from genie_lite import ablations
from genie_lite.config import TransformerConfig
from genie_lite.course import verdict
from genie_lite.course.checking import get_solution


@pytest.mark.parametrize("name", ["08.1", "08.2", "08.3"])
def test_the_solution_is_right_and_the_stub_unanswered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert verdict(name, lambda *_: None).status == "unanswered"


def test_solutions_say_what_the_package_says() -> None:
    scores, ratio, judge = (get_solution(f"08.{i}").answer for i in (1, 2, 3))
    for attention in ("space", "st", "full"):
        assert scores(7, 5, attention) == ablations.score_numbers(1, 1, 7, 5, attention)
    sizes = TransformerConfig(d_model=48, num_heads=2, qk_size=8, v_size=10, ffn_ratio=1.5)
    assert ratio(48, 2, 8, 10, 1.5) == pytest.approx(ablations.equal_ffn_ratio(sizes))
    for pair in (([1, 2], [0, 1]), ([0, 1], [1, 2]), ([0, 2], [1, 1]), ([1], [0])):
        assert judge(*pair) == ablations.agreement(*pair)


@pytest.mark.parametrize(
    ("attention", "wrong", "words"),
    [
        ("space", lambda t, n: n * n, "one frame"),
        ("space", lambda t, n: (t * n) ** 2, "do not see each other"),
        ("st", lambda t, n: t * n * n, "temporal attention is missing"),
        ("st", lambda t, n: n * t * t, "spatial attention is missing"),
        ("st", lambda t, n: t * n * n + n * t * (t + 1) // 2, "masked half takes memory too"),
        ("st", lambda t, n: t * n * n + t * t, "each of the N positions"),
        ("full", lambda t, n: t * n, "T·N tokens"),
        ("full", lambda t, n: n * n * t * (t + 1) // 2, "stored too"),
        ("full", lambda t, n: t * n * n + n * t * t, "in turn"),
        ("full", lambda t, n: t * n * (t * n + 1) // 2, "stored too"),
        ("st", lambda t, n: n * n + t * t, "one table of each"),
        ("st", lambda t, n: (t * n) ** 2, "full attention"),
        ("full", lambda t, n: -1, "expected"),
    ],
)
def test_mistakes_with_scores(attention: str, wrong, words: str) -> None:
    right = get_solution("08.1").answer
    found = verdict("08.1", lambda t, n, kind: wrong(t, n) if kind == attention else right(t, n, kind))
    assert found.status == "wrong" and words in found.message, found


def ratio(d, heads, qk, v, old, *, keep=1, out=1, halves=2, attentions=1, keys=2):
    return keep * old + attentions * (heads * (keys * qk + v) * d + out * heads * v * d) / (halves * d * d)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"keep": 0}, "added"),
        ({"halves": 1}, "twice what one attention"),
        ({"attentions": -1}, "must grow"),
        ({"keys": 1}, "queries *and* keys"),
        ({"out": 0}, "projection back"),
        ({"attentions": 2}, "twice what one attention"),
        ({"keep": 3}, "set them equal"),
    ],
)
def test_mistakes_with_the_ratio(wrong: dict, words: str) -> None:
    found = verdict("08.2", lambda *sizes: ratio(*sizes, **wrong))
    assert found.status == "wrong" and words in found.message, found


def test_the_ratio_of_square_attentions_is_no_rule() -> None:
    found = verdict("08.2", lambda d, heads, qk, v, old: old + 2.0)
    assert found.status == "wrong" and "given widths" in found.message, found
    assert verdict("08.2", lambda *sizes: "2").status == "wrong"


def test_doubling_the_ratio_is_no_rule() -> None:
    found = verdict("08.2", lambda d, heads, qk, v, old: 2 * old)
    assert found.status == "wrong" and "second feed-forward layer" in found.message, found


def test_a_ratio_from_two_whole_blocks_is_right_too() -> None:
    def answer(d, heads, qk, v, old):
        attention = 2 * d * heads * qk + 2 * d * heads * v
        before = 2 * attention + 2 * d * (old * d)
        return np.float64((before - attention) / (2 * d * d))

    assert verdict("08.2", answer).status == "right"


def by_extremes(a: list[float], b: list[float]) -> str:
    """Right but for one thing: unpaired where the spread of the seeds is large."""
    return "cannot tell" if max(a) - min(a) > 3 else get_solution("08.3").answer(a, b)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda a, b: "agrees", "below"),
        (lambda a, b: "agrees" if sum(a) > sum(b) else "disagrees", "whatever the mean says"),
        (lambda a, b: by_extremes(a, b), "seed by seed"),
        (lambda a, b: get_solution("08.3").answer(sorted(a), sorted(b)), "sorting breaks"),
        (lambda a, b: get_solution("08.3").answer(a, b) if len(a) > 1 else "agrees", "one seed says nothing"),
        (lambda a, b: "agrees" if all(x >= y for x, y in zip(a, b, strict=True)) else "cannot tell", "below"),
        (lambda a, b: True, "expected"),
    ],
)
def test_mistakes_with_the_verdict(wrong, words: str) -> None:
    found = verdict("08.3", wrong)
    assert found.status == "wrong" and words in found.message, found
