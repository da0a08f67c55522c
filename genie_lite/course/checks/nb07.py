"""Checks of notebook 07: PSNR of videos, ΔtPSNR of a world, balanced accuracy of a probe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from genie_lite.course.checking import Mistake, call, exercise
from genie_lite.course.solutions import nb07 as solutions

Function = Callable[..., Any]


@exercise("07.1")
def psnr(answer: Function) -> str:
    """PSNR of each frame."""
    generator = np.random.default_rng(7)
    real = generator.integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8)
    spread = np.array([[3, 12, 40], [20, 6, 60]])[..., None, None, None]
    made = np.clip(real + generator.normal(0, 1, real.shape) * spread, 0, 255).astype(np.uint8)
    found = np.asarray(call(answer, real.copy(), made.copy()), dtype=float)
    wanted = solutions.my_psnr(real, made)
    difference = real.astype(float) - made
    errors = np.square(difference).mean((2, 3, 4))
    if found.shape == () and np.isclose(found, 10 * np.log10(255**2 / errors.mean())):
        raise Mistake(
            "One number for all videos: a bad frame hides among good ones. Wanted one for each frame, [B, T]."
        )
    if found.shape != (2, 3):
        raise Mistake(f"Found shape {list(found.shape)}, wanted [B, T] = [2, 3]: mean over H, W and C, the last three.")
    if np.allclose(found, wanted):
        return f"A frame that is off by {np.sqrt(errors[0, 0]):.0f} grey levels has {wanted[0, 0]:.1f} dB here."
    wrapped = np.square(real - made).astype(float).mean((2, 3, 4))
    half = np.square((real - made).astype(float)).mean((2, 3, 4))
    mistakes = [
        (_decibels(wrapped), "uint8 wraps around: 3 - 5 is 254, and 20 * 20 is 144. Make floats of the frames first."),
        (_decibels(half), "You made floats of the difference; it had wrapped around before. Floats first, then minus."),
        (-wanted, "The sign is turned: the smaller the error, the higher the PSNR."),
        (2 * wanted, "Twice too much: 20 log10 belongs to the *root* of the squared error, 10 log10 to the error."),
        (-10 * np.log10(errors), "Peak value missing: for frames up to 255, 255² stands above the error."),
        (10 * np.log10(255 / errors), "The peak is squared like the error: 255²."),
        (wanted * np.log(10), "A natural logarithm; decibels take log10."),
        (wanted / 10, "Those are bels; a decibel is a tenth, so multiply by 10."),
        (_decibels(errors * 8 * 8 * 3), "The squared error was summed. Take its mean."),
        (_decibels(np.abs(difference).mean((2, 3, 4))), "That is made of the absolute error. Square it."),
        (_decibels(np.square(np.abs(difference).mean((2, 3, 4)))), "First square, then take the mean."),
    ]
    for value, message in mistakes:
        if np.allclose(found, value):
            raise Mistake(message)
    raise Mistake(
        f"Frame [0, 0]: found {found[0, 0]:.3f}, wanted {wanted[0, 0]:.3f} dB for an error of {errors[0, 0]:.2f}."
    )


def _decibels(error: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / error)


class Practice:
    """A world of plain grey frames for the check: an action makes the picture brighter or darker, luck adds noise."""

    num_latent_actions = 5
    effect = np.array([-30, -8, 0, 9, 25])

    def __init__(self, videos: int, frames: int) -> None:
        generator = np.random.default_rng(3)
        actions = generator.choice(5, size=(videos, frames - 1), p=[0.1, 0.1, 0.6, 0.1, 0.1])
        first = generator.integers(100, 156, (videos, 1, 4, 4, 3))
        steps = self.effect[actions].cumsum(1)[..., None, None, None]
        wobble = generator.integers(-20, 21, (videos, frames - 1, 4, 4, 3))
        self.videos = np.concatenate([first, first + steps + wobble], axis=1).clip(0, 255).astype(np.uint8)
        self.actions = actions
        self.played: list[tuple[np.ndarray, np.ndarray, int, np.ndarray]] = []

    def infer_actions(self, frames: np.ndarray) -> np.ndarray:
        for videos in (frames, np.asarray(frames)[None]):
            for first in range(self.videos.shape[1]):
                if videos.ndim == 5 and np.array_equal(videos, self.videos[:, first : first + videos.shape[1]]):
                    return self.actions[:, first : first + videos.shape[1] - 1].copy()
        raise ValueError("infer_actions: these frames are not the videos that were given")

    def generate(self, prompt_frames: np.ndarray, latent_actions: np.ndarray, *, seed: int = 0, **_: Any) -> np.ndarray:
        prompt, actions = np.asarray(prompt_frames), np.asarray(latent_actions)
        if prompt.ndim != 5 or actions.ndim != 2 or len(prompt) != len(actions):
            raise ValueError(
                f"generate: found prompt {list(prompt.shape)} and actions {list(actions.shape)}, "
                "wanted [B, T0, H, W, C] and [B, T]"
            )
        if actions.size and (actions.min() < 0 or actions.max() >= 5):
            raise ValueError(f"latent action {actions.max()}: out of range, this world has 0 .. 4")
        steps = self.effect[actions].cumsum(1)[..., None, None, None]
        luck = np.random.default_rng(seed).integers(-6, 7, (*actions.shape, 4, 4, 3))
        video = (prompt[:, -1:] + steps + luck).clip(0, 255).astype(np.uint8)
        self.played.append((prompt, actions, seed, video))
        return video


@exercise("07.2")
def delta_psnr(answer: Function) -> str:
    """ΔtPSNR of a world, from two calls of generate."""
    t = 3
    world = Practice(videos=40, frames=8)
    found = call(answer, world, world.videos.copy(), t, 0)
    if np.size(found) != 1:
        raise Mistake(f"The answer has shape {list(np.shape(found))}; wanted one number, the mean over videos.")
    value = float(np.asarray(found).reshape(()))
    told, untold = _two_videos(world, t)
    (_, _, _, good), (_, _, _, bad) = told, untold
    real = world.videos
    wanted = float(
        np.mean(solutions.my_psnr(real[:, t], good[:, t - 1]) - solutions.my_psnr(real[:, t], bad[:, t - 1]))
    )
    if np.isclose(value, wanted):
        other = Practice(videos=40, frames=8)
        call(answer, other, other.videos.copy(), t, 11)
        if np.array_equal(_two_videos(other, t)[1][1], untold[1]):
            raise Mistake(
                "With another `seed` the random actions are the same. Draw them from a generator of that seed."
            )
        return f"{wanted:.1f} dB, in a practice world where actions make the picture brighter or darker."
    late = min(t, good.shape[1] - 1)

    def mean(first: np.ndarray, second: np.ndarray) -> float:
        with np.errstate(divide="ignore"):
            return float(np.mean(solutions.my_psnr(first, second)))

    span = slice(1, t + 1)
    mistakes = [
        (-wanted, "The sign is turned: inferred minus random, so that a world that obeys has a positive ΔtPSNR."),
        (mean(real[:, t], good[:, late]) - mean(real[:, t], bad[:, late]),
         "One frame off: `generate` gives new frames only, so x_t is entry t - 1 of its videos, entry t of the real."),
        (mean(real[:, t - 1], good[:, t - 1]) - mean(real[:, t - 1], bad[:, t - 1]),
         "One frame off: the real video still has its prompt frame, so x_t is its entry t."),
        (mean(real[:, span], good[:, :t]) - mean(real[:, span], bad[:, :t]), "That is a mean over 1 .. t; wanted x_t."),
        (mean(real[:, t], good[:, t - 1]), "That is PSNR with inferred actions alone; subtract that with random ones."),
        (mean(real[:, t], good[:, t - 1]) - mean(real[:, t], real[:, 0]),
         "That is the gain over copying. ΔtPSNR compares with random actions."),
        (mean(good[:, t - 1], bad[:, t - 1]), "Imagined videos were compared with each other. Compare with the real."),
    ]  # fmt: skip
    for mistaken, message in mistakes:
        if np.isclose(value, mistaken):
            raise Mistake(message)
    raise Mistake(f"Found {value:.3f}, wanted {wanted:.3f} dB from the two videos that your function generated.")


def _two_videos(world: Practice, t: int) -> tuple[Any, Any]:
    """The video played with inferred actions and the one with random ones; a Mistake when other videos were played."""
    if len(world.played) != 2:
        raise Mistake(
            f"`generate` was called {len(world.played)} times; wanted twice, for all videos at once: "
            "with the inferred and with random actions."
        )
    for prompt, actions, _, _ in world.played:
        if prompt.shape[1] != 1:
            raise Mistake(
                f"The prompt has {prompt.shape[1]} frames: the world was shown what it should imagine. Give x_0."
            )
        if not np.array_equal(prompt, world.videos[:, :1]):
            raise Mistake("The prompt is not the first frame of each video, `videos[:, :1]`.")
        if actions.shape[1] < t:
            raise Mistake(f"Only {actions.shape[1]} actions were played; x_t with t = {t} takes {t} of them.")
    inferred = [np.array_equal(actions, world.actions[:, : actions.shape[1]]) for _, actions, _, _ in world.played]
    if all(inferred):
        raise Mistake("Both videos were played with the inferred actions. The second one takes random actions.")
    if not any(inferred):
        raise Mistake(
            "Neither video was played with the inferred actions: infer_actions of all frames, from the first on."
        )
    told, untold = (world.played[0], world.played[1]) if inferred[0] else (world.played[1], world.played[0])
    random = untold[1]
    if np.array_equal(np.sort(random, axis=None), np.sort(told[1], axis=None)):
        raise Mistake(
            "Those are the inferred actions in another order, a rival too; the paper's ΔtPSNR draws them anew."
        )
    missing = sorted(set(range(5)) - set(random.ravel().tolist()))
    if missing:
        raise Mistake(f"Your random actions never use {missing}; wanted all of 0 .. A - 1, `integers(A, size=...)`.")
    if told[2] != untold[2]:
        raise Mistake("The two videos had different seeds, so they differ by luck too. Give both the same.")
    return told, untold


@exercise("07.3")
def probe(answer: Function) -> str:
    """Balanced accuracy, on transitions that meanings were not fitted on."""
    generator = np.random.default_rng(260)  # chosen so that every usual mistake gives a number of its own
    classes = generator.choice(3, size=90, p=[0.15, 0.65, 0.2])
    likely = np.array([[0.5, 0.3, 0.1, 0.1], [0.15, 0.35, 0.35, 0.15], [0.1, 0.2, 0.2, 0.5]])
    codes = np.array([generator.choice(4, p=likely[c]) for c in classes])
    fitted = generator.random(90) < 0.5
    found = call(answer, codes.copy(), classes.copy(), fitted.copy())
    if np.size(found) != 1:
        raise Mistake(f"The answer has shape {list(np.shape(found))}; wanted one number, the mean over classes.")
    value = float(np.asarray(found).reshape(()))
    wanted = solutions.my_probe(codes, classes, fitted)
    if np.isclose(value, wanted):
        return (
            f"{wanted:.2f} here. A code that says nothing gets 0.33, since any constant answer is right in one class."
        )

    table = np.zeros((4, 3))
    np.add.at(table, (codes[fitted], classes[fitted]), 1)
    likeliest, commonest = (table / table.sum(0)).argmax(1), table.argmax(1)

    def balanced(meaning: np.ndarray, judged: np.ndarray) -> float:
        return float(np.mean([(meaning[codes] == classes)[judged & (classes == c)].mean() for c in range(3)]))

    everything = np.ones_like(fitted)
    whole = np.zeros((4, 3))
    np.add.at(whole, (codes, classes), 1)
    right = likeliest[codes] == classes
    mistakes = [
        (balanced(likeliest, fitted), "Judged on the half on which meanings were fitted. Take `~fitted`."),
        (balanced(likeliest, everything), "Judged on everything, the fitted half included. Take `~fitted` alone."),
        (balanced((whole / whole.sum(0)).argmax(1), ~fitted), "Meanings were fitted on everything. Use `fitted`."),
        (balanced(commonest, ~fitted),
         "A code's meaning is its commonest class there, so a class claims codes by being common. Divide the counts by "
         "how often each class occurs first."),
        (float(right[~fitted].mean()), "That is plain accuracy. Take it in each class, then the mean over classes."),
        (float((commonest[codes] == classes)[~fitted].mean()),
         "That is plain accuracy, with the commonest class for each code. Balance both: shares within classes."),
        (float(np.mean([right[~fitted & (codes == k)].mean() for k in range(4)])),
         "That is the mean over codes. Balanced accuracy is a mean over the *classes* that were to be told."),
        (1 - wanted, "That is the share of wrong answers."),
    ]  # fmt: skip
    for mistaken, message in mistakes:
        if np.isclose(value, mistaken):
            raise Mistake(message)
    raise Mistake(f"Found {value:.3f}, wanted {wanted:.3f}. Count pairs, give each code a class, judge the rest.")
