"""Answers of learners to notebook 10: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F


def losses(logits, targets):
    """Of each known target, one after another: float list."""
    return [
        -torch.log_softmax(row[t], -1)[int(goal[t])]
        for row, goal in zip(logits, targets, strict=True)
        for t in range(len(goal))
        if goal[t] >= 0
    ]


def in_a_loop(logits, targets):
    return torch.stack(losses(logits, targets)).mean()


def by_one_hot(logits, targets):
    known = (targets >= 0).float()
    chosen = F.one_hot(targets.clamp(min=0), logits.shape[-1])
    return -((logits.log_softmax(-1) * chosen).sum(-1) * known).sum() / known.sum()


def by_mask(logits, targets):
    return F.cross_entropy(logits[targets >= 0], targets[targets >= 0])


def as_if_none_were_zero(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten().clamp(min=0))


def over_all_frames(logits, targets):
    each = F.cross_entropy(logits.mT, targets, ignore_index=-1, reduction="none")
    return each.mean()


def of_probabilities(logits, targets):
    return F.cross_entropy(logits.softmax(-1).flatten(0, 1), targets.flatten(), ignore_index=-1)


def log_likelihood(logits, targets):
    return -in_a_loop(logits, targets)


def without_gradient(logits, targets):
    with torch.no_grad():
        return by_mask(logits, targets)


def one_a_frame(logits, targets):
    return F.cross_entropy(logits.mT, targets, ignore_index=-1, reduction="none")


def clip_by_clip(logits, targets):
    return torch.stack([by_mask(row[None], goal[None]) for row, goal in zip(logits, targets, strict=True)]).mean()


def as_a_number(logits, targets):
    return by_mask(logits, targets).item()


def table(codes, keys, A, U):
    counts = np.zeros((A, U))
    for a, u in zip(codes, keys, strict=True):
        counts[a, u] += 1
    return counts


def by_rows(codes, keys, A, U):
    everybody = np.bincount(keys, minlength=U) / len(keys)
    rows = [np.bincount(keys[codes == a], minlength=U) / max((codes == a).sum(), 1) for a in range(A)]
    return [row if row.any() else everybody for row in rows]


def in_torch(codes, keys, A, U):
    codes, keys = torch.from_numpy(codes).long(), torch.from_numpy(keys).long()
    counts = torch.bincount(codes * U + keys, minlength=A * U).view(A, U).double()
    counts[counts.sum(1) == 0] = counts.sum(0)
    return counts / counts.sum(1, keepdim=True)


def not_divided(codes, keys, A, U):
    return table(codes, keys, A, U)


def together(codes, keys, A, U):
    return table(codes, keys, A, U) / len(codes)


def of_codes(codes, keys, A, U):
    counts = table(codes, keys, A, U)
    return counts / np.maximum(counts.sum(0), 1)


def each_pair_once(codes, keys, A, U):
    counts = np.zeros((A, U))
    counts[codes, keys] += 1
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def the_best(codes, keys, A, U):
    return np.eye(U)[table(codes, keys, A, U).argmax(1)]


def empty_rows(codes, keys, A, U):
    counts = table(codes, keys, A, U)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def undefined_rows(codes, keys, A, U):
    counts = table(codes, keys, A, U)
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(1, keepdims=True)


def even_rows(codes, keys, A, U):
    counts = table(codes, keys, A, U)
    counts[counts.sum(1) == 0] = 1
    return counts / counts.sum(1, keepdims=True)


def keys_first(codes, keys, A, U):
    return empty_rows(codes, keys, A, U).T


def imagined(start, policy, step, horizon):
    frames, codes = start, []
    for _ in range(horizon):
        codes.append(policy(frames))
        frames = np.concatenate([frames, step(codes[-1])[:, None]], axis=1)
    return frames, np.stack(codes, axis=1)


def with_a_list(start, policy, step, left, horizon):
    frames = [start[:, t] for t in range(start.shape[1])]
    plans = [[] for _ in start]
    for _ in range(horizon):
        codes = policy(np.stack(frames, axis=1))
        for plan, code in zip(plans, codes, strict=True):
            plan.append(int(code))
        frames.append(step(codes))
    scores = list(left(np.stack(frames[-4:], axis=1)))
    return plans[scores.index(min(scores))]


def with_a_window(start, policy, step, left, horizon):
    window, plan = start, np.zeros((len(start), horizon), int)
    for t in range(horizon):
        plan[:, t] = policy(window)
        window = np.concatenate([window[:, 1:], step(plan[:, t])[:, None]], axis=1)
    return torch.from_numpy(plan)[int(np.argsort(left(window))[0])]


def the_farthest(start, policy, step, left, horizon):
    frames, codes = imagined(start, policy, step, horizon)
    return codes[left(frames).argmax()]


def judged_at_the_start(start, policy, step, left, horizon):
    frames, codes = imagined(start, policy, step, horizon)
    return codes[left(start).argmin()]


def never_judged(start, policy, step, left, horizon):
    return imagined(start, policy, step, horizon)[1][0]


def policy_of_the_start(start, policy, step, left, horizon):
    codes, frames = [], start
    for _ in range(horizon):
        codes.append(policy(start))
        frames = np.concatenate([frames, step(codes[-1])[:, None]], axis=1)
    return np.stack(codes, axis=1)[left(frames).argmin()]


def all_of_them(start, policy, step, left, horizon):
    return imagined(start, policy, step, horizon)[1]


def first_action_alone(start, policy, step, left, horizon):
    frames, codes = imagined(start, policy, step, horizon)
    return codes[left(frames).argmin(), 0]


def number_of_the_future(start, policy, step, left, horizon):
    return int(left(imagined(start, policy, step, horizon)[0]).argmin())


def wrong_axis(start, policy, step, left, horizon):
    frames, codes = imagined(start, policy, step, horizon)
    return codes.T[left(frames).argmin() % horizon]


def one_step_short(start, policy, step, left, horizon):
    frames, codes = imagined(start, policy, step, horizon - 1)
    return codes[left(frames).argmin()]


def last_action_first(start, policy, step, left, horizon):
    frames, codes = imagined(start, policy, step, horizon)
    return codes[left(frames).argmin()][::-1]


def averaged(start, policy, step, left, horizon):
    frames, codes = imagined(start, policy, step, horizon)
    first = start.shape[1]
    mean = np.mean([frames[:, t, 0, 0, 0].astype(int) * 29 % 31 for t in range(first, first + horizon)], axis=0)
    left(frames)
    return codes[mean.argmin()]


WRONG: dict[str, dict[str, Any]] = {
    "10.1": {
        "as if their action were 0": as_if_none_were_zero,
        "Divide by that of the known ones": over_all_frames,
        "The softmax was applied twice": of_probabilities,
        "*minus* the mean log-probability": log_likelihood,
        "it has no gradient": without_gradient,
        "expected a single number": one_a_frame,
        "averaged in each clip first": clip_by_clip,
        "expected a tensor, so that it has a gradient": as_a_number,
    },
    "10.2": {
        "Those are counts": not_divided,
        "that is p(code, key)": together,
        "that is p(code | key)": of_codes,
        "Each pair is counted once": each_pair_once,
        "Only the most frequent key": the_best,
        "is wrong: give it the shares of all samples": empty_rows,
        "is not a number": undefined_rows,
        "takes all keys alike": even_rows,
        "codes are rows": keys_first,
    },
    "10.3": {
        "ends farthest from the coin": the_farthest,
        "not made by how the futures *end*": judged_at_the_start,
        "call `left` with the frames imagined last": never_judged,
        "The policy is shown old frames": policy_of_the_start,
        "those of the best one alone": all_of_them,
        "expected all latent actions of the best future": first_action_alone,
        "That is a single number": number_of_the_future,
        "one number for each future": wrong_axis,
        "asked for 3 frames": one_step_short,
        "in another order": last_action_first,
        "Judge it by its end alone": averaged,
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "10.1": {"a loop over frames": in_a_loop, "one-hot targets": by_one_hot, "a mask": by_mask},
    "10.2": {"a list of rows": by_rows, "torch": in_torch},
    "10.3": {"lists": with_a_list, "a window of four frames": with_a_window},
}
