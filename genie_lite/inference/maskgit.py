"""MaskGIT sampling (Chang et al., 2022; section 3): a frame's tokens are decided in a few steps, some in each.

A sampler starts with a frame of masked tokens. In every step it predicts all of them, decides some and leaves the rest
masked. Samplers differ in which tokens they decide first; the schedule says how many.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from genie_lite.config import SamplingConfig
from genie_lite.inference.kv_cache import KVCache
from genie_lite.inference.one_frame import frame_features
from genie_lite.models import DynamicsModel
from genie_lite.models.complete_past import CompletePastDynamicsModel

# From the model, the context [B, 1, N, D] of the newest frame, the cache of those before it, the settings and a random
# generator to the frame's tokens [B, N] after each step.
Sampler = Callable[[DynamicsModel, Tensor, KVCache, SamplingConfig, torch.Generator | None], list[Tensor]]


@torch.no_grad()
def sample_frame(
    model: DynamicsModel,
    action_vectors: Tensor,
    cache: KVCache,
    sampling: SamplingConfig,
    generator: torch.Generator | None = None,
    past: Tensor | None = None,
    guess: Tensor | None = None,
    sampler: Sampler | None = None,
) -> list[Tensor]:
    """Sample the newest frame: its tokens [B, N] after each MaskGIT step, the last of them complete.

    action_vectors [B, 1, latent_dim] lead to that frame. `cache` holds the frames before it. Variants of the model read
    `past`, the tokens [B, 1, N] of the last of them, or `guess`, a first guess [B, 1, H, W, C] of the frame. `sampler`
    takes the place of the one that `sampling.ordering` names.
    """
    context = model.context(action_vectors, 1, past)
    if isinstance(model, CompletePastDynamicsModel):
        context = model.context(action_vectors, 1, guesses=guess)
    if sampler is None:
        sampler = sample_at_random if sampling.ordering == "random" else sample_by_confidence
    return sampler(model, context, cache, sampling, generator)


def sample_at_random(
    model: DynamicsModel,
    context: Tensor,
    cache: KVCache,
    sampling: SamplingConfig,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """Decide tokens in a random order (the paper's choice).

    Which tokens a step will decide is known before it, so nothing is computed for the others in the last block.
    """
    tokens = masked_frame(model, context)
    batch, count = tokens.shape
    order, points = torch.rand(2, batch, count, device=tokens.device, generator=generator)
    order = order.argsort(dim=-1)  # the last of these positions is decided first
    points = points.gather(1, order)
    rows = order + count * torch.arange(batch, device=tokens.device)[:, None]  # positions, as rows of [B·N]
    history = []
    for before, after in masked_counts(sampling.maskgit_steps, count, sampling.schedule):
        if after < before:  # a step that decides nothing need not be computed
            now = slice(after, before)
            features = frame_features(model, tokens, context, cache, rows[:, now].flatten())
            logits = model.to_logits(features).float().unflatten(0, (batch, -1))  # [B, before - after, K]
            logits = without_rare(logits, sampling.min_p)  # 0, the default, leaves all of them
            tokens = tokens.scatter(1, order[:, now], draw_tokens(logits, sampling.temperature, points[:, now]))
        history.append(tokens)
    return history


def sample_by_confidence(
    model: DynamicsModel,
    context: Tensor,
    cache: KVCache,
    sampling: SamplingConfig,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """Decide those tokens first that the model is surest of, with noise that fades from step to step.

    Without the noise, tokens that copy the last frame would nearly always come first.
    """
    tokens = masked_frame(model, context)
    # One draw is left out, as it was in earlier versions, so that the same seed still gives the same frames.
    torch.rand(2, *tokens.shape, device=tokens.device, generator=generator)
    history = []
    steps = masked_counts(sampling.maskgit_steps, tokens.shape[1], sampling.schedule)
    for step, (before, after) in enumerate(steps, start=1):
        if after < before:
            features = frame_features(model, tokens, context, cache)
            logits = model.to_logits(features).float().view(*tokens.shape, -1)  # [B, N, K]
            logits = without_rare(logits, sampling.min_p)
            noise = 1 - step / sampling.maskgit_steps
            masked = tokens == model.mask_token
            chosen, drawn = most_confident(logits, masked, before - after, sampling.temperature, noise, generator)
            tokens = tokens.scatter(1, chosen, drawn)
        history.append(tokens)
    return history


def masked_frame(model: DynamicsModel, context: Tensor) -> Tensor:
    """Tokens [B, N] of a frame in which all are masked, for its context [B, 1, ...]."""
    return torch.full((len(context), model.tokens_per_frame), model.mask_token, device=context.device)


# --------------------------------------------------------------------------------------------- what samplers share


def masked_counts(steps: int, count: int, schedule: str) -> list[tuple[int, int]]:
    """How many of `count` tokens are masked before and after each step; the step that leaves none is the last."""
    before = [count, *(masked_after(step, steps, count, schedule) for step in range(1, steps + 1))]
    return [(now, after) for now, after in itertools.pairwise(before) if now]


def masked_after(step: int, steps: int, count: int, schedule: str) -> int:
    """How many of `count` tokens are still masked after `step` of `steps`: none after the last."""
    progress = step / steps
    left = math.cos(math.pi / 2 * progress) if schedule == "cosine" else 1 - progress
    return 0 if step >= steps else min(math.floor(left * count), count - 1)


def without_rare(logits: Tensor, min_p: float) -> Tensor:
    """Logits [..., K] with -inf for codes that are less likely than `min_p` times the likeliest one.

    This is min-p sampling (Nguyen et al., arXiv 2407.01082; not in the paper). Where the model is sure, few codes are
    left; where it is not, many are. Likelihoods are the model's own, at temperature 1, so that the temperature does not
    change which codes are left, only how often each is drawn.
    """
    if not min_p:
        return logits
    return logits.masked_fill(logits < logits.amax(dim=-1, keepdim=True) + math.log(min_p), -math.inf)


def draw_tokens(logits: Tensor, temperature: float, points: Tensor) -> Tensor:
    """Sample a token for each position from logits [..., K]: tokens [...].

    points [...] are uniform random numbers in [0, 1), one a position. Temperature 0 takes the most likely token.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    cumulative = (logits / temperature).softmax(dim=-1).cumsum(dim=-1)
    points = points[..., None].clamp_min(1e-9)  # at 0 the first code would be drawn, however unlikely
    tokens = torch.searchsorted(cumulative, points * cumulative[..., -1:])
    return tokens[..., 0].clamp_max(logits.shape[-1] - 1)


def most_confident(
    logits: Tensor,
    masked: Tensor,
    count: int,
    temperature: float,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """The `count` masked positions [B, count] whose drawn tokens are likeliest, and those tokens, of logits [B, N, K].

    Gumbel noise times `noise` is added to the logarithm of the likelihood.
    """
    drawn, order = draw_with_confidence(logits, temperature, noise, generator)
    chosen = order.masked_fill(~masked, -float("inf")).topk(count, dim=-1).indices
    return chosen, drawn.gather(1, chosen)


def draw_with_confidence(
    logits: Tensor, temperature: float, noise: float = 0.0, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """A token [B, N] drawn from each of logits [B, N, K], and the logarithm of its likelihood, with Gumbel noise."""
    points, uniform = torch.rand(2, *logits.shape[:-1], device=logits.device, generator=generator).clamp_min(1e-9)
    drawn = draw_tokens(logits, temperature, points)
    confidence = (logits / (temperature or 1.0)).log_softmax(dim=-1).gather(-1, drawn[..., None])[..., 0]
    return drawn, confidence - noise * (-uniform.log()).clamp_min(1e-9).log()
