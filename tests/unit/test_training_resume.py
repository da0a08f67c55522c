"""What is left of a run that was stopped, killed, or failed: nothing is lost, and what follows is what would have."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_lite import load_config, storage
from genie_lite.api import CheckpointError, Genie
from genie_lite.data import ClipLoader, FrameDataset, open_dataset, sample_dataset, write_dataset
from genie_lite.storage import FolderInUseError
from genie_lite.training import checkpoint, distributed, loop, read_log, stages, train_genie, train_tokenizer
from genie_lite.training.errors import TrainingError
from genie_lite.training.interrupts import Interrupts
from genie_lite.training.muon import Muon

STEPS = {f"training.{stage}.{key}": value for stage in ("tokenizer", "genie", "latent_action", "dynamics")
         for key, value in {"steps": 12, "log_every": 1, "sample_every": 0}.items()}  # fmt: skip


@pytest.fixture(scope="module")
def dataset() -> FrameDataset:
    return sample_dataset("train")


@pytest.fixture
def config():
    return load_config("tiny", STEPS)


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory) -> Path:
    """A tokenizer's run that nothing disturbed. Tests only read it."""
    folder = tmp_path_factory.mktemp("whole")
    train_tokenizer(load_config("tiny", STEPS), dataset, folder, progress=False)
    return folder


def on_call(monkeypatch, owner, name: str, number: int, action) -> None:
    """Do something in the middle of a function's n-th call: after its work, before it returns."""
    calls, real = [], getattr(owner, name)

    def wrapped(*arguments, **named):
        result = real(*arguments, **named)
        calls.append(1)
        if len(calls) == number:
            action()
        return result

    monkeypatch.setattr(owner, name, wrapped)


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def raising(error: BaseException):
    def action() -> None:
        raise error

    return action


def assert_same_run(first: Path, second: Path) -> None:
    """The same weights, to the bit, and the same log."""
    ours, theirs = (Genie.load(folder / "checkpoint").state_dict() for folder in (first, second))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    ours, theirs = read_log(first), read_log(second)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours if name != "minutes")


# ------------------------------------------------------------------------------------------------------ Ctrl-C

MOMENTS = {
    "in the loss": (stages, "tokenizer_losses", 5),
    "in the optimiser": (Muon, "step", 5),
    "between the optimisers": (torch.optim.AdamW, "step", 5),
    "waiting for clips": (ClipLoader, "__next__", 5),
    "while saving": (checkpoint, "get_state_dict", 3),
    "at the end of saving": (storage, "write_json", 3),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_at_any_moment_finishes_the_step_or_leaves_it(config, dataset, tmp_path, monkeypatch, whole, moment):
    stage = dataclasses.replace(config.training.tokenizer, checkpoint_every_minutes=0.0)
    often = dataclasses.replace(config, training=dataclasses.replace(config.training, tokenizer=stage))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        on_call(patch, *MOMENTS[moment], ctrl_c)
        train_tokenizer(often if "saving" in moment else config, dataset, tmp_path, progress=False)
    done = 4 if "saving" not in moment and moment == "waiting for clips" else 5
    if "saving" not in moment:
        assert [path.name for path in (tmp_path / "state").iterdir()] == [f"step-{done:07d}"]
    train_tokenizer(config, dataset, tmp_path, progress=False)
    assert_same_run(tmp_path, whole)


def test_ctrl_c_is_as_before_when_training_fails_at_its_first_picture(config, dataset, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    sampled = load_config("tiny", {**STEPS, "training.tokenizer.sample_every": 1})
    on_call(monkeypatch, stages, "_write_sample", 1, raising(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        train_tokenizer(sampled, dataset, tmp_path, progress=False)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM,)])
@pytest.mark.parametrize("at_once", [False, True])
def test_what_torchrun_sends_after_a_second_ctrl_c_does_not_cut_the_saving_short(monkeypatch, numbers, at_once):
    """Also when the signals arrive during one long operation, and when torchrun did not pass the first Ctrl-C on."""
    before, received, lost = signal.getsignal(signal.SIGTERM), [], []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)  # what Python does with a signal that lost its handler
    monkeypatch.setattr(distributed, "ended", list)
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        for processes, expected in ((2, []), (1, [signal.SIGTERM])):
            monkeypatch.setattr(distributed, "count", lambda processes=processes: processes)
            received.clear()
            with Interrupts() as interrupts:
                signal.pthread_sigmask(signal.SIG_BLOCK, numbers if at_once else [])
                for number in numbers:
                    os.kill(os.getpid(), number)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
                assert interrupts.requested == (processes == 2 or signal.SIGINT in numbers)
                assert received == expected and not lost
            signal.raise_signal(signal.SIGTERM)
            assert received == [*expected, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_torchrun_can_end_a_process_after_another_has_ended(monkeypatch):
    before, received = signal.getsignal(signal.SIGTERM), []
    monkeypatch.setattr(distributed, "count", lambda: 2)
    monkeypatch.setattr(distributed, "ended", lambda: [1])
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGTERM)
            assert received == [signal.SIGTERM] and not interrupts.requested
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("step", [4, 12])
def test_a_picture_that_ctrl_c_cut_short_is_made_by_the_next_start(config, dataset, tmp_path, monkeypatch, step):
    sampled = load_config("tiny", {**STEPS, "training.tokenizer.sample_every": 4})
    train_tokenizer(sampled, dataset, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        on_call(patch, Genie, "encode", 1 + step // 4, ctrl_c)  # a picture is made of steps 0, 4, 8 and 12
        train_tokenizer(sampled, dataset, tmp_path / "stopped", progress=False)
    assert not (tmp_path / "stopped" / "samples" / f"step-{step:07d}.png").exists()
    train_tokenizer(sampled, dataset, tmp_path / "stopped", progress=False)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    ours, theirs = ({path.name: path.read_bytes() for path in (tmp_path / name / "samples").iterdir()}
                    for name in ("stopped", "whole"))  # fmt: skip
    assert ours == theirs and len(ours) == 4


@pytest.mark.parametrize("presses", [1, 2])
@pytest.mark.parametrize("moment", ["settings", "weights", "renaming", "removing"])
def test_ctrl_c_in_the_last_save_waits_for_its_end(config, dataset, tmp_path, monkeypatch, whole, moment, presses):
    """Where there was no checkpoint there is one, and an old one is never lost."""
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    if moment in ("settings", "weights"):
        shutil.rmtree(run / "checkpoint")
    owner, name = {"settings": (storage, "write_json"), "weights": (storage, "save_file"), "renaming": (os, "replace"),
                   "removing": (shutil, "rmtree")}[moment]  # fmt: skip
    real, pressed = getattr(owner, name), []

    def wrapped(*arguments, **named):
        result = real(*arguments, **named)
        wanted = {"renaming": "previous", "removing": "previous"}.get(moment, "")
        if not pressed and wanted in str(arguments):
            pressed.append(True)
            for _ in range(presses):
                ctrl_c()
        return result

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, name, wrapped)
        train_tokenizer(config, dataset, run, progress=False)
    assert pressed
    assert_same_run(run, whole)
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]


def test_a_second_ctrl_c_does_not_cut_the_saving_short(config, dataset, tmp_path, monkeypatch, whole):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        on_call(patch, stages, "tokenizer_losses", 5, lambda: (ctrl_c(), ctrl_c()))
        on_call(patch, checkpoint, "get_state_dict", 1, ctrl_c)
        on_call(patch, storage, "write_tensors", 1, ctrl_c)
        train_tokenizer(config, dataset, tmp_path, progress=False)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["step-0000005"]
    train_tokenizer(config, dataset, tmp_path, progress=False)
    assert_same_run(tmp_path, whole)


def test_ctrl_c_is_as_before_when_training_is_over(config, dataset, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    train_tokenizer(config, dataset, tmp_path, progress=False)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()


# ---------------------------------------------------------------------------------------------- kills, full disks


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_stopped_run_goes_on_with_the_numbers_it_would_have_had(config, dataset, tmp_path, monkeypatch, optimizer):
    """With a codebook that restarts, masks that are drawn, and both models of the second phase."""
    config = load_config("tiny", {**STEPS, "training.genie.optimizer": optimizer})
    base = Genie(config)
    train_genie(config, dataset, tmp_path / "whole", tokenizer=base, progress=False)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        on_call(patch, loop, "training_step", 7, ctrl_c)
        train_genie(config, dataset, tmp_path / "stopped", tokenizer=base, progress=False)
    train_genie(config, dataset, tmp_path / "stopped", tokenizer=base, progress=False)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    assert len(read_log(tmp_path / "stopped")["loss"]) == 12


def test_kill_9_at_any_moment_leaves_a_run_that_resumes(dataset, tmp_path):
    """A real process, killed while it trains and saves after every step, three times over; none may write beside it."""
    script = (
        "import precision\n"
        "precision.force_precision()\n"
        "from genie_lite import load_config\n"
        "from genie_lite.data import sample_dataset\n"
        "from genie_lite.training import train_tokenizer\n"
        "every = {'training.tokenizer.checkpoint_every_minutes': 0.0, 'training.tokenizer.log_every': 1,\n"
        "         'training.tokenizer.steps': 60, 'training.tokenizer.sample_every': 0}\n"
        f"train_tokenizer(load_config('tiny', every), sample_dataset('train'), {str(tmp_path / 'killed')!r})\n"
    )
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join(map(str, (tests.parent, tests)))
    reached = []
    for patience in (3, 6, 9):
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        deadline = time.monotonic() + 600
        while _steps(tmp_path / "killed") < patience:
            assert process.poll() is None, "the training process ended by itself"
            assert time.monotonic() < deadline, f"{_steps(tmp_path / 'killed')} steps after 600 seconds"
            time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(FolderInUseError, match="killed: another program is writing into it"):
            train_tokenizer(load_config("tiny"), dataset, tmp_path / "killed", progress=False)
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached.append(_steps(tmp_path / "killed"))
    assert reached[0] >= 3 and reached == sorted(reached)
    overrides = {f"training.tokenizer.{key}": value for key, value in
                 {"log_every": 1, "steps": 60, "sample_every": 0}.items()}  # fmt: skip
    config = load_config("tiny", overrides)
    train_tokenizer(config, dataset, tmp_path / "killed", progress=False)
    train_tokenizer(config, dataset, tmp_path / "whole", progress=False)
    np.testing.assert_allclose(read_log(tmp_path / "killed")["loss"], read_log(tmp_path / "whole")["loss"], rtol=1e-3)
    assert np.array_equal(read_log(tmp_path / "killed")["step"], np.arange(1, 61))
    assert not list((tmp_path / "killed" / "state").glob(".*")), "drafts of the killed processes are gone"


def _steps(run: Path) -> int:
    try:
        with (run / "log.csv").open() as file:
            return sum(1 for _ in csv.reader(file)) - 1
    except FileNotFoundError:
        return 0


def test_a_full_disk_while_saving_state_keeps_the_last_good_one(config, dataset, tmp_path, monkeypatch, whole):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        on_call(patch, loop, "training_step", 4, ctrl_c)
        train_tokenizer(config, dataset, tmp_path, progress=False)
    full = OSError(28, "No space left on device")
    for owner, name in ((torch.distributed.checkpoint.HuggingFaceStorageWriter, "write_data"), (storage, "save_file")):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            on_call(patch, owner, name, 1, raising(full))
            train_tokenizer(config, dataset, tmp_path, progress=False)
        assert [path.name for path in (tmp_path / "state").iterdir()] == ["step-0000004"]
    train_tokenizer(config, dataset, tmp_path, progress=False)
    assert_same_run(tmp_path, whole)


# ------------------------------------------------------------------------------------------- what does not fit


def resumed_with(whole: Path, tmp_path: Path, dataset: FrameDataset, **changes) -> str:
    """The error of a run that goes on with other settings."""
    state = tmp_path / "run" / "state"
    state.parent.mkdir(exist_ok=True)
    if not state.exists():
        shutil.copytree(whole / "state", state)
    settings = {f"training.tokenizer.{name}": value for name, value in changes.items()}
    with pytest.raises(CheckpointError) as caught:
        train_tokenizer(load_config("tiny", {**STEPS, **settings}), dataset, tmp_path / "run", progress=False)
    return str(caught.value)


def test_resuming_with_other_settings_names_each(whole, dataset, tmp_path):
    other = {
        "optimizer": "adamw", "max_lr": 1e-3, "min_lr": 1e-5, "muon_lr": 0.01, "beta1": 0.8, "beta2": 0.99, "seed": 5,
        "weight_decay": 0.5, "grad_clip": 2.0, "warmup_steps": 3, "clips": 4, "frames": 6, "frame_stride": 2,
        "precision": "float32",
    }  # fmt: skip
    told = resumed_with(whole, tmp_path, dataset, **other)
    assert "step-0000012: cannot resume with other settings" in told and "train in another run folder" in told
    for name, value in other.items():
        before = getattr(load_config("tiny", STEPS).training.tokenizer, name)
        assert f"{name} (saved: {before}, now: {value})" in told
    assert "What may differ: steps, time_budget_minutes" in told


def test_resuming_with_other_videos_or_sizes_names_them(whole, config, dataset, tmp_path):
    clips = dataset.read_clips(dataset.clip_starts(20)[[0, 500]], 20)
    for name in ("a", "b"):
        write_dataset(tmp_path / f"{name}.zarr", clips[: len(clips) if name == "a" else 1], {"game": "coinrun"})
    told = resumed_with(whole, tmp_path, open_dataset(tmp_path / "a.zarr"))
    assert "dataset (saved: 32000 frames of 64x64, " in told and ", now: 40 frames of 64x64, " in told
    wider = load_config("tiny", {**STEPS, "model.tokenizer.codebook.num_codes": 65})
    with pytest.raises(CheckpointError, match=r"model.tokenizer.codebook.num_codes \(saved: 64, now: 65\)"):
        train_tokenizer(wider, dataset, tmp_path / "run", progress=False)


def test_resuming_on_another_tokenizer_names_it(config, dataset, tmp_path):
    bases = [Genie(config), Genie(config)]
    short = load_config("tiny", {**STEPS, "training.dynamics.steps": 1})
    train_genie(short, dataset, tmp_path, tokenizer=bases[0], parts=["dynamics"], progress=False)
    train_genie(short, dataset, tmp_path, tokenizer=bases[0], parts=["dynamics"], progress=False)
    with pytest.raises(CheckpointError, match=r"base.latent_action \(saved: .*; base.tokenizer \(saved: "):
        train_genie(short, dataset, tmp_path, tokenizer=bases[1], parts=["dynamics"], progress=False)


def test_the_same_videos_elsewhere_are_the_same(whole, dataset, tmp_path):
    """And how long to train, what to write and how much to hold in memory may differ."""
    shutil.copytree(dataset.path, tmp_path / "moved.zarr")
    shutil.copytree(whole, tmp_path / "run")
    free = {"steps": 14, "time_budget_minutes": 600.0, "log_every": 2, "sample_every": 7, "micro_batch": 1}
    free |= {"checkpoint_every_minutes": 9.0}
    longer = load_config("tiny", {**STEPS, **{f"training.tokenizer.{name}": value for name, value in free.items()}})
    train_tokenizer(longer, open_dataset(tmp_path / "moved.zarr"), tmp_path / "run", progress=False)
    assert read_log(tmp_path / "run")["step"].tolist() == [*range(1, 13), 14]


def with_field(state: Path, name: str, value: object) -> None:
    content = storage.read_json(state / "state.json")
    (state / "state.json").write_text(json.dumps({**content, name: value}))


def with_pipes(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
        os.mkfifo(file)


def with_random(state: Path, states: dict[str, torch.Tensor]) -> None:
    storage.write_tensors(state / "random.safetensors", states)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: next((state / "tensors").iterdir()).unlink(), "found 0 of 1 files"),
        (lambda state: next((state / "tensors").iterdir()).write_bytes(b"\0" * 100), "cannot be read"),
        (lambda state: with_pipes(state / "tensors"), "found no regular file"),
        (lambda state: (state / "random.safetensors").unlink(), "random.safetensors: no such file"),
        (lambda state: (state / "state.json").write_text("{"), "not valid JSON"),
        (lambda state: (state / "state.json").write_text('{"format_version": 1, "step": 3}'), "holds no settings"),
        (lambda state: with_field(state, "step", None), "state.json: step: found None, wanted a whole number"),
        (lambda state: with_field(state, "step", "\ud800"), "state.json: step: found "),
        (lambda state: with_field(state, "elapsed", -1), "state.json: elapsed: found -1, wanted 0 or more"),
        (lambda state: with_field(state, "processes", 0), "state.json: processes: found 0, wanted 1 or more"),
        (lambda state: with_field(state, "settings", []), r"state.json: settings: found \[\]"),
        (lambda state: with_random(state, {}), "random.safetensors: holds no random states"),
        (lambda state: with_random(state, {"cpu": torch.zeros(1, 9, dtype=torch.uint8)}), "holds no random states"),
        (lambda state: with_random(state, {"cpu": torch.zeros(1, 5056)}), "holds no random states"),
    ],
)
def test_a_damaged_state_is_named(whole, config, dataset, tmp_path, damage, message):
    shutil.copytree(whole / "state", tmp_path / "state")
    damage(tmp_path / "state" / "step-0000012")
    with pytest.raises(CheckpointError, match=message):
        train_tokenizer(config, dataset, tmp_path, progress=False)


def test_no_file_of_a_run_holds_a_pickle(whole):
    files = [path for path in whole.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json", ".csv"} | {
        path.suffix for path in files if path.name == ".lock"
    }
    names = storage.read_tensors(next((whole / "state").rglob("tensors/*"))).keys()
    assert "optimizer.tokenizer.encoder.blocks.0.spatial.qkv.weight.momentum_buffer" in names
    assert "optimizer.tokenizer.patch_embedding.bias.exp_avg_sq" in names


# ------------------------------------------------------------------------------------------------- divergence


def breaking(real, step: int):
    calls = []

    def losses(*arguments):
        result = real(*arguments)
        calls.append(1)
        if len(calls) == step:
            result["loss"] = result["loss"] * float("inf")
        return result

    return losses


@pytest.mark.parametrize("log_every", [1, 100])
def test_training_stops_at_the_first_loss_that_is_not_finite(dataset, tmp_path, monkeypatch, log_every):
    """Whether a row of the log is due or not; what was saved before is good."""
    config = load_config("tiny", {**STEPS, "training.tokenizer.log_every": log_every,
                                  "training.tokenizer.checkpoint_every_minutes": 1e-9})  # fmt: skip
    monkeypatch.setattr(stages, "tokenizer_losses", breaking(stages.tokenizer_losses, 7))
    with pytest.raises(TrainingError, match="tokenizer: the loss or its gradient was not finite at step 7") as caught:
        train_tokenizer(config, dataset, tmp_path, progress=False)
    assert f"last good state is {tmp_path / 'state' / 'step-0000006'}" in str(caught.value)
    assert "lower max_lr (0.003) and muon_lr (0.02)" in str(caught.value)
    assert not (tmp_path / "checkpoint").exists()
    monkeypatch.undo()
    train_tokenizer(config, dataset, tmp_path, progress=False)  # this time nothing breaks
    assert Genie.load(tmp_path / "checkpoint").card["trained"] == ["tokenizer"]


def test_a_loss_that_is_not_finite_is_noticed_before_anything_is_saved(dataset, tmp_path, monkeypatch):
    config = load_config("tiny", {**STEPS, "training.tokenizer.log_every": 100})
    for step in (7, 12):
        with monkeypatch.context() as patch:
            patch.setattr(stages, "tokenizer_losses", breaking(stages.tokenizer_losses, step))
            with pytest.raises(TrainingError, match=f"at step {step}, .* none was saved before"):
                train_tokenizer(config, dataset, tmp_path / str(step), progress=False)
        assert not (tmp_path / str(step) / "state").exists()
