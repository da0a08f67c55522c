"""Train one recipe from scratch with several seeds, measure the worlds on held-out videos, and print one table.

Stages use the preset's own steps and time budgets, as in the notebooks. It can be stopped at any time: the same command
continues, and finished runs are not repeated. OUT/seed-N/report.json holds all that `genie-lite evaluate` reports.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from genie_lite.api import Genie
from genie_lite.config import COURSE_STAGES, Config, load_config, parse_overrides
from genie_lite.data import FrameDataset, course_dataset, open_dataset, sample_dataset
from genie_lite.evaluation import Report, evaluate_genie
from genie_lite.training import read_log, train_genie, train_tokenizer

# What a controllable world must reach with every seed: column, how to read it from a report, minimum.
COLUMNS = {
    "rarest action": (lambda report: report["action_least_share"].value, 0.03),
    "left/still/right": (lambda report: report["motion_left_right_accuracy"].value, 0.65),
    "up/still/down": (lambda report: report["motion_up_down_accuracy"].value, 0.70),
    "code minus key, nats": (
        lambda report: report["motion_both_information"].value - report["env_motion_both_information"].value,
        0.0,
    ),
    "ΔtPSNR, dB": (lambda report: report["delta_psnr"].value, 2.5),
    "lowest gain over copying, t = 2 .. 8, dB": (
        lambda report: min(point.value for point in report.curves["rollout over copying"][1:8]),
        2.0,
    ),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--data", type=Path, help="holds train.zarr and test.zarr (default: collected into OUT/data)")
    parser.add_argument("--clips", type=int, default=200, help="held-out clips to measure on (default: 200)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    reports: dict[int, Report] = {}
    for seed in options.seeds:
        overrides = parse_overrides(options.set) | {f"training.{stage}.seed": seed for stage in COURSE_STAGES}
        config = load_config(options.preset, overrides)
        folder = options.out / f"seed-{seed}"
        genie = train(config, videos(options, config, "train"), folder)
        if not (folder / "report.json").exists():
            stride = config.training.dynamics.frame_stride
            held_out = videos(options, config, "test")
            evaluate_genie(genie, held_out, clips=options.clips, stride=stride).to_json(folder / "report.json")
        reports[seed] = Report.from_json(folder / "report.json")
    print(table(reports, options.out))
    return 0


def videos(options: argparse.Namespace, config: Config, split: str) -> FrameDataset:
    if options.data is not None:
        return open_dataset(options.data / f"{split}.zarr", config.model.frame_size)
    if options.preset == "tiny":
        return sample_dataset(split, config.model.frame_size)
    return course_dataset(config, options.out / "data", split)


def train(config: Config, dataset: FrameDataset, folder: Path) -> Genie:
    """Train all three stages, each on top of the previous ones; finished stages are loaded."""
    genie: Genie | None = None
    for stage in COURSE_STAGES:
        if (folder / stage / "checkpoint").is_dir():
            genie = Genie.load(folder / stage / "checkpoint")
        elif genie is None:
            genie = train_tokenizer(config, dataset, folder / stage)
        else:
            genie = train_genie(config, dataset, folder / stage, tokenizer=genie, parts=(stage,))
    assert genie is not None
    return genie


def table(reports: dict[int, Report], out: Path) -> str:
    """Markdown: one row per seed, the minimum over seeds, the minimum required; training minutes come last."""
    values = {seed: [read(report) for read, _ in COLUMNS.values()] for seed, report in reports.items()}
    least = [min(column) for column in zip(*values.values(), strict=True)]
    wanted = [limit for _, limit in COLUMNS.values()]
    lines = [f"| seed | {' | '.join(COLUMNS)} | minutes |", "|---" * (len(COLUMNS) + 2) + "|"]
    for seed, row in values.items():
        logs = [read_log(out / f"seed-{seed}" / stage) for stage in COURSE_STAGES]
        minutes = " + ".join(f"{log['minutes'][-1]:.1f}" for log in logs)
        lines.append(f"| {seed} | {' | '.join(f'{value:.2f}' for value in row)} | {minutes} |")
    lines.append(f"| minimum | {' | '.join(f'{value:.2f}' for value in least)} | |")
    lines.append(f"| required | {' | '.join(f'{value:.2f}' for value in wanted)} | |")
    short = [name for name, value, limit in zip(COLUMNS, least, wanted, strict=True) if not value >= limit]
    lines += ["", f"Below the requirement: {', '.join(short)}." if short else "Every seed meets every requirement."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
