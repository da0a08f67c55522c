"""Peak memory of a few training steps, each contender in processes of its own.

`python -m benchmarks.memory --preset laptop --stage tokenizer --who ours` prints it in GB, with `--processes 2` of the
largest of two processes that share every step's clips and a sharded model; `peak_memory` runs that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.plain import COMPARED
from benchmarks.stages import OurStep, PlainStep, some_frames
from genie_lite.api import Genie
from genie_lite.config import load_config, parse_overrides
from genie_lite.data import open_dataset, sample_dataset
from genie_lite.training import distributed

WHO = ("nothing", "ours", "plain")  # nothing: the models are made, no step is taken


def peak_memory(
    preset: str,
    stage: str,
    who: str,
    device: str,
    data: str | None = None,
    *,
    processes: int = 1,
    more: Sequence[str] = (),
) -> float:
    """GB (2^30 bytes) at the peak: of the largest process on a CPU, of PyTorch's tensors on a GPU.

    `more` are further options of this program. RuntimeError with the program's last words when it fails.
    """
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m"]
    command += ["benchmarks.memory", "--preset", preset, "--stage", stage, "--who", who, "--device", device]
    root = Path(__file__).resolve().parents[1]
    command += [*(["--data", data] if data else []), *more]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"memory of {who} in {stage}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return max(float(json.loads(line)["gigabytes"]) for line in done.stdout.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--stage", required=True)
    parser.add_argument("--who", choices=WHO, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="that train together")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    options = parser.parse_args()
    if options.processes > 1 and "WORLD_SIZE" not in os.environ:
        more = ["--steps", str(options.steps), *(word for text in options.set for word in ("--set", text))]
        found = peak_memory(
            options.preset, options.stage, options.who, options.device, options.data,
            processes=options.processes, more=more,
        )  # fmt: skip
        print(json.dumps({"gigabytes": found}))
        return
    distributed.join()
    config = load_config(options.preset, COMPARED | parse_overrides(options.set))
    size = config.model.frame_size
    dataset = open_dataset(options.data, size) if options.data else sample_dataset("train", size)
    frames = some_frames(dataset, getattr(config.training, options.stage), options.device)
    frames = frames[distributed.rank() :: distributed.count()].clone()
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
