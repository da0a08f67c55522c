"""Several processes that train one model, by PyTorch's own engine: torchrun starts them, FSDP2 shards the model.

Of N processes each holds 1/N of every parameter, gradient and optimiser state, and trains on 1/N of each step's clips.
With one process (no torchrun) nothing is sharded, and the functions below say what is true of a single process.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import platform
import signal
import time
import warnings
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import cast

import numpy as np
import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint import CheckpointException
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from genie_lite.nn import STTransformer, VectorQuantizer, compute_dtype
from genie_lite.training.errors import TrainingError

# What stages call of a sharded model besides `forward`: only there does FSDP gather the parameters.
FORWARD_METHODS = ("encode", "predict", "losses")

_processes: list[tuple[int, int]] = []  # of each rank: a number for its machine, and its process id


# --------------------------------------------------------------------------------------------- the processes


def join() -> None:
    """Meet the other processes if torchrun started this one: by NCCL on GPUs, by Gloo on CPUs.

    RuntimeError where this version of PyTorch does not average gradients over the processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
    # PyTorch warns of two things that are as they should be: Gloo has no all-to-all of its own, which Muon's step uses,
    # and models return views, which nobody changes in place.
    logging.getLogger("torch.distributed.tensor._collective_utils").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    atexit.register(dist.destroy_process_group)
    own = torch.tensor([zlib.crc32(platform.node().encode()), os.getpid()])
    everyone = [torch.zeros_like(own) for _ in range(count())]
    dist.all_gather(everyone, own)
    _processes[:] = [(int(machine), int(pid)) for machine, pid in everyone]
    _check_that_gradients_are_averaged()


def count() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process among them, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def local_rank() -> int:
    """Number of this process among those of its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def seed(number: int, step: int = 0) -> None:
    """Seed PyTorch's generator with `number` in the first process, and differently in every other one and step."""
    own = np.random.SeedSequence([number, step, rank()]).generate_state(1)[0] if rank() else number
    torch.manual_seed(int(own))


def wait() -> None:
    """Continue when every process has arrived here."""
    if count() > 1:
        dist.barrier()


def maxima(*values: float) -> list[float]:
    """The largest of what the processes give for each of `values`, so that all of them decide alike."""
    if count() == 1:
        return list(values)
    found = torch.tensor(values, dtype=torch.float64)  # on the CPU: Gloo leaves the GPUs to their work
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return cast("list[float]", found.tolist())


def average_(tensors: Iterable[Tensor]) -> None:
    """Replace each of `tensors` by its mean over the processes."""
    if count() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)
            tensor /= count()


def gather(tensor: Tensor) -> list[Tensor]:
    """A tensor of one shape from every process, in the order of their ranks."""
    if count() == 1:
        return [tensor]
    found = [torch.empty_like(tensor) for _ in range(count())]
    dist.all_gather(found, tensor)
    return found


def from_first(path: Path | None) -> Path:
    """The path that the first process gives here."""
    paths = [path]
    if count() > 1:
        dist.broadcast_object_list(paths, 0)
    return cast(Path, paths[0])


def device(name: str | None = None) -> torch.device:
    """Where this process trains: on the device of this name, else on its own GPU if there is one, else on the CPU."""
    return torch.device(name or (f"cuda:{local_rank()}" if torch.cuda.is_available() else "cpu"))


@contextlib.contextmanager
def telling_who_ended(states: Path) -> Iterator[None]:
    """Turn the end of another process into a TrainingError that names it, and the state from which to continue.

    Gloo notices within milliseconds and raises RuntimeError; torchrun, a moment later, sends SIGTERM to all that are
    left. Of those on one machine only the first one speaks.
    """
    if count() == 1:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        if not ended():  # stopped from outside
            signal.signal(signal.SIGTERM, before)
            os.kill(os.getpid(), signal.SIGTERM)
        raise _someone_ended(states)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except (RuntimeError, CheckpointException) as error:
        for _ in range(50):  # a process that fails closes its connections before it ends
            if ended():
                raise _someone_ended(states) from error
            time.sleep(0.1)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _someone_ended(states: Path) -> BaseException:
    gone = ended()
    machine = _processes[rank()][0]
    left = [other for other, (where, _) in enumerate(_processes) if where == machine and other not in gone]
    if rank() != left[0]:
        return SystemExit(1)
    saved = sorted(states.glob("step-*"))
    names = " and ".join(f"process {other}" for other in gone)
    return TrainingError(
        f"{names} of {count()} ended before the others (killed, or by an error of its own, shown above), and the run "
        "with it. Start it again in the same run folder, with --resume from a shell: it continues from "
        f"{saved[-1] if saved else 'its beginning, because no state was saved yet'}, with any number of processes"
    )


def ended() -> list[int]:
    """Ranks of the processes on this machine that are no more."""
    machine, _ = _processes[rank()]
    return [other for other, (where, pid) in enumerate(_processes) if where == machine and _has_ended(pid)]


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# ------------------------------------------------------------------------------------------------- the model


@contextlib.contextmanager
def sharded(model: nn.Module, device: torch.device, precision: str) -> Iterator[None]:
    """Shard a model in place over all processes, beginning with the weights of the first one; alone, do nothing.

    Blocks of transformers are gathered one at a time, when they compute; what else a model holds is gathered for the
    whole of its pass. A `ModuleDict` is several models, each sharded by itself.

    In `precision` bfloat16, parameters travel in bfloat16, and their shards and averaged gradients stay in float32.
    The policy takes the place of autocast's conversion of weights; autocast still chooses the format of each operation,
    so that frames and losses stay in float32, as in a single process.

    Codebooks are replicated. They learn within the forward pass, from running means that the processes average, and
    FSDP would neither shard nor synchronise those.
    """
    if count() == 1:
        yield
        return
    for tensor in [*model.parameters(), *model.buffers()]:
        dist.broadcast(tensor.detach(), 0)
    mesh = init_device_mesh(device.type, (count(),))
    apply_fsdp(model, mesh, compute_dtype(device, precision))
    for codebook in codebooks(model):
        codebook.to(device).group = mesh.get_group()
    try:
        yield
    finally:
        for codebook in codebooks(model):
            codebook.group = None


def apply_fsdp(model: nn.Module, mesh: DeviceMesh, dtype: torch.dtype = torch.float32) -> None:
    """The part of `shard` that sends nothing, so that it also works on the meta device."""
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    replicated = {parameter for codebook in codebooks(model) for parameter in codebook.parameters()}
    for transformer in [module for module in model.modules() if isinstance(module, STTransformer)]:
        for block in transformer.blocks:
            fully_shard(block, mesh=mesh, mp_policy=policy)
    for root in roots(model):
        fully_shard(root, mesh=mesh, mp_policy=policy, ignored_params=replicated)
        for name in FORWARD_METHODS:
            if hasattr(root, name):
                register_fsdp_forward_method(root, name)


def roots(model: nn.Module) -> list[nn.Module]:
    """The models that `model` consists of: those in a ModuleDict, or itself."""
    return list(model.values()) if isinstance(model, nn.ModuleDict) else [model]


def sync_gradients(model: nn.Module, wanted: bool) -> None:
    """Whether the next backward pass averages gradients over the processes, or keeps them to add up."""
    for root in roots(model):
        if isinstance(root, FSDPModule):
            root.set_requires_gradient_sync(wanted)


def clip_gradients(parameters: list[nn.Parameter], max_norm: float) -> Tensor:
    """Scale gradients to a norm of at most `max_norm`, and return the norm before: over all shards.

    Sharded and replicated parameters cannot be in one call to PyTorch; the gradients of the latter, which FSDP
    leaves alone, are averaged here.
    """
    sharded = [p for p in parameters if isinstance(p, DTensor)]
    whole = [p for p in parameters if not isinstance(p, DTensor)]
    if not sharded:
        return nn.utils.clip_grad_norm_(whole, max_norm)
    average_(p.grad for p in whole if p.grad is not None)
    gradients = [[p.grad for p in part if p.grad is not None] for part in (sharded, whole)]
    # Of no gradients at all PyTorch says 0 on the CPU, which a GPU's norm cannot be stacked with.
    norms = [nn.utils.get_total_norm(part) for part in gradients if part]
    total = torch.stack([norm.full_tensor() if isinstance(norm, DTensor) else norm for norm in norms]).norm()
    for part in (sharded, whole):
        nn.utils.clip_grads_with_norm_(part, max_norm, total)
    return total


def full_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """All weights of a module that may be sharded, on the CPU of the first process; nothing on the others."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return cast("dict[str, Tensor]", get_model_state_dict(module, options=options))


def codebooks(model: nn.Module) -> list[VectorQuantizer]:
    """The codebooks of a model."""
    return [module for module in model.modules() if isinstance(module, VectorQuantizer)]


def _check_that_gradients_are_averaged() -> None:
    """Some versions of PyTorch added them up on Gloo, which would make every learning rate N times too large."""
    probe = nn.Linear(1, 1, bias=False)
    fully_shard(probe, mesh=init_device_mesh("cpu", (count(),)))
    probe(torch.tensor([[float(rank())]])).sum().backward()
    found, expected = float(cast(DTensor, probe.weight.grad).full_tensor()), (count() - 1) / 2
    if found != expected:
        raise RuntimeError(
            f"PyTorch {torch.__version__}: averaging a gradient over {count()} processes gave {found}, "
            f"expected {expected}; train with another version of PyTorch, or in one process"
        )
