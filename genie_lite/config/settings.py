"""Plain trees of settings to frozen dataclasses, with errors that say what was found and what would be right."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from typing import Any, Literal


class ConfigError(ValueError):
    """A setting that cannot be used: the message names its key, the value found, and what would be right."""


def require(condition: bool, key: str, found: Any, wanted: str) -> None:
    """Raise ConfigError for `key` unless the condition holds."""
    if not condition:
        raise ConfigError(f"{key}: found {found!r}, wanted {wanted}")


def plain(value: Any) -> Any:
    """A tree of dictionaries and lists of its own: no tuples, and nothing shared."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def assign(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key of a tree, making the groups on the way."""
    *parents, last = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{key}: {parent!r} holds a value, not further settings")
    tree[last] = value


def build(kind: type, tree: Any, at: str) -> Any:
    """Make the dataclass `kind`, and those inside it, from a tree of settings; `at` is where the tree stands."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{at or 'config'}: found {tree!r}, wanted a mapping of settings")
    hints = typing.get_type_hints(kind)
    for key in tree:
        if key not in hints:
            close = difflib.get_close_matches(str(key), hints, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(f"{_join(at, key)}: unknown key; {hint}keys here are {', '.join(hints)}")
    values = {key: _convert(hints[key], value, _join(at, key)) for key, value in tree.items()}
    # A nested group starts from its parent's defaults, which may differ from the group's own.
    for spec in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[spec.name]) and spec.name in tree:
            assert spec.default_factory is not dataclasses.MISSING
            merged = _merge(dataclasses.asdict(spec.default_factory()), tree[spec.name])
            values[spec.name] = build(typing.cast(type, hints[spec.name]), plain(merged), _join(at, spec.name))
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{at}.{error}" if at else str(error)) from None


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _join(at: str, key: Any) -> str:
    return f"{at}.{key}" if at else str(key)


def _convert(hint: Any, value: Any, at: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, at)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, at)
    if origin is Literal:
        require(value in arguments, at, value, "one of " + ", ".join(map(repr, arguments)))
        return value
    if origin is tuple:
        fits = isinstance(value, (list, tuple)) and len(value) == len(arguments)
        require(fits, at, value, f"a list of {len(arguments)} values")
        return tuple(_convert(a, item, f"{at}[{i}]") for i, (a, item) in enumerate(zip(arguments, value, strict=True)))
    if hint is float and isinstance(value, str):
        try:  # YAML reads 3e-4 as a string
            return float(value)
        except ValueError:
            pass
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    fits = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    require(fits, at, value, {int: "a whole number", float: "a number", bool: "true or false"}.get(hint, "text"))
    return value
