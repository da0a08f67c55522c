"""Facts about the machine and the environment. Nothing is downloaded or changed."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import time
from importlib import metadata
from pathlib import Path

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CPU_INFO = Path("/proc/cpuinfo")
CONTAINER_MEMORY = Path("/sys/fs/cgroup/memory.max")


def data_folder() -> Path:
    """Where shipped videos and checkpoints are: $GENIE_LITE_DATA, or ``data/`` of the cloned repository."""
    override = os.environ.get("GENIE_LITE_DATA")
    return Path(override) if override else Path(__file__).resolve().parents[1] / "data"


def installed(module: str) -> bool:
    """Whether `module` can be found; it is not imported."""
    return importlib.util.find_spec(module) is not None


def version(package: str) -> str | None:
    """The installed version of a package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def memory_gigabytes() -> float | None:
    """Memory in GB (2^30 bytes) of the machine, or of the container if that is less; None where it is unknown."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    limit = CONTAINER_MEMORY.read_text().strip() if CONTAINER_MEMORY.is_file() else "max"
    return min(gigabytes, int(limit) / 2**30) if limit.isdigit() else gigabytes


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def physical_cores() -> int | None:
    """Physical cores that this process may use, hyperthreads not counted; None where the system does not tell."""
    if not CPU_INFO.is_file() or not hasattr(os, "sched_getaffinity"):
        return None
    allowed, found = os.sched_getaffinity(0), set()
    for entry in CPU_INFO.read_text().split("\n\n"):
        facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in entry.splitlines())}
        if "core id" in facts and int(facts["processor"]) in allowed:
            found.add((facts.get("physical id"), facts["core id"]))
    return len(found) or None


def teraflops(dtype: str, device: str, size: int = 512, seconds: float = 0.15) -> float:
    """Speed of [size, size] matrix products: the best of as many as fit into `seconds`, after one to warm up."""
    import torch

    square = torch.ones(size, size, dtype=getattr(torch, dtype), device=device)

    def product() -> float:
        start = time.perf_counter()
        torch.matmul(square, square)
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    product()
    best, end = product(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, product())
    return 2 * size**3 / best / 1e12


def procgen_distribution() -> str | None:
    """The package on PyPI with procgen's games for this Python and machine (pyproject.toml has the same in markers)."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return None
    return {(3, 11): "procgen-mirror", (3, 12): "procgen-mirror", (3, 13): "procgen-gym"}.get(sys.version_info[:2])


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome on PATH, which only the browser tests need; None where there is none."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
