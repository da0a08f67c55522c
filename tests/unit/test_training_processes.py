"""Several processes under torchrun train the model that one would have trained, and only the first one writes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_lite.api import Genie
from genie_lite.config import load_config
from genie_lite.data import sample_dataset
from genie_lite.training import read_log, train_genie, train_tokenizer

STEPS = 6
SETTINGS = {f"training.{stage}.{key}": value for stage in ("tokenizer", "genie", "latent_action", "dynamics")
            for key, value in {"steps": STEPS, "clips": 4, "log_every": 1, "sample_every": 3}.items()}  # fmt: skip
SETTINGS |= {f"model.{part}.codebook.restart_after": 0 for part in ("tokenizer", "latent_action")}
SETTINGS |= {"training.tokenizer.precision": "float32", "training.latent_action.precision": "bfloat16"}
SETTINGS |= {"training.tokenizer.optimizer": "adamw", "training.latent_action.optimizer": "muon"}
# Of losses and gradient norms, which are means over many rounded numbers: 84 and 2.5 times the format's own spacing.
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TESTS = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent, TESTS))), "OMP_NUM_THREADS": "1"}
SCRIPT = """
import json, sys
import precision
precision.force_precision()
from pathlib import Path
import torch
from genie_lite.config import load_config
from genie_lite.data import sample_dataset
from genie_lite.nn import processes
from genie_lite.training import train_genie, train_tokenizer

out, settings, stages = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3].split(",")
torch.set_num_threads(1)
config, videos = load_config("tiny", settings), sample_dataset("train")
genie = None
for stage in stages:
    if stage == "tokenizer":
        genie = train_tokenizer(config, videos, out / stage, progress=False)
    else:
        parts = ["latent_action", "dynamics"] if stage == "genie" else [stage]
        base = genie or out / "tokenizer" / "checkpoint"
        genie = train_genie(config, videos, out / stage, tokenizer=base, parts=parts, progress=False)
genie.save(out / f"of_process_{processes.rank()}")
"""


def together(folder: Path, stages: str, settings: dict | None = None) -> subprocess.CompletedProcess:
    script = folder / "train.py"
    script.write_text(SCRIPT)
    command = [*TORCHRUN, str(script), str(folder), json.dumps({**SETTINGS, **(settings or {})}), stages]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=600)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    done = together(folder, "tokenizer,latent_action,dynamics")
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_take_the_steps_that_one_would(run, tmp_path):
    """Tokenizer and latent action model have no chance in them but the clips: the same numbers, up to rounding.

    Weights are compared where nothing rounds to bfloat16: Muon makes every direction of a gradient equally long, so
    rounding shows in single weights, though not in the losses.
    """
    config, videos = load_config("tiny", SETTINGS), sample_dataset("train")
    alone = train_tokenizer(config, videos, tmp_path / "tokenizer", progress=False)
    train_genie(config, videos, tmp_path / "latent_action", tokenizer=alone, parts=["latent_action"], progress=False)
    both = Genie.load(run / "tokenizer" / "checkpoint").tokenizer.state_dict()
    torch.manual_seed(config.training.tokenizer.seed)
    fresh = Genie(config).tokenizer  # as the run began
    learned = [name for name, parameter in fresh.named_parameters() if parameter.requires_grad]
    for name in learned:
        start, end = fresh.state_dict()[name], alone.tokenizer.state_dict()[name]
        assert (both[name] - end).norm() < 1e-3 * (end - start).norm(), name
    assert len(learned) > 20
    for stage, tolerance in (("tokenizer", TOLERANCE["float32"]), ("latent_action", TOLERANCE["bfloat16"])):
        ours, theirs = read_log(run / stage), read_log(tmp_path / stage)
        assert ours["step"].tolist() == list(range(1, STEPS + 1))
        for column in ("loss", "grad_norm"):
            np.testing.assert_allclose(ours[column], theirs[column], rtol=tolerance, err_msg=f"{stage} {column}")


def test_all_processes_end_with_the_same_weights(run):
    """Also of the dynamics model, which each process teaches with masks of its own."""
    first, second = (Genie.load(run / f"of_process_{rank}").state_dict() for rank in (0, 1))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_codes_restart_alike_in_all_processes(tmp_path):
    done = together(tmp_path, "tokenizer", {"model.tokenizer.codebook.restart_after": 1})
    assert done.returncode == 0, done.stderr
    first, second = (Genie.load(tmp_path / f"of_process_{rank}").tokenizer.quantizer for rank in (0, 1))
    assert torch.equal(first.codebook, second.codebook) and torch.equal(first.usage, second.usage)


def test_one_process_writes(run):
    for stage in ("tokenizer", "latent_action", "dynamics"):
        assert len((run / stage / "log.csv").read_text().splitlines()) == STEPS + 1
        assert [path.name for path in sorted((run / stage / "samples").iterdir())] == [
            f"step-{step:07d}.png" for step in (0, 3, 6)
        ]


def test_a_run_of_several_goes_on_where_it_stopped(run, tmp_path):
    """And one process may go on with what two began."""
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)  # other tests read what is in `run`
    longer = {"training.dynamics.steps": STEPS + 2}
    done = together(tmp_path, "dynamics", longer)
    assert done.returncode == 0, done.stderr
    assert read_log(tmp_path / "dynamics")["step"].tolist() == list(range(1, STEPS + 3))


def test_the_command_says_it_when_clips_cannot_be_shared(tmp_path):
    command = [
        *TORCHRUN,
        "-m",
        "--",
        "genie_lite.cli",
        "train",
        "tokenizer",
        "--preset",
        "tiny",
        "--run",
        tmp_path / "run",
    ]
    command += ["--data", sample_dataset("train").path, "--set", "training.tokenizer.clips=3"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=600)
    assert done.returncode != 0
    assert "clips: found 3 a step, wanted a multiple of 2, the number of processes" in done.stderr
