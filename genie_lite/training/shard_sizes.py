"""What each of N GPUs holds when a preset is trained on them, without weights, without GPUs: by really sharding it.

The models are made on PyTorch's meta device, which stores nothing, and sharded over processes that only one pretends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from genie_lite.config import COURSE_STAGES, PAPER_STAGES, STAGES, Config, Stage
from genie_lite.models import GenieModel
from genie_lite.training.distributed import apply_fsdp
from genie_lite.training.optim import build_optimizers

BYTES = 4  # shards are float32, also where bfloat16 is computed
KEPT = {"adamw": 2, "muon": 1}  # numbers that an optimiser keeps for each parameter


@dataclass(frozen=True)
class ShardSizes:
    """GB (2^30 bytes) on one of several GPUs before any activation. Shards are uneven; the first GPU has the largest.

    `frozen` models, such as the tokenizer in the second phase, are there as a whole on every GPU. While a block
    computes, its parameters are gathered on top of this; with micro-batches, so are the gradients of all blocks.
    """

    gpus: int
    parameters: float
    gradients: float
    optimizer: float
    frozen: float

    @property
    def together(self) -> float:
        return self.parameters + self.gradients + self.optimizer + self.frozen


def shard_sizes(config: Config, stage: Stage, gpus: int, rank: int = 0) -> ShardSizes:
    """What GPU `rank` of `gpus` holds in a stage. RuntimeError in a process that already trains with others."""
    with torch.device("meta"):
        genie = GenieModel(config)
    parts = STAGES[stage]
    model = nn.ModuleDict({part: getattr(genie, part) for part in parts})
    before = COURSE_STAGES[: COURSE_STAGES.index(parts[-1])]
    frozen = sum(_numbers(getattr(genie, part).parameters()) for part in before if part not in parts)
    with _pretended(gpus, rank) as mesh:
        apply_fsdp(model, mesh)
        optimizers = build_optimizers(model, getattr(config.training, stage))
        kept = sum(
            KEPT[name] * _numbers(group["params"])
            for name, optimizer in optimizers.items()
            for group in optimizer.param_groups
        )
        parameters = _numbers(model.parameters())
        gradients = _numbers(parameter for parameter in model.parameters() if parameter.requires_grad)
    sizes = (BYTES * count / 2**30 for count in (parameters, gradients, kept, frozen))
    return ShardSizes(gpus, *sizes)


def table(config: Config, gpus: Sequence[int]) -> str:
    """`shard_sizes` of the paper's two phases in words and columns."""
    lines = [f"GB on each GPU (on the first, which has the largest shards) before activations, {config.name}:"]
    lines.append(
        f"{'':10}"
        + "".join(f"{name:>12}" for name in ("GPUs", "parameters", "gradients", "optimizer", "frozen", "together"))
    )
    for stage in PAPER_STAGES:
        for count in gpus:
            sizes = shard_sizes(config, stage, count)
            row = (sizes.parameters, sizes.gradients, sizes.optimizer, sizes.frozen, sizes.together)
            lines.append(f"{stage:10}{count:>12}" + "".join(f"{value:>12.2f}" for value in row))
    return "\n".join(lines)


def _numbers(tensors: Iterator[Tensor] | list[Tensor]) -> int:
    """Numbers that this process holds of tensors."""
    return sum((tensor.to_local() if isinstance(tensor, DTensor) else tensor).numel() for tensor in tensors)


@contextlib.contextmanager
def _pretended(count: int, rank: int) -> Iterator[DeviceMesh]:
    """A mesh of `count` processes, all but this one made up: PyTorch's stand-in, whose collectives do nothing."""
    from torch.testing._internal.distributed.fake_pg import FakeStore  # registers the backend "fake"

    if dist.is_initialized():
        raise RuntimeError("shard_sizes: found a process group, wanted a process that trains with no others")
    dist.init_process_group("fake", rank=rank, world_size=count, store=FakeStore())
    try:
        yield init_device_mesh("cpu", (count,))
    finally:
        dist.destroy_process_group()
