"""Checks of notebook 10: the loss of behavioural cloning, lists that map codes to keys, a choice among futures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.course.checking import IMPRECISE, Mistake, call, exercise, imprecise, numbers

Function = Callable[..., Any]


@exercise("10.1")
def cloning_loss(answer: Function) -> str:
    """Mean cross-entropy in nats over the targets [B, T] that are not -1."""
    generator = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(3, 6, 5, generator=generator)
    targets = torch.randint(5, (3, 6), generator=generator)
    targets[0, -1] = targets[1, 2:] = -1
    logits.requires_grad_()
    found = call(answer, logits, targets.clone())
    if not isinstance(found, Tensor):
        raise Mistake(f"The loss is of type {type(found).__name__}; expected a tensor, so that it has a gradient.")
    if found.ndim:
        raise Mistake(f"The loss has shape {list(found.shape)}; expected a single number, the mean over known targets.")
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    if not torch.allclose(found.float(), expected, rtol=1e-4):
        raise Mistake(_loss_mistake(found, logits, targets))
    if not found.requires_grad or not torch.autograd.grad(found, logits)[0].any():
        raise Mistake("The number is right, but it has no gradient, so nothing would be learned. Is there a `detach`?")
    return f"{expected.item():.2f} nats here, over the {int((targets >= 0).sum())} known of {targets.numel()} targets."


def _loss_mistake(found: Tensor, logits: Tensor, targets: Tensor) -> str:
    known = targets >= 0
    each = F.cross_entropy(logits.flatten(0, 1), targets.clamp(min=0).flatten(), reduction="none").view(targets.shape)
    last = F.cross_entropy(logits.flatten(0, 1), (targets % logits.shape[-1]).flatten(), reduction="none")
    mistakes = {
        "Frames without a target are counted as if their action were 0. Leave them out.": each.mean(),
        "Frames without a target are counted as if their action were the last one: index -1 means that in Python. "
        "Leave them out.": last.mean(),
        "The sum over known targets is divided by the number of all frames. Divide by that of the known ones.": (
            each[known].sum() / known.numel()
        ),
        "That is a sum; expected the mean over known targets.": each[known].sum(),
        "The loss is averaged in each clip first, so targets of clips with few of them count more. Average over all "
        "known targets at once.": torch.stack([row[ok].mean() for row, ok in zip(each, known, strict=True)]).mean(),
        "The softmax was applied twice: `F.cross_entropy` takes logits.": F.cross_entropy(
            logits.softmax(-1)[known], targets[known]
        ),
        "The sign is reversed: cross-entropy is *minus* the mean log-probability.": -each[known].mean(),
        "That is in bits; expected nats, the natural logarithm.": each[known].mean() / math.log(2),
    }
    for text, value in mistakes.items():
        if torch.allclose(found.float(), value, rtol=1e-4):
            return text
    return f"The loss is {found.item():.3f}, expected {each[known].mean().item():.3f}: the mean over known targets."


@exercise("10.2")
def shares_by_code(answer: Function) -> str:
    """Shares of keys in the list of each code, [A, U]; a code without samples has the shares of all of them."""
    rng = np.random.default_rng(5)
    codes = rng.choice([0, 1, 1, 3], 90)  # no sample has code 2
    keys = np.where(rng.random(90) < 0.6, (codes + 1) % 4, rng.integers(0, 4, 90))
    sizes = (4, 6)
    given = codes.copy(), keys.copy()
    found = numbers(call(answer, *given, *sizes), "the share of each key in the list of each code")
    if not (np.array_equal(given[0], codes) and np.array_equal(given[1], keys)):
        raise Mistake("The function changes `codes` or `keys` in place; work on copies.")
    counts = np.zeros(sizes)
    np.add.at(counts, (codes, keys), 1)
    if found.shape != sizes:
        turned = " It is the other way round: codes are rows." if found.shape == sizes[::-1] else ""
        raise Mistake(f"The table has shape {list(found.shape)}; expected [A, U], here {list(sizes)}.{turned}")
    if found.dtype == object or not np.isfinite(found).all():
        raise Mistake("The row of code 2, which no sample has, is not a number: give it the shares of all samples.")
    expected = counts.copy()
    expected[2] = counts.sum(axis=0)
    expected /= expected.sum(axis=1, keepdims=True)
    if np.allclose(found, expected, atol=1e-6):
        return "Each row sums to one: p(key | code), as far as the samples know it."
    raise Mistake(_shares_mistake(found, counts, expected))


def _shares_mistake(found: np.ndarray, counts: np.ndarray, expected: np.ndarray) -> str:
    seen = counts.sum(axis=1) > 0
    once = (counts > 0).astype(float)
    best = np.eye(counts.shape[1])[counts.argmax(axis=1)]
    by_key = counts / np.maximum(counts.sum(axis=0), 1)
    rows = {
        "Those are counts; divide each row by its sum.": counts,
        "The table as a whole sums to one: that is p(code, key). Divide each row by its own sum.": (
            counts / counts.sum()
        ),
        "Columns sum to one: that is p(code | key). Divide each row by its own sum.": by_key,
        "Each pair is counted once, however often it occurs: `counts[codes, keys] += 1` does that. "
        "Use `np.add.at`, or a loop.": once / np.maximum(once.sum(axis=1, keepdims=True), 1),
        "Only the most frequent key of each code is left. Keep the shares of all: the agent draws from the list.": best,
    }
    for text, table in rows.items():
        if np.allclose(found[seen], table[seen], atol=1e-6):
            return text
    if np.allclose(found[seen], expected[seen], atol=1e-6):
        if np.allclose(found[2], 1 / counts.shape[1], atol=1e-6):
            return "Code 2, which no sample has, takes all keys alike. Give it the shares of all samples instead."
        return "The row of code 2, which no sample has, is wrong: give it the shares of all samples."
    if imprecise(found, expected):
        return IMPRECISE
    return "The shares are wrong: row a should hold the fraction of each key among the samples whose code is a."


class _ToyWorld:
    """Six worlds whose frames show one number each; it notes how it is used.

    The constants are such that the best future, the worst, the best on average and the first are four.
    """

    ACTIONS, HORIZON = 5, 4

    def __init__(self) -> None:
        self.start = np.full((6, 4, 2, 2, 1), 3, np.uint8)
        self.newest = self.start[:, -1]
        self.steps = 0
        self.stale: list[str] = []  # who was shown something else than the newest frame
        self.left_at: list[np.ndarray] = []  # what `left` has answered

    def numbers(self, frames: Any, who: str) -> np.ndarray:
        """The number in the last of frames [n, T, H, W, C]: int64 [n]."""
        frames = np.asarray(frames)
        if frames.ndim != 5 or len(frames) != len(self.start):
            raise ValueError(f"{who} wants frames [n, T, H, W, C], found shape {list(frames.shape)}")
        if not np.array_equal(frames[:, -1], self.newest):
            self.stale.append(who)
        return frames[:, -1, 0, 0, 0].astype(np.int64)

    def policy(self, frames: Any) -> np.ndarray:
        return (self.numbers(frames, "policy") * 7 + np.arange(6)) % self.ACTIONS

    def step(self, codes: Any) -> np.ndarray:
        codes = np.asarray(codes)
        if codes.shape != (6,):
            raise ValueError(f"step wants one latent action for each world, [6], found shape {list(codes.shape)}")
        self.steps += 1
        number = (self.newest[:, 0, 0, 0].astype(np.int64) * 3 + codes * 14 + 3 * np.arange(6) + 1) % 97
        self.newest = np.broadcast_to(number[:, None, None, None], (6, 2, 2, 1)).astype(np.uint8)
        return self.newest

    def left(self, frames: Any) -> np.ndarray:
        self.left_at.append((self.numbers(frames, "left") * 29 % 31).astype(float))
        return self.left_at[-1]


@exercise("10.3")
def best_future(answer: Function) -> str:
    """Latent actions [horizon] of the future that ends with the fewest frames left."""
    toy = _ToyWorld()
    frames, taken, lefts = toy.start, [], []
    for _ in range(toy.HORIZON):
        taken.append(toy.policy(frames))
        frames = np.concatenate([frames, toy.step(taken[-1])[:, None]], axis=1)
        lefts.append(toy.left(frames))
    codes, left = np.stack(taken, axis=1), lefts[-1]
    toy = _ToyWorld()
    given = toy.start.copy()
    found = numbers(call(answer, given, toy.policy, toy.step, toy.left, toy.HORIZON), "the latent actions")
    if not np.array_equal(given, toy.start):
        raise Mistake("The function changes `start` in place; work on a copy.")
    if toy.steps != toy.HORIZON:
        raise Mistake(f"The world was asked for {toy.steps} frames; expected `horizon` of them, here {toy.HORIZON}.")
    if "policy" in toy.stale:
        raise Mistake("The policy is shown old frames. Each time it must look at the frame imagined last.")
    if found.shape != (toy.HORIZON,):
        raise Mistake(_shape_of_a_plan(found, codes))
    if np.array_equal(found, codes[left.argmin()]):
        return (
            f"The best of {len(codes)} futures ends {left.min():.0f} frames from the coin, the worst {left.max():.0f}."
        )
    if np.array_equal(found, codes[left.argmax()]):
        raise Mistake("That is the future that ends farthest from the coin; expected the fewest frames left.")
    if not toy.left_at or "left" in toy.stale:
        raise Mistake("The choice is not made by how the futures *end*: call `left` with the frames imagined last.")
    if np.array_equal(found, codes[np.mean(lefts, axis=0).argmin()]):
        raise Mistake("The frames left are averaged over each future. Judge it by its end alone.")
    if np.array_equal(np.sort(found), np.sort(codes[left.argmin()])):
        raise Mistake("The right future, with its latent actions in another order; expected the first one first.")
    rows = [row for row in range(len(codes)) if np.array_equal(found, codes[row])]
    which = f"That is future {rows[0]}" if rows else "That is none of the imagined futures"
    raise Mistake(f"{which}; expected future {left.argmin()}, which ends with the fewest frames left.")


def _shape_of_a_plan(found: np.ndarray, codes: np.ndarray) -> str:
    count, horizon = codes.shape
    if found.shape in (codes.shape, codes.T.shape):
        return "Those are the latent actions of all futures; return those of the best one alone."
    if found.size == 1:
        return "That is a single number; expected all latent actions of the best future, [horizon]."
    if found.shape == (count,):
        return "That is one number for each future: one latent action of all, or a score. Expected all of the best one."
    return f"The answer has shape {list(found.shape)}; expected [horizon], here [{horizon}]."
