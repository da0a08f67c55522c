"""The learner's vector quantizer, in the tokenizer (notebook 03)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genie_lite.course.notes import say
from genie_lite.course.yours import Answer, part, replace_method
from genie_lite.models import VideoTokenizer
from genie_lite.nn import VectorQuantizer

AT_ONCE = 1024  # latents, so that an answer which holds all distances at once does not fill the memory


@part("03.2")
def nearest_code(model: VideoTokenizer, answer: Answer) -> None:
    """Codes are chosen by `answer(latents, codebook)`."""

    def choose(self: VectorQuantizer, latents: Tensor, codebook: Tensor) -> Tensor:
        return torch.cat([answer(part, codebook).long() for part in latents.split(AT_ONCE)])

    replace_method(model.quantizer, "choose", choose)


@part("03.3")
def straight_through(model: VideoTokenizer, answer: Answer) -> None:
    """Gradients and losses are those of `answer(latents, vectors)`."""

    def through(self: VectorQuantizer, latents: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return answer(latents, vectors)

    replace_method(model.quantizer, "straight_through", through)


@part("03.4")
def update_codebook(model: VideoTokenizer, answer: Answer) -> None:
    """The codebook learns by `answer`; the setting `normalize` is applied to what it returns."""

    @torch.no_grad()
    def learn(self: VectorQuantizer, latents: Tensor, codes: Tensor) -> None:
        tensors = (self.codebook, self.usage, self.latent_sums, self.idle_steps)
        patience = self.config.restart_after or math.inf
        with torch.autocast(latents.device.type, enabled=False):
            found = answer(*tensors, latents, codes, self.config.decay, patience)
        chosen = torch.bincount(codes, minlength=self.num_codes) > 0
        codebook = torch.where(chosen[:, None], self.place(found[0]), found[0])  # others hold code or latent as it was
        for tensor, new in zip(tensors, (codebook, *found[1:]), strict=True):
            tensor.copy_(new)

    if model.quantizer.config.update == "ema":
        replace_method(model.quantizer, "learn", learn)
    else:
        say("Your 03.4 is not used: the codes of this preset do not follow running means.")
