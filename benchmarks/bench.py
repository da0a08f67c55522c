"""Speed of genie-lite against a plain reference, in one run on one machine: tables for README, and a JSON file.

Contenders take turns, so every ratio compares the same conditions; rates are medians over rounds, with quartiles.
`make bench` runs preset laptop; `python -m benchmarks.bench --preset paper --only gpu` measures the paper's sizes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from benchmarks import sections, tables
from benchmarks.gpu import gpu
from benchmarks.measure import LEAST_REPEATS, hardware
from benchmarks.plain import COMPARED
from genie_lite import load_config
from genie_lite.data import open_dataset, sample_dataset

SECTIONS = {
    "training": sections.training,
    "play": sections.play,
    "reading": sections.reading,
    "collecting": sections.collecting,
    "memory": sections.memory,
    "gpu": gpu,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION",
                        help=f"of {', '.join(SECTIONS)} (default: all)")  # fmt: skip
    parser.add_argument("--repeats", type=int, default=11, help="rounds of turns (default: 11)")
    parser.add_argument("--minutes", type=float, default=10.0,
                        help="start no new round after this long (at least three; default: 10)")  # fmt: skip
    parser.add_argument("--data", help="videos to train on and to read (default: the shipped ones)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU where there is one")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    parser.add_argument("--readme", type=Path, help="insert the tables between the bench markers of this file")
    parser.add_argument("--quick", action="store_true", help="smoke test: three minimal rounds")
    options = parser.parse_args()
    config = load_config(options.preset, COMPARED)
    size = config.model.frame_size
    bench = sections.Bench(
        preset=options.preset,
        config=config,
        dataset=open_dataset(options.data, size) if options.data else sample_dataset("train", size),
        data=options.data,
        device=options.device or ("cuda" if torch.cuda.is_available() else "cpu"),
        repeats=LEAST_REPEATS if options.quick else options.repeats,
        quick=options.quick,
    )
    torch.manual_seed(0)
    end = time.monotonic() + (0 if options.quick else 60 * options.minutes)
    report = {"preset": options.preset, "hardware": hardware(bench.device)}
    for left, name in zip(range(len(options.only), 0, -1), options.only, strict=True):
        print(f"{name} ...", file=sys.stderr, flush=True)
        report[name] = SECTIONS[name](bench, max(0.0, end - time.monotonic()) / left)
    text = tables.markdown(report)
    print(text)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.readme:
        tables.fill_readme(options.readme, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
