"""Departures from the paper's dynamics model: what it reads besides, and how it is trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.dynamics import DynamicsModel, DynamicsOutput


class ExtendedDynamicsModel(DynamicsModel):
    """The paper's model with three options, each on or off.

    `previous_input`: adds the previous frame's unmasked token embedding at each position. The previous frame is
    complete, as in play, whereas most of the past that attention reaches in training is masked (docs/experiments.md).
    `corruption`: some input tokens are replaced by others, so that the model learns to doubt its own frames.
    `loss_share`: the loss counts a random fraction of the masked tokens, which saves time on the widest layer.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        settings = config.dynamics
        self.corruption, self.loss_share = settings.corruption, settings.loss_share
        self.previous_input = settings.previous_input
        if self.previous_input:
            width = settings.transformer.d_model
            self.previous_embedding = nn.Linear(width, width, bias=False)
            nn.init.eye_(self.previous_embedding.weight)  # the first guess is the frame before

    def forward(
        self, tokens: Tensor, action_vectors: Tensor, generator: torch.Generator | None = None
    ) -> DynamicsOutput:
        masked = self.draw_mask(tokens, generator)
        seen = corrupt(tokens, self.corruption, generator)
        counted = masked
        if self.loss_share < 1:
            draw = torch.rand(tokens.shape, device=tokens.device, generator=generator)
            counted = masked & (draw < self.loss_share)
        features = self.features(seen.masked_fill(masked, self.mask_token), action_vectors, past=seen[:, :-1])
        logits, loss = self.masked_loss(features, tokens, counted)
        return DynamicsOutput(logits, masked, loss)

    def context(self, action_vectors: Tensor, num_frames: int, past: Tensor | None = None) -> Tensor:
        context = super().context(action_vectors, num_frames)
        if self.previous_input and past is not None:
            before = self.previous_embedding(self.token_embedding(past))
            context = context + F.pad(before, (0, 0, 0, 0, num_frames - past.shape[1], 0))  # no frame before the first
        return context


def corrupt(tokens: Tensor, most: float, generator: torch.Generator | None = None) -> Tensor:
    """Replace a fraction of tokens [B, T, N], drawn per clip from U(0, `most`), by random tokens of the same clip."""
    if not most:
        return tokens
    clips = tokens.flatten(1)  # [B, T·N]
    fraction = most * torch.rand(len(clips), 1, 1, device=tokens.device, generator=generator)
    draw = torch.rand(tokens.shape, device=tokens.device, generator=generator)
    elsewhere = torch.randint(clips.shape[1], clips.shape, device=tokens.device, generator=generator)
    wrong = clips.gather(1, elsewhere).view_as(tokens)
    return torch.where(draw < fraction, wrong, tokens)


@torch.no_grad()
def start_from_codes(model: DynamicsModel, codes: Tensor) -> None:
    """Initialise a model from the tokenizer's codes [K, latent_dim] (`token_start: codebook`; not in the paper).

    One random projection of the codes gives the token embeddings and, smaller, the rows of `to_logits`. What is learned
    about one token then holds for similar ones from the first step (docs/experiments.md).
    """
    codes = codes / codes.square().sum(-1).mean().sqrt()  # of unit length on average
    start = codes @ torch.randn(codes.shape[1], model.to_logits.in_features, device=codes.device)  # [K, D]
    model.token_embedding.weight[: model.num_tokens] = 0.1 * start
    model.to_logits.weight.copy_(0.03 * start)
