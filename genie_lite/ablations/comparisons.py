"""Two variants of a study beside each other, with an interval over seeds and a verdict that follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from genie_lite.ablations.table import COLUMNS, shown, values
from genie_lite.ablations.variants import VARIANTS
from genie_lite.evaluation import Interval

# The variant in question and the one that it is compared with.
PAIRS: dict[str, list[tuple[str, str]]] = {
    "tokenizer": [("st", "space"), ("st", "full")],
    "latent-action": [("pixels", "tokens")],
    "past": [("complete", "masked")],
    "actions": [("added", "prepended")],
    "codes": [("8", "4"), ("16", "8")],
    "temperature": [("0.7", "1.0"), ("0.3", "0.7")],
}
# Name of a metric and what it is called, with its unit and which way is better.
MEASURES: dict[str, str] = {
    "delta_psnr": "ΔtPSNR (dB, more is better)",
    "rollout_psnr": "PSNR of a rollout, t = 4 (dB, more is better)",
    "coinrun_distance": "CoinRun video distance (less is better)",
    "tokenizer_psnr": "PSNR of the tokenizer (dB, more is better)",
    "motion_left_right_accuracy": "code tells left/still/right (more is better)",
    "motion_up_down_accuracy": "code tells up/still/down (more is better)",
}
# Studies that can change a metric; those not named here can be changed by every study.
CHANGED_BY: dict[str, tuple[str, ...]] = {
    "tokenizer_psnr": ("tokenizer",),
    "motion_left_right_accuracy": ("latent-action", "codes"),
    "motion_up_down_accuracy": ("latent-action", "codes"),
}
# Student's t: 97.5 % of a sample of n numbers has its mean within t standard errors, by n - 1.
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


class Comparison(NamedTuple):
    """One metric of two variants: numbers over seeds as text, the mean paired difference with its interval, verdict."""

    variants: str  # "complete past, masked past"
    measure: str
    first: str  # mean [minimum, maximum] over seeds
    second: str
    seeds: int  # with which both were measured
    difference: Interval  # first minus second: mean over seeds, 95 % interval; NaN where there is no interval
    verdict: str  # "first is higher", "first is lower", "cannot tell" or "not measured", with the variant's name


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Mean of first - second over paired seeds, with Student's 95 % interval; its ends are NaN for a single seed.

    The interval assumes that differences vary between seeds like a normal distribution. With three seeds it is 2.5
    times the standard deviation of the differences to either side. ValueError if there are no pairs.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"first, second: found {len(first)} and {len(second)} numbers, wanted one pair or more")
    differences = [a - b for a, b in zip(first, second, strict=True)]
    count, mean = len(differences), sum(differences) / len(differences)
    if count == 1:
        return Interval(mean, math.nan, math.nan)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in differences) / (count - 1))
    reach = STUDENT_T[min(count - 1, len(STUDENT_T)) - 1] * deviation / math.sqrt(count)
    return Interval(mean, mean - reach, mean + reach)


def comparisons(study: str, results: Sequence[dict[str, Any]], measures: Sequence[str] = ()) -> list[Comparison]:
    """Each pair of variants of a study, by each of `measures` (default: all that the study can change).

    Only seeds with which both variants were measured count. The verdict is "cannot tell" unless zero lies outside the
    interval of the difference.
    """
    if not measures:
        measures = [name for name in MEASURES if study in CHANGED_BY.get(name, VARIANTS)]
    names, found = VARIANTS[study], []
    for first, second in PAIRS[study]:
        seeds = set.intersection(*({r["seed"] for r in results if r["variant"] == v} for v in (first, second)))
        paired = [result for result in results if result["seed"] in seeds]
        for measure in measures:
            numbers = [values(paired, variant, measure) for variant in (first, second)]
            count = len(numbers[0]) if len(numbers[0]) == len(numbers[1]) else 0
            difference = paired_difference(*numbers) if count else Interval(math.nan, math.nan, math.nan)
            verdict = _verdict(names[first], difference) if count else "not measured"
            texts = [shown(part, 2) for part in numbers]
            pair = f"{names[first]}, {names[second]}"
            found.append(Comparison(pair, MEASURES[measure], texts[0], texts[1], count, difference, verdict))
    return found


def slim(result: dict[str, Any]) -> dict[str, Any]:
    """A result as it ships: of its report the settings, the notes, and the metrics that tables and comparisons read."""
    report = result["report"]
    read = {key for _, key, _ in COLUMNS[result["study"]]} | set(MEASURES)
    metrics = {name: value for name, value in report["metrics"].items() if name in read}
    return {**result, "report": {"metrics": metrics, "settings": report["settings"], "notes": report["notes"]}}


def _verdict(name: str, difference: Interval) -> str:
    if difference.low > 0:
        return f"{name} is higher"
    return f"{name} is lower" if difference.high < 0 else "cannot tell"
