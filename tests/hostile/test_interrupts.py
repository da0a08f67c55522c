"""A handful of interrupts for everything that writes; `make hostile` makes more than a hundred."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import interrupts
from hostile.interrupts import interrupt
from hostile.works import Work, digests, works

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork: not on Windows")
COUNT = int(os.environ.get("GENIE_LITE_INTERRUPTS", "2"))
CHOSEN = ("collect", "train tokenizer, states often", "train dynamics, states in the end", "save", "play, in a session")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> list[Work]:
    return works(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("name", CHOSEN)
def test_what_is_interrupted_goes_on_and_ends_as_if_nothing_had_been(base, tmp_path: Path, name: str) -> None:
    (work,) = [work for work in base if work.name == name]
    found = interrupt(work, COUNT, CHOSEN.index(name), tmp_path)
    assert found.interrupts == COUNT and not found.faults, "\n".join(found.faults)


# -------------------------------------------------------------------------------------------- what would be missed


class Careless(Work):
    """Appends line by line, and leaves a file of its own while it does."""

    name = "careless"

    def do(self, folder: Path) -> None:
        (folder / f"draft-{os.getpid()}").touch()
        for number in range(40):
            with (folder / "log").open("a") as file:
                file.write(f"{number}\n")
            time.sleep(0.02)
        (folder / f"draft-{os.getpid()}").unlink()

    def result(self, folder: Path) -> dict[str, str]:
        return digests(folder)


class Whole(Careless):
    def do(self, folder: Path) -> None:
        time.sleep(0.3)
        (folder / "log").write_text("all")


@pytest.fixture
def always_early(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every interrupt comes at a third of the undisturbed time."""
    real = interrupts.undisturbed

    def shorter(work: Work, folder: Path) -> tuple[dict[str, str], float, set[str]]:
        result, seconds, names = real(work, folder)
        return result, seconds / 3, names

    monkeypatch.setattr(interrupts, "undisturbed", shorter)
    yield


def test_other_results_and_what_is_left_behind_are_found(always_early, tmp_path: Path) -> None:
    faults = interrupt(Careless(tmp_path), 4, 0, tmp_path).faults
    assert any("other results than undisturbed" in fault and "'log'" in fault for fault in faults)
    assert any("left behind: ['draft-" in fault for fault in faults)


def test_work_that_is_whole_has_no_fault(always_early, tmp_path: Path) -> None:
    found = interrupt(Whole(tmp_path), 4, 0, tmp_path)
    assert (found.interrupts, found.in_the_middle, found.faults) == (4, 4, [])
