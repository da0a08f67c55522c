"""A dynamics model that is trained as it is played: the past complete, the present masked (not in the paper).

In the paper's training past frames are masked like the present one; in play they are complete. Following MAGI
(arXiv 2501.12389), each training clip goes through the transformer twice in one pass: as complete frames, and as masked
frames that attend to the complete frames before them and to themselves. That is what the KV cache computes in play.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.dynamics import DynamicsOutput
from genie_lite.models.dynamics_variants import ExtendedDynamicsModel, corrupt
from genie_lite.nn import Patches, STBlock
from genie_lite.nn.layers import layer_norm
from genie_lite.nn.two_streams import attend_streams, two_stream_mask

GREY = 0.5  # pixels count from here, so that they are small numbers of both signs
WITHOUT_GUESS = 0.1  # fraction of steps trained without first guesses, so that the model can do without them


class CompletePastDynamicsModel(ExtendedDynamicsModel):
    """The dynamics model with two streams in training, and two additions.

    `first_guess`: the masked stream also reads the next frame as the latent action model's decoder predicts it.
    An action prior, p(next latent action | past), is read off the complete stream, which costs one small matrix.
    The options `corruption` (of the past) and `loss_share` are those of the parent.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        settings, width = config.dynamics, config.dynamics.transformer.d_model
        self.window = config.context_frames
        self.to_prior = nn.Linear(width, config.latent_action.codebook.num_codes)
        self.first_guess = settings.first_guess
        if self.first_guess:
            self.patches = Patches(config.frame_size, config.tokenizer.patch_size, config.channels)
            self.guess_embedding = nn.Sequential(
                nn.Linear(self.patches.width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
            )

    def forward(
        self,
        tokens: Tensor,
        action_vectors: Tensor,
        generator: torch.Generator | None = None,
        guesses: Tensor | None = None,
    ) -> DynamicsOutput:
        """Mask tokens [B, T, N] at random and predict them from complete ones before: one training step's loss.

        `guesses` [B, T-1, H, W, C] in [0, 1] are first guesses of frames 2 .. T.
        """
        return self.losses(tokens, action_vectors, generator, guesses)[0]

    def losses(
        self,
        tokens: Tensor,
        action_vectors: Tensor,
        generator: torch.Generator | None = None,
        guesses: Tensor | None = None,
        past: Tensor | None = None,
    ) -> tuple[DynamicsOutput, Tensor]:
        """What `forward` returns, and log-probabilities [B, T-1, A] of the action after each frame but the last.

        `past` [B, T, N] is read as the complete frames in place of `tokens`, which stay what is to be predicted.
        """
        masked = self.draw_mask(tokens, generator)[:, 1:]
        past = corrupt(tokens if past is None else past, self.corruption, generator)[:, :-1]
        counted = masked
        if self.loss_share < 1:
            draw = torch.rand(masked.shape, device=tokens.device, generator=generator)
            counted = masked & (draw < self.loss_share)
        present = tokens[:, 1:].masked_fill(masked, self.mask_token)
        # Times 0 or 1, not left out: processes that train together must all have a gradient for every parameter.
        keep = torch.rand((), device=tokens.device, generator=generator) >= WITHOUT_GUESS
        seen, features = self.two_streams(past, present, action_vectors, guesses, keep)
        logits, loss = self.masked_loss(features, tokens[:, 1:], counted)
        return DynamicsOutput(logits, F.pad(masked, (0, 0, 1, 0)), loss), self.prior(seen)

    def two_streams(
        self,
        past: Tensor,
        present: Tensor,
        action_vectors: Tensor,
        guesses: Tensor | None = None,
        keep: Tensor | float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Features of complete frames 1 .. T-1 and of masked frames 2 .. T, [B, T-1, N, D] each.

        past and present are their tokens, [B, T-1, N]; action_vectors [B, T-1, latent_dim] lead to the present ones.
        `keep` multiplies the embedding of the first guesses.
        """
        steps = past.shape[1]
        x = torch.cat(
            [
                self.embed(past, self.context(action_vectors[:, :-1], steps)),
                self.embed(present, self.context(action_vectors, steps, guesses=guesses, keep=keep)),
            ],
            dim=1,
        )
        mask = two_stream_mask(steps, self.window, x.device)
        for block in cast("Iterable[STBlock]", self.transformer.blocks):
            x = block(x, functools.partial(attend_streams, block.temporal, mask=mask))
        return layer_norm(x[:, :steps]), layer_norm(x[:, steps:])

    def context(
        self,
        action_vectors: Tensor,
        num_frames: int,
        past: Tensor | None = None,
        guesses: Tensor | None = None,
        keep: Tensor | float = 1.0,
    ) -> Tensor:
        """As in the parent, plus the embedding of first guesses [B, T, H, W, C] of the frames, where there are any."""
        context = super().context(action_vectors, num_frames)
        if guesses is not None and self.first_guess:
            context = context + keep * self.guess_embedding(self.patches.cut(guesses) - GREY)
        return context

    def prior(self, features: Tensor) -> Tensor:
        """Log-probability of the latent action after each complete frame, [B, T, A], of features [B, T, N, D]."""
        return self.to_prior(features.mean(dim=2)).float().log_softmax(dim=-1)
