"""A dynamics model that reads each latent action as a token of its own, before the tokens of its frame (not Genie's).

World models before Genie concatenate the action to its frame (Micheli et al., 2023; Robine et al., 2023). The paper
adds its embedding to the frame's tokens instead, "to improve the controllability of the generations" (section 2.1).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.config import ModelConfig
from genie_lite.models.dynamics_variants import ExtendedDynamicsModel
from genie_lite.nn import position_embedding
from genie_lite.nn.precision import to_autocast_dtype


class PrependedActionsDynamicsModel(ExtendedDynamicsModel):
    """The paper's model, with the action that leads to a frame in place 0 of it and its N tokens behind.

    Contexts and what the transformer reads have N + 1 places, [B, T, N + 1, D]; tokens, and the features that
    `features` returns, have N. The first frame's place 0 holds its position alone, since no action leads there.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.positions = position_embedding(config.tokens_per_frame + 1, config.dynamics.transformer.d_model)

    def embed(self, tokens: Tensor, context: Tensor) -> Tensor:
        """What the transformer reads, [B, T, N + 1, D], of tokens [B, T, N] and their context [B, T, N + 1, D]."""
        embedded = self.token_embedding(tokens) + context[:, :, 1:]
        return to_autocast_dtype(torch.cat([context[:, :, :1], embedded], dim=2))

    def context(self, action_vectors: Tensor, num_frames: int, past: Tensor | None = None) -> Tensor:
        """The action that leads to each frame, at its position, and the positions of the frame's tokens."""
        actions = self.action_embedding(action_vectors.detach())  # stop-gradient (section 2.1)
        actions = F.pad(actions, (0, 0, num_frames - actions.shape[1], 0))  # zero where no action leads to a frame
        positions = self.positions[1:].expand(*actions.shape[:2], -1, -1)
        return torch.cat([(actions + self.positions[0])[:, :, None], positions], dim=2)

    def by_token(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        """The transformer's output [B, T, N + 1, D] without the action's place, [B, T, N, D]."""
        return features[:, :, 1:]

    def features(self, tokens: Tensor, action_vectors: Tensor, past: Tensor | None = None) -> Tensor:
        return self.by_token(super().features(tokens, action_vectors, past))
