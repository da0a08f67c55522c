"""Checks of notebook 02: counting pairs and parameters, attention in space and time, the ST block."""

from __future__ import annotations

from typing import Any

from genie_lite.course.checking import Mistake, call, exercise, one_number
from genie_lite.course.checks.attention import check_space, check_time
from genie_lite.course.checks.block import check_block

PAIR_CASES = [(7, 11), (16, 64), (5, 3)]  # frames, tokens per frame; the first tells all mistakes apart


@exercise("02.1")
def check_pairs(answer: Any) -> str:
    """pairs(frames, tokens, kind) counts the query-key pairs of one attention: "full", "space" or causal "time"."""
    for t, n in PAIR_CASES:
        right = {"full": (t * n) ** 2, "space": t * n * n, "time": n * t * (t + 1) // 2}
        for kind, number in right.items():
            found = one_number(call(answer, t, n, kind), "the number of pairs, not a list of pairs")
            if found != number:
                reason = _pair_mistakes(t, n)[kind].get(
                    int(found),
                    f"expected {number}. Draw the table of queries and keys for 2 frames of 3 tokens, and count",
                )
                raise Mistake(f'pairs({t}, {n}, "{kind}") gave {found:.10g}: {reason}.')
    return "For 16 frames of 64 tokens: 1,048,576 pairs in full, 65,536 + 8,704 over space and time."


def _pair_mistakes(t: int, n: int) -> dict[str, dict[int, str]]:
    return {
        "full": {
            t * n: "each of the T·N tokens attends to all T·N tokens, so the number is squared",
            t * n * n + n * t * t: "that is space plus time; with full attention every token sees every other",
            t * n * n + n * t * (t + 1) // 2: "that is space plus time; with full attention every token sees every "
            "other",
            t * n * n: "that is attention within frames",
            n * t * t: "that is attention along time",
            n * t * (t + 1) // 2: "that is causal attention along time",
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
            n: "that is for one token; there are T·N of them",
            n * t * t: "that is attention along time; here the tokens of one frame meet",
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
            t: "that is for one token, the last; earlier ones see fewer, and there are N positions",
            t * n * n: "that is attention within frames; here the tokens of one position meet",
            t * n * (t * n + 1) // 2: "that is causal over all tokens; only those of one position meet",
            n * t * t // 2: "that is half the table, but the diagonal counts whole: 1 + 2 + ... + T",
            n * t * 16: "that is the window times the tokens; here the window is as long as the clip",
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
        found = one_number(call(answer, d, heads, qk, v, ffn), "of weights")
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
            2 * attention + 2 * d * 4 * d: "the feed-forward layer is not always 4·D wide; use `ffn_size`",
            2 * attention + 2 * d * d * ffn: "`ffn_size` is a width, not a ratio: two matrices of D × ffn_size",
            2 * (queries + values + heads * qk * d) + forward: "the rows of the projection back are what the values "
            "leave, heads × v_size",
            2 * (queries + values + d * d) + forward: "the projection back is D × D only where heads × v_size is D",
            3 * attention + forward: "that is three attentions; a block has two, over space and over time",
            2 * attention + 3 * d * ffn: "three matrices in the feed-forward layer; this one has two",
        }
        reason = wrong.get(int(found), "count queries, keys, values and the projection back to D for each attention")
        raise Mistake(
            f"block_parameters({d}, {heads}, {qk}, {v}, {ffn}) gave {found:.10g}, expected {right}: {reason}."
        )
    return "Exactly what `sum(p.numel() for p in block.parameters())` says."
