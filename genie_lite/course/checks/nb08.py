"""Checks of notebook 08: what attention scores take, equal parameters, what a handful of seeds can say."""

from __future__ import annotations

from typing import Any

import numpy as np

from genie_lite.course.checking import Mistake, call, exercise

SCORE_CASES = [(4, 9), (16, 64), (5, 3)]  # frames, tokens per frame


@exercise("08.1")
def check_scores(answer: Any) -> str:
    """scores(frames, tokens, attention) counts what one head stores for one clip: "space", "st" or "full"."""
    for t, n in SCORE_CASES:
        right = {"space": t * n * n, "st": t * n * n + n * t * t, "full": (t * n) ** 2}
        wrong = {
            "space": {
                n * n: "that is one frame; each of the T frames has an N × N square of its own",
                (t * n) ** 2: "frames do not see each other in a ViT",
            },
            "st": {
                t * n * n: "the temporal attention is missing: N squares of T × T",
                n * t * t: "the spatial attention is missing: T squares of N × N",
                t * n * n + n * t * (t + 1) // 2: "you count the pairs that *may* look (as in 02.1); in memory the "
                "barred half is there too, because it is computed and then struck out",
                t * n * n + t * t: "the temporal square exists at each of the N places",
                t * n * n * n * t * t: "the two attentions come one after the other: add them",
            },
            "full": {
                t * n: "each of the T·N tokens has a score for each of the T·N tokens",
                n * n * t * (t + 1) // 2: "that is the half that may look; the barred half is stored too",
                t * n * n + n * t * t: "that is space and time in turns",
            },
        }
        for attention, number in right.items():
            found = call(answer, t, n, attention)
            if found != number:
                reason = wrong[attention].get(found, f"wanted {number}")
                raise Mistake(f'scores({t}, {n}, "{attention}") gave {found}: {reason}.')
    return "The figure below counts them in real blocks, and they are the same numbers."


# The first tells all usual mistakes apart.
RATIO_CASES = [(512, 8, 32, 64, 1.0), (192, 3, 64, 64, 2.0), (512, 8, 64, 64, 0.25), (64, 2, 16, 32, 2.0)]


@exercise("08.2")
def check_ratio(answer: Any) -> str:
    """equal_ratio(d_model, num_heads, qk_size, v_size, ffn_ratio) makes one attention weigh as much as two did."""
    for d, heads, qk, v, ratio in RATIO_CASES:
        way_in, way_out = heads * (2 * qk + v) * d, heads * v * d
        right = ratio + (way_in + way_out) / (2 * d * d)
        found = call(answer, d, heads, qk, v, ratio)
        if not isinstance(found, (int, float, np.number)):
            raise Mistake(f"The answer is {type(found).__name__}; wanted one number, the new ratio.")
        if np.isclose(found, right):
            continue
        wrong = [
            (right - ratio, "that is what is *added*; the layer has its old ratio besides"),
            (
                ratio + (way_in + way_out) / (d * d),
                "twice too much; the feed-forward layer has two matrices, up and down again, and one attention goes",
            ),
            (ratio + way_in / (2 * d * d), "the attention's way back to D is missing: heads × v_size × D"),
            (ratio + 2.0, "true where heads × head width is D; use the given widths"),
            ((way_in + way_out) / 2 + ratio, "parameters and a ratio are added; divide them by D² first"),
        ]
        reason = next(
            (text for value, text in wrong if np.isclose(found, value)), "count both sides and set them equal"
        )
        raise Mistake(f"equal_ratio({d}, {heads}, {qk}, {v}, {ratio}) gave {found:.4g}, wanted {right:.4g}: {reason}.")
    return "So all three tokenizers have as many parameters, to the last one."


VERDICTS: list[tuple[list[float], list[float], str, str]] = [
    ([2.0, 2.5, 3.0], [1.0, 1.5, 2.9], "agrees", "every seed puts the first above the second"),
    ([1.0, 1.5, 2.0], [2.0, 2.5, 3.0], "disagrees", "every seed puts the first *below* the second"),
    ([2.0, 1.0, 9.0], [1.0, 1.5, 2.0], "cannot tell", "the second seed points the other way, whatever the mean says"),
    ([3.0], [1.0], "cannot tell", "one seed says nothing about what another would have said"),
    ([2.0, 2.0], [2.0, 1.0], "cannot tell", "in one seed they are equal"),
    (
        [5.0, 1.0],
        [4.0, 0.5],
        "agrees",
        "compare seed by seed, not the least of one with the greatest of the other",
    ),
]


@exercise("08.3")
def check_verdict(answer: Any) -> str:
    """verdict(larger, smaller) says what paired seeds tell of "the first is larger"."""
    words = {"agrees", "disagrees", "cannot tell"}
    for first, second, right, why in VERDICTS:
        found = call(answer, list(first), list(second))
        if not isinstance(found, str) or found not in words:
            raise Mistake(f'verdict({first}, {second}) gave {found!r}; wanted "agrees", "disagrees" or "cannot tell".')
        if found != right:
            raise Mistake(f'verdict({first}, {second}) gave "{found}", wanted "{right}": {why}.')
    return "A sieve, not a proof: three seeds agree by luck alone in a quarter of all cases."
