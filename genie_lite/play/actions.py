"""What each latent action does, as arrows: for the labels of buttons and for the keys.

Nobody says what a latent action means. What it does is measured by `genie_lite.evaluation.describe_actions`: the
median motion of the hero, or of the robot's arm, over the transitions to which the latent action model gave this code.
A world keeps the result in its card. Motions are in pixels per frame, dx to the right and dy downwards.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STILL = 0.35  # pixels per frame below which a typical motion counts as standing still
MAX_BYTES = 1_000_000  # of a file of action descriptions
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

    def sentence(self, who: str) -> str:
        """For a tooltip. who: what moves, such as "hero" or "arm"."""
        share = "" if self.share is None else f"; {self.share:.0%} of all transitions"
        return f"the {who} typically moves {self.dx:+.1f} px across, {self.dy:+.1f} px down a frame{share}"


def card_labels(genie: Any) -> list[ActionLabel] | None:
    """The labels in a world's card; None where it has none.

    A card is data from somebody else: it may hold the labels but not name a file. ValueError says what is wrong.
    """
    card = getattr(genie, "card", {})
    actions = card.get("actions") if isinstance(card, Mapping) else None
    if isinstance(actions, (str, Path)):
        raise ValueError(
            f"card.json, actions: found the text {str(actions)[:80]!r}, wanted dx and dy for each latent action; "
            "a card cannot name a file: pass actions=PATH if you trust it"
        )
    return read_labels(actions, genie.num_latent_actions)


def read_labels(source: Any, num_latent_actions: int) -> list[ActionLabel] | None:
    """Labels from what `describe_actions` returned, from its JSON, or from the path of that file.

    source: a path; a list with dx, dy and optionally share for each action; a mapping from these names to lists;
    either of them under the key "actions"; or None. Raises ValueError unless there is one for each latent action.
    """
    if source is None:
        return None
    if isinstance(source, (str, Path)):
        source = _read(Path(source))
    if isinstance(source, Mapping) and "actions" in source:
        source = source["actions"]
    found = [_label(row) for row in _rows(source)]
    if len(found) != num_latent_actions:
        raise ValueError(
            f"action descriptions: found {len(found)}, wanted {num_latent_actions}, one for each latent action; "
            "describe this world's actions again, or pass actions=None for plain numbers"
        )
    return found


def _read(path: Path) -> Any:
    try:
        if not path.is_file():
            raise OSError("not a plain file")
        if path.stat().st_size > MAX_BYTES:
            raise OSError(f"{path.stat().st_size:,} bytes, wanted {MAX_BYTES:,} at most")
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"action descriptions {path}: cannot be read ({error}); "
            "write the file again from describe_actions, or pass actions=None for plain numbers"
        ) from error


def _rows(source: Any) -> list[Any]:
    names = ("dx", "dy", "share")
    if isinstance(source, Mapping) and "dx" in source:
        columns = {name: source[name] for name in names if source.get(name) is not None}
        try:
            return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        except (TypeError, ValueError) as error:
            raise ValueError(f"action descriptions: dx, dy and share must be lists of one length ({error})") from error
    entries: Any = source.values() if isinstance(source, Mapping) else source
    if isinstance(entries, (str, bytes)) or not isinstance(entries, Iterable):
        raise ValueError(
            f"action descriptions: found {type(source).__name__}, wanted a list, one entry for each action"
        )
    return list(entries)


def _label(entry: Any) -> ActionLabel:
    get: Any = entry.get if isinstance(entry, Mapping) else lambda name: getattr(entry, name, None)
    dx, dy, share = (get(name) for name in ("dx", "dy", "share"))
    label = None
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        label = ActionLabel(float(dx), float(dy), None if share is None else float(share))
    if label is None or not math.isfinite(label.speed) or not (label.share is None or 0 <= label.share <= 1):
        shown = repr(entry)[:120]
        raise ValueError(
            f"action descriptions: found {shown}, wanted dx and dy in pixels per frame, and share from 0 to 1 if given"
        )
    return label
