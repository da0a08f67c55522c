"""Throw hostile inputs at every border, interrupt everything that writes, and say what came of it: `make hostile`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as for the tests; before torch is imported

from hostile.borders import BORDERS, SHARES
from hostile.harness import MEMORY, Tally, peak_memory, throw
from hostile.interrupts import interrupt_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="hostile", description=__doc__)
    parser.add_argument("--inputs", type=int, default=6_000, help="in all, shared between the borders")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each border")
    parser.add_argument("--only", help="one border")
    parser.add_argument("--interrupts", type=int, default=0, help="in all, shared between what writes")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of interrupts")
    options = parser.parse_args()
    interrupts = interrupt_all(options.interrupts, options.seed) if options.interrupts else []
    chosen = [border for border in BORDERS if options.only in (None, border.name)]
    total = sum(SHARES[border] for border in chosen)
    tallies, peaks = [], []
    for border in chosen:
        count = -(-options.inputs * SHARES[border] // total)
        with tempfile.TemporaryDirectory(prefix="genie-lite-hostile-") as home:
            tallies.append(throw(border, range(options.first, options.first + count), Path(home)))
        peaks.append(peak_memory())
        print(*tallies[-1].faults, sep="\n", end="\n" if tallies[-1].faults else "", flush=True)
    print("| border | inputs | refused | accepted | faults | seconds | slowest, computing | peak GB so far |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for tally, peak in zip([*tallies, _together(tallies)], [*peaks, peaks[-1]], strict=True):
        print(f"| {tally.border} | {tally.inputs:,} | {tally.refused:,} | {tally.accepted:,} | {len(tally.faults)} |"
              f" {tally.seconds:.0f} | {tally.slowest:.1f} | {peak / 1e9:.2f} |")  # fmt: skip
    if interrupts:
        print("| work | interrupts | in the middle | faults | seconds |\n| --- | --- | --- | --- | --- |")
        for found in interrupts:
            numbers = f"{found.interrupts} | {found.in_the_middle} | {len(found.faults)} | {found.seconds:.0f}"
            print(f"| {found.work} | {numbers} |")
    return int(any(found.faults for found in (*tallies, *interrupts)) or max(peaks) > MEMORY)


def _together(tallies: list[Tally]) -> Tally:
    return Tally(
        "together",
        *(sum(getattr(tally, name) for tally in tallies) for name in ("inputs", "accepted", "refused", "seconds")),
        max(tally.slowest for tally in tallies),
        [fault for tally in tallies for fault in tally.faults],
    )


if __name__ == "__main__":
    sys.exit(main())
