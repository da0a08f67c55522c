"""The dynamics model (section 2.1, figure 7): a MaskGIT transformer that predicts the next frame's tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.nn import STTransformer, position_embedding
from genie_lite.nn.precision import to_autocast_dtype


class DynamicsOutput(NamedTuple):
    logits: Tensor  # of the tokens that the loss counts, [number of those tokens, K]
    masked: Tensor  # bool [B, T, N], True where the input token was masked
    loss: Tensor  # cross-entropy over masked tokens, in nats


class DynamicsModel(nn.Module):
    """Predicts masked tokens from the other tokens [B, T, N] of a clip and the latent actions between its frames.

    An action is given as the vector of its code, [B, T-1, latent_dim], and its embedding is added to the frame that it
    leads to. No gradient returns to the latent action model.

    Sampling, and the fast pass over one new frame, are in genie_lite/inference. `build.build_dynamics` chooses between
    this class and its variants.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        transformer = config.dynamics.transformer
        self.mask_rate = config.dynamics.mask_rate
        self.num_tokens = config.tokenizer.codebook.num_codes
        self.mask_token = self.num_tokens  # the last row of the embedding
        self.tokens_per_frame = config.tokens_per_frame

        # Embed
        self.token_embedding = nn.Embedding(self.num_tokens + 1, transformer.d_model)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.positions = position_embedding(config.tokens_per_frame, transformer.d_model)
        self.action_embedding = nn.Linear(config.latent_action.codebook.latent_dim, transformer.d_model)
        # Predict
        self.transformer = STTransformer(transformer, config.context_frames)
        self.to_logits = nn.Linear(transformer.d_model, self.num_tokens)
        nn.init.zeros_(self.to_logits.weight)  # start undecided: the cross-entropy begins at log K
        nn.init.zeros_(self.to_logits.bias)

    def forward(
        self, tokens: Tensor, action_vectors: Tensor, generator: torch.Generator | None = None
    ) -> DynamicsOutput:
        """Mask tokens [B, T, N] at random and predict them: one training step's loss."""
        masked = self.draw_mask(tokens, generator)
        features = self.features(tokens.masked_fill(masked, self.mask_token), action_vectors)
        logits, loss = self.masked_loss(features, tokens, masked)
        return DynamicsOutput(logits, masked, loss)

    # -------------------------------------------------------------------------------------------------- Mask

    def draw_mask(self, tokens: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Which of tokens [B, T, N] to mask: bool [B, T, N].

        The masking rate is drawn for each clip from U(`mask_rate`); the first frame is never masked (section 2.1).
        """
        low, high = self.mask_rate
        rate = low + (high - low) * torch.rand(len(tokens), 1, 1, device=tokens.device, generator=generator)
        masked = torch.rand(tokens.shape, device=tokens.device, generator=generator) < rate
        masked[:, 0] = False
        return masked

    # ------------------------------------------------------------------------------------------------- Embed

    def embed(self, tokens: Tensor, context: Tensor) -> Tensor:
        """What the transformer reads, [B, T, N, D]: the embedding of each token, plus its context."""
        return to_autocast_dtype(self.token_embedding(tokens) + context)

    def context(self, action_vectors: Tensor, num_frames: int, past: Tensor | None = None) -> Tensor:
        """What is added to the token embeddings: position, and the action that leads to the frame; [B, T, N, D].

        action_vectors are [B, T-1, latent_dim], or [B, T, latent_dim] if an action leads to the first frame too.
        `past`, the complete tokens of the frame before each frame, is read by variants only.
        """
        actions = self.action_embedding(action_vectors.detach())  # stop-gradient (section 2.1)
        actions = F.pad(actions, (0, 0, num_frames - actions.shape[1], 0))  # zero where no action leads to a frame
        return self.positions + actions[:, :, None]

    # ----------------------------------------------------------------------------------------------- Predict

    def features(self, tokens: Tensor, action_vectors: Tensor, past: Tensor | None = None) -> Tensor:
        """The transformer's output [B, T, N, D] for tokens [B, T, N], some of them masked."""
        return self.transformer(self.embed(tokens, self.context(action_vectors, tokens.shape[1], past)))

    def masked_loss(self, features: Tensor, tokens: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [M, K] of the M masked tokens, and their mean cross-entropy in nats.

        features [B, T, N, D] are the transformer's output, tokens [B, T, N] the right ones, masked is bool [B, T, N].
        Only masked tokens get logits, since this is the widest layer.
        """
        logits = self.to_logits(features[masked])
        return logits, F.cross_entropy(logits.float(), tokens[masked])

    def logits(self, tokens: Tensor, action_vectors: Tensor) -> Tensor:
        """Scores [B, T, N, K] at every position, for tokens that are complete except in the last frame."""
        return self.to_logits(self.features(tokens, action_vectors, past=tokens[:, :-1]))
