"""Where a lesson begins: settings, videos, and the models of the stages before it."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genie_lite.config import Config, load_config
from genie_lite.course import figures
from genie_lite.course.checking import CourseError
from genie_lite.course.notes import say

if TYPE_CHECKING:
    from genie_lite.api import Genie
    from genie_lite.data import FrameDataset

STAGES = ("tokenizer", "latent_action", "dynamics")
SHIPPED = "laptop"


def start(preset: str = "laptop", seed: int = 0, run_dir: str | Path = "../runs/course") -> Course:
    """Begin a lesson: its settings, and the style of its figures. Nothing is read, collected or trained yet.

    Raises ConfigError for an unknown preset.
    """
    config = load_config(preset)
    stages = {
        spec.name: dataclasses.replace(getattr(config.training, spec.name), seed=seed)
        for spec in dataclasses.fields(config.training)
    }
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, **stages))
    figures.use_style()
    return Course(config, preset, seed, Path(run_dir))


@dataclasses.dataclass(frozen=True)
class Course:
    """What every lesson shares: `config` (the seed applied), `run_dir`, and videos and models, made when asked for."""

    config: Config
    preset: str
    seed: int
    run_dir: Path

    @functools.cached_property
    def train(self) -> FrameDataset:
        """Training videos: collected into run_dir/data where missing; at tiny or without procgen, the shipped ones."""
        return self._videos("train")

    @functools.cached_property
    def test(self) -> FrameDataset:
        """Videos of levels that `train` has none of, for judging."""
        return self._videos("test")

    def folder(self, stage: str) -> Path:
        """The run folder of stage "tokenizer", "latent_action" or "dynamics", apart for each preset and seed."""
        if stage not in STAGES:
            raise CourseError(f"stage: found {stage!r}, wanted one of {', '.join(STAGES)}")
        return self.run_dir / f"{self.preset.replace('/', '-')}-seed{self.seed}" / stage

    def stage(self, stage: str) -> Genie:
        """The models up to a stage: your own if you have trained them in this run_dir, else the shipped ones.

        "tokenizer": a Genie whose tokenizer is trained; "latent_action": that and the latent action model;
        "dynamics": all three. One line says whose they are.
        """
        import genie_lite
        from genie_lite.api import Genie

        checkpoint = self.folder(stage) / "checkpoint"
        name = stage.replace("_", " ")
        if (checkpoint / "config.json").is_file():
            say(f"The {name} here is **your own**, trained at preset {self.preset} with seed {self.seed}.")
            return Genie.load(checkpoint)
        say(f"The {name} here is the **shipped** one: you have not trained it at preset {self.preset} yet.")
        return genie_lite.load(SHIPPED, device="cpu")

    def _videos(self, split: Literal["train", "test"]) -> FrameDataset:
        from genie_lite.data import course_dataset, sample_dataset

        if self.preset == "tiny":
            return sample_dataset(split, self.config.model.frame_size)
        return course_dataset(self.config, self.run_dir / "data", split)
