"""Ablations, one command each: `latent-action` (the paper's table 2), `tokenizer` (table 3), `past`, `actions`, ...

Trains every variant with every seed for the same number of steps, measures the worlds on held-out videos, writes
OUT/STUDY-PRESET.json and prints it as a Markdown table, with the paper's claims and the differences between variants.
It can be stopped at any time: the same command continues, and finished runs are not repeated. `temperature` trains
nothing: it measures one world at several temperatures, and its seeds are those of clips and samples.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path

import genie_lite
from genie_lite import ablations, storage
from genie_lite.cli import SPLITS
from genie_lite.config import Config, load_config, parse_overrides
from genie_lite.data import course_dataset, open_dataset, sample_dataset

SHIPPED = {"laptop": "laptop", "tiny": "laptop"}  # preset: the shipped world trained on its videos


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=ablations.VARIANTS)
    parser.add_argument("--preset", default="laptop", help="a preset's name, or a .yaml file (default: laptop)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of training (default: 0)")
    parser.add_argument("--variants", nargs="+", default=[], help="some of the variants (default: all)")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="(default: runs/ablation)")
    parser.add_argument("--data", help="videos with train.zarr and test.zarr (default: collected into OUT/data)")
    parser.add_argument("--base", help="world whose other models all variants share (at laptop: the shipped one)")
    parser.add_argument("--clips", type=int, default=200, help="held-out clips to measure on (default: 200)")
    parser.add_argument("--frames", type=int, default=16, help="frames of each of these clips (default: 16)")
    parser.add_argument("--ship", type=Path, metavar="FOLDER", help="also write FOLDER/STUDY.json, shorter")
    parser.add_argument("--minutes", type=float, help="time budget per stage (default: none, train all steps)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    parser.add_argument("--quick", action="store_true", help="preset tiny, shipped videos, 4 clips: seconds, for tests")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        results = run(options)
    except (ValueError, OSError) as error:
        print(f"ablation: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"Stopped. Progress is saved in {options.out}; the same command continues from there.", file=sys.stderr)
        return 130
    print(f"\n{ablations.table(options.study, results)}\n")
    if len(options.seeds) == 1:
        print(f"One seed ({options.seeds[0]}): the variation between seeds is unknown.\n")
    claims = ablations.claims(options.study, results)
    if claims:
        print("| claim in the paper | its numbers | here | verdict |\n|---|---|---|---|")
        print("\n".join(f"| {' | '.join(claim)} |" for claim in claims), end="\n\n")
    print("| variants | measure | first | second | seeds | difference | verdict |\n|---|---|---|---|---|---|---|")
    for row in ablations.comparisons(options.study, results):
        print(f"| {' | '.join(map(str, row))} |")
    return 0


def run(options: argparse.Namespace) -> list[dict]:
    preset = "tiny" if options.quick else options.preset
    unknown = set(options.variants) - set(ablations.VARIANTS[options.study])
    if unknown:
        known = ", ".join(ablations.VARIANTS[options.study])
        raise ValueError(f"--variants: found {', '.join(sorted(unknown))}, wanted some of {known}")
    config = budgeted(load_config(preset, parse_overrides(options.set)), options.minutes)
    base = options.base or SHIPPED.get(preset)
    if base is None:
        raise ValueError(
            f"--base: none given, and none ships for preset {preset}; train a world of it "
            "(genie-lite train) and give its checkpoint folder"
        )
    if options.data:
        videos = [open_dataset(Path(options.data) / f"{split}.zarr", config.model.frame_size) for split in SPLITS]
    elif preset == "tiny":
        videos = [sample_dataset(split, config.model.frame_size) for split in SPLITS]
    else:
        videos = [course_dataset(config, options.out / "data", split) for split in SPLITS]
    results = ablations.run_study(
        options.study,
        config,
        seeds=options.seeds,
        out=options.out,
        variants=options.variants,
        base=genie_lite.load(base),
        train=videos[0],
        test=videos[1],
        clips=4 if options.quick else options.clips,
        frames=options.frames,
        progress=not options.no_progress,
    )
    if options.ship:
        shipped = {"format_version": storage.FORMAT_VERSION, "study": options.study, "preset": config.name}
        storage.write_json(
            options.ship / f"{options.study}.json", shipped | {"results": [ablations.slim(r) for r in results]}
        )
    return results


def budgeted(config: Config, minutes: float | None) -> Config:
    """`config` with a time budget of `minutes` for every stage; None removes the budgets."""
    training = config.training
    names = [field.name for field in dataclasses.fields(training)]
    stages = {name: dataclasses.replace(getattr(training, name), time_budget_minutes=minutes) for name in names}
    return dataclasses.replace(config, training=dataclasses.replace(training, **stages))


if __name__ == "__main__":
    sys.exit(main())
