"""Answers of learners to notebook 06: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import torch

from genie_lite.course.solutions.nb06 import agreement, dictionary, horizon, play_loop


def loop(
    keep=lambda tokens, window: tokens[:, -(window - 1) :],
    lead=lambda codes, t: codes[:, -t:],
    pick=lambda actions, t: actions[:, t : t + 1],
    result=lambda made: torch.stack(made, dim=1),
    window=lambda window: window,
) -> Any:
    """A play loop that keeps past and codes in the window only; each argument replaces one of its steps."""

    def answer(tokens, codes, actions, size, imagine):
        made = []
        for t in range(actions.shape[1]):
            codes = torch.cat([codes, pick(actions, t)], dim=1)
            tokens = keep(tokens, window(size))
            codes = lead(codes, tokens.shape[1])
            made.append(imagine(tokens, codes))
            tokens = torch.cat([tokens, made[-1].unsqueeze(1)], dim=1)
        return result(made)

    return answer


def with_prompt(tokens, codes, actions, window, imagine):
    return torch.cat([tokens, play_loop(tokens, codes, actions, window, imagine)], dim=1)


def never_remembered(tokens, codes, actions, window, imagine):
    return torch.stack([imagine(tokens, torch.cat([codes, a[:, None]], dim=1)) for a in actions.T], dim=1)


def old_actions(tokens, codes, actions, window, imagine):
    """The codes between the frames, without the one that leads to the new frame."""
    for _ in actions.T:
        past = tokens[:, -(window - 1) :]
        tokens = torch.cat([tokens, imagine(past, codes[:, -past.shape[1] :])[:, None]], dim=1)
    return tokens


def repeated_tokens(tokens, codes, actions, window, imagine):
    return tokens[:, -1:].expand(-1, actions.shape[1], -1)


def lists(tokens, codes, actions, window, imagine):
    frames, led = list(tokens.unbind(1)), list(codes.unbind(1))
    first = len(frames)
    for action in actions.unbind(1):
        led.append(action)
        start = max(0, len(frames) - window + 1)
        frames.append(imagine(torch.stack(frames[start:], 1), torch.stack(led[start:], 1)))
    return torch.stack(frames[first:], 1)


def filled(tokens, codes, actions, window, imagine):
    """Everything has its place from the beginning."""
    first, T = tokens.shape[1], actions.shape[1]
    video = torch.cat([tokens, tokens.new_zeros(len(tokens), T, tokens.shape[2])], dim=1)
    led = torch.cat([codes, actions], dim=1)
    for t in range(first, first + T):
        start = max(0, t - (window - 1))
        video[:, t] = imagine(video[:, start:t], led[:, start:t])
    return video[:, first:]


def same(classes):
    """Whether two prompts move alike, [A, P, P]."""
    return classes[:, :, None] == classes[:, None, :]


def with_the_first(classes):
    return (classes[:, 1:] == classes[:, :1]).mean()


def all_alike(classes):
    return (classes == classes[:, :1]).all(axis=1).mean()


def by_counts(classes):
    P = classes.shape[1]
    return np.mean([sum(n * (n - 1) for n in Counter(row.tolist()).values()) / (P * (P - 1)) for row in classes])


def by_permutations(classes):
    return sum(sum(a == b for a, b in permutations(row, 2)) for row in classes.tolist()) / classes.shape[0] / 20


def means(model, rival):
    return model.mean(0), rival.mean(0)


def while_it_wins(model, rival):
    t = 0
    while t < model.shape[1] and sum(model[:, t]) > sum(rival[:, t]):
        t += 1
    return t


def by_accumulate(model, rival):
    return int(np.logical_and.accumulate(model.mean(0) > rival.mean(0)).sum())


def curve_of_means(model, rival):
    """A mistake that is never seen with one frame: the running mean over time is compared."""
    frames = np.arange(1, model.shape[1] + 1)
    ours, theirs = (x.mean(0).cumsum() / frames for x in (model, rival))
    return int(np.cumprod(ours > theirs).sum())


def table(count=lambda t: t.argmax(1), weigh=lambda t: t, empty=-1) -> Any:
    """From a table [codes, keys] of how often each pair occurs."""

    def answer(latent, env, A):
        counts = np.zeros((A, 15))
        np.add.at(counts, (latent, env), 1)
        return np.where(counts.any(1), count(weigh(counts)), empty)

    return answer


def by_dict(latent, env, A):
    return {int(a): int(np.bincount(env[latent == a]).argmax()) for a in np.unique(latent)}


def by_unique(latent, env, A):
    keys = [-1] * A
    for a in range(A):
        values, counts = np.unique(env[latent == a], return_counts=True)
        if len(values):
            keys[a] = values[counts.argmax()]
    return keys


def last_seen(latent, env, A):
    keys = np.full(A, -1)
    keys[latent] = env
    return keys


WRONG: dict[str, dict[str, Any]] = {
    "06.1": {
        "one frame too long": loop(keep=lambda tokens, window: tokens[:, -window:]),
        "one frame too short": loop(keep=lambda tokens, window: tokens[:, -(window - 2) :]),
        "Nothing leaves the window": loop(keep=lambda tokens, window: tokens),
        "sees one frame alone": loop(keep=lambda tokens, window: tokens[:, -1:]),
        "not remembered": never_remembered,
        "gets the first action": loop(pick=lambda actions, t: actions[:, :1]),
        "The prompt is returned": with_prompt,
        "stack along `dim=1`": loop(result=torch.stack),
        "the last code leads to the new frame": old_actions,
        "use the argument `window`": loop(window=lambda window: 5),
        "`imagine` was never called": repeated_tokens,
        "stands in place of all codes": loop(lead=lambda codes, t: codes[:, -1:].repeat(1, t)),
    },
    "06.2": {
        "with the first prompt only": with_the_first,
        "whether *all* prompts agree": all_alike,
        "In %": lambda c: 100 * agreement(c),
        "most frequent class. The question": lambda c: np.mean([np.bincount(row).max() / len(row) for row in c]),
        "added up over actions": lambda c: agreement(c) * len(c),
        "a single number": lambda c: same(c).mean((1, 2)),
    },
    "06.3": {
        # a student's
        "averages over frames": lambda m, c: np.argmax(m.mean(1) <= c.mean(1)),
        # a student's
        "then the mean": lambda m, c: (m > c).cumprod(1).sum(1).mean().round(),
        "running mean over time": curve_of_means,
        "is a bool": lambda m, c: bool((m.mean(0) > c.mean(0)).all()),
        "counted from the end": lambda m, c: horizon(m[:, ::-1], c[:, ::-1]),
        "on the *rival's* side": lambda m, c: horizon(c, m),
        "a single number, a whole number": lambda m, c: np.flatnonzero(np.cumprod(m.mean(0) > c.mean(0))),
        "the first video alone": lambda m, c: horizon(m[:1], c[:1]),
    },
    "06.4": {
        "of equally frequent actions": lambda k, e, A: [
            Counter(e[k == a].tolist()).most_common(1)[0][0] if a in k else -1
            for a in range(A)
            # a student's
        ],
        "the *last* action": last_seen,
        "Code 2 never occurs": table(count=lambda t: t.argmax(1), empty=0),
        "of the whole data": table(count=lambda t: np.full(len(t), t.sum(0).argmax())),
        "a dictionary": by_dict,
        "least frequent": table(count=lambda t: np.where(t > 0, t, 99).argmin(1)),
        "how much more often than elsewhere": table(weigh=lambda t: t / t.sum(0).clip(1)),
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "06.1": {"only the window is kept": loop(), "in lists": lists, "filled in": filled},
    "06.2": {"by counts": by_counts, "all permutations": by_permutations},
    "06.3": {"a while loop": while_it_wins, "logical and": by_accumulate},
    "06.4": {"a table": table(), "unique": by_unique, "as a list": lambda *a: dictionary(*a).tolist()},
}
