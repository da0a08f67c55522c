"""Checks of exercises 02.2 and 02.3: attention in space and in time."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from genie_lite.course.checking import IMPRECISE, Mistake, call


def _inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys [B, T, N, heads, d] and wider values [B, T, N, heads, e]."""
    generator = torch.Generator().manual_seed(2)
    q, k = 2 * torch.randn(2, 2, 5, 3, 2, 4, generator=generator)
    return q, k, torch.randn(2, 5, 3, 2, 6, generator=generator)


def _attention(
    axes: str,
    hidden: Tensor | None = None,
    *,
    scale: float = 0.5,
    over: int | None = -1,
    fill: float = -math.inf,
    exchanged: bool = False,
    late: float = 1.0,
) -> Tensor:
    """Attention of `_inputs`; `axes` "n" or "t" or "tn": over what; `hidden` [L, L]; the rest are mistakes."""
    names = {"n": ("(b t) h n", "b t"), "t": ("(b n) h t", "b n"), "tn": ("b h (t n)", "b"), "h": ("(b t n) () h", "b")}
    folded = names[axes][0]
    q, k, v = (rearrange(part, f"b t n h d -> {folded} d") for part in _inputs())
    scores = scale * (k @ q.mT if exchanged else q @ k.mT)
    if hidden is not None:
        scores = scores.masked_fill(hidden, fill)
    weights = scores if over is None else scores.softmax(dim=over).nan_to_num()
    return rearrange(late * weights @ v, f"{folded} d -> b t n h d", b=2, t=5, n=3, h=2)


def _reshaped(axes: str, hidden: Tensor | None = None) -> Tensor:
    """Attention of `_inputs` where heads were brought forward by a `reshape`, which moves no axis."""
    q, k, v = _inputs()
    b, t, n, h, _ = q.shape
    batch, length = (b * t, n) if axes == "n" else (b * n, t)
    q, k, v = (part.reshape(batch, h, length, -1) for part in (q, k, v))
    scores = 0.5 * q @ k.mT
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    return (scores.softmax(-1) @ v).reshape(b, t, n, h, -1)


RESHAPED = (
    "The axes are mixed up: a reshape only cuts the numbers anew, it does not bring `heads` before the tokens. Use "
    "`transpose`, `permute` or `rearrange`."
)


def _judge(answer: Any, arguments: tuple[Any, ...], right: Tensor, mistakes: dict[str, Tensor]) -> None:
    """Call an attention of the learner, and compare what it returns with known mistakes."""
    found = call(answer, *arguments)
    if not isinstance(found, Tensor):
        raise Mistake(f"Found {type(found).__name__}, expected a tensor [B, T, N, heads, e].")
    if found.shape != right.shape:
        order = [list(right.permute(axes).shape) for axes in itertools.permutations(range(5))]
        hint = " The axes are in another order: fold them back." if list(found.shape) in order else ""
        raise Mistake(f"Found shape {list(found.shape)}, expected [B, T, N, heads, e] = {list(right.shape)}.{hint}")
    if not found.isfinite().all():
        raise Mistake(
            "Some results are not finite. A row of scores that is minus infinity everywhere has no softmax: every "
            "token must at least see itself."
        )
    found = found.to(right.dtype)
    if torch.allclose(found, right, atol=1e-5):
        return
    for text, value in mistakes.items():
        if torch.allclose(found, value, atol=1e-5):
            raise Mistake(text)
    if torch.allclose(found, right, atol=1e-2):
        raise Mistake(IMPRECISE)
    b, t, n, h, _ = (int(i) for i in (found - right).abs().gt(1e-5).nonzero()[0])
    numbers = [[round(x, 2) for x in part[b, t, n, h].tolist()] for part in (found, right)]
    raise Mistake(
        f"The result is wrong from clip {b}, frame {t}, position {n}, head {h} on: found {numbers[0]}, expected "
        f"{numbers[1]}."
    )


def check_space(answer: Any) -> str:
    """attend_in_space(q, k, v): each token averages the values of its own frame."""
    arguments = _inputs()
    mistakes = {
        "The scores are not divided by the root of d, the width of a query.": _attention("n", scale=1.0),
        "The scores are divided by d; expected its root.": _attention("n", scale=1 / 4),
        "The scores are multiplied by the root of d; divide.": _attention("n", scale=2.0),
        "The root is that of the width of a value. Scores are products of queries and keys: their width counts.": (
            _attention("n", scale=6**-0.5)
        ),
        "The softmax runs over queries. The weights of one query must sum to 1: softmax over keys, the last axis.": (
            _attention("n", over=-2)
        ),
        "The root is that of heads × d. Each head has queries of width d.": _attention("n", scale=8**-0.5),
        "The root is that of the number of tokens. It is the width of a query that makes products large.": (
            _attention("n", scale=3**-0.5)
        ),
        "The weights are divided after the softmax, so they no longer sum to 1. Divide the scores.": _attention(
            "n", scale=1.0, late=0.5
        ),
        "The softmax is missing: the scores themselves are no weights.": _attention("n", over=None),
        "Queries and keys are exchanged: row i of the scores belongs to query i, `q @ k.mT`.": _attention(
            "n", exchanged=True
        ),
        "The softmax runs over heads. The weights of one query must sum to 1: softmax over keys, the last axis.": (
            _attention("n", over=-3)
        ),
        "A token also sees itself: nothing is hidden in space.": _attention("n", torch.eye(3, dtype=torch.bool)),
        RESHAPED: _reshaped("n"),
        "That is attention along time: tokens at one position meet. Here those of one frame do.": _attention("t"),
        "Tokens of different frames meet: that is full attention. Fold the frames into the batch.": _attention("tn"),
        "The heads attend to each other. They are separate: fold them into the batch, or keep them in front.": (
            _attention("h")
        ),
        "That is causal within the frame. In space every token sees every other.": _attention(
            "n", torch.ones(3, 3, dtype=torch.bool).triu(1)
        ),
        "Those are the values themselves. Where are the weights?": arguments[2],
        "Every token averages the values evenly. The weights come from the scores.": (
            arguments[2].mean(2, keepdim=True).expand_as(arguments[2])
        ),
    }
    _judge(answer, arguments, _attention("n"), mistakes)
    return "Each frame gathers its own information."


def check_time(answer: Any) -> str:
    """attend_in_time(q, k, v, window): each token averages the values of its own position, up to now."""
    window = 3
    back = torch.arange(5)[:, None] - torch.arange(5)
    future, old = back < 0, back >= window
    right = _attention("t", future | old)
    mistakes = {
        "The future is visible: the query of frame t may see keys of frames up to t only.": _attention("t", old),
        "The future is visible, as far ahead as the window: only frames up to t may be seen.": _attention(
            "t", back.abs() >= window
        ),
        "There is no mask at all: neither the future nor the window is hidden.": _attention("t"),
        "The window is missing: no frame further back than window - 1.": _attention("t", future),
        "The window is one frame too long: it is `window` frames, the token's own included.": _attention(
            "t", future | (back > window)
        ),
        "The window is one frame too short: it is `window` frames, the token's own included.": _attention(
            "t", future | (back >= window - 1)
        ),
        "The mask is transposed: rows are queries, columns keys, and yours sees the future alone.": _attention(
            "t", (future | old).T
        ),
        "Hidden scores were set to 0, which is a score like any other. Set them to minus infinity.": _attention(
            "t", future | old, fill=0.0
        ),
        "The softmax runs over queries: the last axis, that of the keys, must sum to 1.": _attention(
            "t", future | old, over=-2
        ),
        "The softmax runs over heads: the last axis, that of the keys, must sum to 1.": _attention(
            "t", future | old, over=-3
        ),
        "The softmax is missing: the scores themselves are no weights.": _attention(
            "t", future | old, over=None, fill=0.0
        ),
        "Queries and keys are exchanged: row i of the scores belongs to query i, `q @ k.mT`.": _attention(
            "t", future | old, exchanged=True
        ),
        "A token sees itself alone, so nothing passes from frame to frame.": _inputs()[2],
        RESHAPED: _reshaped("t", future | old),
        "The scores are not divided by the root of d.": _attention("t", future | old, scale=1.0),
        "That is attention within a frame. Fold the positions into the batch; time is the sequence.": _attention("n"),
        "Tokens at different positions meet. The temporal layer stays at one position.": _attention(
            "tn", (future | old).repeat_interleave(3, 0).repeat_interleave(3, 1)
        ),
        "The weights of hidden keys were zeroed after the softmax, so the rest no longer sums to 1. Mask the scores.": (
            _masked_late(future | old)
        ),
    }
    _judge(answer, (*_inputs(), window), right, mistakes)
    everything = call(answer, *_inputs(), 16)
    if not torch.allclose(everything.float(), _attention("t", future), atol=1e-5):
        raise Mistake("Right for a window of 3, wrong for one of 16, longer than the clip: use the argument `window`.")
    return "Nothing flows back from the future."


def _masked_late(hidden: Tensor) -> Tensor:
    q, k, v = (rearrange(part, "b t n h d -> b n h t d") for part in _inputs())
    weights = (0.5 * q @ k.mT).softmax(dim=-1).masked_fill(hidden, 0.0)
    return rearrange(weights @ v, "b n h t d -> b t n h d")
