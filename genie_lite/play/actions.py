"""What each latent action does, as arrows: for the labels of buttons and for the arrow keys.

Nobody tells what a latent action means. What it does is measured by `genie_lite.evaluation.describe_actions`: the
median motion of the player over the transitions that the latent action model gave this code. A world keeps the result
in its card, or in an `actions.json` beside its weights. Motions are in pixels per frame, dx to the right and dy
downwards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

ARROWS = {"left": (-1.0, 0.0), "up": (0.0, -1.0), "right": (1.0, 0.0), "down": (0.0, 1.0)}
KEY_GLYPHS = {"left": "←", "up": "↑", "right": "→", "down": "↓"}
STILL = 0.35  # pixels per frame below which a typical motion counts as standing still
_ROSE = "→↘↓↙←↖↑↗"  # clockwise from the right, as angles grow when y points down


@dataclass(frozen=True)
class ActionLabel:
    """The typical motion that one latent action causes, in pixels per frame, and its share of all transitions."""

    dx: float
    dy: float
    share: float | None = None

    @property
    def speed(self) -> float:
        """Length of the typical motion, pixels per frame."""
        return math.hypot(self.dx, self.dy)

    @property
    def glyph(self) -> str:
        """An arrow in the nearest of eight directions, or a dot for standing still."""
        if self.speed < STILL:
            return "•"
        return _ROSE[round(math.atan2(self.dy, self.dx) / (math.pi / 4)) % 8]

    @property
    def text(self) -> str:
        """For instance ``3.1 px``; ``still`` for hardly any motion."""
        return "still" if self.speed < STILL else f"{self.speed:.1f} px"

    @property
    def sentence(self) -> str:
        """For a tooltip."""
        share = "" if self.share is None else f"; {self.share:.0%} of all transitions"
        return f"typical motion {self.dx:+.1f} px across, {self.dy:+.1f} px down{share}"


def read_labels(source: Any, num_latent_actions: int) -> list[ActionLabel] | None:
    """Labels from what `describe_actions` returned, from its JSON, or from the path of that file.

    source: a path; a list with dx, dy and perhaps share for each action; a mapping of these names to lists; either
    of them under the key "actions"; or None. Raises ValueError unless there is one for each latent action.
    """
    if source is None:
        return None
    if isinstance(source, (str, Path)):
        try:
            source = json.loads(Path(source).read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(
                f"action descriptions {source}: cannot be read ({error}); "
                "write the file again from describe_actions, or pass actions=None for plain numbers"
            ) from error
    if isinstance(source, Mapping) and "actions" in source:
        source = source["actions"]
    rows = _rows(source)
    found = [
        ActionLabel(float(row["dx"]), float(row["dy"]), None if row.get("share") is None else float(row["share"]))
        for row in rows
    ]
    if len(found) != num_latent_actions:
        raise ValueError(
            f"action descriptions: found {len(found)}, wanted {num_latent_actions}, one for each latent action; "
            "describe this world's actions, or pass actions=None for plain numbers"
        )
    return found


def _rows(source: Any) -> list[dict[str, Any]]:
    names = ("dx", "dy", "share")
    if isinstance(source, Mapping) and "dx" in source:
        columns = {name: list(source[name]) for name in names if source.get(name) is not None}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    entries: Iterable[Any] = source.values() if isinstance(source, Mapping) else source
    rows = []
    for entry in entries:
        row = entry if isinstance(entry, Mapping) else {n: getattr(entry, n) for n in names if hasattr(entry, n)}
        if "dx" not in row or "dy" not in row:
            raise ValueError(f"action descriptions: found {entry!r}, wanted dx and dy in pixels per frame")
        rows.append(dict(row))
    return rows


def by_direction(labels: list[ActionLabel]) -> list[list[int]]:
    """Latent actions as their buttons stand when there are many: those that go up, level and down, left to right."""
    rows: dict[str, list[int]] = {"↖↑↗": [], "←•→": [], "↙↓↘": []}
    for action in sorted(range(len(labels)), key=lambda action: labels[action].dx):
        next(row for glyphs, row in rows.items() if labels[action].glyph in glyphs).append(action)
    return [row for row in rows.values() if row]


def arrow_keys(labels: list[ActionLabel] | None, num_latent_actions: int) -> dict[str, int]:
    """Which latent action each arrow key takes: the one whose typical motion goes furthest that way, and straight.

    Motion aside counts half against it. No action gets two keys. A key for which no action moves its way (within 60
    degrees) is left out. Without labels left, up, right and down take the actions 0, 1, 2, 3 as far as there are any.
    """
    if labels is None:
        return dict(zip(ARROWS, range(num_latent_actions), strict=False))
    reach = {  # pixels along the key's direction less half of those aside, for the actions that move its way
        key: {
            action: along - abs(d.dx * y - d.dy * x) / 2
            for action, d in enumerate(labels)
            if d.speed >= STILL and (along := d.dx * x + d.dy * y) > 0.5 * d.speed
        }
        for key, (x, y) in ARROWS.items()
    }
    best: dict[str, int] = {}
    best_total = 0.0
    for order in permutations(ARROWS):  # the key served first takes its best action; try every order
        taken: dict[str, int] = {}
        for key in order:
            free = {action: along for action, along in reach[key].items() if action not in taken.values()}
            if free:
                taken[key] = max(free, key=lambda action: free[action])
        total = sum(reach[key][action] for key, action in taken.items())
        if total > best_total + 1e-9:
            best, best_total = taken, total
    return best
