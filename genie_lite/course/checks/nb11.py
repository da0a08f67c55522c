"""Checks of notebook 11: information with its chance level, and clips of several games in equal shares."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from genie_lite.course.checking import IMPRECISE, Mistake, call, exercise, imprecise, numbers

Function = Callable[..., Any]


# ------------------------------------------------------------------------------------- information above chance


def case() -> tuple[np.ndarray, np.ndarray]:
    """Codes and classes [30, 8] that are alike within a clip, as in videos; some classes are unknown (-1)."""
    rng = np.random.default_rng(11)
    habits = rng.integers(4, size=(30, 1))
    codes = np.where(rng.random((30, 8)) < 0.7, habits, rng.integers(5, size=(30, 8)))
    codes[codes == 2] = 5  # code 2 never occurs
    classes = np.where(rng.random((30, 8)) < 0.6, codes % 3, rng.integers(3, size=(30, 8)))
    classes[rng.random((30, 8)) < 0.15] = -1
    return codes, classes


@exercise("11.1")
def information_and_chance(answer: Function) -> str:
    """Mutual information of codes and known classes in nats, and its mean over exchanges of codes between clips."""
    codes, classes = case()
    given = codes.copy(), classes.copy()
    found = call(answer, *given, np.random.default_rng(1))
    if not (np.array_equal(given[0], codes) and np.array_equal(given[1], classes)):
        raise Mistake(
            "The function changes `codes` or `classes` in place; `rng.permutation` makes a copy, `shuffle` not."
        )
    pair = numbers(found, "the information and its chance level")
    truth = nats(codes, classes)
    chance = mean(exchanged(codes, classes))
    if pair.shape != (2,):
        raise Mistake(_shape_mistake(pair, truth, chance))
    if not np.isfinite(pair).all():
        raise Mistake("A number is not finite: entries that never occur have the logarithm of 0. Leave them out.")
    value, level = (float(number) for number in pair)
    if not np.isclose(value, truth, rtol=1e-4):
        raise Mistake(_value_mistake(value, level, codes, classes, truth))
    if abs(level - chance) > 0.1 * chance:
        raise Mistake(_chance_mistake(level, codes, classes, truth, chance))
    other = numbers(call(answer, codes.copy(), classes.copy(), np.random.default_rng(2)), "both")[1]
    if other == level:
        raise Mistake("With another `rng` the chance level is exactly the same. Exchange clips with `rng.permutation`.")
    return f"{value:.2f} nats here, of which {level:.2f} would be there by chance."


def nats(codes: np.ndarray, classes: np.ndarray) -> float:
    """Mutual information where classes are 0 or more."""
    joint = table(codes, classes)
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return float((joint[joint > 0] * np.log(joint[joint > 0] / alone[joint > 0])).sum())


def table(codes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Shares of pairs with a known class, [6, 3]."""
    counts = np.zeros((6, 3))
    np.add.at(counts, (codes[classes >= 0], classes[classes >= 0]), 1)
    return counts / counts.sum()


def exchanged(codes: np.ndarray, classes: np.ndarray) -> Iterator[float]:
    """Information after each of 400 exchanges of codes between clips."""
    rng = np.random.default_rng(0)
    return (nats(rng.permutation(codes), classes) for _ in range(400))


def mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))


def _shape_mistake(pair: np.ndarray, truth: float, chance: float) -> str:
    if pair.size == 1 and np.isclose(pair.item(), truth, rtol=1e-4):
        return "That is the information alone. Return the pair (information, chance level)."
    if pair.size == 1 and abs(pair.item() - (truth - chance)) < 0.1 * chance:
        return "That is the information above chance, one number. Return both: the information, and the chance level."
    if pair.ndim == 1 and len(pair) > 50:
        return f"Found {len(pair)} numbers. The chance level is the *mean* over all exchanges."
    return f"Found shape {list(pair.shape)}; expected two numbers, the information and its chance level."


def _value_mistake(value: float, level: float, codes: np.ndarray, classes: np.ndarray, truth: float) -> str:
    joint, known = table(codes, classes), classes >= 0
    parts = [_entropy(joint.sum(axis)) for axis in (1, 0)]
    wrapped = np.zeros((6, 3))
    np.add.at(wrapped, (codes, classes), 1)
    rows = joint.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        conditional = np.where(joint > 0, joint / rows, 0)
    mistakes = [
        (truth / np.log(2), "That is in bits. Expected nats, the natural logarithm."),
        (truth / np.log(10), "That uses log10. Expected nats, the natural logarithm."),
        (-truth, "The sign is reversed: information, the mean of log(p(x, y) / (p(x) p(y))), is never negative."),
        (truth * known.sum(), "Those are counts in the place of shares: divide the table by its sum."),
        (truth / np.mean(parts), "That is normalised by the mean entropy. Expected nats, as they are."),
        (_of_shares(wrapped / wrapped.sum()), "Unknown classes are counted, too: index -1 is the last class in Python. "
         "Leave out transitions with a class of -1."),
        (_of_shares(_with_unknown(codes, classes)), "Unknown classes are counted as a class of their own. Leave those "
         "transitions out."),
        (_of_shares((joint > 0) / (joint > 0).sum()), "Each pair is counted once, however often it occurs: "
         "`table[codes, classes] += 1` does that. Use `np.add.at`, or a loop."),
        (parts[0], "That is the entropy of the codes. Information is what they share with the classes."),
        (parts[1], "That is the entropy of the classes. Information is what the codes tell of it."),
        (parts[1] - truth, "That is the entropy of the classes that is left when the code is known."),
        (_entropy(joint.ravel()), "That is the entropy of the pairs, H(X, Y)."),
        (float((conditional[joint > 0] * np.log(conditional[joint > 0])).sum()), "The logarithm is of p(class | code). "
         "Expected log(p(x, y) / (p(x) p(y)))."),
        (float(np.abs(joint - rows * joint.sum(0)).sum()), "That is how far the table is from independence, but not in "
         "nats: weigh the logarithm of the ratio by p(x, y)."),
    ]  # fmt: skip
    if np.isclose(level, truth, rtol=1e-4):
        return "The two numbers are in the other order: first the information, then its chance level."
    for mistaken, message in mistakes:
        if np.isclose(value, mistaken, rtol=1e-4):
            return message
    if imprecise(np.array(value), np.array(truth)):
        return IMPRECISE
    return f"The information is {value:.3f}, expected {truth:.3f} nats for these codes and classes."


def _chance_mistake(level: float, codes: np.ndarray, classes: np.ndarray, truth: float, chance: float) -> str:
    rng = np.random.default_rng(0)
    shape, known = codes.shape, classes >= 0
    singly = mean(nats(rng.permutation(codes.ravel()).reshape(shape), classes) for _ in range(200))
    in_time = mean(nats(codes[:, rng.permutation(shape[1])], classes) for _ in range(200))
    uniform = mean(nats(rng.integers(6, size=shape), classes) for _ in range(200))
    levels = [
        (truth, 0.01, "The chance level is the information itself: the codes were not exchanged, or codes and classes "
         "together."),
        (0.0, 1e-6, "A chance level of exactly 0 would need endless data. Measure it, with codes of other clips."),
        (1 / 3, 1e-3, "That is the chance level of an *accuracy* of three classes. Of information, measure it."),
        (in_time, 0.05, "The order in time was exchanged, `codes[:, order]`, so that codes stay in their clip. "
         "Exchange the clips, the first axis."),
        (singly, 0.3, "Too low: single transitions were exchanged, or codes drawn anew. Neighbours in a video are "
         "alike, in other clips, too. Exchange whole clips, `rng.permutation(codes)`."),
        (uniform, 0.3, "Too low: random codes have no habits. Take those of other clips, `rng.permutation(codes)`."),
    ]  # fmt: skip
    for mistaken, tolerance, message in levels:
        if abs(level - mistaken) <= tolerance * max(mistaken, 1e-3) + 1e-9:
            return message
    if abs(level - chance * known.sum()) < 0.1 * chance * known.sum() or abs(level - 200 * chance) < 20 * chance:
        return "The chance level was summed. Take the mean over exchanges."
    if abs(level - chance / np.log(2)) < 0.05 * chance:
        return "The chance level is in bits, the information in nats."
    return (
        f"The chance level is {level:.3f}; expected about {chance:.3f}, the mean over 200 exchanges of codes between "
        "clips (one exchange alone scatters widely)."
    )


def _of_shares(joint: np.ndarray) -> float:
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return float((joint[joint > 0] * np.log(joint[joint > 0] / alone[joint > 0])).sum())


def _with_unknown(codes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    counts = np.zeros((6, 4))
    np.add.at(counts, (codes, classes + 1), 1)
    return counts / counts.sum()


def _entropy(shares: np.ndarray) -> float:
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


# ---------------------------------------------------------------------------------------------- equal shares

GAMES = ((0, 60), (60, 68), (68, 90), (90, 94))  # first start of each game, and first of the next: of several lengths


@exercise("11.2")
def equal_shares(answer: Function) -> str:
    """`clips` starts, as many of each game, what is left over to random games, in random order, from `rng` alone."""
    starts = [np.arange(low, high) * 3 for low, high in GAMES]  # no start is its own index
    for clips in (8, 6, 3):
        drawn = np.stack([_draw(answer, starts, clips, seed) for seed in range(60)])
        counts = np.stack([np.isin(drawn, own).sum(1) for own in starts], axis=1)  # [60, games]
        _check_counts(counts, clips)
        if clips == 8:
            _check_chance(answer, starts, drawn)
    return "8 clips: 2 of each of 4 games. 6 clips: 1 of each, and 2 games, drawn at random, give one more."


def _draw(answer: Function, starts: list[np.ndarray], clips: int, seed: int) -> np.ndarray:
    given = copy.deepcopy(starts)
    found = call(answer, given, clips, np.random.default_rng(seed))
    if isinstance(found, (list, tuple)) and len(found) == len(starts) and clips == 8:
        raise Mistake("The result has one entry for each game. Join them, `np.concatenate`: one array of all clips.")
    drawn = numbers(found, "the frames that clips start from")
    if any(not np.array_equal(own, before) for own, before in zip(given, starts, strict=True)):
        raise Mistake("The function changes `starts` in place; the next batch would be drawn from what is left.")
    if drawn.ndim != 1:
        raise Mistake(f"The result has shape {list(drawn.shape)}; expected [clips], one start for each clip.")
    if len(drawn) != clips:
        lost = " Those left over, `clips % len(starts)`, are missing." if len(drawn) == clips // 4 * 4 else ""
        many = " That is the number for each game; expected it for all together." if len(drawn) == clips * 4 else ""
        raise Mistake(f"Found {len(drawn)} clips; expected {clips}.{lost}{many}")
    if not np.isin(drawn, np.concatenate(starts)).all():
        indices = drawn.max() < max(map(len, starts))
        hint = " Those are places in the lists: take `own[place]`." if indices else ""
        raise Mistake(f"Some of the drawn numbers are not among `starts`.{hint}")
    return drawn


def _check_counts(counts: np.ndarray, clips: int) -> None:
    least, most = clips // 4, -(-clips // 4)
    means = counts.mean(0)
    if counts.min() < least or counts.max() > most:
        if means[0] > 1.6 * clips / 4:
            raise Mistake(
                "The longest game gives most of the clips: they are drawn from one heap. Draw from each game by itself."
            )
        if (counts == clips).any(1).all():
            raise Mistake("All clips of a batch are of one game. Every batch is to have all of them.")
        if np.abs(means - clips / 4).max() < 0.25 * clips:
            raise Mistake(
                "The shares are equal on average only: in some batches a game has too many clips or none. Decide on "
                "the counts first."
            )
        raise Mistake(f"Of {clips} clips the games give {means.round(1).tolist()} on average; expected {clips / 4:g}.")
    if clips % 4 and (means.min() == least or means.max() == most):
        raise Mistake(
            f"Of {clips} clips, those left over always go to the same games. Draw the games that give one more."
        )


def _check_chance(answer: Function, starts: list[np.ndarray], drawn: np.ndarray) -> None:
    if not np.array_equal(_draw(answer, starts, 8, 5), drawn[5]):
        raise Mistake("With the same `rng` the clips differ. Draw from `rng` alone, so that a run can be repeated.")
    if (drawn == drawn[0]).all():
        raise Mistake("Every batch has the same clips, whatever `rng` is. Draw them at random.")
    missing = np.setdiff1d(starts[3], drawn)
    if len(missing):
        raise Mistake(f"Start {missing[0]} never comes up: every start of a game is to be as likely as any other.")
    games = np.stack([np.isin(drawn, own) for own in starts]).argmax(0)  # [60, clips]
    if (games == games[0]).all():
        raise Mistake(
            "The games always come in the same order. Shuffle the result: several processes share a batch, and each "
            "should get all games."
        )
