"""The table and the figure of a study of agents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_lite import storage
from genie_lite.agents.expert_video import AgentError
from genie_lite.agents.study import Result
from genie_lite.data import data_folder
from genie_lite.evaluation.bootstrap import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of Student's t, two-sided 95 %, by degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
STYLE = {"latent, lists": "C0o-", "latent, pairs": "C5D-", "latent, frame": "C1s-", "labels alone": "C2^-"}
LEVEL_LINES = {"oracle": "C3", "blind": "C4", "sticky": "0.4", "uniform": "0.7"}


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean over seeds with Student's 95 % interval, which is not a number for a single seed."""
    mean, degrees = float(np.mean(values)), len(values) - 1
    if degrees < 1:
        return Interval(mean, math.nan, math.nan)
    factor = STUDENT[degrees - 1] if degrees <= len(STUDENT) else 1.96 + 2.4 / degrees
    half = factor * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def summarised(results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row for each mode, player and number of labels, over seeds.

    `solved` is the share of levels, `nats` the cross-entropy of true actions on held-out frames (None for policies that
    do not look), `behind` the share minus the oracle's with the same seeds, which played the same levels, and `ahead`
    the share minus that of blind keys.
    """
    if not results:
        raise AgentError("results: found none, wanted those of one seed or more")
    rows = []
    for mode in dict.fromkeys(result["settings"]["data"]["distribution_mode"] for result in results):
        chosen = [r for r in results if r["settings"]["data"]["distribution_mode"] == mode]
        if len({r["settings"]["seed"] for r in chosen}) < len(chosen):
            raise AgentError("results: found a seed twice, wanted each once")
        found = [{(row["player"], row["labels"]): row for row in r["rows"]} for r in chosen]
        for key in found[0]:
            shares = [seed[key]["solved"] / seed[key]["levels"] for seed in found]
            oracle, blind = (
                [seed[name, None]["solved"] / seed[name, None]["levels"] for seed in found]
                for name in ("oracle", "blind")
            )
            nats = [seed[key]["nats"] for seed in found if "nats" in seed[key]]
            rows.append(
                {
                    "mode": mode,
                    "player": key[0],
                    "labels": key[1],
                    "seeds": len(found),
                    "solved": mean_interval(shares),
                    "behind": mean_interval([a - b for a, b in zip(shares, oracle, strict=True)]),
                    "ahead": mean_interval([a - b for a, b in zip(shares, blind, strict=True)]),
                    "nats": mean_interval(nats) if nats else None,
                }
            )
    return rows


def table(results: Sequence[Result]) -> str:
    """Markdown: per cent of levels solved, minus the oracle's and minus blind keys', with intervals; nats."""
    lines = [
        "| mode | player | labels | solved, % [95 %] | minus oracle | minus blind | nats | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(summarised(results), key=lambda row: (row["mode"], -len(row["player"]), row["player"])):
        nats = "" if row["nats"] is None else f"{row['nats'].value:.3f}"
        behind = "" if row["player"] == "oracle" else percent(row["behind"], "+.0f")
        ahead = "" if row["player"] == "blind" else percent(row["ahead"], "+.0f")
        cells = (
            row["mode"], row["player"], "" if row["labels"] is None else f"{row['labels']:,}",
            percent(row["solved"], ".0f"), behind, ahead, nats, row["seeds"],
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def recorded() -> list[Result]:
    """The shipped results of `tools/agents.py`, data/agents/figure15.json."""
    path = data_folder() / "agents" / "figure15.json"
    results: list[Result] = storage.read_json(path).get("results", [])
    if not results:
        raise AgentError(f"{path}: found no results, wanted the agents.json of tools/agents.py")
    return results


def drawing(results: Sequence[Result]) -> Figure:
    """The table as figure 15 of the paper draws it, one panel a mode."""
    from matplotlib.figure import Figure

    rows = summarised(results)
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    drawn = Figure(figsize=(4.5 * len(modes) + 1.5, 3.6), layout="constrained")
    for axes, mode in zip(np.atleast_1d(drawn.subplots(1, len(modes), sharey=True)), modes, strict=True):
        here = [row for row in rows if row["mode"] == mode]
        for name, style in STYLE.items():
            line = [row for row in here if row["player"] == name]
            values = np.array([row["solved"] for row in line]) * 100
            errors = np.nan_to_num(np.abs(values[:, 1:] - values[:, :1])).T
            axes.errorbar([row["labels"] for row in line], values[:, 0], errors, fmt=style, capsize=3, label=name)
        for name, colour in LEVEL_LINES.items():
            value, low, high = next(row for row in here if row["player"] == name)["solved"]
            axes.axhline(100 * value, color=colour, ls="--", label=name)
            axes.axhspan(100 * low, 100 * high, color=colour, alpha=0.12)
        axes.set(xscale="log", xlabel="labelled samples", title=mode, ylim=(0, 100))
        numbers = sorted({row["labels"] for row in here if row["player"] in STYLE})
        axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
        axes.minorticks_off()
    drawn.axes[0].set_ylabel("levels solved, %")
    drawn.axes[-1].legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def figure(results: Sequence[Result], path: str | Path) -> Path:
    """Write `drawing(results)` to a PNG file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    drawing(results).savefig(path, dpi=120)
    return Path(path)


def percent(found: Interval, form: str) -> str:
    """A share and its interval in per cent, without the interval where there is none."""
    value, low, high = (100 * number for number in found)
    return f"{value:{form}}" if math.isnan(low) else f"{value:{form}} [{low:{form}}, {high:{form}}]"
