"""The learner's training step, in the latent action model (notebook 04)."""

from __future__ import annotations

from torch import Tensor

from genie_lite.course.notes import say
from genie_lite.course.yours import Answer, part, replace_method
from genie_lite.models import LatentActionModel
from genie_lite.models.latent_action import LatentActionOutput


@part("04.1")
def training_step(model: LatentActionModel, answer: Answer) -> None:
    """The model is trained by `answer(frames, encode, to_latent, quantize, embed, to_action, decode)`."""

    def forward(self: LatentActionModel, frames: Tensor) -> LatentActionOutput:
        def to_action(vectors: Tensor) -> Tensor:
            return self.per_frame(frames[:, :-1], vectors)

        found = answer(frames, self.encoded, self.to_latent, self.quantizer, self.past, to_action, self.drawn)
        return LatentActionOutput(*found)

    if getattr(model, "relative_loss", False):
        say("Your 04.1 is not used: this preset weighs the errors of frames (`loss: relative`).")
    else:
        replace_method(model, "forward", forward)
