"""Memory of attention: from a formula, counted during a forward pass, and as the peak of a separate process."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from genie_lite.config import Config, config_from_dict, config_to_dict
from genie_lite.models import build_tokenizer
from genie_lite.nn import autocast

PACKAGE = Path(__file__).resolve().parents[2]


def score_numbers(clips: int, heads: int, frames: int, tokens: int, attention: str) -> int:
    """Number of attention scores that one block materialises, for clips of T `frames` with N `tokens` each.

    "space" (ViT): T matrices of N × N. "st" (ST-ViViT): those, and N matrices of T × T. "full" (C-ViViT): one matrix
    of T·N × T·N. Masked scores count, since they are computed and stored before the mask removes them.
    """
    shapes = {
        "space": frames * tokens**2,
        "st": frames * tokens**2 + tokens * frames**2,
        "full": (frames * tokens) ** 2,
    }
    if attention not in shapes:
        raise ValueError(f"attention: found {attention!r}, wanted one of {', '.join(shapes)}")
    return clips * heads * shapes[attention]


def count_scores(model: nn.Module, *inputs: Tensor) -> int:
    """Attention scores of one forward pass of `model(*inputs)`, counted as the outputs of its softmaxes.

    Fused attention, which never materialises its scores, is replaced by the plain form for the count.
    """
    counter = _SoftmaxCounter()
    with scores_written_out(), torch.no_grad(), counter:
        model(*inputs)
    return counter.numbers


class _SoftmaxCounter(TorchDispatchMode):
    """Sums the sizes of all softmax outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten._softmax, torch.ops.aten._safe_softmax):
            self.numbers += result.numel()
        return result


@contextlib.contextmanager
def scores_written_out() -> Iterator[None]:
    """Disable PyTorch's fused attention kernels, which do not store the scores."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def measure_step_memory(config: Config, *, fused: bool = True) -> float:
    """Peak GB of tokenizer training steps beyond the model and its batch, measured in a fresh process.

    The batch is that of `training.tokenizer`. `fused=False` disables PyTorch's fused attention kernels. On a GPU it
    is allocator memory, on a CPU the growth of the process (imprecise below 0.01 GB); NaN where the system does not
    report it (Windows). RuntimeError with the end of the error output if the process fails.
    """
    order = json.dumps({"config": config_to_dict(config), "fused": fused})
    paths = [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "genie_lite.ablations.memory"],
        input=order,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    if done.returncode:
        raise RuntimeError(f"memory of a training step: the process that measures it failed: {done.stderr[-500:]}")
    found = json.loads(done.stdout)["gigabytes"]
    return math.nan if found is None else float(found)


def _measure(config: Config, fused: bool) -> float | None:
    stage = config.training.tokenizer
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    height, width = config.model.frame_size
    tokenizer = build_tokenizer(config.model).to(device).train()
    frames = torch.rand(stage.clips, stage.frames, height, width, config.model.channels, device=device)
    before = _peak(device)
    with contextlib.nullcontext() if fused else scores_written_out():
        for _ in range(2):
            with autocast(device, stage.precision):
                tokenizer(frames).loss.backward()
    after = _peak(device)
    return None if before is None or after is None else (after - before) / 2**30


def _peak(device: torch.device) -> int | None:
    """Peak bytes so far; None where the system does not report them."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux ru_maxrss starts at the parent's value; VmHWM does not
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump({"gigabytes": _measure(config_from_dict(asked["config"]), asked["fused"])}, sys.stdout)
