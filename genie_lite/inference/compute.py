"""In which number format, and on how many threads, a world is computed.

Batches are computed as in training: in bfloat16 where the machine has it natively, on as many threads as PyTorch
likes. One world that is played on a CPU is different. Its matrix products are small, so float32 is as quick as
bfloat16 or quicker. And a frame takes about a thousand small operations, between which threads wait for each other by
spinning: on a machine that has anything else to do, two threads are several times slower than one, and at worst
thirty times; on an idle one they gain about a quarter. So one world is played in float32 on one thread.

What a user has decided is never overruled: `genie.precision`, `genie.threads`, the environment variables
OMP_NUM_THREADS and MKL_NUM_THREADS, or a number given to `torch.set_num_threads`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
from torch import nn

from genie_lite import machine
from genie_lite.nn import autocast

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def computing(model: nn.Module, precision: str = "auto", threads: int | None = None) -> Iterator[None]:
    """A context without gradients or learning codebooks, in `precision` (see nn.autocast), on `threads` CPU threads.

    None leaves the number of threads as it is. Afterwards everything is as it was before.
    """
    training = [module for module in model.modules() if module.training]  # none in a world that is only played
    device = next(model.parameters()).device
    before = torch.get_num_threads()
    try:
        for module in training:
            module.training = False
        if threads is not None:
            torch.set_num_threads(threads)  # of the whole process; a call takes less than a microsecond
        with torch.inference_mode(), autocast(device, precision):
            yield
    finally:
        if threads is not None:
            torch.set_num_threads(before)
        for module in training:
            module.training = True


def playing(
    model: nn.Module, worlds: int, precision: str = "auto", threads: int | None = None
) -> contextlib.AbstractContextManager[None]:
    """`computing` for a step of `worlds` worlds that are played together: "auto" and None are decided as said above."""
    if worlds == 1 and next(model.parameters()).device.type == "cpu":
        precision = "float32" if precision == "auto" else precision
        threads = 1 if threads is None and not threads_were_set() else threads
    return computing(model, precision, threads)


def threads_were_set() -> bool:
    """Whether the user chose a number of threads, by an environment variable or by `torch.set_num_threads`.

    PyTorch does not tell whether it was called. Any number but the two that PyTorch may start with, one thread for each
    core or for each physical core, must have been set by somebody.
    """
    if any(os.environ.get(name) for name in VARIABLES):
        return True
    return torch.get_num_threads() not in (machine.cores(), machine.physical_cores())
