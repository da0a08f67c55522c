"""Several processes under torchrun train the model that one would have trained, each holding a part of it."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from genie_lite.api import Genie
from genie_lite.config import load_config
from genie_lite.data import sample_dataset
from genie_lite.training import read_log, train_genie, train_tokenizer
from genie_lite.training.shard_sizes import shard_sizes

STEPS, LONGER = 6, 8
# Nothing is left to chance but the clips: all tokens are masked, no code restarts. Rates stay the same however many
# steps a run has. One stage has AdamW, float32 and a codebook of running means, the other Muon, bfloat16 and a codebook
# that learns by gradient.
SETTINGS = {
    f"training.{stage}.{key}": value
    for stage in ("tokenizer", "genie", "dynamics")
    for key, value in {
        "steps": STEPS, "clips": 4, "log_every": 1, "sample_every": 3, "warmup_steps": 0, "max_lr": 1e-3, "min_lr": 1e-3
    }.items()
}  # fmt: skip
SETTINGS |= {"training.tokenizer.precision": "float32", "training.tokenizer.optimizer": "adamw"}
SETTINGS |= {"training.genie.precision": "bfloat16", "training.genie.optimizer": "muon"}
SETTINGS |= {"model.dynamics.mask_rate": [1.0, 1.0], "model.latent_action.codebook.update": "gradient"}
SETTINGS |= {f"model.{part}.codebook.restart_after": 0 for part in ("tokenizer", "latent_action")}
SETTINGS |= {"model.latent_action.shift": 4}  # which `first_guess` below reads
# The dynamics model alone is trained as the course trains it: on clips encoded before, with a complete past.
DYNAMICS = {
    "model.dynamics.past": "complete", "model.dynamics.first_guess": True, "model.dynamics.mask_rate": [0.5, 1.0],
    "training.dynamics.encoded_clips": 20, "training.dynamics.micro_batch": 1,
}  # fmt: skip
# For losses and gradient norms, which are means over many rounded numbers: 84 and 2.5 times the format's own spacing.
TOLERANCE = {"tokenizer": 1e-5, "genie": 2e-2}

TESTS = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent, TESTS))), "OMP_NUM_THREADS": "1"}
SCRIPT = """
import json, sys
from pathlib import Path

import precision
precision.force_precision()
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from genie_lite.config import load_config
from genie_lite.data import sample_dataset
from genie_lite.training import distributed, muon, stages

torch.set_num_threads(1)
out, settings, wanted = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3].split(",")
videos, found, real = sample_dataset("train"), {}, stages.fit

def fit(model, *arguments, **named):
    real(model, *arguments, **named)
    for name, parameter in model.named_parameters():
        local = parameter.to_local() if isinstance(parameter, DTensor) else None
        found[name] = [list(parameter.shape), None if local is None else list(local.shape)]
    found["codebooks"] = [book.codebook.tolist() for book in distributed.codebooks(model)]

stages.fit = fit
for stage in wanted:
    config = load_config("tiny", {**settings, **(json.loads(sys.argv[4]) if stage == "dynamics" else {})})
    if stage == "tokenizer":
        stages.train_tokenizer(config, videos, out / stage, progress=False)
    else:
        parts = ["latent_action", "dynamics"] if stage == "genie" else [stage]
        base = out / ("tokenizer" if stage == "genie" else "genie") / "checkpoint"
        stages.train_genie(config, videos, out / stage, tokenizer=base, parts=parts, progress=False)

mesh = init_device_mesh("cpu", (distributed.count(),))
for number, shape in {3: (7, 5), 1: (8, 4), 4: (3, 9), 5: (1, 4)}.items():  # not shared out evenly
    matrices = torch.randn(number, *shape, generator=torch.Generator().manual_seed(0))
    shards = torch.stack([distribute_tensor(matrix, mesh, [Shard(0)]) for matrix in matrices])
    made = muon.orthogonal_shards(shards, 5).full_tensor()
    found[f"muon {number}"] = float((made - muon.orthogonal(matrices, 5)).abs().max())
(out / f"rank{distributed.rank()}.json").write_text(json.dumps(found))
"""


def torchrun(processes: int, *arguments: object) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [*launcher, *map(str, arguments)]


def together(folder: Path, stages: str, processes: int = 2, settings: dict | None = None) -> None:
    script = folder / "train.py"
    script.write_text(SCRIPT)
    command = torchrun(
        processes, script, folder, json.dumps({**SETTINGS, **(settings or {})}), stages, json.dumps(DYNAMICS)
    )
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processes have trained a tokenizer, both other models, and the last one anew. Tests only read it."""
    folder = tmp_path_factory.mktemp("together")
    together(folder, "tokenizer,genie,dynamics")
    return folder


@pytest.fixture(scope="module")
def alone(run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process has trained the same, a little longer."""
    folder = tmp_path_factory.mktemp("alone")
    config = load_config("tiny", {**SETTINGS, "training.genie.steps": LONGER})
    videos = sample_dataset("train")
    train_tokenizer(config, videos, folder / "tokenizer", progress=False)
    train_genie(config, videos, folder / "genie", tokenizer=run / "tokenizer" / "checkpoint", progress=False)
    return folder


def assert_same_numbers(ours: Path, theirs: Path, stage: str, steps: int) -> None:
    first, second = read_log(ours / stage), read_log(theirs / stage)
    assert first["step"].tolist() == list(range(1, steps + 1))
    for column in ("loss", "grad_norm"):
        np.testing.assert_allclose(
            first[column], second[column][:steps], rtol=TOLERANCE[stage], err_msg=f"{stage}: {column}"
        )


@pytest.mark.parametrize("stage", ["tokenizer", "genie"])
def test_two_processes_take_the_steps_that_one_would(run, alone, stage):
    """Gradient norms, too: gradients are averaged, not added up, also those of codebooks."""
    assert_same_numbers(run, alone, stage, STEPS)


def test_two_processes_end_with_the_weights_that_one_would(run, alone):
    """Where nothing rounds to bfloat16. (Muon makes every direction of a gradient equally long: rounding shows.)"""
    config = load_config("tiny", SETTINGS)
    torch.manual_seed(config.training.tokenizer.seed)
    start = Genie(config).tokenizer.state_dict()  # as both runs began
    ours, theirs = (Genie.load(folder / "tokenizer" / "checkpoint").tokenizer.state_dict() for folder in (run, alone))
    moved = {name: (theirs[name] - start[name]).norm() for name in start if start[name].is_floating_point()}
    assert sum(float(distance) > 0 for distance in moved.values()) > 20
    for name, distance in moved.items():
        assert (ours[name] - theirs[name]).norm() <= 1e-3 * distance, name


def test_each_process_holds_half_of_every_parameter_and_all_codes(run):
    ranks = [json.loads((run / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert ranks[0]["codebooks"] == ranks[1]["codebooks"]
    names = [name for name in ranks[0] if name.startswith(("tokenizer.", "latent_action.", "dynamics."))]
    assert len(names) > 60 and any("guess_embedding" in name for name in names)
    for name in names:
        (whole, first), (_, second) = ranks[0][name], ranks[1][name]
        if name.endswith("quantizer.codebook"):
            assert first is None and second is None
            continue
        assert [first[0] + second[0], *first[1:]] == whole and first[1:] == second[1:], name
        assert first[0] == -(-whole[0] // 2), name
    held = sum(math.prod(ranks[0][name][1]) for name in names if name.startswith("tokenizer."))
    assert 4 * held / 2**30 == pytest.approx(shard_sizes(load_config("tiny", SETTINGS), "tokenizer", 2).parameters)


def test_muon_makes_the_same_updates_of_sharded_matrices(run):
    for rank in (0, 1):
        errors = [value for name, value in json.loads((run / f"rank{rank}.json").read_text()).items() if "muon" in name]
        assert len(errors) == 4 and max(errors) < 1e-5


def test_the_first_process_writes_for_all(run):
    for stage in ("tokenizer", "genie", "dynamics"):
        log = read_log(run / stage)
        assert log["step"].tolist() == list(range(1, STEPS + 1)) and np.isfinite(log["loss"]).all()
        assert sorted(path.name for path in (run / stage).iterdir() if not path.name.startswith(".")) == [
            "checkpoint", *(["encoded.safetensors"] if stage == "dynamics" else []), "log.csv", "samples", "state"
        ]  # fmt: skip
        assert [path.name for path in sorted((run / stage / "samples").iterdir())] == [
            f"step-{step:07d}.png" for step in (0, 3, 6)
        ]
    assert Genie.load(run / "genie" / "checkpoint").card["trained"] == ["dynamics", "latent_action", "tokenizer"]


@pytest.mark.parametrize("processes", [1, 4])
def test_what_two_processes_saved_others_continue(run, alone, tmp_path, processes):
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)  # other tests read `run`
    longer = {"training.genie.steps": LONGER}
    if processes > 1:
        together(tmp_path, "genie", processes, longer)
    else:
        config = load_config("tiny", {**SETTINGS, **longer})
        base = run / "tokenizer" / "checkpoint"
        train_genie(config, sample_dataset("train"), tmp_path / "genie", tokenizer=base, progress=False)
    assert_same_numbers(tmp_path, alone, "genie", LONGER)
    state = json.loads((tmp_path / "genie" / "state" / f"step-{LONGER:07d}" / "state.json").read_text())
    assert state["processes"] == processes


# --------------------------------------------------------------------------------------------- runs that are cut off


def started(folder: Path) -> subprocess.Popen:
    """Two processes of the command-line program that train without end; returns when they have saved a state."""
    settings = {**SETTINGS, "training.tokenizer.steps": 10**6, "training.tokenizer.sample_every": 0}
    settings |= {"training.tokenizer.checkpoint_every_minutes": 0.0}
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    command = torchrun(2, "-m", "--", "genie_lite.cli", "train", "tokenizer", "--preset", "tiny", *options)
    command += ["--run", str(folder), "--data", str(sample_dataset("train").path)]
    with (folder / "stderr").open("w") as errors:  # a session of its own: signals are for it alone
        process = subprocess.Popen(command, stderr=errors, env=ENVIRONMENT, start_new_session=True)
    deadline = time.monotonic() + 600
    while not list((folder / "tokenizer" / "state").glob("step-*")):
        assert process.poll() is None, (folder / "stderr").read_text()[-4000:]
        assert time.monotonic() < deadline, "no state after 600 seconds"
        time.sleep(0.05)
    return process


def newest_step(folder: Path) -> int:
    return max(int(path.name[5:]) for path in (folder / "tokenizer" / "state").glob("step-*"))


def test_a_killed_process_is_named_and_the_run_continues(tmp_path):
    process = started(tmp_path)
    (victim,) = [child for child in psutil.Process(process.pid).children() if child.environ().get("RANK") == "1"]
    victim.kill()
    assert process.wait(600) != 0
    told = (tmp_path / "stderr").read_text()
    assert "genie-lite: process 1 of 2 ended before the others (killed," in told
    assert "with --resume from a shell: it continues from " + str(tmp_path / "tokenizer" / "state" / "step-") in told
    step = newest_step(tmp_path)
    config = load_config("tiny", {**SETTINGS, "training.tokenizer.steps": step + 1})
    train_tokenizer(config, sample_dataset("train"), tmp_path / "tokenizer", progress=False)
    assert read_log(tmp_path / "tokenizer")["step"].tolist() == list(range(1, step + 2))
    assert not list((tmp_path / "tokenizer" / "state").glob(".*"))


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_ctrl_c_twice_or_an_end_from_outside_saves_the_step_that_was_under_way(tmp_path, signals):
    """Both processes stop after the same step; what comes after it is what would have come."""
    process = started(tmp_path)
    workers = psutil.Process(process.pid).children(recursive=True)
    for number in signals:
        os.killpg(process.pid, number)
    process.wait(600)
    _, left = psutil.wait_procs(workers, 600)  # torchrun, stopped twice, does not wait for those that still save
    assert not left
    told = (tmp_path / "stderr").read_text()
    step = newest_step(tmp_path)
    assert f"tokenizer: stopped at step {step}; start it again" in told and "Stopped." in told
    config = load_config("tiny", {**SETTINGS, "training.tokenizer.steps": step + 3})
    for folder in (tmp_path / "tokenizer", tmp_path / "whole"):
        train_tokenizer(config, sample_dataset("train"), folder, progress=False)
    ours, theirs = read_log(tmp_path / "tokenizer"), read_log(tmp_path / "whole")
    assert ours["step"].tolist() == list(range(1, step + 4))
    np.testing.assert_allclose(ours["loss"][-3:], theirs["loss"][-3:], rtol=1e-3)
