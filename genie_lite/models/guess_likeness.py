"""A dynamics model that takes its first guess by its looks: tokens like the guess are likelier (not in the paper).

Most of a frame is the last one, moved, and the latent action model's decoder moves it well. A model that reads this
guess still has to learn, for each of thousands of tokens, which guesses look like it. Where codes are patches that need
not be learned: they can be compared with the guess, pixel by pixel. What is learned is how far to trust it at each
place: hardly where something new comes into view, and elsewhere nearly always.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.complete_past import GREY
from genie_lite.models.merged_tokens import MergedTokensDynamicsModel
from genie_lite.nn import Patches

NEAREST = 4.0  # nats by which full trust of 1 raises the code that is nearest to the guess


class LikenessLogits(nn.Linear):
    """Logits of features [..., D], or of features with the guess at their places, [..., D + patch + 1].

    The last number is 1 where the guess counts and 0 where it does not. Two trusts of 0 or more are read off the
    features. One weighs the squared distance of each code from the guess, the other raises the nearest code alone.
    """

    codes: Tensor  # [K, patch], pixels from -0.5 to 0.5; those of the tokenizer, set when training begins

    def __init__(self, width: int, num_codes: int, patch: int) -> None:
        super().__init__(width, num_codes)
        self.trust = nn.Linear(width, 2)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        self.register_buffer("codes", torch.zeros(num_codes, patch))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] == self.in_features:
            return super().forward(x)
        features, guess, counts = x.split((self.in_features, self.codes.shape[1], 1), dim=-1)
        nearest, near = (counts * F.softplus(self.trust(features)).float()).unbind(-1)
        distances = squared_distances(guess, self.codes)
        logits = super().forward(features).float() - near[..., None] * distances
        return logits.scatter_add(-1, distances.argmin(-1, keepdim=True), NEAREST * nearest[..., None])


class LikenessDynamicsModel(MergedTokensDynamicsModel):
    """The model with a complete past whose logits also say how much each code looks like the first guess.

    Contexts of frames with a guess carry it, [B, T, S, D + merge² · (patch + 1)], and so do the features of their
    tokens, [B, T, N, D + patch + 1], which only `to_logits` reads.
    """

    to_logits: LikenessLogits

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.width = config.dynamics.transformer.d_model
        self.token_patches = Patches(config.frame_size, config.tokenizer.patch_size, config.channels)
        self.to_logits = LikenessLogits(self.width, self.num_tokens, self.token_patches.width)
        nn.init.zeros_(self.to_logits.weight)
        nn.init.zeros_(self.to_logits.bias)

    def context(
        self,
        action_vectors: Tensor,
        num_frames: int,
        past: Tensor | None = None,
        guesses: Tensor | None = None,
        keep: Tensor | float = 1.0,
    ) -> Tensor:
        context = super().context(action_vectors, num_frames, past, guesses, keep)
        if guesses is None:
            return context
        return torch.cat([context, self.to_squares(self.guessed(guesses, keep))], dim=-1)

    def embed(self, tokens: Tensor, context: Tensor) -> Tensor:
        return super().embed(tokens, context[..., : self.width])

    def by_token(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        features = super().by_token(features)
        if context is None or context.shape[-1] == self.width:
            return features
        return torch.cat([features, self.from_squares(context[..., self.width :])], dim=-1)

    def two_streams(
        self,
        past: Tensor,
        present: Tensor,
        action_vectors: Tensor,
        guesses: Tensor | None = None,
        keep: Tensor | float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        seen, features = super().two_streams(past, present, action_vectors, guesses, keep)
        if guesses is not None:
            features = torch.cat([features, self.guessed(guesses, keep)], dim=-1)
        return seen, features

    def guessed(self, guesses: Tensor, keep: Tensor | float = 1.0) -> Tensor:
        """The guess at the place of each token, and whether it counts: [B, T, N, patch + 1] of [B, T, H, W, C]."""
        patches = self.token_patches.cut(guesses) - GREY
        return torch.cat([patches, keep * torch.ones_like(patches[..., :1])], dim=-1)


def squared_distances(points: Tensor, codes: Tensor) -> Tensor:
    """Squared distances [..., K] of points [..., P] from codes [K, P], in float32 whatever else is computed in."""
    with torch.autocast(points.device.type, enabled=False):
        points, codes = points.float(), codes.float()
        products = points @ codes.mT
        return points.square().sum(-1, keepdim=True) - 2 * products + codes.square().sum(-1)
