"""Every exercise refuses answers of many kinds, naming the mistake, and takes right ones in any style.

The answers are in tests/answers, written as learners might write them rather than from the checks, with those that
students have given. `python tools/exercises.py` prints what each is told.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from answers import RIGHT, WRONG

from genie_lite.course import verdict
from genie_lite.course.cards import cards

CASES = [(name, words) for name, answers in WRONG.items() for words in answers]
STYLES = [(name, style) for name, answers in RIGHT.items() for style in answers]
UNNAMED = re.compile(r"^(\S+: )?[Ff]ound [-\d.\[\], ]+( dB)?,? expected [-\d.\[\], ]+( dB)?\.?$")


def test_every_exercise_has_wrong_and_right_answers_enough() -> None:
    assert list(WRONG) == list(RIGHT) == list(cards())
    assert min(map(len, WRONG.values())) >= 6 and len(CASES) >= 200
    assert min(map(len, RIGHT.values())) >= 1 and len(STYLES) >= 60


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "words"), CASES)
def test_a_wrong_answer_is_told_its_mistake(name: str, words: str) -> None:
    found = verdict(name, WRONG[name][words])
    assert found.status == "wrong" and words in found.message, found
    assert not UNNAMED.match(found.message), f"numbers alone: {found}"


@pytest.mark.parametrize(("name", "style"), STYLES)
def test_a_right_answer_in_another_style_is_right(name: str, style: str) -> None:
    found = verdict(name, RIGHT[name][style])
    assert found.status == "right", found


ODD: dict[str, Any] = {
    "a text": "many",
    "a dictionary": {"a": 1},
    "an object": object(),
    "a list in a list": [[1], [1, 2]],
    "an array": np.arange(7.0),
    "no number": float("nan"),
    "a tensor": torch.ones(2, 3, requires_grad=True),
    "a tuple": (1, "a"),
    "True": True,
}


@pytest.mark.parametrize("odd", ODD)
def test_no_check_is_upset_by_what_an_answer_returns(odd: str) -> None:
    for name in cards():
        found = verdict(name, lambda *_: ODD[odd])
        assert found.status == "wrong" or (name, odd) == ("01.3", "True"), found
        assert found.message
