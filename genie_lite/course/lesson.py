"""The start of a lesson: its settings, its videos, and the models of the stages before it."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genie_lite.config import Config, load_config
from genie_lite.course import figures
from genie_lite.course.checking import CourseError
from genie_lite.course.notes import say
from genie_lite.course.yours import Yours

if TYPE_CHECKING:
    from genie_lite.api import Genie
    from genie_lite.data import FrameDataset

NAMES = {"tokenizer": "tokenizer", "latent_action": "latent action model", "dynamics": "dynamics model"}
SHIPPED = "laptop"


def start(preset: str = "laptop", seed: int = 0, run_dir: str | Path = "../runs/course") -> Course:
    """Start a lesson: load its settings and set the style of its figures. Nothing is read, collected or trained yet.

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
    """What lessons share: `config` (seed applied), `run_dir`, and videos and models, created on first use."""

    config: Config
    preset: str
    seed: int
    run_dir: Path

    @functools.cached_property
    def train(self) -> FrameDataset:
        """Training videos, collected into run_dir/data if missing; the shipped ones at tiny or without procgen."""
        return self._videos("train")

    @functools.cached_property
    def test(self) -> FrameDataset:
        """Held-out videos, from levels that `train` has none of."""
        return self._videos("test")

    def folder(self, stage: str, yours: Yours | None = None) -> Path:
        """The run folder of stage "tokenizer", "latent_action" or "dynamics", one for each preset and seed.

        A stage that is trained with code of yours has a folder of its own, beside that of the package's code.
        """
        if stage not in NAMES:
            raise CourseError(f"stage: found {stage!r}, expected one of {', '.join(NAMES)}")
        name = stage + (yours.suffix if yours else "")
        return self.run_dir / f"{self.preset.replace('/', '-')}-seed{self.seed}" / name

    def checkpoint(self, stage: str) -> Path | None:
        """Your newest checkpoint of a stage, with or without code of yours; None if you have not trained it."""
        from genie_lite import storage

        plain = self.folder(stage)
        folders = [plain, *plain.parent.glob(f"{stage}-with-*")]
        found = [storage.recover(folder / "checkpoint") for folder in folders]
        whole = [checkpoint for checkpoint in found if (checkpoint / "config.json").is_file()]
        return max(whole, key=lambda checkpoint: (checkpoint / "config.json").stat().st_mtime_ns, default=None)

    def stage(self, stage: str) -> Genie:
        """The models up to a stage: your own if you have trained them in this run_dir, otherwise the shipped ones.

        "tokenizer" gives a Genie whose tokenizer is trained, "latent_action" adds the latent action model, "dynamics"
        the dynamics model. A line of output says which models they are.
        """
        from genie_lite import api

        checkpoint, name = self.checkpoint(stage), NAMES[stage]
        if checkpoint is not None:
            _, _, exercises = checkpoint.parent.name.partition("-with-")
            code = f" and your {exercises.replace('-', ', ')}" if exercises else ""
            say(f"Using **your own** {name}, trained at preset {self.preset} with seed {self.seed}{code}.")
            return api.Genie.load(checkpoint)
        say(f"Using the **shipped** {name}: you have not trained it at preset {self.preset} yet.")
        return api.load(SHIPPED, device="cpu")

    def _videos(self, split: Literal["train", "test"]) -> FrameDataset:
        from genie_lite.data import course_dataset, sample_dataset

        if self.preset == "tiny":
            return sample_dataset(split, self.config.model.frame_size)
        return course_dataset(self.config, self.run_dir / "data", split)
