"""The check of exercise 05.2: the loss of the dynamics model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.course.checking import Mistake, call


def check_masked_loss(answer: Callable[..., Any]) -> str:
    """Logits [M, K] of the masked tokens, and their mean cross-entropy."""
    generator = torch.Generator().manual_seed(2)
    features, matrix = torch.randn(2, 4, 5, 8, generator=generator), torch.randn(8, 11, generator=generator)
    tokens = torch.randint(11, (2, 4, 5), generator=generator)
    masked = torch.rand(2, 4, 5, generator=generator) < torch.tensor([0.3, 0.8]).view(2, 1, 1)
    masked[:, 0] = False
    features.requires_grad_()

    def to_logits(part: Tensor) -> Tensor:
        return part @ matrix

    found = call(answer, features, tokens.clone(), masked.clone(), to_logits)
    if not isinstance(found, (tuple, list)) or len(found) != 2 or not all(isinstance(part, Tensor) for part in found):
        raise Mistake("Expected two tensors: the logits of the masked tokens, [M, K], and the loss, a single number.")
    logits, loss = found
    everything = to_logits(features)
    right = everything[masked]
    if loss.ndim:
        raise Mistake(f"The loss has shape {list(loss.shape)}; expected a single number, the mean.")
    _check_masked_logits(logits, right, everything)
    expected = F.cross_entropy(right, tokens[masked])
    if not torch.allclose(loss, expected, rtol=1e-4):
        raise Mistake(_loss_mistake(loss, everything, tokens, masked))
    if not loss.requires_grad or not torch.autograd.grad(loss, features)[0].any():
        raise Mistake("The number is right, but it has no gradient, so nothing would be learned. Is there a `detach`?")
    return f"{expected.item():.2f} nats here. Before training it is log K: all tokens alike."


def _check_masked_logits(logits: Tensor, right: Tensor, everything: Tensor) -> None:
    if logits.shape != right.shape:
        every = logits.shape == everything.shape or len(logits) == everything[..., 0].numel()
        raise Mistake(
            f"The logits have shape {list(logits.shape)}; expected those of the {len(right)} masked tokens alone, "
            f"[M, K] = {list(right.shape)}."
            + (" To compute all of them costs the widest layer for nothing." if every else "")
        )
    if torch.allclose(logits, right, atol=1e-5):
        return
    if torch.allclose(logits, right.softmax(-1), atol=1e-5) or torch.allclose(logits, right.log_softmax(-1), atol=1e-5):
        raise Mistake("Those are probabilities, or their logarithms. Return the logits as `to_logits` gives them.")
    raise Mistake("The logits are not those of the masked tokens, in the order of `features[masked]`.")


def _loss_mistake(loss: Tensor, everything: Tensor, tokens: Tensor, masked: Tensor) -> str:
    right = everything[masked]
    each = F.cross_entropy(everything.flatten(0, 2), tokens.flatten(), reduction="none").view(tokens.shape)
    hidden = torch.where(masked, each, 0)
    probability, one_hot = right.softmax(-1), F.one_hot(tokens[masked], right.shape[1]).float()
    following = tokens.flatten().roll(-1).view_as(tokens)[masked]
    known = {
        "That is a share without the logarithm: cross-entropy is minus the mean *logarithm* of the probability.": (
            1 - (-each[masked]).exp().mean()
        ),
        "That is the squared distance between probabilities and the right token. Expected the cross-entropy.": (
            (probability - one_hot).square().sum(-1).mean()
        ),
        "The labels are smoothed, so the right token counts for less than all of it. Leave `label_smoothing` out.": (
            F.cross_entropy(right, tokens[masked], label_smoothing=0.1)
        ),
        "Those are the tokens of the *next* position. A masked model guesses the token of its own position.": (
            F.cross_entropy(right, following)
        ),
        "That is a yes or no for each code by itself. A token is one of K codes: one softmax over all of them.": (
            F.binary_cross_entropy_with_logits(right, one_hot)
        ),
        "That is a decimal logarithm; expected nats, the natural one.": each[masked].mean() / math.log(10),
        "That is the *largest* logit, right or wrong. Take the log-probability of the right token.": (
            -right.log_softmax(-1).amax(-1).mean()
        ),
        "The loss counts all tokens. Visible ones are given to the model; count the masked ones.": each.mean(),
        "The loss counts the *visible* tokens. `masked` is True where the model has to guess.": each[~masked].mean(),
        "That is a sum; expected the mean over masked tokens.": hidden.sum(),
        "The sum over masked tokens was divided by the number of all tokens. Divide by that of the masked ones.": (
            hidden.mean()
        ),
        "The loss is averaged in each clip first, so tokens of clips with few masked ones count more. Average over all "
        "masked tokens at once.": (hidden.sum((1, 2)) / masked.sum((1, 2))).mean(),
        "The softmax was applied twice: `F.cross_entropy` takes logits.": F.cross_entropy(
            right.softmax(-1), tokens[masked]
        ),
        "That is in bits; expected nats, the natural logarithm.": each[masked].mean() / math.log(2),
        "The sign is reversed: cross-entropy is *minus* the mean log-probability.": -each[masked].mean(),
        "That is the logarithm of a mean probability. Take the logarithm of each first, then the mean.": (
            -(-each[masked]).exp().mean().log()
        ),
        "The logarithm of the softmax is missing: that is minus the mean logit of the right token.": (
            -right.gather(1, tokens[masked][:, None]).mean()
        ),
        "That is a share of wrong answers, which has no gradient. Expected the cross-entropy.": (
            (right.argmax(-1) != tokens[masked]).float().mean()
        ),
    }
    for text, value in known.items():
        if torch.allclose(loss.float(), value, rtol=1e-4):
            return text
    return f"The loss is {loss.item():.3f}, expected {each[masked].mean().item():.3f}, the mean cross-entropy."
