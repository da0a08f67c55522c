"""The stages of the course from a shell; `genie-lite --help` lists the commands.

Each command is a dataclass, checked by pydantic as the settings are; tyro makes its options from the fields and their
comments. (typer was tried: it ignores limits declared for pydantic, so that each would be stated twice, it wants an
object for the help of each option, and it brings five packages where tyro brings two.)

Exit status: 0 done, 1 a check found a problem, 2 the command could not be carried out, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import abc
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, dataclass_transform

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg
from tyro.extras import SubcommandApp

from genie_lite.config import STAGE_BEFORE, STAGES, Config, ConfigError, Stage, load_config, parse_overrides, presets
from genie_lite.config.errors import checked
from genie_lite.config.fields import Count, Fraction, Number, Seed, Size

if TYPE_CHECKING:
    from genie_lite.api import Genie
    from genie_lite.data import FrameDataset
    from genie_lite.evaluation import PlayTest, Report

T = TypeVar("T")
SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")

Preset = Annotated[str, arg(metavar="PRESET", help="a preset's name, or a .yaml file")]
Overrides = Annotated[tuple[str, ...], UseAppendAction, arg(metavar="KEY=VALUE", help="change one setting")]
Videos = Annotated[str, arg(metavar="FOLDER", help="videos: of genie-lite collect, or your own")]
World = Annotated[Positional[str], arg(metavar="CHECKPOINT", help="a shipped name, or a checkpoint folder")]
Folder = Annotated[Path, arg(metavar="FOLDER")]
Checkpoint = Annotated[str | None, arg(metavar="CHECKPOINT")]
OptionalCount = Annotated[Count | None, arg(metavar="N")]
OptionalNumber = Annotated[Number | None, arg(metavar="X")]
OptionalFraction = Annotated[Fraction | None, arg(metavar="X")]
Picture = Annotated[str | None, arg(metavar="PICTURE")]
File = Annotated[Path | None, arg(metavar="FILE")]

app, data_app = SubcommandApp(), SubcommandApp()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `arguments` default to the shell's."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    about = "Learn Genie by building it: the stages of the course from a shell. With --traceback, errors show where."
    chosen = [word for word in words if word != "--traceback"]
    try:
        command = app.cli(prog="genie-lite", description=about, args=chosen, config=(FlagCreatePairsOff,))
        try:
            return int(command.run() or 0)
        except KeyboardInterrupt:
            sys.stderr.write(f"\nStopped. {command.when_stopped.format(**vars(command))}\n")
            return 130
    except (ValueError, OSError) as error:  # every error class of the package is a ValueError
        if "--traceback" in words:
            raise
        sys.stderr.write(f"genie-lite: {' '.join(str(error).split())}\n")
        return 2


class Command(abc.ABC):
    """What every command has: `run`, and a line for whoever stops it with Ctrl-C."""

    when_stopped: ClassVar[str] = "Nothing was saved."

    @abc.abstractmethod
    def run(self) -> int | None:
        """Do it; the exit status, None for 0."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def command(name: str, group: SubcommandApp = app) -> Callable[[type[T]], type[T]]:
    """Class decorator: a command of this name, whose options are the fields of the class."""
    return lambda kind: group.command(name=name)(checked(dataclass(frozen=True, kw_only=True)(kind)))


# ------------------------------------------------------------------------------------------------ the commands


@command("doctor")
class Doctor(Command):
    """Show what is installed, what is missing, and what this machine can do."""

    def run(self) -> int:
        import genie_lite

        report = genie_lite.doctor()
        _say(report)
        return 0 if report.ok else 1


@command("presets")
class Presets(Command):
    """List the presets that ship."""

    def run(self) -> None:
        for name in presets():
            _say(name)


@command("params")
class Params(Command):
    """Count the parameters of each model of a preset, and what each of several GPUs would hold in training."""

    preset: Positional[Preset]
    gpus: Annotated[tuple[Size, ...], arg(metavar="N [N ...]")] = ()  # numbers of GPUs that training is shared between
    set: Overrides = ()

    def run(self) -> None:
        import torch

        from genie_lite.api import Genie

        config = load_config(self.preset, parse_overrides(self.set))
        with torch.device("meta"):
            genie = Genie(config)
        for name, model in genie.named_children():
            _say(f"{name:16}{_count(model):>16,}")
        _say(f"{'together':16}{_count(genie):>16,}")
        if self.gpus:
            from genie_lite.training.shard_sizes import table

            _say(f"\n{table(config, self.gpus)}")


@command("collect")
class Collect(Command):
    """Collect videos of the preset's game into FOLDER/train.zarr and FOLDER/test.zarr."""

    out: Folder  # where the videos go
    preset: Preset = "laptop"
    split: Literal["train", "test", "both"] = "both"  # which of the two
    frames: OptionalCount = None  # frames of each split (None: the preset's)
    set: Overrides = ()
    when_stopped = "What was collected is in {out}; the same command continues from there."

    def run(self) -> None:
        from genie_lite.data import collect

        data = load_config(self.preset, parse_overrides(self.set)).data
        for split in SPLITS if self.split == "both" else (self.split,):
            _say(_describe(collect(data, self.out / f"{split}.zarr", split=split, frames=self.frames)))


app.command(data_app, name="data", help="Check a dataset, or show the videos that ship.")


@command("check", data_app)
class DataCheck(Command):
    """Look for damage in a dataset; the exit status is 1 if there is any."""

    path: Annotated[Positional[str], arg(metavar="PATH")]  # a Zarr folder or URL

    def run(self) -> int:
        from genie_lite.data import check_dataset

        problems = check_dataset(self.path)
        for problem in problems:
            _say(problem)
        _say(f"{self.path}: {len(problems) or 'no'} {'problem' if len(problems) == 1 else 'problems'} found")
        return 1 if problems else 0


@command("sample", data_app)
class DataSample(Command):
    """Show the CoinRun videos that ship."""

    out: Annotated[Path | None, arg(metavar="FOLDER")] = None  # folder to copy them to, for train and evaluate

    def run(self) -> None:
        from genie_lite.data import copy_sample, sample_dataset

        for split in SPLITS:
            _say(_describe(copy_sample(split, self.out) if self.out is not None else sample_dataset(split)))


@command("train")
class Train(Command):
    """Train one stage."""

    stage: Positional[Stage]  # genie trains latent_action and dynamics together
    data: Videos
    run_folder: Annotated[Path, arg(name="run", metavar="FOLDER")]  # logs, samples, checkpoint go to FOLDER/STAGE
    preset: Preset = "laptop"
    base: Checkpoint = None  # checkpoint to build on (None: what the stage before left in --run)
    start: Checkpoint = None  # checkpoint whose weights to begin with (None: random weights)
    tensorboard: bool = False  # also log for TensorBoard
    resume: bool = False  # continue the run that is in --run
    set: Overrides = ()
    when_stopped = "What was trained is in {run_folder}; the same command with --resume continues from there."

    def run(self) -> None:
        import genie_lite
        from genie_lite import training
        from genie_lite.training import distributed

        config = load_config(self.preset, parse_overrides(self.set))
        dataset = _dataset(self.data, "train", config)
        folder = self.run_folder / self.stage
        if (folder / "state").exists() and not self.resume:
            raise FileExistsError(f"{folder}: holds a run; add --resume to continue it, or choose another --run")
        start = None if self.start is None else genie_lite.load(self.start)
        shared: dict[str, Any] = {"start": start, "tensorboard": self.tensorboard}
        if self.stage == "tokenizer":
            training.train_tokenizer(config, dataset, folder, **shared)
        else:
            training.train_genie(config, dataset, folder, tokenizer=self._base(), parts=STAGES[self.stage], **shared)
        if distributed.rank() == 0:
            _say(f"Trained: {folder / 'checkpoint'}")

    def _base(self) -> Genie:
        """The Genie that this stage builds on: --base, or what the stage before left in the same --run."""
        import genie_lite
        from genie_lite import storage

        if self.base is not None:
            return genie_lite.load(self.base)
        before = STAGE_BEFORE[self.stage]
        checkpoint = storage.recover(self.run_folder / before / "checkpoint")
        if not checkpoint.is_dir():
            raise FileNotFoundError(
                f"{checkpoint}: not there, and {self.stage} builds on it; "
                f"run genie-lite train {before} with this --run first, or name a checkpoint with --base"
            )
        return genie_lite.load(checkpoint)


@command("evaluate")
class Evaluate(Command):
    """Measure a trained Genie on videos that it has not seen, or how it plays beside the real game."""

    checkpoint: World
    data: Annotated[str | None, arg(metavar="FOLDER")] = None  # held-out videos; not needed with --play
    clips: Count = 200  # number of clips
    frames: OptionalCount = None  # frames per clip (None: 16); with --play, frames per prompt (None: 60)
    stride: OptionalCount = None  # stored frames from one frame of a clip to the next (None: as trained)
    fvd_weights: str | None = None  # also measure FVD with the I3D network in this i3d_torchscript.pt (or URL)
    fvd_sha256: str | None = None  # SHA-256 that those weights must have
    play: bool = False  # instead press the same keys in the real game (one of Procgen's) and in the world
    quick: bool = False  # with --play: fewer prompts, fewer frames
    maskgit_steps: OptionalCount = None  # passes per frame (None: the world's own)
    filmstrips: Annotated[Path | None, arg(metavar="FOLDER")] = None  # with --play: save pictures, game above world
    json: File = None  # also write the numbers to this file

    def run(self) -> None:
        import genie_lite

        genie = genie_lite.load(self.checkpoint)
        report = self._play_test(genie) if self.play else self._report(genie)
        _say(report)
        if self.json is not None:
            _say(f"Written: {report.to_json(self.json)}")

    def _report(self, genie: Genie) -> Report:
        from genie_lite.evaluation import evaluate_genie

        if self.data is None:
            raise ConfigError("--data: found none, expected a folder of held-out videos (or --play for a play test)")
        dataset = _dataset(self.data, "test", genie.config)
        stride = self.stride or genie.config.training.dynamics.frame_stride
        fvd: dict[str, Any] = {"fvd_weights": self.fvd_weights, "fvd_sha256": self.fvd_sha256}
        return evaluate_genie(
            genie,
            dataset,
            clips=self.clips,
            frames=self.frames or 16,
            stride=stride,
            maskgit_steps=self.maskgit_steps,
            **(fvd if self.fvd_weights else {}),
        )

    def _play_test(self, genie: Genie) -> PlayTest:
        from genie_lite.evaluation import play_test
        from genie_lite.play import Controller

        options: dict[str, Any] = {"frames": self.frames, "quick": self.quick, "maskgit_steps": self.maskgit_steps}
        report = play_test(genie, Controller(genie), **options)
        if self.filmstrips is not None:
            report.save_filmstrips(self.filmstrips)
        return report


@command("play")
class Play(Command):
    """Play latent actions and save the video as a GIF."""

    checkpoint: World
    actions: Annotated[str, arg(metavar="0,0,3")]  # latent actions to take
    out: Annotated[Path, arg(metavar="FILE")] = Path("world.gif")  # where the GIF goes
    prompt: Picture = None  # where play starts (None: at a frame of the shipped videos)
    maskgit_steps: OptionalCount = None  # passes per frame (None: the world's own)
    temperature: OptionalNumber = None  # of sampling; 0 is greedy (None: the world's own)
    min_p: OptionalFraction = None  # leave out codes under this share of the likeliest one (None: the world's own)
    seed: Seed = 0  # of everything drawn

    def run(self) -> None:
        import genie_lite
        from genie_lite.play import PlaySession

        try:
            latent_actions = [int(action) for action in self.actions.split(",")]
        except ValueError:
            wanted = "latent actions separated by commas, for instance 0,0,3"
            raise ConfigError(f"actions: found {self.actions!r}, wanted {wanted}") from None
        genie = genie_lite.load(self.checkpoint)
        session = PlaySession(
            genie,
            self.prompt,
            maskgit_steps=self.maskgit_steps,
            temperature=self.temperature,
            min_p=self.min_p,
            seed=self.seed,
        )
        for latent_action in latent_actions:
            session.step(latent_action)
        _say(f"{session.save_gif(self.out)}: {len(latent_actions) + 1} frames")


# --------------------------------------------------------------------------------------------- what they share


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _dataset(folder: str, split: str, config: Config) -> FrameDataset:
    """`folder/<split>.zarr` where there is one, else `folder` itself (dataset, video, folder of videos, URL)."""
    from genie_lite.data import open_dataset

    inside = Path(folder) / f"{split}.zarr"
    path = inside if "://" not in folder and inside.is_dir() else folder
    return open_dataset(path, config.model.frame_size)


def _describe(dataset: FrameDataset) -> str:
    height, width = dataset.frame_size
    episodes = len(dataset.episode_starts)
    return f"{dataset.path}: {dataset.num_frames:,} frames of {height} x {width} in {episodes:,} episodes"


def _count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    sys.exit(main())
