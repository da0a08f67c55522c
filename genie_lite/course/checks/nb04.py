"""Checks of notebook 04, the latent action model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from genie_lite.course.checking import Mistake, call, exercise
from genie_lite.course.solutions import nb04 as solutions


@exercise("04.1")
def training_triple(answer: Any) -> str:
    """History, codes and targets, aligned, with no frame in the history that is still to be predicted."""
    clips, length = 2, 5
    frames = torch.arange(clips * length).reshape(clips, length, 1, 1, 1).expand(-1, -1, 2, 2, 3).float()
    actions = torch.arange(clips * (length - 1)).reshape(clips, length - 1)
    found = call(answer, frames.clone(), actions.clone())
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        raise Mistake("Wanted three things: what the decoder sees, the codes, what it must predict.")
    history, codes, target = (torch.as_tensor(part) for part in found)
    if history.shape == frames.shape and torch.equal(history, frames):
        raise Mistake("The decoder sees all T frames, so it has the last one, which it must predict: a leak.")
    if target.shape == frames.shape:
        raise Mistake("Found T frames to predict. The first has no past to be predicted from: T - 1 remain.")
    if codes.shape != actions.shape:
        raise Mistake(f"Found codes {list(codes.shape)}, wanted all of them, [B, T-1] = {list(actions.shape)}.")
    if torch.equal(history, frames[:, 1:]) and torch.equal(target, frames[:, 1:]):
        raise Mistake("The decoder sees exactly the frames that it must predict. This is the cheat: its error is zero.")
    if torch.equal(history, frames[:, :-1]) and torch.equal(target, frames[:, :-1]):
        raise Mistake("The decoder must predict what it sees. The target is one frame later: `frames[:, 1:]`.")
    if torch.equal(history, frames[:, 1:]) and torch.equal(target, frames[:, :-1]):
        raise Mistake("Past and future are exchanged: here frames are predicted from those after them.")
    if history.shape[1] != length - 1 or target.shape[1] != length - 1:
        raise Mistake(
            f"Along time found {history.shape[1]} frames to see and {target.shape[1]} to predict, "
            f"wanted T - 1 = {length - 1} each."
        )
    wanted = solutions.training_triple(frames, actions)
    for name, part, right in zip(
        ("what the decoder sees", "codes", "what it predicts"), (history, codes, target), wanted, strict=True
    ):
        if part.shape != right.shape or not torch.equal(part, right):
            raise Mistake(
                f"{name[0].upper()}{name[1:]}: not the ones wanted. Entry t: sees x_t, code t, predicts x_(t+1)."
            )
    return "The word is the only thing that comes from the future."


@exercise("04.2")
def mean_motion(answer: Any) -> str:
    """Mean sure motion of each code."""
    generator = np.random.default_rng(4)
    codes = generator.choice(4, size=(40, 7), p=[0.5, 0.2, 0.2, 0.1])  # code 4 never occurs
    dx = np.array([0.5, 4.0, -3.0, 1.0])[codes] + generator.normal(0, 0.5, codes.shape)
    sure = generator.random(codes.shape) < 0.7
    dx = np.where(sure, dx, -20.0)  # what is not sure is far off
    found = call(answer, codes.copy(), dx.copy(), sure.copy(), 5)
    found = np.asarray(found, dtype=float)
    if found.ndim == 0:
        raise Mistake(
            "Found one number, wanted the means of all codes, [num_codes]; the largest tells which means right."
        )
    if found.shape != (5,):
        raise Mistake(f"Found shape {list(found.shape)}, wanted [num_codes] = [5], also when a code never occurs.")
    wanted = solutions.mean_motion(codes, dx, sure, 5)
    if np.allclose(found, wanted):
        return f"Code {int(wanted.argmax())} means right here, although code 0 is the commonest."
    if not np.isfinite(found).all():
        raise Mistake("A code without any sure motion gave NaN (the mean of nothing). It gets 0.")
    everything = solutions.mean_motion(codes, dx, np.ones_like(sure), 5)
    sums = np.array([dx[(codes == code) & sure].sum() for code in range(5)])
    diluted = np.array(
        [np.where(sure, dx, 0)[codes == code].mean() if (codes == code).any() else 0 for code in range(5)]
    )
    mistakes = [
        (everything, "Unsure motions were counted too. `sure` says which of them to trust."),
        (sums, "Those are sums: a common code wins by being common. Wanted means."),
        (diluted, "Unsure motions were counted as 0, which pulls every mean towards still. Leave them out."),
        (-wanted, "The sign is turned. `dx` is the motion of the *player*: positive means right already."),
        (sums / codes.size, "Divide by how often each code occurs (and is sure), not by all transitions."),
        (sums / np.maximum(sure.sum(), 1), "Divide by how often *this* code is sure, not by all sure transitions."),
    ]
    for value, text in mistakes:
        if np.allclose(found, value):
            raise Mistake(text)
    worst = int(np.abs(found - wanted).argmax())
    raise Mistake(f"Code {worst}: found {found[worst]:.2f}, wanted {wanted[worst]:.2f}.")


@exercise("04.3")
def gain_over_copying(answer: Any) -> str:
    """PSNR of the prediction minus PSNR of copying."""
    generator = np.random.default_rng(5)
    after = generator.random((2, 8, 8, 3))
    before = np.clip(after + generator.normal(0, 0.2, after.shape), 0, 1)
    prediction = np.clip(after + generator.normal(0, 0.07, after.shape), 0, 1)
    found = call(answer, before.copy(), after.copy(), prediction.copy())
    if np.ndim(found) != 0:
        raise Mistake(
            f"Found shape {list(np.shape(found))}, wanted one number: mean the squared error over everything."
        )
    found, wanted = float(found), solutions.gain_over_copying(before, after, prediction)
    if math.isclose(found, wanted, abs_tol=1e-3):
        return f"{wanted:.1f} dB: the error is {10 ** (wanted / 10):.0f} times smaller than that of copying."
    copying, predicting, to_before = (
        float(np.square(first - second).mean())
        for first, second in ((before, after), (prediction, after), (prediction, before))
    )
    mistakes = [
        (-wanted, "The sign is turned: a prediction better than copying has a *positive* gain."),
        (-10 * math.log10(predicting), "That is the prediction's own PSNR. Subtract that of copying `before`."),
        (-10 * math.log10(copying), "That is the PSNR of copying. How much better is the prediction?"),
        (
            2 * wanted,
            "Twice too much: 20 log10 belongs to the *root* of the squared error, 10 log10 to the error itself.",
        ),
        (wanted * math.log(10), "A natural logarithm; decibels take log10."),
        (wanted / 10, "Those are bels; a decibel is a tenth, so multiply by 10."),
        (
            10 * math.log10(copying / to_before),
            "The prediction was compared with `before`. It is a prediction of `after`.",
        ),
        (copying - predicting, "That is a difference of squared errors. Take the PSNR of each first."),
        (copying / predicting, "That is the ratio of the errors; the gain is 10 log10 of it."),
    ]
    for value, text in mistakes:
        if math.isclose(found, value, abs_tol=1e-3):
            raise Mistake(text)
    raise Mistake(
        f"Found {found:.3f} dB, wanted {wanted:.3f} dB, for an error of {copying:.4f} copying and {predicting:.4f}."
    )
