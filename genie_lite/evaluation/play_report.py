"""The outcome of a play test: a table, curves press by press, filmstrips."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genie_lite.evaluation.bootstrap import EvaluationError, Interval
from genie_lite.files import whole_file

COLUMNS = 13  # frames in a row of a filmstrip


@dataclass(frozen=True, repr=False)
class PlayTest:
    """What a play test found.

    `table` maps a measure to an interval for each of those compared: "world", "game" and, for some, "keys ignored"
    (the world, playing by itself), "game, coded" (real frames through the tokenizer) and "frozen prompts". Distances
    are from real frames under the same script from other moments: that of the game is what chance does. `curves` maps
    a held key to the share of presses that move the right way, press by press, of world and game. `strips` holds
    frames of game and world in turn, uint8 [rows, T, H, W, C], for each script.
    """

    table: dict[str, dict[str, Interval]]
    curves: dict[str, dict[str, list[Interval]]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    strips: dict[str, np.ndarray] = field(default_factory=dict)

    def __getitem__(self, name: str) -> dict[str, Interval]:
        """One row of the table. EvaluationError names those there are."""
        if name not in self.table:
            raise EvaluationError(f"measure {name!r}: not in this play test, which holds {', '.join(self.table)}")
        return self.table[name]

    def __repr__(self) -> str:
        chosen = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        lines = [f"Play test ({chosen})", "", f"{'':44} {'world':>20} {'game':>20}"]
        for name, row in self.table.items():
            cells = [f"{row[who]!s:>20}" if who in row else " " * 20 for who in ("world", "game")]
            others = "  ".join(f"{who} {value.value:.2f}" for who, value in row.items() if who not in ("world", "game"))
            lines.append(f"{name:44} {' '.join(cells)}  {others}".rstrip())
        for name, curve in self.curves.items():
            presses = len(next(iter(curve.values())))
            lines += ["", f"{name}: share that moves, press" + "".join(f"{t:>5}" for t in range(1, presses + 1))]
            for who, shares in curve.items():
                lines.append(f"{who:>{len(name) + 25}}" + "".join(f"{share.value:5.2f}" for share in shares))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers; what is not a number becomes None. Filmstrips are left out."""
        return {
            "table": {name: {who: _plain(i) for who, i in row.items()} for name, row in self.table.items()},
            "curves": {
                name: {who: [_plain(i) for i in shares] for who, shares in curve.items()}
                for name, curve in self.curves.items()
            },
            "settings": self.settings,
        }

    def to_json(self, path: str | Path) -> Path:
        """Write everything but the filmstrips as JSON; returns the path."""
        path = Path(path)
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        with whole_file(path) as file:
            file.write(text.encode())
        return path

    @classmethod
    def from_json(cls, path: str | Path) -> PlayTest:
        """Read what `to_json` wrote. EvaluationError when it is something else."""
        try:
            tree = json.loads(Path(path).read_text(encoding="utf-8"))
            table = {name: {who: _interval(i) for who, i in row.items()} for name, row in tree["table"].items()}
            curves = {
                name: {who: [_interval(i) for i in shares] for who, shares in curve.items()}
                for name, curve in tree["curves"].items()
            }
            return cls(table, curves, tree["settings"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise EvaluationError(f"{path}: not a play test ({error!r}); write one with to_json") from error

    def filmstrip(self, script: str) -> np.ndarray:
        """A picture uint8 [H, W, C] of one script: time to the right, the game above the world from the same prompt."""
        if script not in self.strips:
            raise EvaluationError(f"filmstrip of {script!r}: not kept, there are those of {list(self.strips)}")
        videos = self.strips[script]
        shown = np.linspace(0, videos.shape[1] - 1, min(COLUMNS, videos.shape[1])).round().astype(int)
        frame = ((0, 0), (1, 1), (1, 1), (0, 0))  # a dark line around each picture
        rows = [np.concatenate(list(np.pad(video[shown], frame)), axis=1) for video in videos]
        gap = np.full((4, *rows[0].shape[1:]), 255, np.uint8)
        return np.concatenate([part for i in range(0, len(rows), 2) for part in (*rows[i : i + 2], gap)])

    def save_filmstrips(self, folder: str | Path) -> list[Path]:
        """Write a PNG for each script, named after it; returns their paths."""
        folder = Path(folder)
        paths = []
        for script in self.strips:
            picture = self.filmstrip(script)
            path = folder / f"{script.replace(' ', '-')}.png"
            with whole_file(path) as file:
                Image.fromarray(picture if picture.shape[-1] == 3 else picture[..., 0]).save(file, "PNG")
            paths.append(path)
        return paths

    def figure(self) -> Any:
        """The curves of held keys and the late frames' distances, as a matplotlib figure."""
        import matplotlib.pyplot as plt

        rows = [name for name in self.table if name.endswith("late frames, distance")]
        figure, axes = plt.subplots(
            1, max(len(self.curves) + bool(rows), 1), figsize=(11, 2.8), squeeze=False, layout="constrained"
        )
        for axis, (name, curve) in zip(axes[0], self.curves.items(), strict=False):
            for who, colour in (("game", "#57606a"), ("world", "#0969da")):
                value, low, high = np.array(curve[who]).T
                presses = np.arange(1, len(value) + 1)
                axis.plot(presses, value, color=colour, label=who)
                axis.fill_between(presses, low, high, color=colour, alpha=0.15)
            axis.set(title=f"{name}: share that moves", xlabel="press", xticks=presses[1::2], ylim=(-0.02, 1.02))
            axis.legend()
        if rows:
            row = self.table[rows[0]]
            value, low, high = np.array(list(row.values())).T
            axes[0, -1].barh(list(row), value, xerr=[value - low, high - value], color="#0969da", alpha=0.6)
            axes[0, -1].set(title=f"{rows[0]}")
            axes[0, -1].invert_yaxis()
        return figure


def _plain(found: Interval) -> list[float | None]:
    return [float(x) if math.isfinite(x) else None for x in found]


def _interval(values: list[float | None]) -> Interval:
    return Interval(*(math.nan if value is None else float(value) for value in values))
