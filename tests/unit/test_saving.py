"""What saving does to what is there already, to other users, and on a full disk; and what reading then says."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import FakeGenie
from PIL import Image

from genie_lite import cli, course, load_config, storage
from genie_lite.api import Genie, load
from genie_lite.data import DatasetError, collect, copy_sample, open_dataset, sample_dataset, write_dataset
from genie_lite.evaluation import PlayTest, Report
from genie_lite.play import PlaySession
from genie_lite.storage import CheckpointError, UnwritableError
from genie_lite.training import train_tokenizer

resource = pytest.importorskip("resource", reason="limits of file sizes and user numbers are Unix's")
ONE_STEP = {f"training.tokenizer.{key}": value for key, value in {"steps": 1, "log_every": 1}.items()}


@pytest.fixture(scope="module")
def genie() -> Genie:
    return Genie(load_config("tiny")).eval()


def everything(folder: Path) -> dict[str, bytes | str]:
    """The content of all files, and where links lead."""
    found = {path: os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
             for path in folder.rglob("*")}  # fmt: skip
    return {str(path.relative_to(folder)): content for path, content in found.items()}


# ------------------------------------------------------------------------------------------ what is there already


def put(what: str, folder: Path, genie: Genie) -> None:
    """Something at `folder` that is not to be lost."""
    if what == "a file":
        folder.write_text("mine")
    elif what == "a link":
        genie.save(folder.with_name("elsewhere"))
        folder.symlink_to("elsewhere")
    elif what == "a dead link":
        folder.symlink_to("nowhere")
    elif what == "a checkpoint and notes":
        (genie.save(folder) / "notes.txt").write_text("mine")
    else:
        folder.mkdir()
        names = {"a folder": ["mine.txt"], "another project's model": ["config.json", "model.safetensors"]}[what]
        for name in names:
            (folder / name).write_text(json.dumps({"architectures": ["Llama"]}))


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("a file", "found a file"),
        ("a link", "found a link to elsewhere"),
        ("a dead link", "found a link to nowhere"),
        ("a folder", "found a folder with mine.txt"),
        ("a checkpoint and notes", "found a folder with notes.txt"),
        ("another project's model", "found a folder with config.json, model.safetensors"),
    ],
)
def test_saving_overwrites_nothing_but_a_checkpoint(genie, tmp_path, what, named):
    put(what, tmp_path / "world", genie)
    before = everything(tmp_path)
    with pytest.raises(CheckpointError, match=f"world: {named}.* wanted nothing, an empty folder, or a checkpoint"):
        genie.save(tmp_path / "world")
    assert everything(tmp_path) == before


def test_a_run_whose_checkpoint_could_not_be_saved_does_not_begin(genie, tmp_path):
    put("a checkpoint and notes", tmp_path / "checkpoint", genie)
    with pytest.raises(CheckpointError, match="found a folder with notes.txt"):
        train_tokenizer(load_config("tiny", ONE_STEP), sample_dataset(), tmp_path, progress=False)
    assert not (tmp_path / "state").exists()


def test_nothing_an_empty_folder_and_a_checkpoint_are_saved_to(genie, tmp_path):
    (tmp_path / "empty").mkdir()
    shutil.copytree(genie.save(tmp_path / "old"), tmp_path / "world.previous")
    for name in ("empty", "old", "old", "new"):
        assert Genie.load(genie.save(tmp_path / name)).config == genie.config
    assert sorted(os.listdir(tmp_path)) == ["empty", "new", "old", "world.previous"]


def test_inside_a_checkpoint_folder_it_is_loaded_and_not_pulled_away(genie, tmp_path, monkeypatch):
    monkeypatch.chdir(genie.save(tmp_path / "world"))
    assert load(".").config == genie.config and Genie.load("").config == genie.config
    for place in (".", "../world", ".."):
        with pytest.raises((UnwritableError, CheckpointError)):
            genie.save(place)
    assert load(".").config == genie.config


def test_a_world_whose_saver_was_killed_between_two_renames_is_found_by_all(genie, tmp_path):
    """By load, by the next lesson and by the next stage, which would else take the shipped world or none."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    this = course.start("tiny", run_dir=tmp_path)
    for find in (
        lambda: load(this.folder("tokenizer") / "checkpoint"),
        lambda: this.stage("tokenizer"),
        lambda: cli.Train(stage="latent_action", data="", run_folder=this.folder("tokenizer").parent)._base(),
    ):
        checkpoint = genie.save(this.folder("tokenizer") / "checkpoint")
        checkpoint.rename(checkpoint.with_name(f".checkpoint.{ended.pid}.previous"))
        found = find()
        assert torch.equal(found.dynamics.to_logits.weight, genie.dynamics.to_logits.weight)
        assert os.listdir(checkpoint.parent) == ["checkpoint"]


@pytest.mark.parametrize("name", ["state", "samples", "checkpoint", "log.csv", "encoded.safetensors", ".lock"])
def test_training_writes_nothing_through_links(tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "mine" / ("precious" if "." in name else ""))
    before = everything(tmp_path / "mine")
    with pytest.raises((UnwritableError, CheckpointError), match=name):
        train_tokenizer(load_config("tiny", ONE_STEP), sample_dataset(), tmp_path / "run", progress=False)
    assert everything(tmp_path / "mine") == before


# ---------------------------------------------------------------------------------------------------- full disks


@contextlib.contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file may grow over `size` bytes: writing fails as on a full disk, whatever library writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def gif(genie: Genie, path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    PlaySession(FakeGenie(), noise).save_gif(path)


def strips(genie: Genie, path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3), np.uint8)
    PlayTest({}, {}, {}, {path.stem: noise}).save_filmstrips(path.parent)


WRITERS = {
    "world": lambda genie, path: genie.save(path),
    "world.gif": gif,
    "report.json": lambda genie, path: Report({}, {}, {}, [], {}, ["note " * 2_000]).to_json(path),
    "play.json": lambda genie, path: PlayTest({}, {}, {"note": "x" * 9_000}).to_json(path),
    "strip.png": strips,
    "videos.zarr": lambda genie, path: write_dataset(path, [np.random.default_rng(0).integers(
        0, 256, (4, 64, 64, 3), np.uint8)]),
    "train.zarr": lambda genie, path: copy_sample("train", path.parent),
    "run": lambda genie, path: train_tokenizer(load_config("tiny", ONE_STEP), sample_dataset(), path, progress=False),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_and_leaves_nothing_half_written(genie, tmp_path, name):
    with pytest.raises((UnwritableError, DatasetError), match=f"{tmp_path}/{name}.*: cannot be written.*too large"):
        with full_at(7_000):
            WRITERS[name](genie, tmp_path / name)
    assert not [path for path in everything(tmp_path) if name != "run"]
    assert not [path for path in tmp_path.rglob("*") if "part" in path.name or "checkpoint" in path.name]
    WRITERS[name](genie, tmp_path / name)
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("kind", ["a pipe", "a link", "a folder"])
def test_what_is_no_regular_file_is_not_replaced_by_one(genie, tmp_path, kind):
    """Such as /dev/null, which root could replace."""
    path = tmp_path / "world.gif"
    {"a pipe": os.mkfifo, "a link": lambda path: path.symlink_to("/dev/null"), "a folder": Path.mkdir}[kind](path)
    before = path.lstat()
    for write in (gif, WRITERS["report.json"]):
        with pytest.raises(UnwritableError, match="world.gif: cannot be written .something there is no regular file"):
            write(genie, path)
    assert path.lstat().st_ino == before.st_ino


def test_a_full_disk_leaves_an_older_file_as_it_was(genie, tmp_path):
    gif(genie, tmp_path / "world.gif")
    before = everything(tmp_path)
    with pytest.raises(UnwritableError, match="world.gif"), full_at(5_000):
        gif(genie, tmp_path / "world.gif")
    assert everything(tmp_path) == before


def test_a_log_that_cannot_grow_is_named(tmp_path):
    config = load_config("tiny", {**ONE_STEP, "training.tokenizer.steps": 300, "training.tokenizer.sample_every": 0,
                                  "training.tokenizer.checkpoint_every_minutes": 999})  # fmt: skip
    with pytest.raises(UnwritableError, match="log.csv: cannot be written"), full_at(2_000):
        train_tokenizer(config, sample_dataset(), tmp_path, progress=False)


# --------------------------------------------------------------------------------------------------- other users


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_are_readable_by_whom_the_umask_says(genie, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        genie.save(tmp_path / "world")
        train_tokenizer(load_config("tiny", ONE_STEP), sample_dataset(), tmp_path / "run", progress=False)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]
    assert {path.suffix for path in files} >= {".json", ".safetensors", ".csv", ".png"}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {oct(mode)}


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """As a user without rights, if we are root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody can enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "card.json", ""])
def test_what_may_not_be_read_is_not_called_damaged(genie, shared, name):
    genie.card["note"] = "mine"
    path = genie.save(shared / "world") / name
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with somebody_else(), pytest.raises(CheckpointError, match="you may not read it; ask its owner") as caught:
            load(shared / "world")
        assert "damaged" not in str(caught.value)
    finally:
        path.chmod(mode)
        del genie.card["note"]
    with somebody_else():
        assert load(shared / "world").config == genie.config


def test_where_one_may_not_write_it_is_said(genie, shared):
    with somebody_else(), pytest.raises(UnwritableError, match="world: cannot be written .Permission denied"):
        if os.geteuid() == os.stat(shared).st_uid:
            shared.chmod(0o555)
        genie.save(shared / "world")
    shared.chmod(0o755)


def test_videos_that_one_may_not_look_at_are_refused_by_name(shared):
    (shared / "closed").mkdir()
    Image.new("RGB", (16, 16)).save(shared / "closed" / "a.gif")
    (shared / "closed").chmod(0)
    try:
        with somebody_else():
            for path in (shared / "closed", shared / "closed" / "a.gif", shared / "closed" / "a.zarr"):
                with pytest.raises(DatasetError, match="closed.*Permission denied"):
                    open_dataset(path)
                with pytest.raises(DatasetError, match="closed.*Permission denied|needs procgen"):
                    collect(load_config("tiny").data, path, progress=False)
    finally:
        (shared / "closed").chmod(0o755)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "a/" * 3_000, "loop"])
def test_impossible_paths_are_refused_by_name(genie, tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    path = f"{tmp_path}/{name}"
    episode = np.zeros((2, 16, 16, 3), np.uint8)
    for action in (open_dataset, lambda path: write_dataset(path, [episode]), lambda path: copy_sample("test", path),
                   lambda path: collect(load_config("tiny").data, path, progress=False)):  # fmt: skip
        with pytest.raises(DatasetError):
            action(path)
    for action in (load, Genie.load):
        with pytest.raises(CheckpointError):
            action(path)

    def train(path: str) -> None:
        train_tokenizer(load_config("tiny"), sample_dataset(), path, progress=False)

    for action in (genie.save, PlaySession(FakeGenie(), episode[0]).save_gif, train):
        with pytest.raises((UnwritableError, CheckpointError)):
            action(path if name != "loop" else f"{path}/a")
    assert os.listdir(tmp_path) == ["loop"]


def test_a_lock_held_by_another_file_system_object_is_named(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(UnwritableError, match=str(tmp_path)), storage.sole_writer(tmp_path):
        pass
