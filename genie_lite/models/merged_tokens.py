"""A dynamics model whose transformer sees squares of tokens in place of single ones (not in the paper).

Small patches show small things, and make many tokens: a frame of 64x64 pixels has 256 patches of 4x4. Here each square
of `merge` by `merge` tokens shares one position of the transformer. The tokens' embeddings are joined where they enter,
and each token gets its own features back at the end. Tokens are still masked and decided one by one.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.complete_past import CompletePastDynamicsModel
from genie_lite.nn import Patches, position_embedding
from genie_lite.nn.layers import layer_norm
from genie_lite.nn.precision import to_autocast_dtype


class MergedTokensDynamicsModel(CompletePastDynamicsModel):
    """The model with a complete past, on S = N / merge² squares of tokens.

    Contexts and the transformer's own features have S positions, [B, T, S, D]. Tokens, and the features that `features`
    and `two_streams` return, have N.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        merge, width = config.dynamics.merge, config.dynamics.transformer.d_model
        self.side = merge
        rows, columns = config.grid(config.tokenizer.patch_size)
        self.square_rows = rows // merge
        self.positions = position_embedding(rows * columns // merge**2, width)
        self.join_tokens = nn.Linear(merge**2 * width, width, bias=False)
        self.split_tokens = nn.Linear(width, merge**2 * width, bias=False)
        if self.first_guess:  # of a whole square
            self.patches = Patches(config.frame_size, config.tokenizer.patch_size * merge, config.channels)
            self.guess_embedding[0] = nn.Linear(self.patches.width, 2 * width)

    def embed(self, tokens: Tensor, context: Tensor) -> Tensor:
        """What the transformer reads, [B, T, S, D], of tokens [B, T, N] and their context [B, T, S, D]."""
        return to_autocast_dtype(self.join_tokens(self.to_squares(self.token_embedding(tokens))) + context)

    def by_token(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        """The transformer's output [B, T, S, D] as features of tokens, [B, T, N, D]. `context` is read by variants."""
        return layer_norm(self.from_squares(self.split_tokens(features)))

    def to_squares(self, x: Tensor) -> Tensor:
        """What belongs to tokens, [B, T, N, D], joined for each square: [B, T, S, merge² · D]."""
        pattern = "b t (rows r columns c) d -> b t (rows columns) (r c d)"
        return rearrange(x, pattern, rows=self.square_rows, r=self.side, c=self.side)

    def from_squares(self, x: Tensor) -> Tensor:
        """The reverse of `to_squares`."""
        pattern = "b t (rows columns) (r c d) -> b t (rows r columns c) d"
        return rearrange(x, pattern, rows=self.square_rows, r=self.side, c=self.side)

    def features(self, tokens: Tensor, action_vectors: Tensor, past: Tensor | None = None) -> Tensor:
        return self.by_token(super().features(tokens, action_vectors, past))

    def two_streams(
        self,
        past: Tensor,
        present: Tensor,
        action_vectors: Tensor,
        guesses: Tensor | None = None,
        keep: Tensor | float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        seen, features = super().two_streams(past, present, action_vectors, guesses, keep)
        return self.by_token(seen), self.by_token(features)
