"""Exercises of notebook 05: solutions pass, each mistake is named, a placeholder is not a mistake."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from genie_lite.course.checking import get_solution, verdict


@pytest.mark.parametrize("name", ["05.1", "05.2", "05.3", "05.4"])
def test_the_solution_passes_and_the_placeholder_is_not_answered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert verdict(name, lambda *arguments: None).status == "unanswered"
    assert verdict(name).status == "unanswered"


def mask(
    B: int,
    T: int,
    N: int,
    low: float,
    high: float,
    rng: np.random.Generator,
    rate: tuple[int, ...],
    draws: tuple[int, ...],
) -> np.ndarray:
    hidden = rng.random(draws) < rng.uniform(low, high, rate)
    hidden = np.broadcast_to(hidden, (B, T, N)).copy()
    hidden[:, 0] = False
    return hidden


def from_rates(rates: np.ndarray, T: int, N: int, rng: np.random.Generator) -> np.ndarray:
    hidden = rng.random((len(rates), T, N)) < rates
    hidden[:, 0] = False
    return hidden


def two_rates(B, T, N, low, high, rng) -> np.ndarray:
    return from_rates(rng.choice([low, high], (B, 1, 1)), T, N, rng)


def shared_noise(B, T, N, low, high, rng) -> np.ndarray:
    hidden = rng.random((1, T, N)) < rng.uniform(low, high, (B, 1, 1))
    hidden[:, 0] = False
    return hidden


def in_torch(answer: Callable) -> Callable:
    """An answer whose random numbers come from NumPy, and whose mask becomes a tensor."""

    def masked(B, T, N, low, high, generator) -> torch.Tensor:
        return torch.from_numpy(answer(B, T, N, low, high, np.random.default_rng(generator.initial_seed())))

    return masked


MASKS: dict[str, tuple[Callable, str]] = {
    "shape": (lambda B, T, N, low, high, rng: mask(B, T, N, low, high, rng, (B, 1, 1), (B, T, N))[0], "shape"),
    "float": (
        lambda B, T, N, low, high, rng: mask(B, T, N, low, high, rng, (B, 1, 1), (B, T, N)) * 1.0,
        "expected bool",
    ),
    "first frame": (
        lambda B, T, N, low, high, rng: rng.random((B, T, N)) < rng.uniform(low, high, (B, 1, 1)),
        "first frame",
    ),
    "turned": (lambda B, T, N, low, high, rng: ~mask(B, T, N, low, high, rng, (B, 1, 1), (B, T, N)), "inverted"),
    "per batch": (
        lambda B, T, N, low, high, rng: mask(B, T, N, low, high, rng, (1, 1, 1), (B, T, N)),
        "once for the batch",
    ),
    "per token": (
        lambda B, T, N, low, high, rng: mask(B, T, N, low, high, rng, (B, T, N), (B, T, N)),
        "once per token",
    ),
    "per frame": (
        lambda B, T, N, low, high, rng: mask(B, T, N, low, high, rng, (B, T, 1), (B, T, N)),
        "Every frame has a rate",
    ),
    "same places": (
        lambda B, T, N, low, high, rng: mask(B, T, N, low, high, rng, (B, 1, 1), (B, 1, N)),
        "same positions",
    ),
    "visible": (
        lambda B, T, N, low, high, rng: mask(B, T, N, 1 - high, 1 - low, rng, (B, 1, 1), (B, T, N)),
        "*below* the rate",
    ),
    "any rate": (lambda B, T, N, low, high, rng: mask(B, T, N, 0, 1, rng, (B, 1, 1), (B, T, N)), "between 0 and 1"),
    "constants": (
        lambda B, T, N, low, high, rng: mask(B, T, N, 0.5, 1, rng, (B, 1, 1), (B, T, N)),
        "use the arguments",
    ),
    "two rates": (lambda B, T, N, low, high, rng: two_rates(B, T, N, low, high, rng), "two end values"),
    "few rates": (
        lambda B, T, N, low, high, rng: from_rates(rng.choice(np.linspace(low, high, 5), (B, 1, 1)) ** 0.5, T, N, rng),
        "evenly",
    ),
    "shared noise": (lambda B, T, N, low, high, rng: shared_noise(B, T, N, low, high, rng), "shared by the batch"),
    "whole frames": (lambda B, T, N, low, high, rng: mask(B, T, N, low, high, rng, (B, 1, 1), (B, T, 1)), "as a whole"),
    "raises": (lambda B, T, N, low, high, rng: rng.no_such_thing(), "AttributeError"),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_wrong_mask_is_told_what_is_wrong(name: str) -> None:
    answer, words = MASKS[name]
    found = verdict("05.1", in_torch(answer))
    assert found.status == "wrong" and words in found.message


def test_a_mask_that_is_no_tensor_is_told_so() -> None:
    found = verdict("05.1", lambda B, T, N, low, high, g: np.zeros((B, T, N), bool))
    assert found.status == "wrong" and "expected a tensor" in found.message


def clip_by_clip(B, T, N, low, high, rng) -> np.ndarray:
    clips = []
    for _ in range(B):
        rate = low + (high - low) * rng.random()
        clips.append(np.concatenate([np.zeros((1, N), bool), rng.random((T - 1, N)) <= rate]))
    return np.stack(clips)


def binomial(B, T, N, low, high, rng) -> np.ndarray:
    drawn = rng.binomial(1, np.broadcast_to(rng.uniform(low, high, (B, 1, 1)), (B, T, N))).astype(bool)
    return drawn & (np.arange(T) > 0)[None, :, None]


def uniform(B, T, N, low, high, generator) -> torch.Tensor:
    rate = torch.empty(B, 1, 1).uniform_(low, high, generator=generator)
    masked = torch.empty(B, T, N).uniform_(generator=generator) < rate
    return torch.cat([torch.zeros(B, 1, N, dtype=torch.bool), masked[:, 1:]], dim=1)


def bernoulli(B, T, N, low, high, generator) -> torch.Tensor:
    rate = low + torch.rand(B, generator=generator) * (high - low)
    masked = torch.bernoulli(rate[:, None, None].expand(B, T, N), generator=generator).bool()
    return masked & (torch.arange(T) > 0)[:, None]


@pytest.mark.parametrize("answer", [in_torch(clip_by_clip), in_torch(binomial), uniform, bernoulli])
def test_other_ways_to_draw_the_mask_are_right_too(answer: Callable) -> None:
    assert verdict("05.1", answer).status == "right"


def loss_of(loss: Callable, logits: Callable = lambda x, m, f: f(x[m])) -> Callable:
    """An answer to 05.2 with another loss of (all logits [B, T, N, K], tokens, masked), or other logits."""
    return lambda x, tokens, m, to_logits: (logits(x, m, to_logits), loss(to_logits(x), tokens, m))


def entropy(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each token."""
    return -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]


def right_loss(logits, tokens, m):
    return entropy(logits, tokens)[m].mean()


LOSSES: dict[str, Callable] = {
    "counts all tokens": loss_of(lambda x, z, m: entropy(x, z).mean()),
    "counts the *visible* tokens": loss_of(lambda x, z, m: entropy(x, z)[~m].mean()),
    "That is a sum": loss_of(lambda x, z, m: entropy(x, z)[m].sum()),
    "divided by the number of all tokens": loss_of(lambda x, z, m: (entropy(x, z) * m).mean()),
    "averaged in each clip first": loss_of(lambda x, z, m: ((entropy(x, z) * m).sum((1, 2)) / m.sum((1, 2))).mean()),
    "applied twice": loss_of(lambda x, z, m: entropy(x.softmax(-1), z)[m].mean()),
    "That is in bits": loss_of(lambda x, z, m: entropy(x, z)[m].mean() / np.log(2)),
    "sign is reversed": loss_of(lambda x, z, m: -entropy(x, z)[m].mean()),
    "logarithm of a mean probability": loss_of(lambda x, z, m: -(-entropy(x, z)[m]).exp().mean().log()),
    "softmax is missing": loss_of(lambda x, z, m: -x.gather(-1, z[..., None])[..., 0][m].mean()),
    "share of wrong answers": loss_of(lambda x, z, m: (x.argmax(-1) != z)[m].float().mean()),
    "expected a single number": loss_of(lambda x, z, m: entropy(x, z)[m]),
    "no gradient": loss_of(lambda x, z, m: right_loss(x, z, m).detach()),
    "the mean cross-entropy": loss_of(lambda x, z, m: right_loss(x, z, m) + 1),
    "costs the widest layer for nothing": loss_of(right_loss, lambda x, m, f: f(x)),
    "Those are probabilities": loss_of(right_loss, lambda x, m, f: f(x[m]).softmax(-1)),
    "in the order of": loss_of(right_loss, lambda x, m, f: f(x[m].flip(0))),
    "Expected two tensors": lambda x, tokens, m, f: right_loss(f(x), tokens, m),
}


@pytest.mark.parametrize("words", LOSSES)
def test_a_wrong_loss_is_told_what_is_wrong(words: str) -> None:
    found = verdict("05.2", LOSSES[words])
    assert found.status == "wrong" and words in found.message


def indexed(x, tokens, m, to_logits):
    """With positions in place of a mask."""
    b, t, n = m.nonzero(as_tuple=True)
    logits = to_logits(x[b, t, n])
    probability = logits.softmax(-1)[torch.arange(len(b)), tokens[b, t, n]]
    return logits, -probability.log().mean()


@pytest.mark.parametrize("answer", [loss_of(right_loss), indexed])
def test_other_losses_are_right_too(answer: Callable) -> None:
    assert verdict("05.2", answer).status == "right"


def step(tokens, drawn, score, remaining, mask_token, *, key=None, keep=None, replace=None):
    hidden = tokens == mask_token
    result = np.where(hidden if replace is None else replace(hidden), drawn, tokens)
    order = np.argsort(np.where(hidden, score, np.inf) if key is None else key(score, hidden))
    result[order[: remaining if keep is None else keep(hidden, remaining)]] = mask_token
    return result


def changes_its_input(tokens, drawn, score, remaining, mask_token):
    tokens[:] = step(tokens, drawn, score, remaining, mask_token)
    return tokens


def slices_from_the_end(tokens, drawn, score, remaining, mask_token):
    hidden = tokens == mask_token
    best_first = np.argsort(np.where(hidden, -score, -np.inf))
    result = np.where(hidden, drawn, tokens)
    result[best_first[-remaining:]] = mask_token
    return result


STEPS: dict[str, tuple[Callable, str]] = {
    "all replaced": (lambda *a: step(*a, replace=lambda hidden: hidden | True), "decided token has changed"),
    "decided hidden": (lambda *a: step(*a, key=lambda score, hidden: score), "decided is masked again"),
    "keeps as many": (lambda *a: step(*a, keep=lambda hidden, remaining: hidden.sum() - remaining), "should *stay*"),
    "one too many": (lambda *a: step(*a, keep=lambda hidden, remaining: remaining + 1), "exactly `remaining`"),
    "worst first": (
        lambda *a: step(*a, key=lambda score, hidden: np.where(hidden, -score, np.inf)),
        "reverse the order",
    ),
    "any order": (
        lambda *a: step(*a, key=lambda score, hidden: np.where(hidden, np.arange(40), 99)),
        "by `score`",
    ),
    "in place": (changes_its_input, "in place"),
    "last step": (slices_from_the_end, "With remaining = 0"),
    "wrong token": (lambda *a: step(a[0], np.roll(a[1], 1), *a[2:]), "drawn token"),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_wrong_step_is_told_what_is_wrong(name: str) -> None:
    answer, words = STEPS[name]
    found = verdict("05.3", answer)
    assert found.status == "wrong" and words in found.message


def best_first(tokens, drawn, score, remaining, mask_token):
    result = list(tokens)
    hidden = sorted((i for i, token in enumerate(tokens) if token == mask_token), key=lambda i: -score[i])
    for i in hidden[: len(hidden) - remaining]:
        result[i] = drawn[i]
    return result


def test_a_loop_over_the_best_is_right_too() -> None:
    assert verdict("05.3", best_first).status == "right"


def decibels(real: np.ndarray, made: np.ndarray, scale: float = 10, axis: object = (-3, -2, -1)) -> np.ndarray:
    return -scale * np.log10(((real.astype(float) - made) ** 2).mean(axis=axis))


def wrapped(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    return -10 * np.log10(((real - made) ** 2).mean(axis=(-3, -2, -1)))


def difference(real, inferred, random, at, psnr=decibels):
    return float((psnr(real[:, at], inferred[:, at]) - psnr(real[:, at], random[:, at])).mean())


DELTAS: dict[str, tuple[Callable, str]] = {
    "sign": (lambda x, y, z, t: difference(x, z, y, t - 1), "sign is reversed"),
    "index": (lambda x, y, z, t: difference(x, y, z, t), "x_4, not x_3"),
    "up to t": (lambda x, y, z, t: difference(x, y, z, slice(0, t)), "frames up to t"),
    "all frames": (lambda x, y, z, t: difference(x, y, z, slice(None)), "over all frames"),
    "pooled": (
        lambda x, y, z, t: difference(x, y, z, t - 1, lambda a, b: decibels(a, b, axis=None)),
        "averaged over videos",
    ),
    "uint8": (lambda x, y, z, t: difference(x, y, z, t - 1, wrapped), "uint8"),
    "twenty": (lambda x, y, z, t: difference(x, y, z, t - 1, lambda a, b: decibels(a, b, 20)), "not 20"),
    "natural": (lambda x, y, z, t: difference(x, y, z, t - 1, lambda a, b: decibels(a, b, 10 * np.log(10))), "natural"),
    "each video": (lambda x, y, z, t: decibels(x[:, t - 1], y[:, t - 1]), "expected a single number"),
    "else": (lambda x, y, z, t: 1.0, "expected"),
}


@pytest.mark.parametrize("name", DELTAS)
def test_a_wrong_delta_psnr_is_told_what_is_wrong(name: str) -> None:
    answer, words = DELTAS[name]
    found = verdict("05.4", answer)
    assert found.status == "wrong" and words in found.message


def test_frames_in_unit_range_are_right_too() -> None:
    assert verdict("05.4", lambda x, y, z, t: difference(x / 255, y / 255, z / 255, t - 1)).status == "right"
