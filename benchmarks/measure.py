"""Timing on a noisy machine: contenders take turns, so that a disturbance affects all of them alike."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_lite import machine
from genie_lite.nn import native_bfloat16

Work = Callable[[], float]  # does some work and returns how many units it did
LEAST_REPEATS = 3
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")  # CPU features relevant to matrix products


def interleave(contenders: dict[str, Work], repeats: int, seconds: float, block: float = 0.2) -> dict[str, list[float]]:
    """Units per second of each contender, taking turns: A B C A B C ...

    After one or two warm-up calls each contender gets `repeats` turns of about `block` seconds, or one call if that is
    longer. No new round starts after `seconds`, but at least three are run.
    """
    end = time.perf_counter() + seconds
    calls = {}
    for name, work in contenders.items():
        work()  # the first call may compile or fill caches
        calls[name] = max(1, math.ceil(block / _timed(work, 1)[0])) if block else 1
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats):
        if turn >= LEAST_REPEATS and time.perf_counter() > end:
            break
        for name, work in contenders.items():
            elapsed, units = _timed(work, calls[name])
            rates[name].append(units / elapsed)
    return rates


def _timed(work: Work, calls: int) -> tuple[float, float]:
    _wait()
    start = time.perf_counter()
    units = sum(work() for _ in range(calls))
    _wait()
    return time.perf_counter() - start, units


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def summary(samples: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles and the samples themselves."""
    low, median, high = np.percentile(samples, (25, 50, 75))
    return {"median": float(median), "low": float(low), "high": float(high), "samples": [float(s) for s in samples]}


def ratio(rates: dict[str, list[float]], above: str, below: str) -> dict[str, Any]:
    """Ratio of two contenders' rates, round by round."""
    return summary([a / b for a, b in zip(rates[above], rates[below], strict=True)])


def matmul_flops(device: str, dtype: str) -> float:
    """FLOP/s of a large matrix product, the best of several: an upper bound for models on this machine."""
    size = 8192 if device == "cuda" else 1536
    return machine.teraflops(dtype, device, size=size, seconds=0.5) * 1e12


def hardware(device: str) -> dict[str, Any]:
    """The machine and software of a measurement."""
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    facts = dict(line.split(":", 1) for line in about.split("\n\n")[0].splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    known = facts.get("flags", facts.get("Features", "")).split()
    return {
        "cpu": facts.get("model name") or platform.processor() or platform.machine(),
        "cores": machine.cores(),
        "threads": torch.get_num_threads(),
        "cpu_flags": [flag for flag in FLAGS if flag in known],
        "cpu_bfloat16": native_bfloat16("cpu"),
        "memory_gb": machine.memory_gigabytes(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
