"""Checks of notebook 06: the play loop, agreement between prompts, how long a rollout wins, from codes to keys."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from genie_lite.course.checking import Mistake, call, exercise, numbers, one_number
from genie_lite.course.checks.play_loop import check_play_loop

Function = Callable[..., Any]

exercise("06.1")(check_play_loop)

# Chosen so that each usual mistake gives a number of its own.
CLASSES = np.array([[0, 0, 0, 1, 2], [1, 1, 1, 1, 0], [2, 2, 0, 2, 2], [0, 1, 1, 0, 2]])


@exercise("06.2")
def agreement(answer: Function) -> str:
    """Share of pairs of different prompts that move alike, averaged over actions."""
    found = one_number(call(answer, CLASSES.copy()), "the mean over actions")
    alike = CLASSES[:, :, None] == CLASSES[:, None, :]  # [A, P, P]
    actions, prompts = CLASSES.shape
    expected = np.mean([[row[i] == row[j] for i, j in combinations(range(prompts), 2)] for row in CLASSES])
    if np.isclose(found, expected):
        return f"{expected:.2f} here. Its baseline is the same number for *any* two actions; show both."
    flat = CLASSES.ravel()
    across = CLASSES[:, None, :] == CLASSES[None, :, :]  # [A, A, P]
    columns = (across.sum((0, 1)) - actions).mean() / (actions * (actions - 1))
    most = np.mean([np.bincount(row).max() / prompts for row in CLASSES])
    mistakes = [
        (alike.mean(), "Every prompt is also compared with itself, which always agrees. Leave the diagonal out."),
        (np.triu(alike).sum((1, 2)).mean() / (prompts * (prompts + 1) / 2),
         "Every prompt is also compared with itself: start the upper triangle one above the diagonal (k=1)."),
        ((alike.sum((1, 2)) - prompts).mean() / prompts**2,
         "The pairs are counted correctly but divided by P * P; without the diagonal there are P * (P - 1)."),
        ((alike.sum((1, 2)) - prompts).mean() / (prompts * (prompts - 1) / 2),
         "Each pair is counted twice, but divided as if it were counted once."),
        ((alike.sum((1, 2)) - prompts).mean() / 2, "That is a number of pairs; divide by how many pairs there are."),
        (most, "That is the share of the most frequent class. The question is the share of *pairs* that agree."),
        (columns, "You compare actions from one prompt. Compare prompts under one action: pairs within a row."),
        (np.mean([flat[i] == flat[j] for i, j in combinations(range(flat.size), 2)]),
         "Pairs with different actions are included: that is the chance level. Compare within a row only."),
        (np.mean(CLASSES[:, 1:] == CLASSES[:, :-1]), "Only neighbouring prompts are compared; expected all pairs."),
        (1 - expected, "That is the share of pairs that differ."),
        ((CLASSES[:, 1:] == CLASSES[:, :1]).mean(), "Prompts are compared with the first prompt only; expected all "
         "pairs."),
        ((CLASSES == CLASSES[:, :1]).all(1).mean(), "That is whether *all* prompts agree. The question is the share of "
         "pairs."),
        (100 * expected, "In % it is right; expected a share between 0 and 1."),
        (actions * expected, "The shares are added up over actions; expected their mean."),
    ]  # fmt: skip
    for mistaken, message in mistakes:
        if np.isclose(found, mistaken):
            raise Mistake(message)
    raise Mistake(
        f"Found {found:.3f}, expected {expected:.3f}. In row 0, three prompts of five move left: 3 of 10 pairs agree."
    )


def horizon_case() -> tuple[np.ndarray, np.ndarray]:
    """PSNR of a model and a rival, [6, 24], in which each usual mistake gives a number of its own; the answer is 13."""
    rng = np.random.default_rng(1414)
    lead = np.where(np.arange(24) < rng.integers(8, 13), 1.0, -1.0) + rng.normal(0, 0.7, 24)
    lead = lead + rng.normal(0, 1.6, (6, 24)) + rng.normal(0, 1.2, (6, 1)) + np.linspace(2.5, 0, 24)
    rival = np.full((6, 24), 10.0)
    return rival + np.round(lead), rival


@exercise("06.3")
def horizon(answer: Function) -> str:
    """For how many frames, from the first on and without a gap, the mean PSNR stays above a rival's."""
    model, rival = horizon_case()
    found, expected = _whole(call(answer, model, rival)), 13
    if found != expected:
        raise Mistake(
            _horizon_mistake(answer)
            or f"Found {found}, expected {expected}: the mean over videos is above the rival's at t = 1 to {expected}, "
            "and again, after a gap, later."
        )
    if (best := _whole(call(answer, rival + 1, rival))) != 24:
        raise Mistake(
            f"A model that always wins gives {best}; expected all 24 frames. (argmax of nothing but False is 0.)"
        )
    late = rival - np.where(np.arange(24) < 3, 1, -1)
    if (worst := _whole(call(answer, late, rival))) != 0:
        raise Mistake(f"A model that loses at t = 1 and wins later gives {worst}; expected 0.")
    if _whole(call(answer, rival, rival)) != 0:
        raise Mistake("A tie counts as a win: expected strictly above, `>`.")
    uneven = np.array([[10.0, 10], [30, 30]])  # the rival itself differs between videos
    if (found := _whole(call(answer, uneven + [[6, -3], [-4, 1]], uneven))) != 1:
        raise Mistake(
            f"With videos of very different PSNR the answer is {found}; expected 1. Compare means, frame by frame."
        )
    return "With copying as the rival, this is a number that no still picture can fool."


FIRST = "Take the mean PSNR over videos first."
WRONG_AXIS = "`mean(axis=1)` averages over frames. Average over videos, `mean(axis=0)`, so that frames remain."
Rule = Callable[[np.ndarray, np.ndarray], Any]
HORIZON_MISTAKES: dict[str, Rule] = {
    "You count every frame that is above, including those after a gap. Stop at the first loss.": lambda m, r: (
        (m.mean(0) > r.mean(0)).sum()
    ),
    "That is the last frame above the rival; there is a gap before it. Stop at the first frame that is not above.": (
        lambda m, r: np.flatnonzero(m.mean(0) > r.mean(0)).max(initial=-1) + 1
    ),
    "One too few: an index starts at 0, and the answer is a number of frames.": lambda m, r: _wins(m, r) - 1,
    "One too many: the first frame that loses does not count.": lambda m, r: _wins(m, r) + 1,
    f"You require every single video to be above. {FIRST}": lambda m, r: np.cumprod((m > r).all(0)).sum(),
    f"You require only some video to be above. {FIRST}": lambda m, r: np.cumprod((m > r).any(0)).sum(),
    "You count in how many videos the model wins. Compare the mean PSNR of the two.": lambda m, r: (
        np.cumprod((m > r).mean(0) > 0.5).sum()
    ),
    f"You take the horizon of each video, then the mean. {FIRST}": lambda m, r: (
        (m > r).cumprod(1).sum(1).mean().round()
    ),
    f"You take the horizon of each video, then the median. {FIRST}": lambda m, r: np.median((m > r).cumprod(1).sum(1)),
    f"That is the horizon of the best video. {FIRST}": lambda m, r: (m > r).cumprod(1).sum(1).max(),
    "That is where the model does worst. The question is where it first stops winning.": lambda m, r: (
        (m - r).mean(0).argmin()
    ),
    WRONG_AXIS: lambda m, r: np.cumprod(m.mean(1) > r.mean(1)).sum(),
    f"{WRONG_AXIS} ": lambda m, r: np.argmax(m.mean(1) <= r.mean(1)),
    "You compare the running mean over time, in which early wins hide later losses. Compare frame by frame.": (
        lambda m, r: np.cumprod(m.mean(0).cumsum() > r.mean(0).cumsum()).sum()
    ),
    "The answer is a bool: whether the model always wins. Expected for how many frames.": lambda m, r: (
        (m.mean(0) > r.mean(0)).all()
    ),
    "The frames are counted from the end; the horizon begins at t = 1.": lambda m, r: _wins(m[:, ::-1], r[:, ::-1]),
    "You are on the *rival's* side: count frames in which the model is above.": lambda m, r: _wins(r, m),
    f"That is the first video alone. {FIRST}": lambda m, r: _wins(m[:1], r[:1]),
}  # fmt: skip


def _wins(model: np.ndarray, rival: np.ndarray) -> int:
    return int(np.cumprod(model.mean(0) > rival.mean(0)).sum())


def _horizon_mistake(answer: Function) -> str | None:
    """The mistake that gives what the answer gives, in several cases; None when it is none of those known."""
    generator = np.random.default_rng(5)
    cases = [horizon_case()]
    for videos, lead in ((3, 1.0), (4, -1.0), (5, 1.0), (6, -1.0)):
        rival = generator.normal(15, 2, (videos, 9))
        cases.append((rival + generator.normal(lead, 1.5, rival.shape) + lead * np.linspace(1.5, -1, 9), rival))
    cases.append((rival + 1, rival))
    possible = dict(HORIZON_MISTAKES)
    for case in cases:
        try:
            found = one_number(call(answer, *case), "a number of frames")
        except Mistake:
            continue  # some mistakes have no answer where the model never wins
        same = {text: rule for text, rule in possible.items() if found == float(rule(*case))}
        if not same and case is cases[0]:
            return None
        possible = same or possible
    return next(iter(possible)).strip()


@exercise("06.4")
def dictionary(answer: Function) -> str:
    """The most frequent game action of each code, -1 for codes that never occur."""
    latent = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3])
    env = np.array([7, 7, 1, 7, 0, 5, 4, 4, 2, 2, 5, 0, 0, 5, 1, 5, 8])
    forward = np.arange(len(latent))
    for order in (forward, forward[::-1], np.random.default_rng(0).permutation(len(latent))):  # ties: in any order
        found = call(answer, latent[order], env[order], 5)
        if isinstance(found, dict):
            raise Mistake("Found a dictionary of Python. Expected an array [A], in which entry i belongs to code i.")
        result = numbers(found, "a game action for each code, [A]")
        last = [env[order][latent[order] == a][-1] for a in (0, 1, 3)]
        _check_dictionary(result, latent, env, last)
    return "Nothing in it looks at the picture. If an agent plays well through it, the skill is in the codes."


def _check_dictionary(result: np.ndarray, latent: np.ndarray, env: np.ndarray, last: list[int]) -> None:
    expected = np.array([7, 2, -1, 5, -1])
    if result.shape != (5,):
        raise Mistake(
            f"The result has shape {list(result.shape)}; expected one entry per code, [A] = [5], even for codes that "
            "never occur."
        )
    if np.array_equal(result, expected):
        return
    if (result[[2, 4]] != -1).any():
        raise Mistake(f"Code 2 never occurs, and gets {result[2]}; expected -1: nothing is known about it.")
    used, got = (0, 1, 3), result[[0, 1, 3]]
    means = np.array([np.mean(env[latent == a]) for a in used])
    if np.array_equal(got, [7, 4, 5]):
        raise Mistake("Code 1 goes twice with 2 and twice with 4: of equally frequent actions take the smaller.")
    if np.abs(got - means).max() < 1:
        raise Mistake(
            "That is the mean of the actions. Actions are names: *left* plus *jump* means nothing. Take the most "
            "frequent one."
        )
    if all(g == np.sum(env[latent == a] == w) for a, w, g in zip(used, (7, 2, 5), got, strict=True)):
        raise Mistake("That is how *often* the most frequent action occurs, not which one it is: argmax, not max.")
    if np.array_equal(got, [np.max(env[latent == a]) for a in used]):
        raise Mistake("That is the largest action number, not the most frequent action.")
    if np.array_equal(got, last):
        raise Mistake("That is the *last* action that was seen with each code; expected the most frequent.")
    if (got == np.bincount(env).argmax()).all():
        raise Mistake("That is the most frequent action of the whole data. Count for each code by itself.")
    if np.array_equal(got, [8, 2, 8]) or np.array_equal(got, [7, 2, 8]):
        raise Mistake("That is how much more often than elsewhere an action occurs. Expected how often.")
    if np.array_equal(got, [0, 2, 1]):
        raise Mistake("That is the least frequent action of each code; expected the most frequent.")
    if np.array_equal(got, [np.min(env[latent == a]) for a in used]):
        raise Mistake("That is the smallest action number, not the most frequent action.")
    raise Mistake(
        f"Found {result.tolist()}, expected {expected.tolist()}. Count the game actions of each code; take the most "
        "frequent."
    )


def _whole(value: Any) -> int:
    number = one_number(value, "a whole number of frames")
    if number != round(number):
        raise Mistake(f"The answer is {number}; expected a whole number of frames.")
    return int(number)
