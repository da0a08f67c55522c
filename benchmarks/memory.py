"""Peak memory of a few training steps, each contender in a process of its own.

`python -m benchmarks.memory --preset laptop --stage tokenizer --who ours` prints it in GB; `peak_memory` runs that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.stages import OurStep, PlainStep, some_frames
from genie_lite.api import Genie
from genie_lite.config import load_config, parse_overrides
from genie_lite.data import open_dataset, sample_dataset

WHO = ("nothing", "ours", "plain")  # nothing: the models are made, no step is taken


def peak_memory(preset: str, stage: str, who: str, device: str, data: str | None = None) -> float:
    """GB (2^30 bytes) at the peak: of the process on a CPU, of PyTorch's tensors on a GPU."""
    command = [sys.executable, "-m", "benchmarks.memory", "--preset", preset, "--stage", stage, "--who", who]
    command += ["--device", device, *(["--data", data] if data else [])]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"memory of {who} in {stage}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout)["gigabytes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--stage", required=True)
    parser.add_argument("--who", choices=WHO, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    options = parser.parse_args()
    config = load_config(options.preset, parse_overrides(options.set))
    size = config.model.frame_size
    dataset = open_dataset(options.data, size) if options.data else sample_dataset("train", size)
    frames = some_frames(dataset, getattr(config.training, options.stage), options.device)
    if options.who == "nothing":
        Genie(config).to(options.device)
    else:
        step = (OurStep if options.who == "ours" else PlainStep)(config, options.stage, frames)
        for _ in range(options.steps):
            step()
    peak = torch.cuda.max_memory_allocated() if options.device == "cuda" else _peak_bytes()
    print(json.dumps({"gigabytes": peak / 2**30}))


def _peak_bytes() -> int:
    """This process's peak resident memory.

    Linux hands ru_maxrss of a parent on to its children; VmHWM begins anew with each program.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    import resource  # not on Windows, where this section fails with a plain ModuleNotFoundError

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
