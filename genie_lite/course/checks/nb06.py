"""Checks of notebook 06: agreement between prompts, how far a world sees, the dictionary from codes to keys."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from genie_lite.course.checking import Mistake, call, exercise

Function = Callable[..., Any]

# Chosen so that every usual mistake gives a number of its own.
CLASSES = np.array([[0, 0, 0, 1, 2], [1, 1, 1, 1, 0], [2, 2, 0, 2, 2], [0, 1, 1, 0, 2]])


@exercise("06.1")
def agreement(answer: Function) -> str:
    """Share of pairs of different prompts that move alike, averaged over actions."""
    value = call(answer, CLASSES.copy())
    if np.size(value) != 1:
        raise Mistake(f"The answer has shape {np.shape(value)}; wanted one number, the mean over actions.")
    found = float(np.asarray(value).reshape(()))
    alike = CLASSES[:, :, None] == CLASSES[:, None, :]  # [A, P, P]
    actions, prompts = CLASSES.shape
    wanted = np.mean([[row[i] == row[j] for i, j in combinations(range(prompts), 2)] for row in CLASSES])
    if np.isclose(found, wanted):
        return f"{wanted:.2f} here. Its rival is the same number under *any* two actions; show both."
    flat = CLASSES.ravel()
    across = CLASSES[:, None, :] == CLASSES[None, :, :]  # [A, A, P]
    turned = (across.sum((0, 1)) - actions).mean() / (actions * (actions - 1))
    most = np.mean([np.bincount(row).max() / prompts for row in CLASSES])
    mistakes = [
        (alike.mean(), "Every prompt is also compared with itself, which always agrees. Leave the diagonal out."),
        (np.triu(alike).sum((1, 2)).mean() / (prompts * (prompts + 1) / 2),
         "Every prompt is also compared with itself: begin the upper triangle one above the diagonal (k=1)."),
        ((alike.sum((1, 2)) - prompts).mean() / prompts**2,
         "The pairs are counted right, and divided by P * P; there are P * (P - 1) of them without the diagonal."),
        ((alike.sum((1, 2)) - prompts).mean() / (prompts * (prompts - 1) / 2),
         "Each pair is counted twice and divided as if it were counted once."),
        ((alike.sum((1, 2)) - prompts).mean() / 2, "That is a number of pairs; divide by how many pairs there are."),
        (most, "That is the share of the commonest class. Asked is the share of *pairs* that agree."),
        (turned, "You compare actions from one prompt. Compare prompts under one action: pairs within a row."),
        (np.mean([flat[i] == flat[j] for i, j in combinations(range(flat.size), 2)]),
         "Pairs with different actions are among them: that is the chance level. Compare within a row only."),
        (np.mean(CLASSES[:, 1:] == CLASSES[:, :-1]), "Only neighbouring prompts are compared; wanted all pairs."),
        (1 - wanted, "That is the share of pairs that differ."),
    ]  # fmt: skip
    for mistaken, message in mistakes:
        if np.isclose(found, mistaken):
            raise Mistake(message)
    raise Mistake(
        f"Found {found:.3f}, wanted {wanted:.3f}. In row 0, three that move left among five make 3 of 10 pairs agree."
    )


@exercise("06.2")
def horizon(answer: Function) -> str:
    """For how many frames the mean PSNR stays above a rival's, without a gap from the start."""
    rival = np.full((3, 8), 10.0)
    gap = rival + [[4, 3, 2, -1, 2, 1, -2, -3], [1, 1, -1, -3, 1, 1, -2, -3], [1, -1, 1, -1, 1, 1, -2, -3]]
    found = _whole(call(answer, gap, rival))
    above = gap.mean(0) > rival.mean(0)
    mistakes = {
        int(above.sum()): "You count every frame that is above, also one after a gap. Stop at the first that is not.",
        int(np.flatnonzero(above)[-1])
        + 1: "That is the last frame above the rival; there is a gap before it. Stop at the first frame below.",
        2: "One too few: columns 0, 1 and 2 are above, and that makes three frames.",
        4: "One too many: the first frame that loses does not count.",
        1: "You wanted every single video to be above. Take the mean over videos first.",
        int(
            np.argmin(gap.mean(0))
        ): "That is where the model is worst. Asked is the first frame at which it no longer wins.",
        0: "Videos are means over axis 0, and frames stay: `mean(axis=0)`. With 0 it loses at t = 1.",
    }
    if found != 3:
        raise Mistake(
            mistakes.get(
                found, f"Found {found}, wanted 3: means above the rival's are at t = 1, 2, 3 and, after a gap, 5 and 6."
            )
        )
    if (best := _whole(call(answer, rival + 1, rival))) != 8:
        raise Mistake(
            f"A model that always wins gives {best}; wanted all 8 frames. (argmax of nothing but False is 0.)"
        )
    if (worst := _whole(call(answer, rival - 1, rival))) != 0:
        raise Mistake(f"A model that loses at t = 1 gives {worst}; wanted 0.")
    if _whole(call(answer, rival, rival)) != 0:
        raise Mistake("A tie counts as a win: wanted strictly above, `>`.")
    uneven = np.array([[10.0, 10], [30, 30]])  # the rival itself differs from frame to frame and video to video
    if (found := _whole(call(answer, uneven + [[6, -3], [-4, 1]], uneven))) != 1:
        raise Mistake(
            f"With videos of very different PSNR the answer is {found}; wanted 1. Compare means, frame by frame."
        )
    return "With copying as the rival, a number that no still picture can fool."


@exercise("06.3")
def dictionary(answer: Function) -> str:
    """The commonest game action of each code, -1 for codes that never occur."""
    latent = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3])
    env = np.array([7, 7, 1, 7, 0, 4, 4, 2, 2, 5, 0, 5, 1, 5, 8])
    order = np.random.default_rng(0).permutation(len(latent))
    result = np.asarray(call(answer, latent[order], env[order], 5))
    wanted = np.array([7, 2, -1, 5, -1])
    if result.shape != (5,):
        raise Mistake(
            f"The result has shape {result.shape}; wanted one entry for each of the A codes, also for those that never "
            "occur: (5,) here."
        )
    if np.array_equal(result, wanted):
        return "Nothing in it looks at the picture. If an agent plays well through it, the codes carry the skill."
    unused = [2, 4]
    if (result[unused] != -1).any():
        raise Mistake(f"Code 2 never occurs, and gets {result[2]}; wanted -1: nothing is known of it.")
    means = np.array([np.mean(env[latent == a]) for a in (0, 1, 3)])
    got = result[[0, 1, 3]]
    if np.abs(got - means).max() < 1:
        raise Mistake(
            "That is the mean of the actions. Actions are names: *left* plus *jump* means nothing. Take the commonest."
        )
    if got[1] == 4 and got[0] == 7 and got[2] == 5:
        raise Mistake("Code 1 goes twice with 2 and twice with 4: of equally frequent actions the smaller was wanted.")
    if all(g == np.sum(env[latent == a] == w) for a, w, g in zip((0, 1, 3), (7, 2, 5), got, strict=True)):
        raise Mistake("That is how *often* the commonest action occurs. Wanted is which one: argmax instead of max.")
    if np.array_equal(got, [np.max(env[latent == a]) for a in (0, 1, 3)]):
        raise Mistake("That is the largest number among the actions, not the commonest action.")
    raise Mistake(
        f"Found {result.tolist()}, wanted {wanted.tolist()}. Count the game actions of each code; take the commonest."
    )


def _whole(value: Any) -> int:
    if np.size(value) != 1:
        raise Mistake(f"The answer has shape {np.shape(value)}; wanted one whole number of frames.")
    number = float(np.asarray(value).reshape(()))
    if number != round(number):
        raise Mistake(f"The answer is {number}; wanted a whole number of frames.")
    return int(number)
