"""The learner's mask and loss, in the dynamics model, and MaskGIT step, in a world that is played (notebook 05)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genie_lite.api import Genie
from genie_lite.config import SamplingConfig
from genie_lite.course.yours import Answer, part, replace_method
from genie_lite.inference import KVCache
from genie_lite.inference.maskgit import (
    draw_tokens,
    draw_with_confidence,
    masked_counts,
    masked_frame,
    without_rare,
)
from genie_lite.inference.one_frame import frame_features
from genie_lite.models import DynamicsModel


@part("05.1")
def draw_mask(model: DynamicsModel, answer: Answer) -> None:
    """Tokens are masked by `answer(B, T, N, low, high, generator)`."""

    def draw(self: DynamicsModel, tokens: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return answer(*tokens.shape, *self.mask_rate, generator).to(tokens.device)

    replace_method(model, "draw_mask", draw)


@part("05.2")
def masked_loss(model: DynamicsModel, answer: Answer) -> None:
    """Logits and loss are those of `answer(features, tokens, masked, to_logits)`."""

    def loss(self: DynamicsModel, features: Tensor, tokens: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        return answer(features, tokens, masked, self.to_logits)

    replace_method(model, "masked_loss", loss)


@part("05.3")
def one_step(model: Genie, answer: Answer) -> None:
    """Frames are decided by `answer(tokens, drawn, score, remaining, mask_token)`, step by step and clip by clip.

    The random numbers are drawn as the package's samplers draw them.
    """

    def sampler(
        model: DynamicsModel,
        context: Tensor,
        cache: KVCache,
        sampling: SamplingConfig,
        generator: torch.Generator | None = None,
    ) -> list[Tensor]:
        tokens, history = masked_frame(model, context), []
        order, points = torch.rand(2, *tokens.shape, device=tokens.device, generator=generator)
        steps = masked_counts(sampling.maskgit_steps, tokens.shape[1], sampling.schedule)
        for step, (before, after) in enumerate(steps, start=1):
            if after < before:
                features = frame_features(model, tokens, context, cache)
                logits = without_rare(model.to_logits(features).float().view(*tokens.shape, -1), sampling.min_p)
                if sampling.ordering == "random":
                    drawn, score = draw_tokens(logits, sampling.temperature, points), order
                else:
                    noise = 1 - step / sampling.maskgit_steps
                    drawn, score = draw_with_confidence(logits, sampling.temperature, noise, generator)
                clips = zip(tokens.cpu().numpy(), drawn.cpu().numpy(), score.cpu().numpy(), strict=True)
                decided = [np.asarray(answer(*clip, after, model.mask_token)) for clip in clips]
                tokens = torch.as_tensor(np.stack(decided), dtype=torch.int64, device=tokens.device)
            history.append(tokens)
        return history

    model.sampler = sampler
