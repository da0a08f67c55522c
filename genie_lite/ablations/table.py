"""The results of an ablation as a table, and each claim of the paper's tables beside the numbers found here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from genie_lite.ablations.variants import VARIANTS

# Tables 2 and 3: variant, dataset, parameters, memory, FVD (lower is better), ΔtPSNR (higher is better).
PAPER: dict[str, list[tuple[str, str, str, str, float, float]]] = {
    "latent-action": [
        ("tokens", "Platformers", "2.3B", "", 38.8, 1.33),
        ("pixels", "Platformers", "2.5B", "", 40.1, 1.91),
        ("tokens", "Robotics", "1B", "", 257.8, 1.65),
        ("pixels", "Robotics", "1B", "", 136.4, 2.07),
    ],
    "tokenizer": [
        ("space", "Platformers", "230M", "0.3 GB", 114.5, 1.39),
        ("full", "Platformers", "225M", "1.6 GB", 272.7, 1.37),
        ("st", "Platformers", "205M", "0.9 GB", 81.4, 1.66),
    ],
}
# Heading, key of a result (or name of a metric in its report), decimals.
WORLD_COLUMNS = [
    ("CoinRun video distance", "coinrun_distance", 2),
    ("FVD", "fvd", 1),
    ("rollout at t = 4 (dB)", "rollout_psnr", 2),
    ("ΔtPSNR, t = 4 (dB)", "delta_psnr", 2),
]
CODE_COLUMNS = [
    ("rarest code", "action_least_share", 3),
    ("code tells left/still/right", "motion_left_right_accuracy", 2),
    ("code tells up/still/down", "motion_up_down_accuracy", 2),
]
LATENT_ACTION_COLUMNS = [
    ("parameters", "parameters", 0),
    ("steps", "steps.latent_action", 0),
    ("steps per second", "steps_per_second", 2),
    *CODE_COLUMNS,
    *WORLD_COLUMNS,
]
DYNAMICS_COLUMNS = [
    ("parameters", "parameters", 0),
    ("steps", "steps.dynamics", 0),
    ("steps per second", "steps_per_second", 2),
    *WORLD_COLUMNS,
]
COLUMNS: dict[str, list[tuple[str, str, int]]] = {
    "tokenizer": [
        ("parameters", "parameters", 0),
        ("memory per step (GB)", "memory.as_run", 2),
        ("without fused attention (GB)", "memory.written_out", 2),
        ("steps", "steps.tokenizer", 0),
        ("steps per second", "steps_per_second", 2),
        ("tokenizer PSNR (dB)", "tokenizer_psnr", 2),
        *WORLD_COLUMNS,
    ],
    "latent-action": LATENT_ACTION_COLUMNS,
    "past": DYNAMICS_COLUMNS,
    "actions": DYNAMICS_COLUMNS,
    "codes": LATENT_ACTION_COLUMNS,
    "temperature": WORLD_COLUMNS,
}


class Claim(NamedTuple):
    """One comparison in the paper's table, its numbers there and here, and what the seeds say of it."""

    text: str
    paper: str
    here: str
    verdict: str


# Quantity, key, variant with the larger number in the paper, variant with the smaller, the paper's numbers.
CLAIMS: dict[str, list[tuple[str, str, str, str, str]]] = {
    "tokenizer": [
        ("memory without fused attention", "memory.written_out", "st", "space", "0.9 and 0.3 GB"),
        ("memory without fused attention", "memory.written_out", "full", "st", "1.6 and 0.9 GB"),
        ("CoinRun video distance (paper: FVD)", "coinrun_distance", "space", "st", "114.5 and 81.4"),
        ("CoinRun video distance (paper: FVD)", "coinrun_distance", "full", "space", "272.7 and 114.5"),
        ("ΔtPSNR", "delta_psnr", "st", "space", "1.66 and 1.39 dB"),
        ("ΔtPSNR", "delta_psnr", "st", "full", "1.66 and 1.37 dB"),
    ],
    "latent-action": [
        ("ΔtPSNR", "delta_psnr", "pixels", "tokens", "1.91 and 1.33, robots 2.07 and 1.65 dB"),
        (
            "CoinRun video distance (paper: FVD)",
            "coinrun_distance",
            "pixels",
            "tokens",
            "40.1 and 38.8; robots otherwise",
        ),
    ],
}


def values(results: Sequence[dict[str, Any]], variant: str, key: str) -> list[float]:
    """One number of a variant per seed, in seed order; `key` is "parameters", "memory.as_run", a metric's name, ...

    Seeds without it are skipped.
    """
    found = []
    for result in sorted((r for r in results if r["variant"] == variant), key=lambda r: r["seed"]):
        metrics = result["report"]["metrics"]
        value: Any = metrics[key]["value"] if key in metrics else result
        if value is result:
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if value is not None and math.isfinite(value):
            found.append(float(value))
    return found


def table(study: str, results: Sequence[dict[str, Any]]) -> str:
    """A study as a Markdown table: mean, minimum and maximum over seeds, one row per variant.

    Columns that no result has are omitted.
    """
    columns = [c for c in COLUMNS[study] if any(values(results, variant, c[1]) for variant in VARIANTS[study])]
    rows = [["", "seeds", *(heading for heading, _, _ in columns)]]
    for variant, name in VARIANTS[study].items():
        seeds = [result["seed"] for result in results if result["variant"] == variant]
        if seeds:
            cells = [shown(values(results, variant, key), digits) for _, key, digits in columns]
            rows.append([name, ", ".join(map(str, sorted(seeds))), *cells])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def shown(numbers: Sequence[float], digits: int) -> str:
    """ "33.10", or if seeds differ "33.10 [32.80, 33.50]": mean, minimum and maximum."""
    if not numbers:
        return "—"
    mean, low, high = (f"{x:,.{digits}f}" for x in (sum(numbers) / len(numbers), min(numbers), max(numbers)))
    return mean if low == high else f"{mean} [{low}, {high}]"


def agreement(larger: Sequence[float], smaller: Sequence[float]) -> str:
    """Whether paired seeds support "larger > smaller": "agrees", "disagrees" or "cannot tell".

    All pairs must agree, and there must be at least two. This is a weak test: without any effect, three seeds agree
    by chance in a quarter of cases.
    """
    if len(larger) != len(smaller):
        raise ValueError(f"larger, smaller: found {len(larger)} and {len(smaller)} numbers, wanted one pair per seed")
    differences = [a - b for a, b in zip(larger, smaller, strict=True)]
    if len(differences) < 2:
        return "cannot tell"
    if all(difference > 0 for difference in differences):
        return "agrees"
    return "disagrees" if all(difference < 0 for difference in differences) else "cannot tell"


def claims(study: str, results: Sequence[dict[str, Any]]) -> list[Claim]:
    """Each comparison in the paper's table: its numbers there and here, and the verdict of the seeds.

    Empty for the studies of which the paper has no table.
    """
    found = []
    for text, key, variant, rival, paper in CLAIMS.get(study, []):
        first, second = values(results, variant, key), values(results, rival, key)
        count = min(len(first), len(second))
        verdict = agreement(first, second) if count and len(first) == len(second) else "not measured"
        if verdict == "cannot tell" and count == 1:
            verdict += ": one seed, " + ("the same way" if first[0] > second[0] else "the other way")
        here = f"{shown(first, 2)} and {shown(second, 2)}" if count else "—"
        names = VARIANTS[study]
        found.append(Claim(f"{text}: {names[variant]} above {names[rival]}", paper, here, verdict))
    return found
