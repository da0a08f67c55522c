"""The dynamics model (section 2.1, figure 7): a MaskGIT transformer that predicts the next frame's tokens."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig, SamplingConfig
from genie_lite.models.build import position_embedding, st_transformer
from genie_lite.nn import TemporalCache


class DynamicsOutput(NamedTuple):
    logits: Tensor  # of the tokens that the loss counts, [R, K]
    masked: Tensor  # bool [B, T, N], True where the input token was hidden
    loss: Tensor  # cross-entropy over hidden tokens, in nats; over `loss_share` of them


class DynamicsModel(nn.Module):
    """Given tokens [B, T, N] with some hidden and the latent actions between frames, says what the hidden ones are.

    An action is an additive embedding on the frame it leads to, and is given as its code's vector,
    [B, T-1, latent_dim]; no gradient returns to the latent action model.

    With the option `previous_input` each place also sees the token that it had in the frame before, which is never
    hidden: as in play, and unlike the past that attention reaches in training, of which most is (docs/experiments.md).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        settings = config.dynamics
        self.mask_rate, self.corruption = settings.mask_rate, settings.corruption
        self.loss_share = settings.loss_share
        self.num_tokens, d_model = config.tokenizer.codebook.num_codes, settings.transformer.d_model
        self.mask_token = self.num_tokens  # one more embedding than there are tokens
        self.token_embedding = nn.Embedding(self.num_tokens + 1, d_model)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        self.positions = position_embedding(config.tokens_per_frame, d_model)
        if settings.previous_input:  # as it is at first: the frame before is the first guess
            self.previous_embedding = nn.Linear(d_model, d_model, bias=False)
            nn.init.eye_(self.previous_embedding.weight)
        self.previous_input = settings.previous_input
        self.action_embedding = nn.Linear(config.latent_action.codebook.latent_dim, d_model)
        self.transformer = st_transformer(settings.transformer, config.context_frames)
        self.to_logits = nn.Linear(d_model, self.num_tokens)
        nn.init.zeros_(self.to_logits.bias)
        nn.init.zeros_(self.to_logits.weight)  # start undecided: cross-entropy log K

    @torch.no_grad()
    def start_from(self, codes: Tensor) -> None:
        """Let tokens whose codes [K, latent_dim] are alike begin alike, in what goes in and in what comes out.

        One random projection of the codes, of unit length on average, gives the embeddings and, smaller, the rows of
        `to_logits`: what is learned about one patch then holds for its relatives from the first step
        (docs/experiments.md).
        """
        codes = codes / codes.square().sum(-1).mean().sqrt()
        start = codes @ torch.randn(codes.shape[1], self.to_logits.in_features, device=codes.device)
        self.token_embedding.weight[: self.num_tokens] = 0.1 * start
        self.to_logits.weight.copy_(0.03 * start)

    def forward(
        self, tokens: Tensor, action_vectors: Tensor, generator: torch.Generator | None = None
    ) -> DynamicsOutput:
        """Hide tokens at random and predict them: one training step's loss.

        The masking rate is drawn for every clip from U(`mask_rate`); the first frame is never hidden (section 2.1).
        """
        masked = self.draw_mask(tokens, generator)
        past = self._corrupt(tokens, generator)
        visible = past.masked_fill(masked, self.mask_token)
        # Of hidden places only: the cross-entropy needs no logits elsewhere, and logits are the widest layer.
        counted = masked
        if self.loss_share < 1:
            draw = torch.rand(tokens.shape, device=tokens.device, generator=generator)
            counted = masked & (draw < self.loss_share)
        logits = self.to_logits(self._features(visible, action_vectors, past=past[:, :-1])[counted])
        return DynamicsOutput(logits, masked, F.cross_entropy(logits.float(), tokens[counted]))

    def logits(
        self, tokens: Tensor, action_vectors: Tensor, cache: TemporalCache | None = None, past: Tensor | None = None
    ) -> Tensor:
        """Scores [B, T, N, K] of every token; hidden input tokens are `mask_token`, in the last frame only.

        action_vectors are [B, T-1, latent_dim]. With a cache, tokens are the newest frame's [B, 1, N], the action is
        the one that leads to it, [B, 1, latent_dim], and `past` is the frame before, [B, 1, N]; for the very first
        frame they are [B, 0, latent_dim] and None.
        """
        past = tokens[:, :-1] if cache is None else past
        return self.to_logits(self._features(tokens, action_vectors, cache, past))

    def remember(
        self, tokens: Tensor, action_vectors: Tensor, cache: TemporalCache, past: Tensor | None = None
    ) -> None:
        """Write the newest frame's complete tokens [B, 1, N] into the cache, as later frames will attend to them.

        `past` [B, 1, N] is the frame before, None if there is none.
        """
        self._features(tokens, action_vectors, cache, past)

    def draw_mask(self, tokens: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Which of tokens [B, T, N] to hide: bool [B, T, N]."""
        low, high = self.mask_rate
        rate = low + (high - low) * torch.rand(len(tokens), 1, 1, device=tokens.device, generator=generator)
        masked = torch.rand(tokens.shape, device=tokens.device, generator=generator) < rate
        masked[:, 0] = False
        return masked

    @torch.no_grad()
    def sample(
        self,
        action_vectors: Tensor,
        cache: TemporalCache,
        sampling: SamplingConfig,
        generator: torch.Generator | None = None,
        past: Tensor | None = None,
    ) -> list[Tensor]:
        """Decode the newest frame by MaskGIT: the tokens [B, N] after each step, the last one complete.

        action_vectors [B, 1, latent_dim] lead to that frame; `cache` holds the frames before it, of which `past`
        [B, 1, N] are the last one's tokens (needed for the option `previous_input`). Every step samples
        hidden tokens and keeps some, more each time (Chang et al., 2022; section 3). At random ordering those to be
        kept are known before, and no others are drawn.
        """
        batch, count = len(action_vectors), self.positions.shape[0]
        tokens = torch.full((batch, count), self.mask_token, device=action_vectors.device)
        around = self._around(tokens[:, None], action_vectors, past)
        # A random order of unmasking, and the random number that decides each place when its turn has come.
        order, points = torch.rand(2, batch, count, device=tokens.device, generator=generator)
        order = order.argsort(dim=-1)
        points = points.gather(1, order)
        rows = order + count * torch.arange(batch, device=tokens.device)[:, None]
        hidden = count
        history = []
        for step in range(sampling.maskgit_steps):
            remaining = hidden_after(step + 1, sampling.maskgit_steps, count, sampling.schedule)
            if remaining < hidden:  # a step that decides nothing need not be computed
                embedded, turn = self._embed(tokens[:, None], around), slice(remaining, hidden)
                if sampling.ordering == "random":
                    chosen = order[:, turn]
                    logits = self.to_logits(self.transformer.newest(embedded, cache, rows[:, turn].flatten()))
                    drawn = draw_tokens(
                        logits.float().unflatten(0, chosen.shape), sampling.temperature, points[:, turn]
                    )
                else:
                    fade = 1 - (step + 1) / sampling.maskgit_steps
                    logits = self.to_logits(self.transformer(embedded, cache))[:, 0].float()
                    chosen, drawn = _most_confident(
                        logits, tokens == self.mask_token, hidden - remaining, sampling.temperature, fade, generator
                    )
                tokens = tokens.scatter(1, chosen, drawn)
                hidden = remaining
            history.append(tokens)
            if not hidden:
                break
        return history

    def _features(
        self, tokens: Tensor, action_vectors: Tensor, cache: TemporalCache | None = None, past: Tensor | None = None
    ) -> Tensor:
        return self.transformer(self._embed(tokens, self._around(tokens, action_vectors, past)), cache)

    def _around(self, tokens: Tensor, action_vectors: Tensor, past: Tensor | None = None) -> Tensor:
        """What a token's own embedding is added to: its place, and the action that leads to its frame, [B, T, N, D]."""
        actions = self.action_embedding(action_vectors.detach())
        missing = tokens.shape[1] - actions.shape[1]  # no action leads to the first frame
        around = self.positions + F.pad(actions, (0, 0, missing, 0))[:, :, None]
        if self.previous_input and past is not None:
            before = self.previous_embedding(self.token_embedding(past))
            around = around + F.pad(before, (0, 0, 0, 0, tokens.shape[1] - past.shape[1], 0))
        return around

    def _embed(self, tokens: Tensor, around: Tensor) -> Tensor:
        embedded = self.token_embedding(tokens) + around
        device = embedded.device.type
        return embedded.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else embedded

    def _corrupt(self, tokens: Tensor, generator: torch.Generator | None) -> Tensor:
        """Replace a share of tokens by others of the same clip, so that the model learns to doubt its own frames.

        The share is drawn for every clip from U(0, `corruption`).
        """
        if not self.corruption:
            return tokens
        clips = tokens.flatten(1)
        share = self.corruption * torch.rand(len(clips), 1, 1, device=tokens.device, generator=generator)
        draw = torch.rand(tokens.shape, device=tokens.device, generator=generator)
        elsewhere = torch.randint(clips.shape[1], clips.shape, device=tokens.device, generator=generator)
        wrong = clips.gather(1, elsewhere).view_as(tokens)
        return torch.where(draw < share, wrong, tokens)


def draw_tokens(logits: Tensor, temperature: float, points: Tensor) -> Tensor:
    """Sample a token for every place from logits [..., K]: tokens [...].

    points [...] are uniform random numbers in [0, 1), one for each place. temperature 0 takes the most likely token.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    cumulative = (logits / temperature).softmax(dim=-1).cumsum(dim=-1)
    tokens = torch.searchsorted(cumulative, points[..., None] * cumulative[..., -1:])
    return tokens[..., 0].clamp_max(logits.shape[-1] - 1)


def _most_confident(
    logits: Tensor, hidden: Tensor, count: int, temperature: float, fade: float, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """The `count` hidden places [B, count] whose drawn tokens are surest, and these tokens.

    Gumbel noise times `fade` is added to the logarithm of confidence; without it, sure places copy the last frame.
    """
    points, noise = torch.rand(2, *hidden.shape, device=logits.device, generator=generator).clamp_min(1e-9)
    drawn = draw_tokens(logits, temperature, points)
    confidence = (logits / (temperature or 1.0)).log_softmax(dim=-1).gather(-1, drawn[..., None])[..., 0]
    order = confidence - fade * (-noise.log()).clamp_min(1e-9).log()
    chosen = order.masked_fill(~hidden, -float("inf")).topk(count, dim=-1).indices
    return chosen, drawn.gather(1, chosen)


def hidden_after(step: int, steps: int, count: int, schedule: str) -> int:
    """How many of `count` tokens are still hidden after `step` of `steps`: none after the last one."""
    progress = step / steps
    left = math.cos(math.pi / 2 * progress) if schedule == "cosine" else 1 - progress
    return 0 if step >= steps else min(math.floor(left * count), count - 1)
