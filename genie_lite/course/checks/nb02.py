"""Checks of notebook 02: counting pairs and parameters, attention in space and time, the ST block."""

from __future__ import annotations

from typing import Any

from genie_lite.course.checking import Mistake, call, exercise
from genie_lite.course.checks.attention import check_block, check_space, check_time

PAIR_CASES = [(4, 9), (16, 64), (5, 3)]  # frames, tokens per frame


@exercise("02.1")
def check_pairs(answer: Any) -> str:
    """pairs(frames, tokens, kind) counts the query-key pairs of one attention: "full", "space" or causal "time"."""
    for t, n in PAIR_CASES:
        right = {"full": (t * n) ** 2, "space": t * n * n, "time": n * t * (t + 1) // 2}
        for kind, number in right.items():
            found = call(answer, t, n, kind)
            if found != number:
                reason = _pair_mistakes(t, n)[kind].get(
                    found, f"expected {number}. Draw the table of queries and keys for 2 frames of 3 tokens, and count"
                )
                raise Mistake(f'pairs({t}, {n}, "{kind}") gave {found}: {reason}.')
    return "For 16 frames of 64 tokens: 1,048,576 pairs in full, 65,536 + 8,704 over space and time."


def _pair_mistakes(t: int, n: int) -> dict[str, dict[int, str]]:
    return {
        "full": {
            t * n: "each of the T·N tokens attends to all T·N tokens, so the number is squared",
            t * n * n + n * t * t: "that is space plus time; with full attention every token sees every other",
            t * n * n + n * t * (t + 1) // 2: "that is space plus time; with full attention every token sees every "
            "other",
            t * n * (t * n + 1) // 2: "that is the causal half; here full means without a mask",
            t * n * (t * n - 1): "a token also attends to itself",
            t * n * (t * n - 1) // 2: "(query, key) and (key, query) are two pairs, and a token also attends to itself",
        },
        "space": {
            n * n: "that is one frame; each of the T frames has its own N × N",
            (t * n) ** 2: "tokens of different frames do not meet in the spatial layer",
            t * n * (n + 1) // 2: "space is not causal: within a frame every token sees every other",
            t * n * (n - 1): "a token also attends to itself",
            t * n * (n - 1) // 2: "(query, key) and (key, query) are two pairs, and a token also attends to itself",
            t * n: "that is the number of tokens; each has N pairs",
        },
        "time": {
            n * t * t: "that counts the future too: frame t sees itself and the frames before it",
            n * t * (t - 1) // 2: "a token sees itself as well as the past",
            n * t * (t - 1): "that is every other frame, past and future; a token sees itself and the past",
            t * (t + 1) // 2: "that is one position; each of the N positions has its own triangle",
            t * t: "that is one position, and it includes the future",
            (t * n) ** 2: "tokens at different positions do not meet in the temporal layer",
            n * n * t * (t + 1) // 2: "tokens at different positions do not meet in the temporal layer",
            n * t: "that is the number of tokens; the token of frame t has t pairs",
        },
    }


exercise("02.2")(check_space)
exercise("02.3")(check_time)
exercise("02.4")(check_block)


PARAMETER_CASES = [
    (60, 3, 10, 7, 110),
    (192, 3, 64, 64, 384),
    (512, 8, 64, 64, 128),
    (512, 8, 32, 64, 128),
    (30, 2, 8, 5, 7),
]


@exercise("02.5")
def check_parameters(answer: Any) -> str:
    """block_parameters(d_model, num_heads, qk_size, v_size, ffn_size) counts the weights of one STBlock."""
    for d, heads, qk, v, ffn in PARAMETER_CASES:
        queries, values, out = 2 * d * heads * qk, d * heads * v, heads * v * d
        attention, forward = queries + values + out, 2 * d * ffn
        right = 2 * attention + forward
        found = call(answer, d, heads, qk, v, ffn)
        if found == right:
            continue
        wrong = {
            attention + forward: "that is one attention; a block has two, over space and over time",
            2 * attention + 2 * forward: "that is two feed-forward layers; an ST block has one, after both attentions",
            2 * attention: "the feed-forward layer is missing",
            2 * attention + d * ffn: "one matrix of the feed-forward layer is missing: D to its width, and back",
            2 * (attention - queries // 2) + forward: "queries *and* keys: two matrices of that size",
            2 * (attention - out) + forward: "one matrix is missing: the values, or the projection back to D",
            2 * (attention + values) + forward: "there is one value matrix per attention, not two",
            2 * (attention // heads) + forward: "that is a single head; there are `num_heads` of them",
            2 * (4 * d * d) + forward: "D × D per matrix holds only where heads × head width is D; use the given "
            "widths",
            2 * (4 * d * heads * qk) + forward: "values have `v_size` columns per head, not `qk_size`",
            right + 2 * (2 * heads * qk + heads * v + d) + ffn + d: "biases are counted; the block has none",
            right + ffn + d: "biases are counted; the block has none",
            right + 3 * d: "norms are counted; those of the block have no weights",
            2 * attention + 3 * d * ffn: "three matrices in the feed-forward layer; this one has two",
        }
        reason = wrong.get(found, "count queries, keys, values and the projection back to D for each attention")
        raise Mistake(f"block_parameters({d}, {heads}, {qk}, {v}, {ffn}) gave {found}, expected {right}: {reason}.")
    return "Exactly what `sum(p.numel() for p in block.parameters())` says."
