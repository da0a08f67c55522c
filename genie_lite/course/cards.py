"""The card of an exercise: title, difficulty, minutes, why it matters, and hints that get more specific.

The cards of notebook 05 are in exercises/nb05.yaml; the notebook's text repeats their first lines, and a test holds the
two together.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from genie_lite.course.checking import CourseError
from genie_lite.course.notes import say

FOLDER = Path(__file__).parent / "exercises"
_given: dict[str, int] = {}  # hints given so far


@dataclass(frozen=True)
class Card:
    """What a learner reads before an exercise, and the hints: first a question, then a shape, then a line of code."""

    name: str
    title: str
    difficulty: int  # 1, 2 or 3
    minutes: int
    why: str
    hints: tuple[str, ...]
    used: str = ""  # where what passes is used; empty: it is checked only

    @property
    def dots(self) -> str:
        """The difficulty as ●○○, ●●○ or ●●●."""
        return "●" * self.difficulty + "○" * (3 - self.difficulty)


def card(name: str) -> Card:
    """The card of exercise `name`, such as "05.1"; CourseError when there is none."""
    known = cards()
    if name not in known:
        raise CourseError(f"exercise {name!r}: no such exercise; expected one of {', '.join(known)}")
    return known[name]


@functools.cache
def cards() -> dict[str, Card]:
    """All cards by the names of their exercises."""
    found: dict[str, Card] = {}
    for path in sorted(FOLDER.glob("nb*.yaml")):
        for name, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            entry["hints"] = tuple(entry["hints"])
            found[name] = Card(name=name, **entry)
    return found


def hint(name: str, number: int | None = None) -> None:
    """Show the next hint for exercise `name`, or hint `number` (from 1).

    Each call goes one step further; after the last hint it repeats that one and points to the solution.
    """
    hints = card(name).hints
    if number is not None and not 1 <= number <= len(hints):
        raise CourseError(f"hint of {name}: found number {number}, expected 1 to {len(hints)}")
    step = number or min(_given.get(name, 0) + 1, len(hints))
    _given[name] = step
    if step < len(hints):
        after = f"Run `course.hint({name!r})` again for the next hint."
    else:
        after = f"That was the last hint; `course.show_solution({name!r})` shows the solution."
    text = f"**Hint {step} of {len(hints)} for {name}:** {hints[step - 1]}\n\n{after}"
    say(text, re.sub(r"\*+", "", text))
