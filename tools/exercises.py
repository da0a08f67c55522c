"""Prints what every exercise says to the wrong and the right answers of tests/answers."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from answers import RIGHT, WRONG

from genie_lite.course import verdict
from genie_lite.course.cards import card


def main() -> int:
    """One row for each exercise, then each answer and its message; 1 when some answer is misjudged."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    wrong = {name: [verdict(name, answer) for answer in answers.values()] for name, answers in WRONG.items()}
    right = {name: [verdict(name, answer) for answer in answers.values()] for name, answers in RIGHT.items()}
    print("| exercise | | wrong answers refused | right answers accepted |\n|---|---|---|---|")
    for name in wrong:
        refused = sum(found.status == "wrong" for found in wrong[name])
        taken = sum(found.status == "right" for found in right[name])
        counts = f"{refused} of {len(wrong[name])} | {taken} of {len(right[name])}"
        print(f"| {name} | {card(name).title} | {counts} |")
    for name in wrong:
        print(f"\n{name} {card(name).title}")
        for found in wrong[name]:
            print(f"  {found.status:5}  {found.message}")
        for style, found in zip(RIGHT[name], right[name], strict=True):
            print(f"  {found.status:5}  ({style}) {found.message}")
    together = [len(verdicts) for verdicts in (sum(wrong.values(), []), sum(right.values(), []))]
    print(f"\n{together[0]} wrong answers, {together[1]} right ones")
    return int(
        any(found.status != "wrong" for verdicts in wrong.values() for found in verdicts)
        or any(found.status != "right" for verdicts in right.values() for found in verdicts)
    )


if __name__ == "__main__":
    sys.exit(main())
