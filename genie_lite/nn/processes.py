"""Several processes that train one model together (data parallel); alone, every function here does nothing.

Each process sees its own part of a batch. What depends on the whole batch, gradients and running means, is averaged
over the processes; so all of them hold the same weights at every step.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor


def join() -> None:
    """Meet the other processes that torchrun started, if it did: NCCL where there are GPUs, Gloo elsewhere."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(local_rank())
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(dist.destroy_process_group)


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def local_rank() -> int:
    """Which of this machine's processes this one is, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def average_(tensors: Iterable[Tensor]) -> None:
    """Replace each of `tensors` by its mean over the processes."""
    if count() > 1:
        tensors = list(tensors)
        for work in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
            work.wait()
        for tensor in tensors:
            tensor /= count()


def copy_first_(tensors: Iterable[Tensor]) -> None:
    """Replace each of `tensors` by what the first process holds there."""
    if count() > 1:
        for work in [dist.broadcast(tensor, 0, async_op=True) for tensor in tensors]:
            work.wait()


def wait() -> None:
    """Go on when all processes are here."""
    if count() > 1:
        dist.barrier()
