"""Exercises of notebook 04: solutions pass, each mistake is named, a placeholder is not a mistake."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from genie_lite.course.checking import get_solution, verdict

NAMES = ("04.1", "04.2", "04.3")


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_is_right_and_says_why(name: str) -> None:
    found = get_solution(name)
    assert verdict(name, found.answer).status == "right"
    assert found.why


@pytest.mark.parametrize("name", NAMES)
def test_a_stub_is_not_answered_yet(name: str) -> None:
    assert verdict(name, lambda *_: None).status == "unanswered"
    assert verdict(name, None).status == "unanswered"


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_of_the_learner_becomes_a_message(name: str) -> None:
    def broken(*_: object) -> None:
        raise IndexError("too far")

    found = verdict(name, broken)
    assert found.status == "wrong" and "IndexError" in found.message


def training(
    pool=lambda x: x.mean(2)[:, 1:],
    past=lambda x: x[:, :-1],
    base=lambda x: x[:, :-1],
    add=lambda x, a: x + a.unsqueeze(2),
    send=lambda latents, vectors: vectors,
    seen=lambda x: x,
    target=lambda x: x[:, 1:],
    error=lambda p, y: F.mse_loss(p, y),
    loss=lambda error, q: error + q,
    out=lambda p, codes, loss, error, q: (p, codes, loss, error),
):
    """An answer to 04.1; each argument replaces one of its steps."""

    def answer(frames, encode, to_latent, quantize, embed, to_action, decode):
        latents = to_latent(pool(encode(seen(frames))))
        vectors, codes, q = quantize(latents)
        prediction = decode(add(embed(past(frames)), to_action(send(latents, vectors))), base(frames))
        wrong = error(prediction, target(frames))
        return out(prediction, codes, loss(wrong, q), wrong, q)

    return answer


def later(x):
    return x[:, 1:]


STEPS = {
    "four tensors": training(out=lambda p, codes, loss, error, q: loss),
    "not whole numbers": training(out=lambda p, codes, loss, error, q: (p, p, loss, error)),
    "cannot say what happened": training(seen=lambda x: x[:, :-1], pool=lambda x: x.mean(2)),
    "drop the *first* latent": training(pool=lambda x: x.mean(2)[:, :-1]),
    "a code for the first frame": training(pool=lambda x: x.mean(2), send=lambda z, v: v[:, 1:]),
    "only the *later* frames": training(seen=later, pool=lambda x: x.mean(2)),
    "a code for every patch": training(pool=later, send=lambda z, v: v.mean(2)),
    "a single patch": training(pool=lambda x: x[:, 1:, 0]),
    "take their mean": training(pool=lambda x: x.sum(2)[:, 1:]),
    "largest feature": training(pool=lambda x: x.amax(2)[:, 1:]),
    "differences of features": training(pool=lambda x: x.mean(2).diff(dim=1)),
    "are not those expected": training(pool=lambda x: x.mean(2)[:, 1:].flip(1)),
    "The decoder reads the frames that it must predict": training(past=later, base=later),
    "What the decoder reads": training(past=later),
    "`decode` starts from": training(base=later),
    "nothing is squeezed": training(send=lambda z, v: z),
    "action is missing": training(add=lambda x, a: x),
    "replaces what the decoder reads": training(add=lambda x, a: a.unsqueeze(2).expand_as(x)),
    "was multiplied": training(add=lambda x, a: x * a.unsqueeze(2)),
    "first patch alone": training(add=lambda x, a: x + a.unsqueeze(2) * (torch.arange(4) == 0)[:, None]),
    "actions are off by one": training(add=lambda x, a: x + a.roll(1, 1).unsqueeze(2)),
    "All frames get the first": training(add=lambda x, a: x + a[:, :1, None]),
    "All frames get the mean": training(add=lambda x, a: x + a.mean(1)[:, None, None]),
    "the prediction of frame 2 is not": training(add=lambda x, a: x + 3 * a.unsqueeze(2)),
    "T - 1 frames": training(out=lambda p, codes, loss, error, q: (p[:, :1], codes, loss, error)),
    "one frame later": training(target=lambda x: x[:, :-1]),
    "a sum of squared errors": training(error=lambda p, y: (p - y).square().sum()),
    "mean absolute error": training(error=F.l1_loss),
    "the root of": training(error=lambda p, y: F.mse_loss(p, y).sqrt()),
    "belongs to the loss only": training(out=lambda p, codes, loss, error, q: (p, codes, loss, loss)),
    "That is the quantizer's loss": training(out=lambda p, codes, loss, error, q: (p, codes, loss, q)),
    "the mean squared error": training(error=lambda p, y: F.mse_loss(p, y) + 7),
    "single number": training(error=lambda p, y: (p - y).square().mean((2, 3, 4))),
    "loss is missing": training(loss=lambda error, q: error),
    "expected error + quantizer": training(loss=lambda error, q: error + 2 * q),
    "no gradient reaches the": training(loss=lambda error, q: error.detach() + q),
    "no gradient to the encoder": training(send=lambda z, v: v.detach()),
}


@pytest.mark.parametrize("message", STEPS)
def test_training_step_mistakes(message: str) -> None:
    found = verdict("04.1", STEPS[message])
    assert found.status == "wrong" and message in found.message


def transition_by_transition(frames, encode, to_latent, quantize, embed, to_action, decode):
    """A pooled latent after the last matrix, and one prediction at a time from all frames up to it."""
    vectors, codes, q = quantize(to_latent(encode(frames)).mean(dim=-2)[:, 1:])
    made = []
    for t in range(1, frames.shape[1]):
        x = embed(frames[:, :t]) + to_action(vectors[:, :t]).unsqueeze(-2).expand(-1, -1, 4, -1)
        made.append(decode(x, frames[:, :t])[:, -1])
    prediction = torch.stack(made, dim=1)
    error = ((prediction - frames[:, 1:]) ** 2).mean()
    return prediction, codes, q + error, error


@pytest.mark.parametrize("answer", [training(), transition_by_transition])
def test_other_training_steps_are_right_too(answer) -> None:
    assert verdict("04.1", answer).status == "right"


def of_each(reduce, num_codes: int) -> np.ndarray:
    return np.array([reduce(code) for code in range(num_codes)], dtype=float)


def mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


MEANS = {
    "one number": lambda c, d, s, k: 4.0,
    "even when a code never occurs": lambda c, d, s, k: of_each(lambda i: mean(d[(c == i) & s]), c.max() + 1),
    "NaN": lambda c, d, s, k: of_each(lambda i: mean(d[(c == i) & s]) if (c == i).any() else np.nan, k),
    "Unreliable motions were counted too": lambda c, d, s, k: of_each(lambda i: mean(d[c == i]), k),
    "sums": lambda c, d, s, k: of_each(lambda i: d[(c == i) & s].sum(), k),
    "counted as 0": lambda c, d, s, k: of_each(lambda i: mean((d * s)[c == i]), k),
    "sign is reversed": lambda c, d, s, k: of_each(lambda i: -mean(d[(c == i) & s]), k),
    "medians": lambda c, d, s, k: of_each(lambda i: np.median(d[(c == i) & s]) if (c == i).any() else 0, k),
    "absolute values": lambda c, d, s, k: of_each(lambda i: mean(np.abs(d)[(c == i) & s]), k),
    "mask is inverted": lambda c, d, s, k: of_each(lambda i: mean(d[(c == i) & ~s]), k),
    "not by the number of all": lambda c, d, s, k: of_each(lambda i: d[(c == i) & s].sum() / c.size, k),
    "not by how many": lambda c, d, s, k: of_each(lambda i: d[(c == i) & s].sum() / s.sum(), k),
    "found 9.00": lambda c, d, s, k: np.full(k, 9.0),
}


@pytest.mark.parametrize("message", MEANS)
def test_mean_motion_mistakes(message: str) -> None:
    found = verdict("04.2", MEANS[message])
    assert found.status == "wrong" and message in found.message


def mse(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.square(first - second).mean())


GAINS = {
    "one number": lambda b, a, p: np.square(a - p).mean((1, 2, 3)),
    "sign is reversed": lambda b, a, p: 10 * np.log10(mse(p, a) / mse(b, a)),
    "own PSNR": lambda b, a, p: -10 * np.log10(mse(p, a)),
    "PSNR of copying": lambda b, a, p: -10 * np.log10(mse(b, a)),
    "Twice the correct": lambda b, a, p: 20 * np.log10(mse(b, a) / mse(p, a)),
    "natural logarithm": lambda b, a, p: 10 * np.log(mse(b, a) / mse(p, a)),
    "bels": lambda b, a, p: np.log10(mse(b, a) / mse(p, a)),
    "compared with `before`": lambda b, a, p: 10 * np.log10(mse(b, a) / mse(p, b)),
    "difference of squared errors": lambda b, a, p: mse(b, a) - mse(p, a),
    "ratio of the errors": lambda b, a, p: mse(b, a) / mse(p, a),
    "absolute errors": lambda b, a, p: 10 * np.log10(np.abs(b - a).mean() / np.abs(p - a).mean()),
    "dB, expected": lambda b, a, p: 123.0,
}


@pytest.mark.parametrize("message", GAINS)
def test_gain_mistakes(message: str) -> None:
    found = verdict("04.3", GAINS[message])
    assert found.status == "wrong" and message in found.message


def test_the_mean_over_videos_is_right_too() -> None:
    """The figure of the notebook averages decibels over videos."""

    def psnr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return -10 * np.log10(np.square(first - second).mean((1, 2, 3)))

    found = verdict("04.3", lambda b, a, p: (psnr(p, a) - psnr(b, a)).mean())
    assert found.status == "right" and "average the gain over videos" in found.message
    assert verdict("04.3", lambda b, a, p: np.array(10 * np.log10(mse(b, a) / mse(p, a)))).status == "right"


def test_a_loop_over_codes_and_bincount_are_right_too() -> None:
    def by_bincount(codes, dx, sure, num_codes):
        sums = np.bincount(codes[sure], weights=dx[sure], minlength=num_codes)
        return sums / np.maximum(np.bincount(codes[sure], minlength=num_codes), 1)

    assert verdict("04.2", by_bincount).status == "right"
