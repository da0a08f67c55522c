"""Whatever comes in from outside is used or refused as documented, soon, in its place, and in little memory.

Time-boxed: a few seconds for each border, or as many as the environment variable GENIE_LITE_HOSTILE_SECONDS says.
`make hostile` throws thousands. A failure names the border and the number of an input, from which alone it is made:
`PYTHONPATH=.:tests .venv/bin/python -m hostile --only BORDER --first NUMBER --inputs 1` throws it again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hostile import harness
from hostile.borders import BORDERS
from hostile.harness import MEMORY, Border, peak_memory, throw

SECONDS = float(os.environ.get("GENIE_LITE_HOSTILE_SECONDS", "2.5"))


def numbers() -> Iterator[int]:
    """0, 1, 2, ... until the time is over."""
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        yield number
        number += 1


@pytest.mark.parametrize("border", BORDERS, ids=lambda border: border.name)
def test_hostile_inputs_are_used_or_refused(border: type[Border], tmp_path: Path) -> None:
    before = peak_memory()
    tally = throw(border, numbers(), tmp_path)
    print(f"{border.name}: {tally.inputs} inputs, {tally.refused} refused, {tally.accepted} accepted")
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.inputs, "no input within the time"
    assert peak_memory() - before < MEMORY


def test_every_input_is_made_from_its_number_alone(tmp_path: Path) -> None:
    """Refused and accepted alike in another order."""
    kinds = [border for border in BORDERS if border.name in ("settings", "pictures", "sessions")]
    for border in kinds:
        forwards = [throw(border, [number], tmp_path / f"{border.name}-{number}") for number in range(12)]
        backwards = [throw(border, [number], tmp_path / f"{border.name}-{number}-again") for number in range(12)[::-1]]
        assert [(t.accepted, t.refused) for t in forwards] == [(t.accepted, t.refused) for t in backwards[::-1]]


# -------------------------------------------------------------------------------------------- what would be missed


class OwnError(ValueError):
    """Documented, and of this module."""


def fail(error: Exception) -> Callable[[Path], object]:
    def action(folder: Path) -> object:
        raise error

    return action


def wait(folder: Path) -> None:
    time.sleep(60)


def compute(folder: Path) -> None:
    while True:
        pass


def compute_and_swallow(folder: Path) -> None:
    with contextlib.suppress(TimeoutError):
        compute(folder)


def border_that(action: Callable[[Path], object], *documented: type[Exception]) -> type[Border]:
    class Pretended(Border):
        name = "pretended"
        refusals = documented or (ValueError,)

        def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
            yield lambda: action(folder)

    return Pretended


def through_a_link(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "mine")
    (folder / "link").write_text("theirs")


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        (fail(KeyError("step")), "KeyError"),
        (fail(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")), "UnicodeDecodeError"),
        (fail(ValueError()), "an error that says nothing"),
        (wait, "or waited for over"),
        (compute, "computed for over"),
        (compute_and_swallow, "seconds of computing"),
        (lambda folder: (folder.parent / "mine").write_text("theirs"), "wrote outside its folder"),
        (lambda folder: (folder / ".." / "more").mkdir(), "wrote outside its folder"),
        (through_a_link, "wrote outside its folder"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action, fault: str) -> None:
    monkeypatch.setattr(harness, "LONGEST", 0.2)
    monkeypatch.setattr(harness, "WAIT", 0.3 if action is wait else 60)
    assert fault in "".join(throw(border_that(action), [0], tmp_path).faults)


def test_what_is_documented_is_no_fault(tmp_path: Path) -> None:
    for number, (error, documented) in enumerate(
        [(OwnError("x: wrong"), OwnError), (ValueError("x: wrong"), ValueError), (PermissionError("x"), OSError)]
    ):
        tally = throw(border_that(fail(error), documented), range(3), tmp_path / str(number))
        assert (tally.inputs, tally.refused, tally.faults) == (3, 3, [])
    tally = throw(border_that(lambda folder: (folder / "mine").write_text("fine")), range(3), tmp_path / "fine")
    assert (tally.accepted, tally.faults) == (3, [])


def test_the_alarms_are_as_before(tmp_path: Path) -> None:
    before = [signal.getsignal(signum) for signum in (signal.SIGALRM, signal.SIGPROF)]
    throw(border_that(lambda folder: None), [0], tmp_path)
    assert [signal.getsignal(signum) for signum in (signal.SIGALRM, signal.SIGPROF)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == signal.getitimer(signal.ITIMER_PROF) == (0, 0)
