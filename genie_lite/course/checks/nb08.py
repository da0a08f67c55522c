"""Checks of notebook 08: the memory of attention scores, equal parameters, what a few seeds can say."""

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
        for attention, number in right.items():
            found = call(answer, t, n, attention)
            if found != number:
                reason = _score_mistakes(t, n)[attention].get(found, f"expected {number}")
                raise Mistake(f'scores({t}, {n}, "{attention}") gave {found}: {reason}.')
    return "The next figure counts them in real blocks and finds the same numbers."


def _score_mistakes(t: int, n: int) -> dict[str, dict[int, str]]:
    return {
        "space": {
            n * n: "that is one frame; each of the T frames has an N × N table of its own",
            (t * n) ** 2: "frames do not see each other in a ViT",
            t * n: "that is the number of tokens; a score belongs to a pair of them",
            t * n * (n + 1) // 2: "attention within a frame has no causal mask, and masked scores are stored anyway",
        },
        "st": {
            t * n * n: "the temporal attention is missing: N tables of T × T",
            n * t * t: "the spatial attention is missing: T tables of N × N",
            t * n * n + n * t * (t + 1) // 2: "you count the pairs that *may* attend (as in 02.1); the masked half "
            "takes memory too, because it is computed and then masked out",
            t * n * n + t * t: "the temporal table exists at each of the N positions",
            t * n * n * n * t * t: "the two attentions come one after the other: add them",
            n * n + t * t: "that is one table of each; there are T over space and N over time",
            (t * n) ** 2: "that is full attention; here space and time are separate",
        },
        "full": {
            t * n: "each of the T·N tokens has a score for each of the T·N tokens",
            n * n * t * (t + 1) // 2: "that is the half that may attend; the masked half is stored too",
            t * n * (t * n + 1) // 2: "that is the half that may attend; the masked half is stored too",
            t * n * n + n * t * t: "that is space and time in turn",
        },
    }


# The first case tells all usual mistakes apart.
RATIO_CASES = [(512, 8, 32, 64, 0.6), (192, 3, 64, 64, 2.0), (512, 8, 64, 64, 0.25), (64, 2, 16, 32, 2.0)]


@exercise("08.2")
def check_ratio(answer: Any) -> str:
    """equal_ratio(d_model, num_heads, qk_size, v_size, ffn_ratio) makes up for one attention in the feed-forward."""
    for d, heads, qk, v, ratio in RATIO_CASES:
        way_in, way_out = heads * (2 * qk + v) * d, heads * v * d
        right = ratio + (way_in + way_out) / (2 * d * d)
        found = call(answer, d, heads, qk, v, ratio)
        if not isinstance(found, (int, float, np.number)):
            raise Mistake(f"The answer is {type(found).__name__}; expected one number, the new ratio.")
        if np.isclose(found, right):
            continue
        wrong = [
            (
                2 * ratio,
                "doubling the ratio adds a second feed-forward layer. Add as many weights as one attention has",
            ),
            (right - ratio, "that is what is *added*; the layer also keeps its old ratio"),
            (
                ratio + (way_in + way_out) / (d * d),
                "you add twice what one attention has; divide by 2 D², since the feed-forward layer has two matrices",
            ),
            (ratio + way_in / (2 * d * d), "the attention's projection back to D is missing: heads × v_size × D"),
            (
                ratio + (way_in - heads * qk * d + way_out) / (2 * d * d),
                "queries *and* keys: two matrices of heads × qk_size columns",
            ),
            (
                ratio + (2 * qk + 2 * v) * d / (2 * d * d),
                "that is a single head; there are `num_heads` of them",
            ),
            (ratio + 2.0, "that holds where heads × head width is D; use the given widths"),
            ((way_in + way_out) / 2 + ratio, "parameters and a ratio are added; divide the parameters by D² first"),
            (ratio - (way_in + way_out) / (2 * d * d), "the block loses an attention, so the ratio must grow"),
            (right * d, "that is the width of the layer; the ratio is that width divided by D"),
        ]
        reason = next(
            (text for value, text in wrong if np.isclose(found, value)),
            "write down the weights of both blocks and set them equal",
        )
        raise Mistake(
            f"equal_ratio({d}, {heads}, {qk}, {v}, {ratio}) gave {found:.4g}, expected {right:.4g}: {reason}."
        )
    return "So all three tokenizers have as many parameters, to the last one."


VERDICTS: list[tuple[list[float], list[float], str, str]] = [
    ([2.0, 2.5, 3.0], [1.0, 1.5, 2.9], "agrees", "every seed puts the first above the second"),
    ([1.0, 1.5, 2.0], [2.0, 2.5, 3.0], "disagrees", "every seed puts the first *below* the second"),
    ([2.0, 1.0, 9.0], [1.0, 1.5, 2.0], "cannot tell", "the second seed points the other way, whatever the mean says"),
    ([3.0], [1.0], "cannot tell", "one seed says nothing about what another would have said"),
    ([2.0, 2.0], [2.0, 1.0], "cannot tell", "in one seed they are equal"),
    ([5.0, 1.0], [4.0, 0.5], "agrees", "compare seed by seed, not the smallest of one with the largest of the other"),
    ([1.0, 3.0], [2.0, 0.5], "cannot tell", "entry i of both lists belongs to seed i; sorting breaks the pairs"),
    ([1.0, 2.0, 4.0], [3.0, 1.5, 0.5], "cannot tell", "entry i of both lists belongs to seed i; sorting breaks them"),
]


@exercise("08.3")
def check_verdict(answer: Any) -> str:
    """verdict(larger, smaller) says what paired seeds tell of "the first is larger"."""
    words = {"agrees", "disagrees", "cannot tell"}
    for first, second, right, why in VERDICTS:
        found = call(answer, list(first), list(second))
        if not isinstance(found, str) or found not in words:
            raise Mistake(
                f'verdict({first}, {second}) gave {found!r}; expected "agrees", "disagrees" or "cannot tell".'
            )
        if found != right:
            raise Mistake(f'verdict({first}, {second}) gave "{found}", expected "{right}": {why}.')
    return "A coarse filter, not a proof: three seeds agree by luck alone in a quarter of all cases."
