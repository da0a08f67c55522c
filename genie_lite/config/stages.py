"""The stages of training: the paper's two phases, and the two halves into which the course splits the second."""

from __future__ import annotations

from typing import Literal

Stage = Literal["tokenizer", "genie", "latent_action", "dynamics"]
# The models that each stage trains.
STAGES: dict[Stage, tuple[str, ...]] = {
    "tokenizer": ("tokenizer",),
    "genie": ("latent_action", "dynamics"),
    "latent_action": ("latent_action",),
    "dynamics": ("dynamics",),
}
# The stage whose models each builds on.
STAGE_BEFORE: dict[Stage, Stage] = {"genie": "tokenizer", "latent_action": "tokenizer", "dynamics": "latent_action"}
# The stages of the paper, in order.
PAPER_STAGES: tuple[Stage, ...] = ("tokenizer", "genie")
# The stages of the notebooks, in order: each trains the model of its name.
COURSE_STAGES: tuple[Stage, ...] = ("tokenizer", "latent_action", "dynamics")
