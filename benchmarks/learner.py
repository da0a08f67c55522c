"""What it costs to train with functions that a learner writes: `python -m benchmarks.learner` measures it here.

The packaged solutions of notebooks 02 to 05 stand in for the learner's. Steps with them and with the package's own code
take turns, each on a model of its own at preset laptop, so that a disturbance affects both alike.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import LEAST_REPEATS, Work, hardware, interleave, ratio, summary
from benchmarks.stages import OurStep, some_frames
from genie_lite.config import Config, Stage, load_config
from genie_lite.course.checking import get_solution
from genie_lite.course.yours import Yours
from genie_lite.data import sample_dataset
from genie_lite.training.encoded import encode_clips
from genie_lite.training.losses import Losses, dynamics_losses

# What is trained with which exercises. Notebook 02 trains a small model of ST blocks, which the tokenizer has too.
TRAINED: dict[str, tuple[Stage, tuple[str, ...]]] = {
    "02: attention and ST block, in the tokenizer": ("tokenizer", ("02.2", "02.3", "02.4")),
    "03: nearest code, straight through, codebook": ("tokenizer", ("03.2", "03.3", "03.4")),
    "04: training step of the latent action model": ("latent_action", ("04.1",)),
    "05: mask and loss of the dynamics model": ("dynamics", ("05.1", "05.2")),
}


class EncodedStep(OurStep):
    """A training step of the dynamics model on clips that were encoded beforehand, as the course trains it."""

    def __init__(self, config: Config, stage: Stage, frames: Tensor) -> None:
        super().__init__(config, stage, frames)
        self.clips = encode_clips(self.genie.eval(), frames)
        self.model.train()

    def losses(self, frames: Tensor) -> Losses:
        return dynamics_losses(self.genie, self.clips)


def contenders(config: Config, stage: Stage, exercises: tuple[str, ...]) -> dict[str, Work]:
    """Training steps of two equal models: with the package's own code, and with the solutions of `exercises`."""
    frames = some_frames(sample_dataset("train"), getattr(config.training, stage), "cpu")
    steps: dict[str, Any] = {}
    for who, names in (("package", ()), ("solutions", exercises)):
        torch.manual_seed(0)
        steps[who] = (EncodedStep if stage == "dynamics" else OurStep)(config, stage, frames)
        Yours({name: get_solution(name).answer for name in names})(getattr(steps[who].genie, stage))
    return steps


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="rounds of turns (default: 15)")
    parser.add_argument("--quick", action="store_true", help="smoke test: preset tiny, three minimal rounds")
    options = parser.parse_args(arguments)
    facts, config = hardware("cpu"), load_config("tiny" if options.quick else "laptop")
    print(f"{facts['cpu']}, {facts['cores']} cores, {facts['threads']} threads, PyTorch {facts['torch']}\n")
    print("| trained with what a learner writes | time of a step over the package's | package's steps per second |")
    print("|---|---|---|")
    for title, (stage, exercises) in TRAINED.items():
        repeats, block = (LEAST_REPEATS, 0.0) if options.quick else (options.repeats, 2.0)
        rates = interleave(contenders(config, stage, exercises), repeats, seconds=120.0, block=block)
        found, speed = ratio(rates, "package", "solutions"), summary(rates["package"])["median"]
        times = f"{found['median']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
        print(f"| {title} | {times} | {speed:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
