"""Exercises: a check judges an answer and names the mistake; solutions are kept in separate modules.

The checks for notebook 01 are in checks/nb01.py, its solutions in solutions/nb01.py and its cards (difficulty, minutes,
hints) in exercises/nb01.yaml. A check is a function of the answer. It raises `Mistake`, or returns one sentence about
what the correct answer shows.
"""

from __future__ import annotations

import html
import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from genie_lite.course.notes import display, source_of

Check = Callable[[Any], "str | None"]
Status = Literal["right", "wrong", "unanswered"]

_checks: dict[str, Check] = {}
_solutions: dict[str, Solution] = {}


class CourseError(ValueError):
    """The course has no such exercise, stage or quiz; the message gives the name and the names that exist."""


class Mistake(Exception):
    """Raised by a check: one or two sentences that say what is wrong with an answer and where to look."""


class Unanswered(Exception):
    """Raised by a check when the answer is still the placeholder."""


@dataclass(frozen=True)
class Verdict:
    """What a check says about an answer."""

    exercise: str
    status: Status
    message: str

    def __repr__(self) -> str:
        mark = {"right": "✓ right", "wrong": "✗ not yet", "unanswered": "○ not answered yet"}[self.status]
        return f"{self.exercise} {mark}. {self.message}".rstrip()

    def html(self) -> str:
        """The verdict as a line of HTML with a coloured edge."""
        colour = {"right": "#1a7f37", "wrong": "#b35900", "unanswered": "#6e7781"}[self.status]
        text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(repr(self), quote=False))
        return f'<div style="border-left:4px solid {colour};padding:4px 10px">{text}</div>'


@dataclass(frozen=True)
class Solution:
    """An answer that passes its check, and the reason."""

    answer: Any
    why: str


def exercise(name: str) -> Callable[[Check], Check]:
    """Register the decorated function as the check of exercise `name`, such as "03.1"."""

    def register(check: Check) -> Check:
        _checks[name] = check
        return check

    return register


def solution(name: str, answer: Any = None, why: str = "") -> Any:
    """Register the solution of an exercise: `solution("01.2", 3.5, why="...")`, or as a decorator of a function."""
    if answer is not None:
        _solutions[name] = Solution(answer, why)
        return answer

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _solutions[name] = Solution(function, why or inspect.getdoc(function) or "")
        return function

    return register


def check(name: str, answer: Any = None) -> None:
    """Show whether `answer` solves exercise `name` and, if not, what the mistake is. A placeholder is not a mistake."""
    found = verdict(name, answer)
    display({"text/plain": repr(found), "text/html": found.html()})


def verdict(name: str, answer: Any = None) -> Verdict:
    """What `check` shows. A placeholder is None, ... (Ellipsis), or a function that returns None."""
    judge = _find("checks", _checks, name)
    try:
        if answer is None or answer is ...:
            raise Unanswered("Fill in your answer and run the cell again")
        return Verdict(name, "right", judge(answer) or "")
    except Unanswered as unanswered:
        message = f"{unanswered}. `course.hint({name!r})` gives a hint, `course.show_solution({name!r})` the solution."
        return Verdict(name, "unanswered", message)
    except Mistake as mistake:
        return Verdict(name, "wrong", str(mistake))


def call(function: Any, *arguments: Any, **named: Any) -> Any:
    """Call a learner's function in a check. An exception becomes a Mistake; None means it is not written yet."""
    if not callable(function):
        raise Mistake(f"The answer is {_kind(function)}; expected the function itself. Pass it without calling it.")
    try:
        result = function(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - a learner's function may raise anything, and the learner is told
        line = _raised_at(error)
        raise Mistake(f"Your function raised {type(error).__name__}: {error}{line}") from error
    if result is None:
        raise Unanswered("The function returns None (if you have written it: is there a `return`?)")
    return result


def numbers(value: Any, of_what: str) -> np.ndarray:
    """The answer as an array of floats, from a list, an array or a tensor; a Mistake when it is none."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        if np.asarray(value).dtype.kind not in "US":  # "1.5" is a text, though NumPy would read it
            return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        pass
    raise Mistake(f"Found {_kind(value)}; expected numbers, {of_what}.")


def one_number(value: Any, of_what: str) -> float:
    """The answer as a float; a Mistake when it is not a single number."""
    found = numbers(value, of_what)
    if found.size != 1:
        raise Mistake(f"The answer has shape {list(found.shape)}; expected a single number, {of_what}.")
    if not np.isfinite(found).all():
        raise Mistake(f"The answer is {found.item()}; expected {of_what}. Was something divided by zero?")
    return found.item()


def yes_or_no(value: Any) -> bool:
    """The answer as a bool, as `if` would read it; a Mistake for an array, which has no one truth."""
    if hasattr(value, "shape") and np.size(value) != 1:
        raise Mistake(f"Found {_kind(value)}; expected True or False.")
    return bool(value)


def imprecise(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether `found` is the right result up to rounding that float32 would not make, such as that of float16."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    scale = np.maximum(np.abs(expected), 1e-9)
    return found.shape == expected.shape and bool((np.abs(found - expected) / scale < 5e-3).all())


IMPRECISE = (
    "The formula looks right, but the result is off in the third or fourth digit: float16 keeps only about three "
    "digits. Use float32 or float64."
)


def show_solution(name: str) -> None:
    """Show a solution of exercise `name` and the reason behind it."""
    found = get_solution(name)
    code = source_of(found.answer, start="def ")[0] if inspect.isfunction(found.answer) else repr(found.answer)
    display({"text/plain": f"{code}\n\n{found.why}", "text/markdown": f"```python\n{code}\n```\n{found.why}"})


def get_solution(name: str) -> Solution:
    """The solution of an exercise; CourseError when there is no such exercise."""
    return _find("solutions", _solutions, name)


def _find(subpackage: str, registered: dict[str, Any], name: str) -> Any:
    module = f"genie_lite.course.{subpackage}.nb{str(name).split('.')[0]}"
    if re.fullmatch(r"\d\d\.\d", str(name)) and importlib.util.find_spec(module):
        importlib.import_module(module)
    if name not in registered:
        known = ", ".join(sorted(registered)) or "01.1, 01.2, ..."
        raise CourseError(f"exercise {name!r}: no such exercise; expected a name such as {known}")
    return registered[name]


def _kind(answer: Any) -> str:
    shape = getattr(answer, "shape", None)
    return f"{type(answer).__name__} of shape {list(shape)}" if shape is not None else repr(answer)[:60]


def _raised_at(error: Exception) -> str:
    trace = error.__traceback__
    trace = trace.tb_next if trace is not None else None
    return f" (line {trace.tb_lineno} of its cell)" if trace is not None else ""
