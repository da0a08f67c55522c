"""The learner's attention and ST block, in any model that has ST blocks (notebook 02)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from genie_lite.course.yours import Answer, part, replace_method
from genie_lite.nn import Attention, STBlock
from genie_lite.nn.layers import layer_norm


@part("02.2")
def attend_in_space(model: nn.Module, answer: Answer) -> None:
    """Within frames, values are averaged by `answer(q, k, v)`."""

    def mix(self: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return answer(q, k, v).flatten(3)

    for module in model.modules():
        if isinstance(module, Attention) and module.axis == "space":
            replace_method(module, "mix", mix)


@part("02.3")
def attend_in_time(model: nn.Module, answer: Answer) -> None:
    """Along time, values are averaged by `answer(q, k, v, window)`."""

    def mix(self: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return answer(q, k, v, self.window).flatten(3)

    for module in model.modules():
        if isinstance(module, Attention) and module.axis == "time":
            replace_method(module, "mix", mix)


@part("02.4")
def st_block(model: nn.Module, answer: Answer) -> None:
    """ST blocks compute `answer(x, space, time, feed_forward, norm)`."""

    def forward(self: STBlock, x: Tensor, over_time: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        return answer(x, self.spatial, over_time or self.temporal, self.feed_forward, layer_norm)

    for module in model.modules():
        if isinstance(module, STBlock):
            replace_method(module, "forward", forward)
