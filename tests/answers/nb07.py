"""Answers of learners to notebook 07: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from genie_lite.course.solutions.nb07 import my_delta_psnr, my_probe, my_psnr


def error(real, made, numbers=np.float64):
    return np.square(real.astype(numbers) - made.astype(numbers)).mean((-3, -2, -1))


def brightness(real, made):
    weights = np.array([0.299, 0.587, 0.114])
    return 10 * np.log10(255**2 / np.square(real @ weights - made @ weights).mean((-2, -1)))


def colour_by_colour(real, made):
    return (10 * np.log10(255**2 / np.square(real.astype(float) - made).mean((-3, -2)))).mean(-1)


def half_precision(real, made):
    difference = (real.astype(np.float16) - made.astype(np.float16)) / np.float16(255)
    return -10 * np.log10(np.square(difference).mean((-3, -2, -1)))


def in_torch(real, made):
    real, made = (torch.from_numpy(x).double() / 255 for x in (real, made))
    return -10 * (real - made).square().mean((-3, -2, -1)).log10()


def by_norm(real, made):
    pixels = np.prod(real.shape[-3:])
    norms = [
        [np.linalg.norm(x.astype(float) - y) for x, y in zip(*pair, strict=True)]
        for pair in zip(real, made, strict=True)
    ]
    return 20 * np.log10(255 * np.sqrt(pixels) / np.array(norms))


def play(
    random=lambda rng, A, shape: rng.integers(A, size=shape),
    prompt=lambda videos: videos[:, :1],
    infer=lambda genie, videos, t: genie.infer_actions(videos)[:, :t],
    score=my_psnr,
    mean=np.mean,
    seeds=(0, 0),
) -> Any:
    """ΔtPSNR of a world, right but for the parts that are given."""

    def answer(genie, videos, t, seed):
        inferred = infer(genie, videos, t)
        both = inferred, random(np.random.default_rng(seed), genie.num_latent_actions, inferred.shape)
        made = [genie.generate(prompt(videos), a, seed=seed + s)[:, t - 1] for a, s in zip(both, seeds, strict=True)]
        good, bad = (score(videos[:, t], video) for video in made)
        return mean(good - bad)

    return answer


def held(rng, A, shape):
    return np.broadcast_to(rng.integers(A, size=(len(shape), 1))[:1].repeat(shape[0], 0), shape).copy()


def one_for_each_video(rng, A, shape):
    return rng.integers(A, size=(shape[0], 1)).repeat(shape[1], axis=1)


def step_by_step(genie, videos, t, seed):
    """Plays one action at a time, from the last frame alone."""
    inferred = genie.infer_actions(videos)[:, :t]
    random = np.random.default_rng(seed).integers(genie.num_latent_actions, size=inferred.shape)
    results = []
    for actions in (inferred, random):
        frames = videos[:, :1]
        for i in range(t):
            frames = genie.generate(frames, actions[:, i : i + 1], seed=seed)
        results.append(my_psnr(videos[:, t], frames[:, -1]))
    return (results[0] - results[1]).mean()


def copying(genie, videos, t, seed):
    inferred = genie.infer_actions(videos)[:, :t]
    made = genie.generate(videos[:, :1], inferred, seed=seed)[:, t - 1]
    return (my_psnr(videos[:, t], made) - my_psnr(videos[:, t], videos[:, t - 1])).mean()


def one_video_at_a_time(genie, videos, t, seed):
    rng = np.random.default_rng(seed)
    differences = []
    for video in videos:
        inferred = genie.infer_actions(video)[:t]
        pair = [inferred, rng.integers(genie.num_latent_actions, size=t)]
        made = [genie.generate(video[:1], actions, seed=seed)[t - 1] for actions in pair]
        differences.append(my_psnr(video[t], made[0]) - my_psnr(video[t], made[1]))
    return sum(differences) / len(differences)


def pooled(real, made):
    return 10 * np.log10(255**2 / np.square(real.astype(float) - made).mean())


def meaning(codes, classes, weigh=lambda table: table / table.sum(0)):
    table = np.zeros((codes.max() + 1, classes.max() + 1))
    np.add.at(table, (codes, classes), 1)
    return weigh(table).argmax(1)


def probe(fit=meaning, judge=lambda right, classes, codes: np.mean([right[classes == c].mean() for c in range(3)])):
    def answer(codes, classes, fitted):
        guess = fit(codes[fitted], classes[fitted])[codes[~fitted]]
        return judge(guess == classes[~fitted], classes[~fitted], codes[~fitted])

    return answer


def worst_class(right, classes, codes):
    return min(right[classes == c].mean() for c in range(3))


def precision(codes, classes, fitted):
    guess = meaning(codes[fitted], classes[fitted])[codes[~fitted]]
    return np.mean([(classes[~fitted] == c)[guess == c].mean() for c in range(3)])


def chance(codes, classes, fitted):
    return 1 / 3


def above_chance(codes, classes, fitted):
    return my_probe(codes, classes, fitted) - 1 / 3


def halves_exchanged(codes, classes, fitted):
    return my_probe(codes, classes, ~fitted)


def from_confusion(codes, classes, fitted):
    fits, test = np.flatnonzero(fitted), np.flatnonzero(~fitted)
    common = np.bincount(classes[fits], minlength=3)
    best = {}
    for code in set(codes.tolist()):
        counts = np.bincount(classes[fits][codes[fits] == code], minlength=3)
        best[code] = int(np.argmax(counts / common))
    confusion = np.zeros((3, 3))
    for i in test:
        confusion[classes[i], best[codes[i]]] += 1
    return float((np.diag(confusion) / confusion.sum(axis=1)).mean())


WRONG: dict[str, dict[str, Any]] = {
    "07.1": {
        # a student's
        "not the brightest pixel of these frames": lambda r, m: 10 * np.log10(float(r.max()) ** 2 / error(r, m)),
        # a student's
        "float16 keeps only": half_precision,
        "255, not 256": lambda r, m: 10 * np.log10(256**2 / error(r, m)),
        "of each colour": colour_by_colour,
        "brightness alone": brightness,
        "squared error itself": lambda r, m: error(r, m),
        "is the root": lambda r, m: np.sqrt(error(r, m)),
        "Half of the correct": lambda r, m: 5 * np.log10(255**2 / error(r, m)),
        "frames with values from 0 to 1": lambda r, m: -10 * np.log10(error(r, m)),
    },
    "07.2": {
        # a student's
        "hold one random action": play(random=one_for_each_video),
        "Every video gets the same random actions": play(
            random=lambda rng, A, shape: rng.integers(A, size=(1, shape[1])).repeat(shape[0], 0)
        ),
        "played more than once": step_by_step,
        "averaged over videos before": play(score=pooled),
        "played 1 time": copying,
        "is the median": play(mean=np.median),
        "hold one random action for the whole": play(random=held),
        "never use [0]": play(random=lambda rng, A, shape: rng.integers(1, A, size=shape)),
        "different seeds": play(seeds=(0, 1)),
    },
    "07.3": {
        "share of the guesses": precision,
        "the chance level": chance,
        "lies above chance": above_chance,
        "The two halves are exchanged": halves_exchanged,
        "the worst class": probe(judge=worst_class),
        "plain accuracy": probe(judge=lambda right, classes, codes: right.mean()),
        "In %": lambda *arguments: 100 * my_probe(*arguments),
        "by being common": probe(
            fit=lambda codes, classes: meaning(codes, classes, lambda t: t / t.sum(1, keepdims=True))
        ),
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "07.1": {
        "torch": in_torch,
        "by norms": by_norm,
        "in float32": lambda r, m: 10 * np.log10(65025 / error(r, m, np.float32)),
    },
    "07.2": {
        "one video at a time": one_video_at_a_time,
        "all at once": play(),
        "a tensor": lambda *a: torch.tensor(my_delta_psnr(*a)),
    },
    "07.3": {"from a confusion matrix": from_confusion, "in two steps": probe()},
}
