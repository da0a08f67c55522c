"""The check of exercise 02.4: the ST block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from genie_lite.course.checking import Mistake, call
from genie_lite.nn.layers import layer_norm


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
        "The result of each layer is normalised before it is added. Norm only what a layer *reads*.": _block(
            x, layers, wrote=norm
        ),
        "Every result is added to the x that came in, so only the last one stays. Each step adds to what the one "
        "before left.": _added_to_the_start(x, layers),
        "The residual of the spatial layer is missing: add its result to x.": _block(space(norm(x)), layers[1:]),
        "The residual of the temporal layer is missing: add its result to x.": _block(
            time(norm(_block(x, layers[:1]))), layers[2:]
        ),
        "The feed-forward layer reads x itself. It reads `norm(x)`, as the others do.": _block(
            _block(x, layers[:2]), layers[2:], read=lambda y: y
        ),
        "x is added twice in each step: `x = x + layer(norm(x))`.": _block(x, layers, keep=2.0),
        "The sum is halved in each step. Add, and leave it at that: the residual path stays untouched.": _block(
            x, layers, keep=0.5, gain=0.5
        ),
        "What the layers return is subtracted. Add it.": _block(x, layers, gain=-1.0),
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
    keep: float = 1.0,
    gain: float = 1.0,
) -> Tensor:
    for layer in layers:
        x = keep * x + gain * wrote(layer(read(x)))
    return x


def _post_norm(x: Tensor, layers: Layers) -> Tensor:
    for layer in layers:
        x = layer_norm(x + layer(x))
    return x


def _added_to_the_start(x: Tensor, layers: Layers) -> Tensor:
    y = x
    for layer in layers:
        y = x + layer(layer_norm(y))
    return y


def _from_norm(x: Tensor, layers: Layers) -> Tensor:
    for layer in layers:
        x = layer_norm(x)
        x = x + layer(x)
    return x
