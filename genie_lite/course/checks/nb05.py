"""Checks of notebook 05: the mask of training, one MaskGIT step, ΔtPSNR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from genie_lite.course.checking import Mistake, call, exercise

Function = Callable[..., Any]


@exercise("05.1")
def draw_mask(answer: Function) -> str:
    """A mask bool [B, T, N]: one rate a clip from U(low, high), the first frame never hidden."""
    shape = (64, 5, 100)
    mask = np.asarray(call(answer, *shape, 0.5, 1.0, np.random.default_rng(0)))
    if mask.shape != shape:
        raise Mistake(f"The mask has shape {mask.shape}; wanted (B, T, N), here {shape}.")
    if mask.dtype != bool:
        raise Mistake(
            f"The mask holds {mask.dtype}; wanted bool: compare random numbers with the rate, `random < rate`."
        )
    if mask[:, 0].all() and mask[:, 1:].mean() < 0.4:
        raise Mistake("The mask is the wrong way round: True must mean hidden, and the first frame is all False.")
    if mask[:, 0].any():
        raise Mistake("The first frame has hidden tokens. It is the prompt, and is never hidden: `mask[:, 0] = False`.")
    hidden = mask[:, 1:]
    if (hidden == hidden[:, :1]).all():
        raise Mistake("All frames of a clip hide the same places; draw a random number for every token of every frame.")
    if hidden.mean(axis=2).std(axis=1).mean() > 0.08:  # far more than 100 tokens with one rate would differ by
        raise Mistake("Every frame has a rate of its own; wanted one for the whole clip: rates of shape (B, 1, 1).")
    shares = hidden.mean(axis=(1, 2))
    if shares.std() < 0.05:
        raise Mistake(
            "All clips hide about the same share. The rate is drawn once for the batch (or for each token); "
            "wanted one for each clip: rates of shape (B, 1, 1)."
        )
    if abs(shares.mean() - 0.25) < 0.06:
        raise Mistake("A quarter is hidden, not three quarters: hide where the random number is *below* the rate.")
    if abs(shares.mean() - 0.5) < 0.07:
        raise Mistake("Half is hidden on average: the rate lies between 0 and 1 instead of between `low` and `high`.")
    if shares.min() < 0.35 or abs(shares.mean() - 0.75) > 0.07:
        raise Mistake(
            f"Shares run from {shares.min():.0%} to {shares.max():.0%}; wanted them even between 50 % and 100 %."
        )
    narrow = np.asarray(call(answer, 8, 3, 400, 0.1, 0.2, np.random.default_rng(1)))[:, 1:].mean()
    if not 0.1 < narrow < 0.2:
        raise Mistake(f"With low = 0.1 and high = 0.2 the share is {narrow:.0%}: use the arguments, not 0.5 and 1.")
    return "One rate a clip, frame 1 always whole: `DynamicsModel.draw_mask` does the same in four lines."


@exercise("05.2")
def one_step(answer: Function) -> str:
    """Tokens [N] after one MaskGIT step."""
    rng = np.random.default_rng(0)
    mask_token = 50
    tokens = rng.integers(0, 50, 40)
    tokens[rng.permutation(40)[:25]] = mask_token
    drawn, score, remaining = (tokens + 7) % 50, rng.permutation(40) / 40, 10
    tokens_before, drawn_before = tokens.copy(), drawn.copy()
    hidden = tokens == mask_token
    result = np.asarray(call(answer, tokens, drawn, score, remaining, mask_token))
    if not (np.array_equal(tokens, tokens_before) and np.array_equal(drawn, drawn_before)):
        raise Mistake(
            "The function changes `tokens` or `drawn`, which are not its own. Begin with a copy, or `np.where`."
        )
    if result.shape != tokens.shape:
        raise Mistake(f"The result has shape {result.shape}; wanted that of the tokens, {tokens.shape}.")
    after = result == mask_token
    if (after & ~hidden).any():
        raise Mistake(
            "A place that was decided is hidden again. Rank the hidden places only: "
            "give decided ones the score `np.inf` before sorting."
        )
    if (result != tokens)[~hidden].any():
        raise Mistake("A decided token has changed: what is decided stays, only hidden places take their drawn token.")
    if after.sum() != remaining:
        if after.sum() == hidden.sum() - remaining:
            raise Mistake(f"{after.sum()} are hidden: you decide `remaining`; wanted {remaining} to *stay* hidden.")
        raise Mistake(f"{after.sum()} places are hidden after the step; wanted exactly `remaining`, {remaining}.")
    if score[hidden & after].max() > score[hidden & ~after].min():
        wrong_way = score[hidden & after].min() > score[hidden & ~after].max()
        raise Mistake(
            "The best-scored places stay hidden and the worst are decided: sort the other way."
            if wrong_way
            else "It is not the best-scored hidden places that are decided: rank by `score`, among hidden ones."
        )
    if (result != drawn)[hidden & ~after].any():
        raise Mistake("Newly decided places do not hold their drawn token: take `drawn` at the same place.")
    last = np.asarray(call(answer, tokens, drawn, score, 0, mask_token))
    if (last == mask_token).any():
        raise Mistake("With remaining = 0, the last step, something is still hidden. (`order[-0:]` is everything.)")
    return "With random scores this is the paper's random order; with probabilities as scores, confidence order."


@exercise("05.3")
def delta_psnr(answer: Function) -> str:
    """ΔtPSNR in dB, the mean over videos."""
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (6, 5, 8, 8, 3), dtype=np.uint8)
    spread = rng.uniform(4, 30, (2, 6, 5, 1, 1, 1))  # grey levels of noise, other for each video and frame
    spread[1] *= 2
    noisy = (real + spread * rng.standard_normal((2, *real.shape))).clip(0, 255).round().astype(np.uint8)
    t = 3
    value = call(answer, real, noisy[0], noisy[1], t)
    if np.size(value) != 1:
        raise Mistake(f"The answer has shape {np.shape(value)}; wanted one number, the mean over videos.")
    found = float(np.asarray(value).reshape(()))

    def delta(at: int | slice = t - 1, **kind: Any) -> float:
        return _delta(real, noisy[0], noisy[1], at, **kind)

    wanted = delta()
    mistakes = [
        (-wanted, "The sign is turned: it is PSNR with inferred actions minus PSNR with random ones."),
        (delta(t), "That is x_4, not x_3: entry 0 is x_1, so x_t is entry t - 1."),
        (delta(slice(0, t)), "That is the mean over frames up to t; wanted the frame x_t alone."),
        (delta(slice(None)), "That is the mean over all frames; wanted the frame x_t alone."),
        (delta(pooled=True), "The squared error is averaged over videos before the logarithm; "
         "wanted the PSNR of each video, then the mean."),
        (delta(wrap=True), "uint8 cannot hold a negative difference: 3 - 5 gives 254. "
         "Turn frames into floats before you subtract."),
        (delta(wrap="square"), "uint8 cannot hold a square either: take floats first."),
        (delta(scale=20), "The mean squared error is a square already: 10 times its logarithm, not 20."),
        (delta(scale=10 * np.log(10)), "That is the natural logarithm; decibels use "
         "the logarithm to base 10."),
    ]  # fmt: skip
    if np.isclose(found, wanted, atol=1e-6):
        return f"{wanted:.2f} dB here. In 0 to 255 or in 0 to 1: the peak cancels."
    for mistaken, message in mistakes:
        if np.isclose(found, mistaken, atol=1e-6):
            raise Mistake(message)
    raise Mistake(
        f"Found {found:.3f} dB, wanted {wanted:.3f}. For each video: mean squared error of frame x_t, "
        "PSNR of it, the difference of the two; then the mean over videos."
    )


def _delta(
    real: np.ndarray,
    inferred: np.ndarray,
    random: np.ndarray,
    at: int | slice,
    *,
    pooled: bool = False,
    wrap: bool | str = False,
    scale: float = 10.0,
) -> float:
    """ΔtPSNR of frame index `at`, done right or with one of the usual mistakes."""

    def decibels(made: np.ndarray) -> np.ndarray:
        x, y = real[:, at], made[:, at]
        if wrap == "square":
            error = ((x - y) ** 2).astype(np.float64)  # uint8 wraps in the difference and again in the square
        elif wrap:
            error = (x - y).astype(np.float64) ** 2
        else:
            error = (x.astype(np.float64) - y.astype(np.float64)) ** 2
        mean = error.mean(axis=None if pooled else (-3, -2, -1))
        return scale * np.log10(255**2 / mean)

    return float((decibels(inferred) - decibels(random)).mean())
