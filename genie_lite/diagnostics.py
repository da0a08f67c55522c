"""What is installed, what is missing, and what this machine can do.

`genie_lite.doctor()` and `genie-lite doctor` show it. Nothing is downloaded or changed.
"""

from __future__ import annotations

import platform
import sys
import textwrap
from dataclasses import dataclass
from typing import Literal

from genie_lite import __version__, machine
from genie_lite.config import COURSE_STAGES, ConfigError, StageConfig, load_config

Status = Literal["ok", "note", "missing"]
INSTALL = "pip install -c constraints.txt -e ."
OLDEST, NEWEST = (3, 11), (3, 14)
# Stages that the course's notebooks train, as config.training names them.


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was examined, what was found, and what follows from it.

    `status` is "ok", "note" (the course runs, but something is slower or left out) or "missing" (something cannot run).
    """

    name: str
    status: Status
    found: str
    meaning: str


@dataclass(frozen=True, repr=False)
class Report:
    """What `examine` found; printed, it is the text that `genie-lite doctor` shows."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing that the course needs is missing."""
        return all(finding.status != "missing" for finding in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """One finding by its name; KeyError if nothing of that name was examined."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"{name!r}: not in the report, which has {', '.join(f.name for f in self.findings)}")

    def __repr__(self) -> str:
        lines = [f"genie-lite {__version__} on {platform.system()} {platform.machine()}"]
        for finding in self.findings:
            head = f"  {finding.status:8}{finding.name:14}"
            text = f"{finding.found}: {finding.meaning}"
            lines.append(textwrap.fill(text, 110, initial_indent=head, subsequent_indent=" " * len(head)))
        missing = [finding.name for finding in self.findings if finding.status == "missing"]
        lines.append(f"Missing: {', '.join(missing)}." if missing else "Everything the course needs is here.")
        return "\n".join(lines)


def examine() -> Report:
    """Examine everything once. It takes a second or two, most of it to import torch and time two matrix products."""
    looks = (_python, _torch, _cores, _memory, _gpu, _bfloat16, _run_times, _procgen, _video, _videos, _checkpoint)
    notebooks = ("jupyterlab", "ipywidgets", "anywidget")
    return Report((*(look() for look in looks), *(_package(name) for name in notebooks), _chromium()))


# ------------------------------------------------------------------------------------------------ the machine


def _python() -> Finding:
    found = platform.python_version()
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return Finding("Python", "ok", found, "supported (3.11 to 3.14)")
    return Finding("Python", "missing", found, "not supported; make a new environment with Python 3.11 to 3.14")


def _torch() -> Finding:
    version = machine.version("torch")
    if version is None:
        return Finding("torch", "missing", "not installed", f"nothing can be trained or played; run {INSTALL}")
    if tuple(int(part) for part in version.split("+")[0].split(".")[:2]) < (2, 9):
        return Finding("torch", "missing", version, f"genie-lite needs 2.9 or newer; run {INSTALL}")
    return Finding("torch", "ok", version, "training and play work")


def _cores() -> Finding:
    count = machine.cores()
    if count >= 2:
        return Finding("cores", "ok", str(count), "the laptop preset expects 2 or more")
    return Finding("cores", "note", str(count), "the laptop preset expects 2; training gets about half as far")


def _memory() -> Finding:
    gigabytes = machine.memory_gigabytes()
    if gigabytes is None:
        return Finding("memory", "note", "unknown", "the laptop preset needs about 4 GB free")
    if gigabytes >= 6:
        return Finding("memory", "ok", f"{gigabytes:.0f} GB", "enough for the laptop preset")
    return Finding(
        "memory", "note", f"{gigabytes:.1f} GB", "little for the laptop preset; lower training.*.clips if it runs out"
    )


def _gpu() -> Finding:
    if not machine.installed("torch"):
        return Finding("GPU", "note", "unknown", "torch is not installed")
    import torch

    if not torch.cuda.is_available():
        return Finding("GPU", "note", "no CUDA GPU", "presets tiny and laptop run on the CPU; gpu and paper need a GPU")
    properties = torch.cuda.get_device_properties(0)
    number = torch.cuda.device_count()
    more = f" and {number - 1} more" if number > 1 else ""
    found = f"{properties.name}, {properties.total_memory / 2**30:.0f} GB{more}"
    return Finding("GPU", "ok", found, "training and play use it; preset gpu takes about an hour")


def _bfloat16() -> Finding:
    if not machine.installed("torch"):
        return Finding("bfloat16", "note", "unknown", "torch is not installed")
    import torch

    from genie_lite.nn.precision import native_bfloat16

    device = "cuda" if torch.cuda.is_available() else "cpu"
    single, half = machine.teraflops("float32", device), machine.teraflops("bfloat16", device)
    speed = f"{single:.2g} TFLOP/s in float32, {half:.2g} in bfloat16"
    if native_bfloat16(device):
        return Finding(
            "bfloat16", "ok", f"native, {half / single:.1f} times as fast as float32", f"training uses it ({speed})"
        )
    return Finding("bfloat16", "note", "not native", f"training stays in float32 ({speed})")


def _run_times() -> Finding:
    try:
        stages = load_config("laptop").training
    except ConfigError as error:
        return Finding("run times", "note", "unknown", str(error))
    budgets = {name: getattr(stages, name) for name in COURSE_STAGES}
    shown = ", ".join(f"{name} {_budget(stage)}" for name, stage in budgets.items())
    return Finding(
        "run times",
        "ok",
        f"laptop trains {shown}",
        "a slower machine trains as long and gets less far; preset tiny takes seconds",
    )


def _budget(stage: StageConfig) -> str:
    if stage.time_budget_minutes is None:
        return f"{stage.steps} steps"
    return f"at most {stage.time_budget_minutes:g} min"


# --------------------------------------------------------------------------------------- what the course needs


def _procgen() -> Finding:
    distribution = machine.procgen_distribution()
    if machine.installed("procgen") or machine.installed("procgen_gym"):
        version = machine.version(distribution or "procgen") or "unknown version"
        return Finding("procgen", "ok", f"{version}", "new CoinRun videos can be collected")
    if distribution:
        why = f"not installed; {distribution} has a wheel for this machine ({INSTALL})"
    else:
        why = f"no wheel for Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("procgen", "note", why, "every notebook runs on the videos that ship; new ones cannot be collected")


def _video() -> Finding:
    if not machine.installed("av"):
        return Finding("videos", "missing", "no av", f"your own mp4 videos cannot be read; run {INSTALL}")
    return Finding("videos", "ok", f"PyAV {machine.version('av')}", "your own mp4 and gif videos can be read")


def _videos() -> Finding:
    if not machine.installed("numcodecs") or not machine.installed("zarr"):
        return Finding("sample", "missing", "no zarr or no numcodecs", f"datasets cannot be read; run {INSTALL}")
    folder = machine.data_folder() / "coinrun"
    missing = [split for split in ("train", "test") if not (folder / f"{split}.zarr").is_dir()]
    if missing:
        return Finding(
            "sample",
            "missing",
            f"{' and '.join(missing)} not in {folder}",
            "notebooks have no videos; install from a clone of the repository, or set GENIE_LITE_DATA to its data "
            "folder",
        )
    return Finding("sample", "ok", f"CoinRun videos in {folder}", "every notebook runs on them")


def _checkpoint() -> Finding:
    folder = machine.data_folder() / "checkpoints"
    names = sorted(path.parent.name for path in folder.glob("*/config.json"))
    if not names:
        return Finding(
            "checkpoint",
            "missing",
            f"none in {folder}",
            "there is no world to play until you train one; install from a clone of the repository, or set "
            "GENIE_LITE_DATA to its data folder",
        )
    return Finding("checkpoint", "ok", ", ".join(names), f"try genie_lite.load({names[0]!r})")


def _package(name: str) -> Finding:
    version = machine.version(name)
    if version is None:
        return Finding(name, "missing", "not installed", f"notebooks cannot be opened or played; run {INSTALL}")
    return Finding(name, "ok", version, "notebooks and the player")


def _chromium() -> Finding:
    path = machine.find_chromium()
    if path is None:
        return Finding("Chromium", "note", "not on PATH", "only the browser tests need it; `make test` skips them")
    return Finding("Chromium", "ok", path, "the browser tests can run")
