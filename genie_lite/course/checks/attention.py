"""Checks of exercises 02.2 to 02.4: attention in space, attention in time, the ST block."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from genie_lite.course.checking import IMPRECISE, Mistake, call
from genie_lite.nn.layers import layer_norm


def _inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys [B, T, N, heads, d] and wider values [B, T, N, heads, e]."""
    generator = torch.Generator().manual_seed(2)
    q, k = 2 * torch.randn(2, 2, 5, 3, 2, 4, generator=generator)
    return q, k, torch.randn(2, 5, 3, 2, 6, generator=generator)


def _attention(
    axes: str, hidden: Tensor | None = None, *, scale: float = 0.5, over: int = -1, fill: float = -math.inf
) -> Tensor:
    """Attention of `_inputs`; `axes` "n" or "t" or "tn": over what; `hidden` [L, L]; the rest are mistakes."""
    names = {"n": ("(b t) h n", "b t"), "t": ("(b n) h t", "b n"), "tn": ("b h (t n)", "b"), "h": ("(b t n) () h", "b")}
    folded = names[axes][0]
    q, k, v = (rearrange(part, f"b t n h d -> {folded} d") for part in _inputs())
    scores = scale * q @ k.mT
    if hidden is not None:
        scores = scores.masked_fill(hidden, fill)
    return rearrange(scores.softmax(dim=over) @ v, f"{folded} d -> b t n h d", b=2, t=5, n=3, h=2)


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
    if torch.allclose(found, right, atol=1e-5):
        return
    for text, value in mistakes.items():
        if torch.allclose(found, value, atol=1e-5):
            raise Mistake(text)
    if torch.allclose(found.float(), right, atol=1e-2):
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
        ).nan_to_num(),
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
    if not torch.allclose(everything, _attention("t", future), atol=1e-5):
        raise Mistake("Right for a window of 3, wrong for one of 16, longer than the clip: use the argument `window`.")
    return "Nothing flows back from the future."


def _masked_late(hidden: Tensor) -> Tensor:
    q, k, v = (rearrange(part, "b t n h d -> b n h t d") for part in _inputs())
    weights = (0.5 * q @ k.mT).softmax(dim=-1).masked_fill(hidden, 0.0)
    return rearrange(weights @ v, "b n h t d -> b t n h d")


def check_block(answer: Any) -> str:
    """st_block(x, space, time, feed_forward, norm): three residual steps, each of which reads a normed x."""
    generator = torch.Generator().manual_seed(3)
    x = 3 + torch.randn(1, 2, 3, 8, generator=generator)
    matrices = torch.randn(3, 8, 8, generator=generator) / 3
    calls: list[int] = []

    def layer(index: int) -> Callable[[Tensor], Tensor]:
        def apply(y: Tensor) -> Tensor:
            calls.append(index)
            return torch.tanh(y @ matrices[index])

        return apply

    space, time, feed_forward = layers = [layer(index) for index in range(3)]
    found = call(answer, x.clone(), *layers, layer_norm)
    made = list(calls)
    if not isinstance(found, Tensor) or found.shape != x.shape:
        raise Mistake(f"Found {getattr(found, 'shape', type(found).__name__)}, expected the shape of x, {x.shape}.")
    if made != [0, 1, 2]:
        names = ["space", "time", "feed_forward"]
        raise Mistake(
            f"Your block called {', '.join(names[i] for i in made) or 'nothing'}; expected space, time, feed_forward, "
            "each once and in this order."
        )
    if torch.allclose(found, _block(x, layers), atol=1e-5):
        return "A block whose layers return zero passes x on unchanged."
    norm = layer_norm
    mistakes = {
        "The residual connections are missing: add what a layer returns to x.": feed_forward(
            norm(time(norm(space(norm(x)))))
        ),
        "The layers read x itself. Each reads `norm(x)`.": _block(x, layers, read=lambda y: y),
        "The norm comes after each layer; expected before it, where the residual path stays untouched.": _block(
            x, layers, read=lambda y: y, wrote=norm
        ),
        "The norm is applied to the sum, so the residual path is normalised too. Norm what a layer *reads*.": (
            _post_norm(x, layers)
        ),
        "x itself was normalised once at the start. Norm what each layer reads.": _block(
            norm(x), layers, read=lambda y: y
        ),
        "All three layers read the same x. Each reads what the one before left.": (
            x + space(norm(x)) + time(norm(x)) + feed_forward(norm(x))
        ),
        "The residual of the feed-forward layer is missing: add its result to x.": feed_forward(
            norm(_block(x, layers[:2]))
        ),
        "The residual path starts again from the normed x: `x = x + ...`, with x as it was.": _from_norm(x, layers),
        "The last norm does not belong here; the transformer applies it once, after all blocks.": norm(
            _block(x, layers)
        ),
    }
    for text, value in mistakes.items():
        if torch.allclose(found, value, atol=1e-5):
            raise Mistake(text)
    raise Mistake(
        "All three layers are called, but not as expected: three times `x = x + layer(norm(x))`. "
        f"The first numbers are {[round(v, 2) for v in found.flatten()[:3].tolist()]}, expected "
        f"{[round(v, 2) for v in _block(x, layers).flatten()[:3].tolist()]}."
    )


Layers = Sequence[Callable[[Tensor], Tensor]]


def _block(
    x: Tensor,
    layers: Layers,
    read: Callable[[Tensor], Tensor] = layer_norm,
    wrote: Callable[[Tensor], Tensor] = lambda y: y,
) -> Tensor:
    for layer in layers:
        x = x + wrote(layer(read(x)))
    return x


def _post_norm(x: Tensor, layers: Layers) -> Tensor:
    for layer in layers:
        x = layer_norm(x + layer(x))
    return x


def _from_norm(x: Tensor, layers: Layers) -> Tensor:
    for layer in layers:
        x = layer_norm(x)
        x = x + layer(x)
    return x
