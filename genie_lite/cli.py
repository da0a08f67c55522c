"""The stages of the course from a shell: `genie-lite --help` lists them.

Every command is a thin dress over one function of the package, imported only when it runs.
Exit status: 0 done, 1 a check found something wrong, 2 it could not be done (one line says why), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genie_lite.cli_options import SPLITS, STAGES, parser
from genie_lite.config import Config, load_config, presets

if TYPE_CHECKING:
    from genie_lite.api import Genie
    from genie_lite.data import FrameDataset


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `arguments` default to the shell's."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return int(COMMANDS[options.command](options) or 0)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nStopped. {options.when_stopped.format(**vars(options))}\n")
        return 130
    except (ValueError, OSError) as error:  # every error class of the package is a ValueError
        if options.traceback:
            raise
        sys.stderr.write(f"genie-lite: {' '.join(str(error).split())}\n")
        return 2


# ------------------------------------------------------------------------------------------------ the commands


def _doctor(options: argparse.Namespace) -> int:
    import genie_lite

    report = genie_lite.doctor()
    _say(report)
    return 0 if report.ok else 1


def _presets(options: argparse.Namespace) -> None:
    for name in presets():
        _say(name)


def _params(options: argparse.Namespace) -> None:
    import torch

    from genie_lite.api import Genie

    config = _config(options)
    with torch.device("meta"):
        genie = Genie(config)
    for name, model in genie.named_children():
        _say(f"{name:16}{_count(model):>16,}")
    _say(f"{'together':16}{_count(genie):>16,}")


def _collect(options: argparse.Namespace) -> None:
    from genie_lite.data import collect

    config = _config(options)
    for split in SPLITS if options.split == "both" else (options.split,):
        dataset = collect(config.data, options.out / f"{split}.zarr", split=split, frames=options.frames)
        _say(_describe(dataset))


def _data_check(options: argparse.Namespace) -> int:
    from genie_lite.data import check_dataset

    problems = check_dataset(options.path)
    for problem in problems:
        _say(problem)
    _say(f"{options.path}: {len(problems) or 'no'} {'problem' if len(problems) == 1 else 'problems'} found")
    return 1 if problems else 0


def _data_sample(options: argparse.Namespace) -> None:
    from genie_lite.data import sample_dataset

    for split in SPLITS:
        dataset = sample_dataset(split)
        if options.out is not None:
            target = options.out / f"{split}.zarr"
            if target.exists():
                raise FileExistsError(f"{target}: exists already; delete it or choose another --out folder")
            shutil.copytree(dataset.path, target)
        _say(_describe(dataset))


def _train(options: argparse.Namespace) -> None:
    import genie_lite
    from genie_lite import training
    from genie_lite.nn import processes

    config = _config(options)
    dataset = _dataset(options.data, "train", config)
    run_dir = options.run / options.stage
    if (run_dir / "state").exists() and not options.resume:
        raise FileExistsError(f"{run_dir}: holds a run already; add --resume to go on with it, or choose another --run")
    start = None if options.start is None else genie_lite.load(options.start)
    shared: dict[str, Any] = {"start": start, "tensorboard": options.tensorboard}
    if options.stage == "tokenizer":
        training.train_tokenizer(config, dataset, run_dir, **shared)
    else:
        parts = ("latent_action", "dynamics") if options.stage == "genie" else (options.stage,)
        training.train_genie(config, dataset, run_dir, tokenizer=_base(options), parts=parts, **shared)
    if processes.rank() == 0:
        _say(f"Trained: {run_dir / 'checkpoint'}")


def _evaluate(options: argparse.Namespace) -> None:
    import genie_lite
    from genie_lite.evaluation import evaluate_genie

    genie = genie_lite.load(options.checkpoint)
    dataset = _dataset(options.data, "test", genie.config)
    stride = options.stride or genie.config.training.dynamics.frame_stride
    fvd = {"fvd_weights": options.fvd_weights, "fvd_sha256": options.fvd_sha256} if options.fvd_weights else {}
    report = evaluate_genie(genie, dataset, clips=options.clips, frames=options.frames, stride=stride, **fvd)
    _say(report)
    if options.json is not None:
        _say(f"Written: {report.to_json(options.json)}")


def _play(options: argparse.Namespace) -> None:
    import genie_lite

    genie = genie_lite.load(options.checkpoint)
    session = genie.play(
        options.prompt, maskgit_steps=options.maskgit_steps, temperature=options.temperature, seed=options.seed
    )
    for latent_action in options.actions:
        session.step(latent_action)
    path = session.save_gif(options.out)
    _say(f"{path}: {len(options.actions) + 1} frames")


# --------------------------------------------------------------------------------------------- what they share


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _config(options: argparse.Namespace) -> Config:
    return load_config(options.preset, dict(options.set or []))


def _dataset(folder: str, split: str, config: Config) -> FrameDataset:
    """`folder/<split>.zarr` where there is one, else `folder` itself (dataset, video, folder of videos, URL)."""
    from genie_lite.data import open_dataset

    inside = Path(folder) / f"{split}.zarr"
    path = inside if "://" not in folder and inside.is_dir() else folder
    return open_dataset(path, config.model.frame_size)


def _base(options: argparse.Namespace) -> Genie:
    """The Genie that a stage builds on: --base, or what the stage before left in the same --run."""
    import genie_lite

    if options.base is not None:
        return genie_lite.load(options.base)
    before = STAGES[options.stage]
    checkpoint = options.run / str(before) / "checkpoint"
    if not checkpoint.is_dir():
        raise FileNotFoundError(
            f"{checkpoint}: not there, and {options.stage} builds on it; "
            f"run genie-lite train {before} with this --run first, or name a checkpoint with --base"
        )
    return genie_lite.load(checkpoint)


def _describe(dataset: FrameDataset) -> str:
    height, width = dataset.frame_size
    episodes = len(dataset.episode_starts)
    return f"{dataset.path}: {dataset.num_frames:,} frames of {height} x {width} in {episodes:,} episodes"


def _count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


COMMANDS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "doctor": _doctor,
    "presets": _presets,
    "params": _params,
    "collect": _collect,
    "data check": _data_check,
    "data sample": _data_sample,
    "train": _train,
    "evaluate": _evaluate,
    "play": _play,
}

if __name__ == "__main__":
    sys.exit(main())
