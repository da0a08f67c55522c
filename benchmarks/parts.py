"""Microbenchmarks behind the choice of kernels: `python -m benchmarks.parts` runs them on this machine.

Each row is one operation at a shape of the laptop preset; contenders take turns, and times are medians.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.measure import Work, hardware, interleave
from benchmarks.plain import COMPARED
from benchmarks.stages import PlainStep, some_frames
from genie_lite.api import Genie
from genie_lite.config import COURSE_STAGES, load_config
from genie_lite.data import sample_dataset
from genie_lite.nn.attention import attend
from genie_lite.training.muon import Muon

Microbenchmark = tuple[str, dict[str, Work]]  # an operation and its implementations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MICROBENCHMARKS, default=list(MICROBENCHMARKS))
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    facts = hardware("cpu")
    print(f"{facts['cpu']}, {facts['cores']} cores, {facts['threads']} threads, PyTorch {facts['torch']}\n")
    for name in options.only:
        for job, contenders in MICROBENCHMARKS[name]():
            rates = interleave(contenders, options.repeats, seconds=20.0, block=0.02)
            times = {who: 1e3 / float(np.median(rate)) for who, rate in rates.items()}
            print(f"{job:50}" + "   ".join(f"{who} {time:.3g} ms" for who, time in times.items()), flush=True)
    return 0


def muon() -> Iterator[Microbenchmark]:
    """One Muon step on the matrices of a stage: PyTorch's, always in bfloat16, against the package's."""
    genie = Genie(load_config("laptop"))
    for stage, model in genie.named_children():
        matrices = [p for name, p in model.named_parameters() if ".blocks." in name and p.ndim == 2]
        for matrix in matrices:
            matrix.grad = torch.randn_like(matrix)
        optimizers = {"PyTorch's": torch.optim.Muon(matrices, lr=1e-9), "ours": Muon(matrices, lr=1e-9)}
        yield f"muon, {stage}", {who: _work(optimizer.step) for who, optimizer in optimizers.items()}


def attention() -> Iterator[Microbenchmark]:
    """Attention forward and backward: two matrix products against PyTorch's fused kernel."""
    shapes = {"tokenizer": (32, 3, 64, 64), "latent action model": (64, 4, 16, 40), "dynamics": (48, 3, 64, 64)}
    for dtype in (torch.float32, torch.bfloat16):
        for stage, (count, heads, places, width) in shapes.items():
            for axis, shape in {
                "space": (count, heads, places, width),
                "time": (count // 16 * places, heads, 16, width),
            }.items():
                q, k, v, pull = (torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(4))
                mask = torch.ones(16, 16, dtype=torch.bool).triu(1) if axis == "time" else None
                plain = functools.partial(attend, q, k, v, mask)
                fused = functools.partial(F.scaled_dot_product_attention, q, k, v, is_causal=axis == "time")
                # Backpropagate a dense gradient: that of a plain sum is one expanded number, which makes the products
                # several times slower.
                ours, theirs = (functools.partial(_gradients, way, (q, k, v), pull) for way in (plain, fused))
                name = f"attention, {stage}, {axis}, {str(dtype).removeprefix('torch.')}"
                yield name, {"two products": _work(ours), "fused": _work(theirs)}


def frame() -> Iterator[Microbenchmark]:
    """Queries, keys and values of one played frame: one product against one per head."""
    for width, heads in ((128, 2), (192, 3), (256, 4)):
        x, weight = torch.randn(64, width), torch.randn(3 * width, width)
        by_head = weight.view(3 * heads, 64, width).mT.contiguous()
        one = functools.partial(F.linear, x, weight)
        each = functools.partial(torch.bmm, x.expand(len(by_head), -1, -1), by_head)
        yield f"a frame of 64 tokens, width {width}", {"one product": _work(one), "one a head": _work(each)}


def products() -> Iterator[Microbenchmark]:
    """A plain training step against its matrix products alone: the lower bound with these kernels."""
    config = load_config("laptop", COMPARED)
    videos = sample_dataset("train", config.model.frame_size)
    for stage in COURSE_STAGES:
        step = PlainStep(config, stage, some_frames(videos, getattr(config.training, stage), "cpu"))
        with _Products() as recorded:
            step()
        yield f"training step, {stage}", {"plain": step, "its products": _work(recorded.replay)}


class _Products(TorchDispatchMode):
    """Records every matrix product (except inside fused attention) so that it can be replayed."""

    KINDS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm)

    def __init__(self) -> None:
        super().__init__()
        self.products: list[Callable[[], object]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        if function.overloadpacket in self.KINDS:
            matrices = [torch.rand_like(x) for x in args if isinstance(x, Tensor)]  # strides are kept
            self.products.append(functools.partial(function, *matrices, **(kwargs or {})))
        return function(*args, **(kwargs or {}))

    @torch.no_grad()
    def replay(self) -> None:
        for product in self.products:
            product()


def _gradients(way: Callable[[], Tensor], inputs: tuple[Tensor, ...], pull: Tensor) -> object:
    return torch.autograd.grad(way(), inputs, pull)


def _work(function: Callable[[], object]) -> Work:
    def work() -> float:
        function()
        return 1.0

    return work


MICROBENCHMARKS: dict[str, Callable[[], Iterator[Microbenchmark]]] = {
    "muon": muon,
    "attention": attention,
    "frame": frame,
    "products": products,
}

if __name__ == "__main__":
    sys.exit(main())
