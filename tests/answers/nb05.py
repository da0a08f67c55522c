"""Answers of learners to notebook 05: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from genie_lite.course.solutions.nb05 import delta_psnr, draw_mask, masked_loss, one_step


def mask(rate=lambda u, low, high: low + (high - low) * u, clear=lambda m: m[:, :1], noise=torch.rand) -> Any:
    """A mask, right but for the parts that are given; `clear` is what stays visible."""

    def answer(B, T, N, low, high, generator=None):
        rates = rate(torch.rand(B, 1, 1, generator=generator), low, high)
        masked = noise(B, T, N, generator=generator) < rates
        clear(masked)[:] = False
        return masked

    return answer


def from_two_rates(B, T, N, low, high, generator=None):
    rate = torch.tensor([low, high])[torch.randint(2, (B, 1, 1), generator=generator)]
    masked = torch.rand(B, T, N, generator=generator) < rate
    masked[:, 0] = False
    return masked


def shared_noise(B, T, N, low, high, generator=None):
    rate = low + (high - low) * torch.rand(B, 1, 1, generator=generator)
    masked = (torch.rand(1, T, N, generator=generator) < rate).clone()
    masked[:, 0] = False
    return masked


def without_generator(B, T, N, low, high, generator=None):
    return draw_mask(B, T, N, low, high)


def always_alike(B, T, N, low, high, generator=None):
    return draw_mask(B, T, N, low, high, torch.Generator().manual_seed(0))


def as_indices(B, T, N, low, high, generator=None):
    return draw_mask(B, T, N, low, high, generator).nonzero()


def clip_by_clip(B, T, N, low, high, generator=None):
    masked = torch.zeros(B, T, N, dtype=torch.bool)
    for clip in masked:
        rate = low + (high - low) * torch.rand((), generator=generator).item()
        clip[1:] = torch.rand(T - 1, N, generator=generator).lt(rate)
    return masked


def exactly_as_many(B, T, N, low, high, generator=None):
    """In each frame as many tokens as the rate says, to the nearest token."""
    count = ((low + (high - low) * torch.rand(B, 1, 1, generator=generator)) * N).round()
    rank = torch.rand(B, T, N, generator=generator).argsort(-1).argsort(-1)
    return (rank < count) & (torch.arange(T)[:, None] > 0)


def loss(value, logits=lambda x, m, f: f(x[m])) -> Any:
    """An answer to 05.2 with another loss of (logits [M, K], tokens [M])."""
    return lambda x, tokens, m, f: (logits(x, m, f), value(f(x[m]), tokens[m]))


def all_but_masked_ignored(x, tokens, m, to_logits):
    found = to_logits(x)
    return found[m], F.cross_entropy(found.flatten(0, 2), tokens.masked_fill(~m, -100).flatten())


def next_token(x, tokens, m, to_logits):
    return to_logits(x[m]), F.cross_entropy(to_logits(x[m]), tokens.flatten().roll(-1).view_as(tokens)[m])


def clip_after_clip(x, tokens, m, to_logits):
    rows = [to_logits(one[here]) for one, here in zip(x, m, strict=True)]
    total = sum(F.cross_entropy(a, z[here], reduction="sum") for a, z, here in zip(rows, tokens, m, strict=True))
    return torch.cat(rows), total / m.sum()


def decide(keep=lambda order, remaining: order[:remaining], take=lambda drawn, order: drawn, hole=None) -> Any:
    """A step, right but for the parts that are given."""

    def answer(tokens, drawn, score, remaining, mask_token):
        masked = tokens == mask_token
        worst_first = np.argsort(np.where(masked, score, np.inf))
        result = np.where(masked, take(drawn, worst_first), tokens)
        result[keep(worst_first, remaining)] = mask_token if hole is None else hole
        return result

    return answer


def by_threshold(tokens, drawn, score, remaining, mask_token):
    masked = tokens == mask_token
    return np.where(masked & (score >= 0.5), drawn, tokens)


def masked_alone(tokens, drawn, score, remaining, mask_token):
    return one_step(tokens, drawn, score, remaining, mask_token)[tokens == mask_token]


def partitioned(tokens, drawn, score, remaining, mask_token):
    result, holes = tokens.copy(), np.flatnonzero(tokens == mask_token)
    best = holes[np.argpartition(score[holes], remaining)[remaining:]] if remaining < len(holes) else holes[:0]
    result[best] = drawn[best]
    return result


def in_torch(tokens, drawn, score, remaining, mask_token):
    tokens, drawn, score = map(torch.as_tensor, (tokens, drawn, score))
    hidden = tokens == mask_token
    worst = score.masked_fill(~hidden, torch.inf).topk(remaining, largest=False).indices
    return torch.where(hidden, drawn, tokens).scatter(0, worst, mask_token)


def frame_psnr(real, made, t, numbers=np.float64, power=2):
    error = np.abs(real[:, t - 1].astype(numbers) - made[:, t - 1].astype(numbers)) ** power
    return 10 * np.log10(255**2 / error.mean((1, 2, 3)))


def one_by_one(real, inferred, random, t):
    values = []
    for x, y, z in zip(real, inferred, random, strict=True):
        a, b = (np.linalg.norm(x[t - 1].astype(float) - made[t - 1]) for made in (y, z))
        values.append(20 * math.log10(b / a))
    return sum(values) / len(values)


WRONG: dict[str, dict[str, Any]] = {
    "05.1": {
        # a student's
        "two end values": from_two_rates,
        # a student's
        "shared by the batch": shared_noise,
        "The last frame is never masked": mask(clear=lambda m: m[:, -1:]),
        "first *token* of each frame": mask(clear=lambda m: m[:, :, :1]),
        "with the same `generator`": without_generator,
        "with another `generator`": always_alike,
        "spread evenly": mask(rate=lambda u, low, high: low + (high - low) * torch.cos(torch.pi / 2 * u)),
        "Those are positions": as_indices,
        "instead of between `low`": mask(rate=lambda u, low, high: high * u),
    },
    "05.2": {
        "without the logarithm": loss(lambda x, z: 1 - x.softmax(-1).gather(1, z[:, None]).mean()),
        "squared distance": loss(lambda x, z: (x.softmax(-1) - F.one_hot(z, x.shape[1])).square().sum(-1).mean()),
        "labels are smoothed": loss(lambda x, z: F.cross_entropy(x, z, label_smoothing=0.1)),
        "of the *next* position": next_token,
        "for each code by itself": loss(
            lambda x, z: F.binary_cross_entropy_with_logits(x, F.one_hot(z, x.shape[1]).float())
        ),
        "decimal logarithm": loss(lambda x, z: F.cross_entropy(x, z) / math.log(10)),
        "the *largest* logit": loss(lambda x, z: -x.log_softmax(-1).amax(-1).mean()),
        "[M, K]": loss(F.cross_entropy, lambda x, m, f: f(x[m]).T),
    },
    "05.3": {
        "which were masked before": masked_alone,
        "whatever `remaining` says": by_threshold,
        "Nothing is masked any more": decide(keep=lambda order, remaining: order[:0]),
        "another number than `mask_token`": decide(hole=-1),
        "take `drawn` at the same position": decide(take=lambda drawn, order: drawn[order]),
        "marked": lambda *arguments: one_step(*arguments) == arguments[-1],
        "nothing was decided": lambda tokens, *rest: tokens,
        "not the best-scored": decide(
            keep=lambda order, remaining: np.random.default_rng(1).permutation(order[:25])[:remaining]
        ),
    },
    "05.4": {
        "generated videos were compared with each other": lambda x, y, z, t: frame_psnr(y, z, t).mean(),
        "with inferred actions alone": lambda x, y, z, t: frame_psnr(x, y, t).mean(),
        "absolute": lambda x, y, z, t: (frame_psnr(x, y, t, power=1) - frame_psnr(x, z, t, power=1)).mean(),
        "ratio": lambda x, y, z, t: (frame_psnr(x, y, t) / frame_psnr(x, z, t)).mean(),
        "median": lambda x, y, z, t: np.median(frame_psnr(x, y, t) - frame_psnr(x, z, t)),
        "x_4, not x_3": lambda x, y, z, t: (frame_psnr(x, y, 1 - t) - frame_psnr(x, z, 1 - t)).mean(),
        "were summed": lambda x, y, z, t: (frame_psnr(x, y, t) - frame_psnr(x, z, t)).sum(),
        "bels": lambda x, y, z, t: delta_psnr(x, y, z, t) / 10,
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "05.1": {"clip by clip": clip_by_clip, "exactly as many in each frame": exactly_as_many},
    "05.2": {
        "the rest ignored": all_but_masked_ignored,
        "clip after clip": clip_after_clip,
        "negative log-likelihood": loss(lambda x, z: F.nll_loss(F.log_softmax(x, -1), z)),
        "in a list": lambda *arguments: list(masked_loss(*arguments)),
    },
    "05.3": {"partition": partitioned, "torch": in_torch, "in another order": decide()},
    "05.4": {"one by one": one_by_one, "in float32": lambda x, y, z, t: np.float32(delta_psnr(x, y, z, t))},
}
