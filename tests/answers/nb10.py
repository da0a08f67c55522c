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
}

RIGHT: dict[str, dict[str, Any]] = {
    "10.1": {"a loop over frames": in_a_loop, "one-hot targets": by_one_hot, "a mask": by_mask},
    "10.2": {"a list of rows": by_rows, "torch": in_torch},
}
