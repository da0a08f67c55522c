"""Answers of learners to notebook 04: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange

from genie_lite.course.solutions.nb04 import gain_over_copying, mean_motion


def step(
    vectors=lambda vectors, codes: vectors,
    add=lambda x, action: x + action[:, :, None],
    loss=lambda error, q: error + q,
    error=lambda made, frames: ((made - frames[:, 1:]) ** 2).mean(),
    decode=lambda decode, x, past, frames: decode(x, past),
    encode=lambda encode, frames: encode(frames),
) -> Any:
    """A training step of the latent action model; each argument replaces one of its parts."""

    def answer(frames, encoder, to_latent, quantize, embed, to_action, decoder):
        latents = to_latent(encode(encoder, frames).mean(dim=-2)[:, 1:])
        found, codes, q = quantize(latents)
        x = add(embed(frames)[:, :-1], to_action(vectors(found, codes)))
        made = decode(decoder, x, frames[:, :-1], frames)
        wrong = error(made, frames)
        return made, codes, loss(wrong, q), wrong

    return answer


def in_pairs(encode, frames):
    two = torch.stack([frames[:, :-1], frames[:, 1:]], dim=2).flatten(0, 1)
    features = encode(two)[:, 1].unflatten(0, (len(frames), -1))
    return torch.cat([features[:, :1], features], dim=1)


def shuffled(vectors, codes):
    return vectors.flip(0)


def named(frames, encode, to_latent, quantize, embed, to_action, decode):
    past, target = frames[:, :-1], frames[:, 1:]
    pooled = torch.stack([encode(frames)[:, t].mean(1) for t in range(1, frames.shape[1])], dim=1)
    quantized = quantize(to_latent(pooled))
    action = to_action(quantized[0])
    x = embed(past)
    x = x + rearrange(action, "b t d -> b t 1 d").repeat(1, 1, x.shape[2], 1)
    prediction = decode(x, past)
    error = F.mse_loss(prediction, target)
    return [prediction, quantized[1], error + quantized[2], error]


def each_code(reduce, empty=0.0, kind=float) -> Any:
    def answer(codes, dx, sure, num_codes):
        found = np.full(num_codes, empty, kind)
        for code in range(num_codes):
            chosen = dx[(codes == code) & sure]
            if len(chosen):
                found[code] = reduce(chosen)
        return found

    return answer


def video_by_video(codes, dx, sure, num_codes):
    rows = np.array([mean_motion(*row, num_codes) for row in zip(codes, dx, sure, strict=True)])
    return rows.mean(0)


def only_certain_videos(codes, dx, sure, num_codes):
    certain = sure.all(axis=1)
    return mean_motion(codes[certain], dx[certain], sure[certain], num_codes)


def most_frequent_first(codes, dx, sure, num_codes):
    order = np.argsort(-np.bincount(codes.ravel(), minlength=num_codes), kind="stable")[::-1]
    return mean_motion(codes, dx, sure, num_codes)[order]


def masked_array(codes, dx, sure, num_codes):
    return [np.ma.masked_array(dx, ~sure | (codes != code)).mean() or 0.0 for code in range(num_codes)]


def with_torch(codes, dx, sure, num_codes):
    codes, dx, sure = map(torch.from_numpy, (codes, dx, sure))
    sums = torch.zeros(num_codes, dtype=dx.dtype).index_add_(0, codes[sure], dx[sure])
    return sums / torch.bincount(codes[sure], minlength=num_codes).clamp(min=1)


def error(first, second):
    return np.square(first - second).mean()


def decibels(first, second):
    return -10 * np.log10(np.square(first - second).mean((1, 2, 3)))


WRONG: dict[str, dict[str, Any]] = {
    "04.1": {
        "each patch got the action of another frame": step(add=lambda x, action: x + action[:, None]),
        "only two frames at a time": step(encode=in_pairs),
        "of another clip": step(vectors=shuffled),
        "The losses are multiplied": step(loss=lambda error, q: error * q),
        "weighed already": step(loss=lambda error, q: error + 0.25 * q),
        "the *change* of the frames": step(error=lambda made, frames: F.mse_loss(made, frames.diff(dim=1))),
        "raised": step(vectors=lambda vectors, codes: codes),
        "subtracted": step(add=lambda x, action: x - action[:, :, None]),
    },
    "04.2": {
        "mean of the means of each video": video_by_video,
        "whole numbers": each_code(np.mean, kind=int),
        "never occurs gets 0": each_code(np.mean, empty=-1.0),
        "every transition is sure": only_certain_videos,
        "largest motion": each_code(np.max),
        "sorted": lambda *arguments: np.sort(mean_motion(*arguments)),
        "expected numbers": lambda codes, dx, sure, K: dict.fromkeys(range(K), 0.0),
        "counted as 0": lambda codes, dx, sure, K: (
            each_code(np.sum)(codes, dx, sure, K) / np.maximum(np.bincount(codes.ravel(), minlength=K), 1)
        ),
    },
    "04.3": {
        "share of the error that is gone": lambda b, a, p: 1 - error(p, a) / error(b, a),
        "roots": lambda b, a, p: np.sqrt(error(b, a)) - np.sqrt(error(p, a)),
        "logarithm of the difference": lambda b, a, p: 10 * np.log10(error(b, a) - error(p, a)),
        "Divide the errors, not their logarithms": lambda b, a, p: np.log10(error(b, a)) / np.log10(error(p, a)),
        "added": lambda b, a, p: -10 * np.log10(error(b, a)) - 10 * np.log10(error(p, a)),
        "Half of the correct": lambda b, a, p: 5 * np.log10(error(b, a) / error(p, a)),
        "base 2": lambda b, a, p: 10 * np.log2(error(b, a) / error(p, a)),
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "04.1": {"frame by frame": named, "embedded, then cut": step()},
    "04.2": {"torch": with_torch, "code by code": each_code(np.mean), "masked arrays": masked_array},
    "04.3": {
        "two PSNR": lambda b, a, p: 10 * np.log10(1 / error(p, a)) - 10 * np.log10(1 / error(b, a)),
        # a student's
        "video by video": lambda b, a, p: np.mean(decibels(p, a) - decibels(b, a)),
        "in float16": lambda b, a, p: gain_over_copying(*(x.astype(np.float16) for x in (b, a, p))),
        "a tensor": lambda b, a, p: torch.tensor(gain_over_copying(b, a, p)),
    },
}
