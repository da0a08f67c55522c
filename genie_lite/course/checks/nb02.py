"""Checks of notebook 02: counting pairs, the temporal mask, counting parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from genie_lite.course.checking import Mistake, call, exercise

PAIR_CASES = [(4, 9), (16, 64), (5, 3)]  # frames, tokens per frame


@exercise("02.1")
def check_pairs(answer: Any) -> str:
    """pairs(frames, tokens, kind) counts the query-key pairs of one attention: "full", "space" or causal "time"."""
    for t, n in PAIR_CASES:
        right = {"full": (t * n) ** 2, "space": t * n * n, "time": n * t * (t + 1) // 2}
        wrong = {
            "full": {
                t * n: "each of the T·N tokens looks at all T·N tokens, so their number is squared",
                t * n * n
                + n * t * t: "that is space and time together; full attention lets every token see every other",
                t * n * (t * n + 1) // 2: "that is the causal half; here full means without a mask",
            },
            "space": {
                n * n: "that is one frame; every one of the T frames has its own N × N",
                (t * n) ** 2: "tokens of different frames do not meet in the spatial layer",
            },
            "time": {
                n * t * t: "that counts the future too: frame t sees itself and the frames before it, t in all",
                n * t * (t - 1) // 2: "a token sees itself as well as the past",
                t * (t + 1) // 2: "that is one place; each of the N places has its own triangle",
                (t * n) ** 2: "tokens at different places do not meet in the temporal layer",
            },
        }
        for kind, number in right.items():
            found = call(answer, t, n, kind)
            if found != number:
                reason = wrong[kind].get(found, f"wanted {number}")
                raise Mistake(f'pairs({t}, {n}, "{kind}") gave {found}: {reason}.')
    return "For 16 frames of 64 tokens: 1,048,576 pairs in full, 65,536 + 8,704 in space and time."


@exercise("02.2")
def check_may_attend(answer: Any) -> str:
    """may_attend(frames, tokens, window) is the temporal mask, bool [T·N, T·N]; token t·N + n is place n of frame t."""
    frames, tokens, window = 5, 3, 3
    found = np.asarray(call(answer, frames, tokens, window))
    size = frames * tokens
    if found.shape != (size, size):
        raise Mistake(f"Found shape {list(found.shape)}, wanted [T·N, T·N] = [{size}, {size}].")
    if not np.isin(found, (0, 1)).all():
        raise Mistake("Wanted True (may look) and False (may not) only.")
    found = found.astype(bool)
    t, n = np.divmod(np.arange(size), tokens)
    place = n[:, None] == n[None]
    back = t[:, None] - t[None]  # how far back the key's frame lies
    right = place & (back >= 0) & (back < window)
    if (found == right).all():
        return "With it, full attention and factorised temporal attention are the same thing."
    wrong = {
        "Turned round: row i is who looks, column j is who is looked at.": right.T,
        "Upside down: True where a token *may* look.": ~right,
        "A token may not see itself in your mask; the newest frame must count.": right & (back > 0),
        "The future is visible: a token of frame t may look at frames up to t only.": place & (np.abs(back) < window),
        "The window is missing: no frame further back than window - 1.": place & (back >= 0),
        "The window is one too long: with the token's own frame it spans `window` frames.": place
        & (back >= 0)
        & (back <= window),
        "Tokens at different places see each other; the temporal layer stays at one place.": (back >= 0)
        & (back < window),
        "The order is frame by frame: token i stands in frame i // N at place i % N, not the other way.": _by_place(
            frames, tokens, window
        ),
    }
    for message, mask in wrong.items():
        if (found == mask).all():
            raise Mistake(message)
    i, j = np.argwhere(found != right)[0]
    may = "may" if right[i, j] else "may not"
    raise Mistake(
        f"Token {i} (frame {t[i]}, place {n[i]}) {may} look at token {j} (frame {t[j]}, place {n[j]}) when the window "
        f"is {window}; your mask says {bool(found[i, j])}."
    )


def _by_place(frames: int, tokens: int, window: int) -> np.ndarray:
    n, t = np.divmod(np.arange(frames * tokens), frames)
    back = t[:, None] - t[None]
    return (n[:, None] == n[None]) & (back >= 0) & (back < window)


PARAMETER_CASES = [
    (60, 3, 10, 7, 110),
    (192, 3, 64, 64, 384),
    (512, 8, 64, 64, 128),
    (512, 8, 32, 64, 128),
    (30, 2, 8, 5, 7),
]


@exercise("02.3")
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
            attention + forward: "one attention only; a block has two, over space and over time",
            2 * attention + 2 * forward: "two feed-forward layers; an ST block has one, after both attentions",
            2 * attention: "the feed-forward layer is missing",
            2 * attention + d * ffn: "one matrix of the feed-forward layer is missing: it goes up, then down again",
            2 * (attention - queries // 2) + forward: "queries *and* keys: two matrices of that size",
            2 * (attention - out) + forward: "one matrix is missing: the values, or the way back to D",
            2 * (4 * d * d) + forward: "D × D for each matrix holds only where heads × head width is D; "
            "use the given widths",
        }
        reason = wrong.get(found, "count, for each attention, queries, keys, values and the way back; no biases")
        raise Mistake(f"block_parameters({d}, {heads}, {qk}, {v}, {ffn}) gave {found}, wanted {right}: {reason}.")
    return "Exactly what `sum(p.numel() for p in block.parameters())` says."
