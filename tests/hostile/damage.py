"""Ways to damage what is sound, each drawn from a generator of random numbers."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np

VALUES = (
    None, True, False, 0, -1, 1, 2, 3, 7, 2**31, 2**63, 2**64, 10**30, 0.5, 1.5, -0.1, 1e-300, 1e300,
    float("nan"), float("inf"), -float("inf"), "", "x", "0", "1e3", "auto", "laptop", "|O", "<f8", "<U9", "../..",
    "/dev/zero", "a\0b", "\ud800", "é", "a" * 10_000, [], [0], [-1], [1, 2, 3], [None, None], [2**60] * 4, [[[[[]]]]],
    [150, 64, 64, 2**30], {}, {"id": "pickle"}, {"id": "blosc"}, [{"id": "pickle"}], {"id": "blosc", "cname": 3},
    {"dx": 1, "dy": 2}, {"": None}, {"a": {"b": {"c": []}}},
)  # fmt: skip


def value(rng: np.random.Generator) -> Any:
    """Anything that JSON, YAML or Python can say."""
    kind = rng.random()
    if kind < 0.1:
        return int(rng.integers(-5, 200))
    if kind < 0.15:
        return float(rng.normal() * 10.0 ** rng.integers(-3, 4))
    return copy.deepcopy(VALUES[rng.integers(len(VALUES))])


def damaged_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Bits flipped, bytes changed, left out, put in or repeated, or an end cut off; often near the beginning."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            return bytes(data)
        at = int(rng.integers(len(data) if rng.random() < 0.5 else min(len(data), 64)))
        length = int(rng.integers(1, 200))
        match rng.integers(7):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = rng.bytes(length)
            case 4:
                data[at : at + 4] = int(rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1])).to_bytes(4, "little")
            case 5:
                data[at:at] = data[at : at + length]
            case _:
                if rng.random() < 0.3:
                    del data[at:]
    return bytes(data)


def damaged_tree(tree: Any, rng: np.random.Generator) -> Any:
    """JSON with one value changed, or one key left out or renamed; now and then something else altogether."""
    if rng.random() < 0.05:
        return value(rng)
    target = tree
    while isinstance(target, (dict, list)) and len(target):
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        key = keys[rng.integers(len(keys))]
        if not isinstance(target[key], (dict, list)) or rng.random() < 0.4:
            if isinstance(target, dict) and rng.random() < 0.2:
                kept = target.pop(key)
                if rng.random() < 0.5:
                    target[str(key) + "x"] = kept
            else:
                target[key] = value(rng)
            break
        target = target[key]
    return tree


def replace_by_another_thing(file: Path, rng: np.random.Generator, elsewhere: Path) -> None:
    """A folder, a pipe or a link where a file was, or nothing."""
    file.unlink()
    match rng.integers(6):
        case 0:
            file.mkdir()
        case 1 if hasattr(os, "mkfifo"):
            os.mkfifo(file)
        case kind if kind > 1:
            file.symlink_to(["/dev/zero", str(file.parent), "nowhere", str(elsewhere)][kind - 2])
