"""Checks of notebook 05: the mask and the loss of training, one MaskGIT step, ΔtPSNR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genie_lite.course.checking import IMPRECISE, Mistake, call, exercise, imprecise, numbers, one_number
from genie_lite.course.checks.masked_loss import check_masked_loss

Function = Callable[..., Any]


@exercise("05.1")
def draw_mask(answer: Function) -> str:
    """A mask bool [B, T, N]: one rate per clip from U(low, high), independent tokens, the first frame never masked."""
    shape = (256, 5, 100)
    found = call(answer, *shape, 0.5, 1.0, torch.Generator().manual_seed(0))
    if not isinstance(found, Tensor):
        raise Mistake(f"The mask is of type {type(found).__name__}; expected a tensor, of numbers by `torch.rand`.")
    mask = found.detach().numpy()
    if mask.shape[1:] == (3,):
        raise Mistake("Those are positions. Expected the mask itself, a bool for each token, [B, T, N].")
    if mask.shape != shape:
        raise Mistake(f"The mask has shape {list(mask.shape)}; expected [B, T, N], here {list(shape)}.")
    if mask.dtype != bool:
        raise Mistake(f"The mask is of type {mask.dtype}; expected bool: compare random numbers with the rate.")
    if mask[:, 0].all() and mask[:, 1:].mean() < 0.4:
        raise Mistake("The mask is inverted: True must mean masked, and the first frame is all False.")
    if mask[:, 0].any() and not mask[:, -1].any():
        raise Mistake("The last frame is never masked. It should be the first, the prompt: `mask[:, 0] = False`.")
    if mask[:, 0].any() and not mask[:, :, 0].any():
        raise Mistake("You keep the first *token* of each frame. Keep the first frame: `mask[:, 0] = False`.")
    if mask[:, 0].any():
        raise Mistake("The first frame has masked tokens. It is the prompt and never masked: `mask[:, 0] = False`.")
    _check_noise(mask[:, 1:])
    _check_rates(mask[:, 1:].mean(axis=(1, 2)))
    narrow = call(answer, 8, 3, 400, 0.1, 0.2, torch.Generator().manual_seed(1)).detach().numpy()[:, 1:].mean()
    if not 0.1 < narrow < 0.2:
        raise Mistake(f"With low = 0.1 and high = 0.2 the share is {narrow:.0%}: use the arguments, not 0.5 and 1.")
    again, other = (call(answer, *shape, 0.5, 1.0, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    if not torch.equal(again, found):
        raise Mistake("Called twice with the same `generator`, the mask differs: draw from it, `generator=generator`.")
    if torch.equal(other, found):
        raise Mistake("The mask is the same with another `generator`: you draw from one of your own. Use the argument.")
    return "One rate per clip, frame 1 always visible: `DynamicsModel.draw_mask` does the same in four lines."


def _check_noise(masked: np.ndarray) -> None:
    """Each token needs a random number of its own: masked is bool [B, T-1, N]."""
    if (masked == masked[:, :1]).all():
        raise Mistake("All frames of a clip mask the same positions; draw a random number for every token.")
    if (masked == masked[:, :, :1]).all():
        raise Mistake("Frames are masked as a whole or not at all; draw a random number for every token.")
    if masked.mean(axis=2).std(axis=1).mean() > 0.08:  # far more than 100 tokens that share one rate would differ by
        raise Mistake("Every frame has a rate of its own; expected one for the whole clip: rates of shape (B, 1, 1).")
    first, second = masked[:-1], masked[1:]
    nested = ~(first & ~second).any((1, 2)) | ~(second & ~first).any((1, 2))
    if nested.mean() > 0.9:
        raise Mistake(
            "All clips mask the same positions first: the random numbers are shared by the batch. Draw one for every "
            "token of every clip, `torch.rand(B, T, N)`."
        )


def _check_rates(shares: np.ndarray) -> None:
    """The masked share of each clip [B] must look like draws from U(0.5, 1)."""
    if shares.std() < 0.05:
        raise Mistake(
            "All clips mask about the same share. The rate is drawn once for the batch (or once per token); "
            "expected one per clip: rates of shape (B, 1, 1)."
        )
    if abs(shares.mean() - 0.25) < 0.06:
        raise Mistake("A quarter is masked, not three quarters: mask where the random number is *below* the rate.")
    if abs(shares.mean() - 0.5) < 0.07:
        raise Mistake("Half is masked on average: the rate lies between 0 and 1 instead of between `low` and `high`.")
    middle = ((shares > 0.6) & (shares < 0.9)).mean()
    if middle < 0.3:
        raise Mistake(
            f"Only {middle:.0%} of the clips have a rate between 60 % and 90 %: the rate takes the two end values. "
            "Draw it evenly from the whole range, `low + (high - low) * torch.rand(...)`."
        )
    reached = np.arange(1, len(shares) + 1) / len(shares)
    if np.abs(np.sort(shares) - 0.5 - reached / 2).max() > 0.1:
        raise Mistake(
            f"The shares run from {shares.min():.0%} to {shares.max():.0%} with a mean of {shares.mean():.0%}; "
            "expected them spread evenly between 50 % and 100 %."
        )


exercise("05.2")(check_masked_loss)


@exercise("05.3")
def one_step(answer: Function) -> str:
    """Tokens [N] after one MaskGIT step."""
    rng = np.random.default_rng(0)
    mask_token = 50
    tokens = rng.integers(0, 50, 40)
    tokens[rng.permutation(40)[:25]] = mask_token
    drawn, score, remaining = (tokens + 7) % 50, rng.permutation(40) / 40, 10
    tokens_before, drawn_before = tokens.copy(), drawn.copy()
    masked = tokens == mask_token
    result = _tokens(call(answer, tokens, drawn, score, remaining, mask_token))
    if not (np.array_equal(tokens, tokens_before) and np.array_equal(drawn, drawn_before)):
        raise Mistake("The function changes `tokens` or `drawn` in place. Start from a copy, or use `np.where`.")
    if result.shape == (masked.sum(),):
        raise Mistake("Those are only the positions which were masked before. Return all N tokens of the frame.")
    if result.dtype == bool:
        raise Mistake("Positions are only marked, True or False. Return the tokens themselves.")
    if result.shape != tokens.shape:
        raise Mistake(f"The result has shape {list(result.shape)}; expected that of the tokens, {list(tokens.shape)}.")
    after = result == mask_token
    if (after & ~masked).any():
        raise Mistake(
            "A position that was decided is masked again. Rank only the masked positions: "
            "give decided ones the score `np.inf` before sorting."
        )
    if (result != tokens)[~masked].any():
        raise Mistake("A decided token has changed: what is decided stays, and only masked positions take new tokens.")
    if np.array_equal(result, tokens):
        raise Mistake("The tokens are as they were: nothing was decided. Masked positions take their drawn token.")
    if not after.any() and not np.isin(result, [*tokens, *drawn]).all():
        raise Mistake(f"Positions hold another number than `mask_token`, {result.min()}; mask with the argument.")
    if not after.any():
        raise Mistake(
            f"Nothing is masked any more: all were decided at once. The {remaining} worst-scored are masked again."
        )
    if after.sum() == masked.sum() - remaining:
        raise Mistake(f"{after.sum()} are masked: you decide `remaining`, but `remaining` ({remaining}) should *stay*.")
    if after.sum() != remaining:
        cut = score[masked & ~after].min() > score[masked & after].max()
        raise Mistake(
            f"{after.sum()} positions are masked after the step; expected exactly `remaining`, {remaining}."
            + (" A fixed limit for the score decides how many it likes, whatever `remaining` says." if cut else "")
        )
    if score[masked & after].max() > score[masked & ~after].min():
        reversed_order = score[masked & after].min() > score[masked & ~after].max()
        raise Mistake(
            "The best-scored positions stay masked and the worst are decided: reverse the order."
            if reversed_order
            else "The decided positions are not the best-scored masked ones: rank the masked positions by `score`."
        )
    if (result != drawn)[masked & ~after].any():
        raise Mistake("Newly decided positions do not hold their drawn token: take `drawn` at the same position.")
    last = _tokens(call(answer, tokens, drawn, score, 0, mask_token))
    if (last == mask_token).any():
        raise Mistake("With remaining = 0, the last step, something is still masked. (`order[-0:]` is everything.)")
    return "With random scores this is the paper's random order; with probabilities as scores, confidence order."


def _tokens(found: Any) -> np.ndarray:
    tokens = numbers(found, "the tokens after the step, [N]")
    return tokens.astype(bool) if "bool" in str(getattr(found, "dtype", "")) else tokens


@exercise("05.4")
def delta_psnr(answer: Function) -> str:
    """ΔtPSNR in dB, the mean over videos."""
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (6, 6, 8, 8, 3), dtype=np.uint8)
    spread = rng.uniform(4, 30, (2, 6, 6, 1, 1, 1))  # grey levels of noise, different for each video and frame
    spread[1] *= 2
    noisy = (real + spread * rng.standard_normal((2, *real.shape))).clip(0, 255).round().astype(np.uint8)
    t = 3
    found = one_number(call(answer, real, noisy[0], noisy[1], t), "the mean over videos")

    def delta(at: int | slice = t - 1, **kind: Any) -> float:
        return _delta(real, noisy[0], noisy[1], at, **kind)

    expected = delta()
    first, second = (_psnr(real[:, t - 1], made[:, t - 1]) for made in noisy)
    each = first - second
    mistakes = [
        (_psnr(noisy[0][:, t - 1], noisy[1][:, t - 1]).mean(),
         "The generated videos were compared with each other. Compare each with the real one."),
        (first.mean(), "That is the PSNR with inferred actions alone; subtract that with random ones."),
        (second.mean(), "That is the PSNR with random actions alone; subtract it from that with inferred ones."),
        ((first / second).mean(), "That is a ratio of decibels; ΔtPSNR is their difference."),
        (np.median(each), "That is the median over videos; expected the mean."),
        (each.sum(), "The differences were summed over videos; expected their mean."),
        (expected / 10, "Those are bels; a decibel is a tenth of one, so multiply by 10."),
        (delta(power=1), "PSNR takes squared errors, not absolute ones."),
        (-expected, "The sign is reversed: PSNR with inferred actions minus PSNR with random ones."),
        (delta(t), "That is x_4, not x_3: entry 0 is x_1, so x_t is entry t - 1."),
        (delta(slice(0, t)), "That is the mean over frames up to t; expected the frame x_t alone."),
        (delta(slice(None)), "That is the mean over all frames; expected the frame x_t alone."),
        (delta(pooled=True), "The squared error is averaged over videos before the logarithm; "
         "expected the PSNR of each video, then the mean."),
        (delta(wrap=True), "uint8 cannot hold a negative difference: 3 - 5 gives 254. "
         "Convert the frames to float before you subtract."),
        (delta(wrap="square"), "uint8 cannot hold a square either: convert to float first."),
        (delta(scale=20), "The mean squared error is already a square: 10 times its logarithm, not 20."),
        (delta(scale=10 * np.log(10)), "That is the natural logarithm; decibels use the logarithm to base 10."),
    ]  # fmt: skip
    if np.isclose(found, expected, atol=1e-6):
        return f"{expected:.2f} dB here. In 0 to 255 or in 0 to 1: the peak cancels."
    for mistaken, message in mistakes:
        if np.isclose(found, mistaken, atol=1e-6):
            raise Mistake(message)
    if np.isclose(found, expected, atol=1e-3):
        return f"{expected:.2f} dB here, up to rounding."
    if imprecise(np.array(found), np.array(expected)):
        raise Mistake(IMPRECISE)
    raise Mistake(
        f"Found {found:.3f} dB, expected {expected:.3f}. For each video: the mean squared error of frame x_t, "
        "its PSNR, the difference of the two; then the mean over videos."
    )


def _psnr(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """PSNR in dB of each frame, [B]."""
    return 10 * np.log10(255**2 / np.square(real.astype(float) - made).mean((1, 2, 3)))


def _delta(
    real: np.ndarray,
    inferred: np.ndarray,
    random: np.ndarray,
    at: int | slice,
    *,
    pooled: bool = False,
    wrap: bool | str = False,
    scale: float = 10.0,
    power: int = 2,
) -> float:
    """ΔtPSNR at frame index `at`, done correctly or with one of the usual mistakes."""

    def decibels(made: np.ndarray) -> np.ndarray:
        x, y = real[:, at], made[:, at]
        if wrap == "square":
            error = ((x - y) ** 2).astype(np.float64)  # uint8 wraps in the difference and again in the square
        elif wrap:
            error = (x - y).astype(np.float64) ** 2
        else:
            error = np.abs(x.astype(np.float64) - y.astype(np.float64)) ** power
        mean = error.mean(axis=None if pooled else (-3, -2, -1))
        return scale * np.log10(255**2 / mean)

    return float((decibels(inferred) - decibels(random)).mean())
