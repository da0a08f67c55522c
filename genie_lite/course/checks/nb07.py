"""Checks of notebook 07: PSNR of videos, ΔtPSNR of a world, balanced accuracy of a probe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from genie_lite.course.checking import IMPRECISE, Mistake, call, exercise, imprecise, numbers, one_number
from genie_lite.course.checks.practice import Practice, Rollouts
from genie_lite.course.solutions import nb07 as solutions

Function = Callable[..., Any]


@exercise("07.1")
def psnr(answer: Function) -> str:
    """PSNR of each frame."""
    generator = np.random.default_rng(7)
    real = generator.integers(0, 201, (2, 3, 8, 8, 3), dtype=np.uint8)  # dim: the brightest value is 200, not 255
    spread = np.array([[3, 12, 40], [20, 6, 120]])[..., None, None, None]
    made = np.clip(real + generator.normal(0, 1, real.shape) * spread, 0, 200).astype(np.uint8)
    found = numbers(call(answer, real.copy(), made.copy()), "the PSNR of each frame, [B, T]")
    expected = solutions.my_psnr(real, made)
    errors = np.square(real.astype(float) - made).mean((2, 3, 4))
    if found.shape == () and np.isclose(found, 10 * np.log10(255**2 / errors.mean())):
        raise Mistake("One number for all videos hides a bad frame among good ones. Expected one per frame, [B, T].")
    if found.shape != (2, 3):
        raise Mistake(
            f"Found shape {list(found.shape)}, expected [B, T] = [2, 3]: average over H, W and C, the last three axes."
        )
    if np.allclose(found, expected, atol=1e-3):
        return f"A frame that is off by {np.sqrt(errors[0, 0]):.0f} grey levels has {expected[0, 0]:.1f} dB here."
    for message, value in _psnr_mistakes(real, made, expected):
        if np.allclose(found, value, rtol=1e-6, atol=1e-3, equal_nan=True):
            raise Mistake(message)
    if imprecise(found, expected):
        raise Mistake(IMPRECISE)
    raise Mistake(
        f"Frame [0, 0]: found {found[0, 0]:.3f}, expected {expected[0, 0]:.3f} dB for a squared error of "
        f"{errors[0, 0]:.2f}."
    )


def _psnr_mistakes(real: np.ndarray, made: np.ndarray, expected: np.ndarray) -> list[tuple[str, np.ndarray]]:
    axes = (2, 3, 4)
    difference = real.astype(float) - made
    errors = np.square(difference).mean(axes)
    small = np.square(real.astype(np.int16) - made.astype(np.int16)).astype(float).mean(axes)
    brightness = np.square(difference @ np.array([0.299, 0.587, 0.114])).mean((2, 3))
    return [
        ("The largest value of a pixel is 255, not 256: uint8 has 256 values, from 0 on.",
         expected + 20 * np.log10(256 / 255)),
        ("That is the mean of the decibels of each colour. Average the squared error over H, W *and* C first.",
         _decibels(np.square(difference).mean((2, 3))).mean(-1)),
        ("That is the error of brightness alone. Colours count, too: average over all three.", _decibels(brightness)),
        ("That is the squared error itself; PSNR is made from the error itself by 10 log10(255² / error).", errors),
        ("That is the root of the squared error; PSNR is 10 log10(255² / error).", np.sqrt(errors)),
        ("Half of the correct number: use 10 log10 of the squared error.", expected / 2),
        ("uint8 wraps around: 3 - 5 is 254, and 20 * 20 is 144. Convert the frames to float first.",
         _decibels(np.square(real - made).astype(float).mean(axes))),
        ("You convert the difference to float, but it has wrapped around already. Convert first, then subtract.",
         _decibels(np.square((real - made).astype(float)).mean(axes))),
        ("The squares overflow: int16 ends at 32,767. Convert the frames to float first.", _decibels(small)),
        ("The peak is the largest value a pixel can take, 255, not the brightest pixel of these frames.",
         10 * np.log10(float(real.max()) ** 2 / errors)),
        ("The peak is the largest value a pixel can take, 255, not the brightest pixel of each frame.",
         10 * np.log10(real.max(axes).astype(float) ** 2 / errors)),
        ("The sign is reversed: the smaller the error, the higher the PSNR.", -expected),
        ("Twice the correct number: use 10 log10 of the squared error (20 log10 belongs to its *root*).", 2 * expected),
        ("The peak value is missing: that holds for frames with values from 0 to 1. Here divide 255² by the error.",
         -10 * np.log10(errors)),
        ("The peak is squared, like the error: 255².", 10 * np.log10(255 / errors)),
        ("A natural logarithm; decibels use log10.", expected * np.log(10)),
        ("Those are bels; a decibel is a tenth of one, so multiply by 10.", expected / 10),
        ("The squared error was summed. Take its mean.", _decibels(errors * 8 * 8 * 3)),
        ("That uses the absolute error. Square it.", _decibels(np.abs(difference).mean(axes))),
        ("First square, then take the mean.", _decibels(np.square(np.abs(difference).mean(axes)))),
    ]  # fmt: skip


def _decibels(error: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * np.log10(255**2 / error)


@exercise("07.2")
def delta_psnr(answer: Function) -> str:
    """ΔtPSNR of a world, from rollouts with inferred and with random actions, all at once or video by video."""
    t = 3
    world = Practice(videos=40, frames=8)
    value = one_number(call(answer, world, world.videos.copy(), t, 0), "the mean over videos")
    played = Rollouts.of(world, t)
    real, good, bad = world.videos, played.inferred, played.random
    expected = _mean(real[:, t], good[:, t - 1]) - _mean(real[:, t], bad[:, t - 1])
    if np.isclose(value, expected, atol=1e-3):
        other = Practice(videos=40, frames=8)
        call(answer, other, other.videos.copy(), t, 11)
        if np.array_equal(Rollouts.of(other, t).random_actions, played.random_actions):
            raise Mistake(
                "With another `seed` the random actions are the same. Draw them from a generator of that seed."
            )
        return f"{expected:.1f} dB, in a practice world where actions make the picture brighter or darker."
    late, span = min(t, good.shape[1] - 1), slice(1, t + 1)
    each = [solutions.my_psnr(real[:, t], part[:, t - 1]) for part in (good, bad)]
    together = [np.square(real[:, t].astype(float) - part[:, t - 1]).mean() for part in (good, bad)]
    mistakes = [
        (float(np.median(each[0] - each[1])), "That is the median over videos; expected the mean."),
        (10 * np.log10(together[1] / together[0]), "The squared error is averaged over videos before the logarithm; "
         "expected the PSNR of each video, then the mean."),
        (float((each[0] - each[1]).sum()), "The differences were summed over videos; expected their mean."),
        (-expected, "The sign is reversed: inferred minus random, so that a world that obeys has a positive ΔtPSNR."),
        (_mean(real[:, t], good[:, late]) - _mean(real[:, t], bad[:, late]),
         "Off by one frame: `generate` returns new frames only, so x_t is entry t - 1 of its videos, but "
         "entry t of the real ones."),
        (_mean(real[:, t - 1], good[:, t - 1]) - _mean(real[:, t - 1], bad[:, t - 1]),
         "Off by one frame: the real video still has its prompt frame, so x_t is its entry t."),
        (_mean(real[:, span], good[:, :t]) - _mean(real[:, span], bad[:, :t]),
         "That is a mean over 1 .. t; expected x_t alone."),
        (_mean(real[:, t], good[:, t - 1]),
         "That is the PSNR with inferred actions alone; subtract the one with random actions."),
        (_mean(real[:, t], good[:, t - 1]) - _mean(real[:, t], real[:, 0]),
         "That is the gain over copying. ΔtPSNR compares with random actions."),
        (_mean(good[:, t - 1], bad[:, t - 1]), "The two generated videos were compared with each other. Compare each "
         "with the real one."),
    ]  # fmt: skip
    for mistaken, message in mistakes:
        if np.isclose(value, mistaken, atol=1e-3):
            raise Mistake(message)
    raise Mistake(f"Found {value:.3f}, expected {expected:.3f} dB for the two videos that your function generated.")


def _mean(first: np.ndarray, second: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        return float(np.mean(solutions.my_psnr(first, second)))


def probe_case(seed: int = 261) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, classes and fitted; the seed is chosen so that each usual mistake gives a number of its own."""
    generator = np.random.default_rng(seed)
    classes = generator.choice(3, size=90, p=[0.15, 0.65, 0.2])
    likely = np.array([[0.5, 0.3, 0.1, 0.1], [0.15, 0.35, 0.35, 0.15], [0.1, 0.2, 0.2, 0.5]])
    codes = np.array([generator.choice(4, p=likely[c]) for c in classes])
    fitted = generator.random(90) < 0.5
    return codes, classes, fitted


@exercise("07.3")
def probe(answer: Function) -> str:
    """Balanced accuracy, on transitions that the meanings were not fitted on."""
    codes, classes, fitted = probe_case()
    value = one_number(call(answer, codes.copy(), classes.copy(), fitted.copy()), "the mean over classes")
    expected = solutions.my_probe(codes, classes, fitted)
    if np.isclose(value, expected):
        return (
            f"{expected:.2f} here. A code that says nothing gets 0.33, since any constant answer is right in one class."
        )
    for mistaken, message in _probe_mistakes(codes, classes, fitted, expected):
        if np.isclose(value, mistaken):
            raise Mistake(message)
    raise Mistake(
        f"Found {value:.3f}, expected {expected:.3f}. Count pairs, assign each code a class, judge the remaining "
        "transitions."
    )


def _probe_mistakes(
    codes: np.ndarray, classes: np.ndarray, fitted: np.ndarray, expected: float
) -> list[tuple[float, str]]:
    table = np.zeros((4, 3))
    np.add.at(table, (codes[fitted], classes[fitted]), 1)
    likeliest, most_frequent = (table / table.sum(0)).argmax(1), table.argmax(1)
    whole = np.zeros((4, 3))
    np.add.at(whole, (codes, classes), 1)
    right = likeliest[codes] == classes
    guess = likeliest[codes]
    by_class = [right[~fitted & (classes == c)].mean() for c in range(3)]
    everything = np.ones_like(fitted)

    def balanced(meaning: np.ndarray, judged: np.ndarray) -> float:
        return float(np.mean([(meaning[codes] == classes)[judged & (classes == c)].mean() for c in range(3)]))

    return [
        (1 / 3, "That is the chance level of three classes. How good is the probe itself?"),
        (expected - 1 / 3, "That is how far the accuracy lies above chance. Expected the accuracy itself."),
        (100 * expected, "In % it is right; expected a share between 0 and 1."),
        (min(by_class), "That is the worst class; expected the mean over classes."),
        (max(by_class), "That is the best class; expected the mean over classes."),
        (solutions.my_probe(codes, classes, ~fitted), "The two halves are exchanged: fit on `fitted`, judge on the "
         "others."),
        (float(np.mean([(classes == c)[~fitted & (guess == c)].mean() for c in set(guess.tolist())])),
         "That is the share of the guesses that are right. Balanced accuracy is the share of each true class found."),
        (balanced(likeliest, fitted), "Judged on the half that the meanings were fitted on. Use `~fitted`."),
        (balanced(likeliest, everything), "Judged on everything, including the fitted half. Use `~fitted` alone."),
        (balanced((whole / whole.sum(0)).argmax(1), ~fitted), "Meanings were fitted on everything. Use `fitted`."),
        (balanced(most_frequent, ~fitted),
         "A code's meaning is its most frequent class there, so a class claims codes by being common. Divide the "
         "counts by how often each class occurs first."),
        (float(right[~fitted].mean()), "That is plain accuracy. Take it within each class, then average over classes."),
        (float((most_frequent[codes] == classes)[~fitted].mean()),
         "That is plain accuracy, with the most frequent class for each code. Balance both: shares within classes."),
        (float(np.mean([right[~fitted & (codes == k)].mean() for k in range(4)])),
         "That is the mean over codes. Balanced accuracy is a mean over the *classes* to be told apart."),
        (1 - expected, "That is the share of wrong answers."),
    ]  # fmt: skip
