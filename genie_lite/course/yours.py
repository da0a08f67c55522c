"""What a learner wrote takes the package's place when a stage is trained, once it has passed its check.

The parts of notebook 03 are in parts/nb03.py: for each exercise a function that puts an answer into a built model. The
models themselves know nothing of this, and a checkpoint holds the same weights either way.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from genie_lite.course.cards import card
from genie_lite.course.checking import CourseError, verdict
from genie_lite.course.notes import say

Answer = Callable[..., Any]
Put = Callable[[Any, Answer], None]

_parts: dict[str, Put] = {}
WHOSE = {
    "right": "**yours**",
    "wrong": "**the package's**, since yours has not passed its check",
    "unanswered": "**the package's**, since yours is not written yet",
}


def part(name: str) -> Callable[[Put], Put]:
    """Register the decorated function, which puts an answer to exercise `name` into a model."""

    def register(put: Put) -> Put:
        _parts[name] = put
        return put

    return register


def replace_method(module: nn.Module, name: str, function: Callable[..., Any]) -> None:
    """Give one module, not its class, another method: `function(module, ...)`."""
    if not callable(getattr(module, name)):
        raise TypeError(f"{type(module).__name__}.{name} is no method")
    setattr(module, name, types.MethodType(function, module))  # bound, so that a deep copy of the module gets its own


@dataclass(frozen=True)
class Yours:
    """The answers of a learner that passed their checks, by the names of their exercises.

    Called with a model, a world or a set of measures, it puts them in the place of the package's code; as `prepare` of
    a training stage, it has the stage trained with them.
    """

    answers: Mapping[str, Answer]

    def __call__(self, model: Any) -> None:
        for name, answer in self.answers.items():
            _put(name)(model, answer)

    @property
    def suffix(self) -> str:
        """What the name of a run folder ends in: "-with-03.2-03.4"; nothing where all is the package's."""
        return "".join(["-with", *(f"-{name}" for name in self.answers)]) if self.answers else ""


def use(answers: Mapping[str, Any]) -> Yours:
    """Check answers, given by exercise: {"03.2": nearest_code}; say in one line which of them a stage will use.

    An answer that is not written, or does not pass, is left out, and the package's code stays in its place. CourseError
    for an exercise that is no part of a stage.
    """
    found: dict[str, list[str]] = {status: [] for status in WHOSE}
    for name, answer in answers.items():
        _put(name)
        found[verdict(name, answer).status].append(name)
    groups = [(WHOSE[status], names) for status, names in found.items() if names]
    line = "Used here · " + " · ".join(f"{whose}: {', '.join(map(_titled, names))}" for whose, names in groups)
    say(line, line.replace("**", ""))
    return Yours({name: answers[name] for name in found["right"]})


def _titled(name: str) -> str:
    """Title and name of an exercise, as they stand within a sentence: "the nearest code (03.2)"."""
    title = card(name).title
    first = title.split()[0]
    if len(first) == 1 or first[1:].islower():  # a word; PSNR and ΔtPSNR keep their capitals
        title = title[0].lower() + title[1:]
    return f"{title} ({name})"


def _put(name: str) -> Put:
    card(name)  # names the exercises that there are
    module = f"genie_lite.course.parts.nb{name.split('.')[0]}"
    if importlib.util.find_spec(module):
        importlib.import_module(module)
    if name not in _parts:
        raise CourseError(f"exercise {name!r}: its answer is no part of a stage; those that are: {', '.join(_parts)}")
    return _parts[name]
