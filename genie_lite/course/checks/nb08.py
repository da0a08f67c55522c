"""Checks of notebook 08: the memory of attention scores, equal parameters, what a few seeds can say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from genie_lite.course.checking import Mistake, call, exercise, one_number

SCORE_CASES = [(7, 11), (16, 64), (5, 3)]  # frames, tokens per frame; the first tells all mistakes apart


@exercise("08.1")
def check_scores(answer: Any) -> str:
    """scores(frames, tokens, attention) counts what one head stores for one clip: "space", "st" or "full"."""
    for t, n in SCORE_CASES:
        right = {"space": t * n * n, "st": t * n * n + n * t * t, "full": (t * n) ** 2}
        for attention, number in right.items():
            found = one_number(call(answer, t, n, attention), "of scores, not the shape of a table")
            if found != number:
                known = {2 * number: "those are bytes", 4 * number: "those are bytes"} | _score_mistakes(t, n)[
                    attention
                ]
                reason = known.get(int(found), f"expected {number}")
                raise Mistake(f'scores({t}, {n}, "{attention}") gave {found:.10g}: {reason}.')
    return "The next figure counts them in real blocks and finds the same numbers."


def _score_mistakes(t: int, n: int) -> dict[str, dict[int, str]]:
    return {
        "space": {
            n * n: "that is one frame; each of the T frames has an N × N table of its own",
            (t * n) ** 2: "frames do not see each other in a ViT",
            t * n: "that is the number of tokens; a score belongs to a pair of them",
            n * t * t: "space and time are exchanged: T tables of N × N",
            t * n * n + n * t * t: "that is space and time; a ViT has no temporal attention",
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
            2 * t * n: "that is the number of tokens twice; there is a score for each *pair* of tokens",
            t * n * (t * n - 1): "a token has a score for itself, too",
            t
            * n
            * (t * n - 1)
            // 2: "you count each pair once; the table holds (query, key) and (key, query), and the diagonal",
            t * n: "each of the T·N tokens has a score for each of the T·N tokens",
            n * n * t * (t + 1) // 2: "that is the half that may attend; the masked half is stored too",
            t * n * (t * n + 1) // 2: "that is the half that may attend; the masked half is stored too",
            t * n * n + n * t * t: "that is space and time in turn",
        },
    }


# The first case tells all usual mistakes apart.
RATIO_CASES = [(512, 8, 32, 64, 0.7), (192, 3, 64, 64, 2.0), (512, 8, 64, 64, 0.25), (64, 2, 16, 32, 2.0)]


@exercise("08.2")
def check_ratio(answer: Any) -> str:
    """equal_ratio(d_model, num_heads, qk_size, v_size, ffn_ratio) makes up for one attention in the feed-forward."""
    for d, heads, qk, v, ratio in RATIO_CASES:
        way_in, way_out = heads * (2 * qk + v) * d, heads * v * d
        right = ratio + (way_in + way_out) / (2 * d * d)
        found = one_number(call(answer, d, heads, qk, v, ratio), "the new ratio")
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
            (ratio + heads * (way_in + way_out) / (2 * d * d), "heads are counted twice"),
            (ratio * (1 + (way_in + way_out) / (2 * d * d)), "the old ratio is multiplied; weights are added"),
            (ratio + 4 * (way_in + way_out) / (2 * d * d), "that is four times what one attention has; divide by 2 D²"),
            (round(right), "that is rounded to a whole number; the ratio may be a fraction"),
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
    ([9.0, 1.0, 1.5], [1.0, 2.0, 3.0], "cannot tell", "two seeds of three point the other way"),
    ([1.0, 3.0], [2.0, 0.5], "cannot tell", "entry i of both lists belongs to seed i; sorting breaks the pairs"),
    ([1.0, 2.0, 4.0], [3.0, 1.5, 0.5], "cannot tell", "entry i of both lists belongs to seed i; sorting breaks them"),
]


def _word(score: float) -> str:
    return "agrees" if score > 0 else "disagrees" if score < 0 else "cannot tell"


def _paired(larger: list[float], smaller: list[float]) -> str:
    signs = np.sign(np.subtract(larger, smaller))
    return _word(signs[0]) if len(signs) > 1 and (signs == signs[0]).all() else "cannot tell"


def _extremes(larger: list[float], smaller: list[float]) -> str:
    return _word((min(larger) > max(smaller)) - float(max(larger) < min(smaller)))


Rule = Callable[[list[float], list[float]], str]
_RULES: dict[str, Rule] = {
    "compare seed by seed, not the smallest of one with the largest of the other": _extremes,
    "that is a majority of seeds; all of them must agree": lambda a, b: _word(np.sign(np.subtract(a, b)).sum()),
    "you look at the first seed alone; all of them must agree": lambda a, b: _word(a[0] - b[0]),
    "you compare means; all seeds must agree, whatever the mean says": lambda a, b: _word(sum(a) - sum(b)),
    "you compare medians; all seeds must agree, whatever the median says": lambda a, b: _word(
        float(np.median(a)) - float(np.median(b))
    ),
    "it is larger *minus* smaller: the claim is that the first list is larger": lambda a, b: _paired(b, a),
    "sorting breaks the pairs: entry i of both lists belongs to seed i": lambda a, b: _paired(sorted(a), sorted(b)),
}
VERDICT_MISTAKES: dict[str, Rule] = {
    **{f"{text}, and one seed says nothing": rule for text, rule in _RULES.items()},
    **{text: lambda a, b, rule=rule: rule(a, b) if len(a) > 1 else "cannot tell" for text, rule in _RULES.items()},  # type: ignore[misc]
}


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
            said = [str(call(answer, list(a), list(b))) for a, b, *_ in VERDICTS]
            for text, rule in VERDICT_MISTAKES.items():
                if said == [rule(a, b) for a, b, *_ in VERDICTS]:
                    why = text
            raise Mistake(f'verdict({first}, {second}) gave "{found}", expected "{right}": {why}.')
    return "A coarse filter, not a proof: three seeds agree by luck alone in a quarter of all cases."
