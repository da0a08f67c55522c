"""Throw hostile inputs at every border, and say what became of them: `make hostile`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hostile.borders import BORDERS, SHARES
from hostile.harness import MEMORY, Tally, peak_memory, throw


def main() -> int:
    parser = argparse.ArgumentParser(prog="hostile", description=__doc__)
    parser.add_argument("--inputs", type=int, default=6_000, help="in all, shared between the borders")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each border")
    parser.add_argument("--only", help="one border")
    options = parser.parse_args()
    chosen = [border for border in BORDERS if options.only in (None, border.name)]
    total = sum(SHARES[border] for border in chosen)
    tallies, peaks = [], []
    for border in chosen:
        count = -(-options.inputs * SHARES[border] // total)
        with tempfile.TemporaryDirectory(prefix="genie-lite-hostile-") as home:
            tallies.append(throw(border, range(options.first, options.first + count), Path(home)))
        peaks.append(peak_memory())
        print(*tallies[-1].faults, sep="\n", end="\n" if tallies[-1].faults else "", flush=True)
    print("| border | inputs | refused | accepted | faults | seconds | slowest | peak GB so far |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for tally, peak in zip([*tallies, _together(tallies)], [*peaks, peaks[-1]], strict=True):
        print(f"| {tally.border} | {tally.inputs:,} | {tally.refused:,} | {tally.accepted:,} | {len(tally.faults)} |"
              f" {tally.seconds:.0f} | {tally.slowest:.1f} | {peak / 1e9:.2f} |")  # fmt: skip
    return int(any(tally.faults for tally in tallies) or max(peaks) > MEMORY)


def _together(tallies: list[Tally]) -> Tally:
    return Tally(
        "together",
        *(sum(getattr(tally, name) for tally in tallies) for name in ("inputs", "accepted", "refused", "seconds")),
        max(tally.slowest for tally in tallies),
        [fault for tally in tallies for fault in tally.faults],
    )


if __name__ == "__main__":
    sys.exit(main())
