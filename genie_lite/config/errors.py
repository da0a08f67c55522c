"""Errors in settings, each in one line: the key, the value found, and what would be right."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

import pydantic.dataclasses

T = TypeVar("T")

# What pydantic calls an error, in the words of a preset's author; {} are the values that pydantic reports with it.
WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "literal_error": "{expected}",
    "tuple_type": "a list of 2 values",
    "missing": "a list of 2 values",
    "too_long": "a list of 2 values",
    "dataclass_type": "a mapping of settings",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
}


STRICT = pydantic.ConfigDict(strict=True, extra="forbid")


class ConfigError(ValueError):
    """A setting that cannot be used. The message names its key, the value found, and what would be right."""


def checked(kind: type[T]) -> type[T]:
    """Class decorator: pydantic checks the fields of a frozen dataclass against their types, strictly.

    Making one, by its constructor or by `dataclasses.replace`, raises ConfigError where a value does not fit.
    """
    made: Any = pydantic.dataclasses.dataclass(kind, frozen=True, kw_only=True, config=STRICT)
    init = made.__init__

    @functools.wraps(init)
    def explained(self: Any, *values: Any, **named: Any) -> None:
        try:
            init(self, *values, **named)
        except pydantic.ValidationError as error:
            raise explain(error, made) from None

    made.__init__, made.__doc__ = explained, kind.__doc__
    return made


def require(condition: bool, key: str, found: Any, wanted: str) -> None:
    """Raise ConfigError for `key` unless the condition holds."""
    if not condition:
        raise ConfigError(_mismatch(key, found, wanted))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'laptop'? ``, or nothing where no known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}? " if close else ""


def explain(error: pydantic.ValidationError, kind: type = object) -> ConfigError:
    """One ConfigError, in one line, for everything that pydantic found wrong (in settings of class `kind`)."""
    return ConfigError("; ".join(_explain(problem, kind) for problem in error.errors()))


def _explain(problem: Any, kind: Any) -> str:
    place, what, context = problem["loc"], problem["type"], problem.get("ctx", {})
    if what == "value_error":  # raised by a __post_init__, whose keys begin at its own group
        return ".".join((*place, str(context["error"])))
    if what == "unexpected_keyword_argument":
        *groups, unknown = place
        for group in groups:
            kind = typing.get_type_hints(kind)[group]
        keys = [field.name for field in dataclasses.fields(kind)]
        return f"{'.'.join(place)}: unknown key; {did_you_mean(unknown, keys)}keys here are {', '.join(keys)}"
    if what == "missing":  # the second value of a pair
        place = place[:-1]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    limits = {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in context.items()}
    wanted = WANTED[what].format(**limits) if what in WANTED else problem["msg"]
    return _mismatch(key or "config", problem["input"], wanted)


def _mismatch(key: str, found: Any, wanted: str) -> str:
    text = repr(found)
    return f"{key}: found {text if len(text) <= 100 else text[:97] + '...'}, wanted {wanted}"
