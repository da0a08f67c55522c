"""Presets, YAML files and dictionaries of settings: read, checked, and written back."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydantic
import yaml
from pydantic_core import PydanticSerializationError, to_json

from genie_lite.config.errors import ConfigError, did_you_mean, explain
from genie_lite.config.schema import Config

PRESETS = Path(__file__).parent / "presets"
# Limits of a YAML file, its aliases followed: a few nested aliases can stand for billions of values.
MAX_VALUES, MAX_DEPTH = 10_000, 50
CONFIG = pydantic.TypeAdapter(Config)


class _Loader(yaml.SafeLoader):
    """YAML as PyYAML reads it, except that 3e-4 is a number, as in JSON, Python and YAML 1.2."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d[\d_]*(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def presets() -> list[str]:
    """Names of the presets that ship, e.g. ``['gpu', 'laptop', ..., 'scaling/41m', ..., 'tiny']``."""
    return sorted(path.relative_to(PRESETS).with_suffix("").as_posix() for path in PRESETS.rglob("*.yaml"))


def load_config(preset: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a preset by name, or a YAML file by path.

    `overrides` maps dotted keys to values, ``{"training.tokenizer.steps": 20}``, and wins over the file.
    Raises ConfigError for an unknown preset or key, a value that does not fit, or settings that exclude each other.
    """
    path = Path(preset) if str(preset).endswith((".yaml", ".yml")) else PRESETS / f"{preset}.yaml"
    if not os.path.isfile(path):  # False, too, for what can be no path
        names = presets()
        raise ConfigError(
            f"preset {str(preset)!r}: not found; {did_you_mean(str(preset), names)}"
            f"presets are {', '.join(names)}, or give the path of a .yaml file"
        )
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not valid YAML ({error}); fix the file or load another preset") from error
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{path}: found {type(tree).__name__}, wanted a mapping of settings")
    tree = {"name": path.stem if path.parent != PRESETS / "scaling" else f"scaling/{path.stem}"} | (tree or {})
    tree = json.loads(_to_json(tree))  # groups that share an anchor become groups of their own
    for key, value in (overrides or {}).items():
        _assign(tree, key, value)
    return config_from_dict(tree)


def parse_yaml(text: str) -> Any:
    """The value of a YAML document; ValueError where it is not valid, or too large or too deep for settings."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _check_size(node)
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (AttributeError, LookupError, TypeError) as error:  # raised by PyYAML where a tag does not fit its value
        raise ValueError(f"a tag that does not fit its value ({error})") from error


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """Overrides for `load_config` from texts such as ``"training.genie.max_lr=3e-4"``, their values read as YAML."""
    overrides = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ConfigError(f"found {text!r}, wanted key=value, for instance training.tokenizer.steps=20")
        try:
            overrides[key] = parse_yaml(value)
        except ValueError as error:
            raise ConfigError(f"{key}: found {value!r}, wanted a YAML value") from error
    return overrides


def config_from_dict(tree: dict[str, Any]) -> Config:
    """Settings from plain dictionaries, what is missing at its default; ConfigError names whatever is wrong."""
    if isinstance(tree, dict):
        # Some groups have defaults of their own: latent_action.codebook has 6 codes where CodebookConfig() has 1024.
        tree = _merge(config_to_dict(Config()), tree)
    try:
        return CONFIG.validate_json(_to_json(tree))
    except pydantic.ValidationError as error:
        raise explain(error, Config) from None


def config_to_dict(config: Any) -> dict[str, Any]:
    """The inverse of `config_from_dict`: plain dictionaries, lists, numbers and strings, fit for JSON."""
    tree: dict[str, Any] = json.loads(_to_json(dataclasses.asdict(config)))
    return tree


def _to_json(tree: Any) -> bytes:
    try:
        return to_json(tree, inf_nan_mode="constants", fallback=repr)
    except PydanticSerializationError as error:
        raise ConfigError(f"settings: found values that are not plain ({error})") from None


def _check_size(root: yaml.Node | None) -> None:
    values, ahead = 0, [(root, 0)]
    while ahead:
        node, depth = ahead.pop()
        values += 1
        if values > MAX_VALUES or depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_VALUES:,} values or {MAX_DEPTH} levels, aliases followed")
        if isinstance(node, yaml.CollectionNode):
            parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
            ahead += [(part, depth + 1) for part in parts]


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key, making the groups on the way."""
    *parents, last = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{key}: {parent!r} holds a value, not further settings")
    tree[last] = value
