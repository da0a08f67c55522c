"""Two of everything on one folder, in processes of their own: one works, the other says so, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from fakes import FakeGenie
from hostile.of_media import pretend_games

from genie_lite import course, load_config, storage
from genie_lite.api import Genie
from genie_lite.config import DataConfig
from genie_lite.data import check_dataset, collect, copy_sample, open_dataset, sample_dataset, write_dataset
from genie_lite.data import collector as collecting
from genie_lite.data import writer as writing
from genie_lite.play import PlaySession
from genie_lite.training import loop, read_log, train_tokenizer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork: not on Windows")
IN_USE = "another program is writing into it"
GAMES = DataConfig(num_envs=2, train_levels=(100, 50), test_levels=(300, 50))
STEPS = {f"training.tokenizer.{key}": number for key, number in {"steps": 4, "log_every": 1, "sample_every": 0}.items()}
VIDEOS = [np.random.default_rng(number).integers(0, 256, (30, 64, 64, 3), np.uint8) for number in range(3)]


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    yield
    for child in list(Child.living):
        child.end()


class Child:
    """A forked process that does something once it is told to; `result` is "done" or what was refused."""

    living: ClassVar[list[Child]] = []

    def __init__(self, action: Callable[[Child], object]) -> None:
        (self._hear, theirs), (hear, self._tell) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(theirs)
            os.close(hear)
            self.living.append(self)
            return
        for other in (self, *self.living):  # or they would never hear that the parent has gone
            os.close(other._hear)
            os.close(other._tell)
        self._hear, self._tell = hear, theirs
        with contextlib.suppress(BaseException):
            if os.read(self._hear, 1):
                self._act(action)
        os._exit(0)

    def _act(self, action: Callable[[Child], object]) -> None:
        try:
            action(self)
            result = "done"
        except ValueError as error:  # every refusal of the package is one
            result = str(error)
        except BaseException:  # noqa: BLE001 - told to the parent
            result = traceback.format_exc()
        os.write(self._tell, json.dumps(result).encode()[:60_000])

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._hear)
        os.close(self._tell)
        self.living.remove(self)

    def begin(self) -> None:
        os.write(self._tell, b"!")

    def wait_in_the_middle(self) -> None:
        """In the child: say that it is in the middle of its work, and go on when it is told to."""
        os.write(self._tell, b"?")
        os.read(self._hear, 1)

    def is_in_the_middle(self) -> None:
        """In the parent: wait until it is."""
        assert os.read(self._hear, 1) == b"?", "ended too early: " + self.result()

    def result(self) -> str:
        said = b""
        while part := os.read(self._hear, 65_536):
            said += part
        self.end()
        return json.loads(said) if said.startswith(b'"') else repr(said)


def pausing(child: Child, owner: object, name: str) -> None:
    """Make this process wait in the middle of the first call of a function."""
    real, calls = getattr(owner, name), []

    def wrapped(*arguments: object, **named: object) -> object:
        if not calls:
            calls.append(1)
            child.wait_in_the_middle()
        return real(*arguments, **named)

    setattr(owner, name, wrapped)


def save(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    genie = Genie(load_config("tiny"))
    genie.card = {"seed": seed}
    genie.save(folder)


def train(folder: Path) -> None:
    train_tokenizer(load_config("tiny", STEPS), sample_dataset("test"), folder, progress=False)


def lesson(folder: Path) -> None:
    """What the first cells of two notebooks do with one run_dir."""
    this = course.start("laptop", run_dir=folder)
    config = load_config("laptop", {"data.num_envs": 2, "data.train_frames": 150, "data.frames_per_level": 10})
    with pretend_games():
        object.__setattr__(this, "config", config)
        assert this.train.num_frames >= 150


def collected(folder: Path) -> None:
    with pretend_games():
        collect(GAMES, folder, frames=150, progress=False)


# What two do, where the first is held up in the middle of it, and what shows that it worked.
WORKS = {
    "collectors": (collected, collecting, "play_policy", lambda folder: check_dataset(folder) == []),
    "trainers": (train, loop, "training_step", lambda folder: len(read_log(folder)["loss"]) == 4),
    "notebooks": (lesson, collecting, "play_policy", lambda folder: check_dataset(folder / "data/train.zarr") == []),
    "savers": (lambda folder: save(folder, 1), storage, "save_file", lambda folder: Genie.load(folder) is not None),
    "writers": (lambda folder: write_dataset(folder, VIDEOS), writing.DatasetWriter, "finish",
                lambda folder: open_dataset(folder).num_frames == 90),
    "copiers": (lambda folder: copy_sample("test", folder), sys.modules["shutil"], "copytree",
                lambda folder: check_dataset(folder / "test.zarr") == []),
}  # fmt: skip


@pytest.mark.parametrize("work", WORKS)
def test_of_two_on_one_folder_one_works_and_the_other_says_so(tmp_path, work):
    action, owner, name, worked = WORKS[work]
    folder = tmp_path / "shared"

    def first_action(child: Child) -> None:
        pausing(child, owner, name)
        action(folder)

    first, second = Child(first_action), Child(lambda child: action(folder))
    first.begin()
    first.is_in_the_middle()
    second.begin()
    refusal = second.result()
    assert IN_USE in refusal and str(folder) in refusal, refusal
    first.begin()
    assert first.result() == "done"
    assert worked(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["shared"], "nothing is left of the one that was refused"
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".part"]


@pytest.mark.parametrize("work", ["savers", "collectors", "writers"])
def test_of_many_that_begin_at_once_one_works_and_all_that_do_not_say_so(tmp_path, work):
    """Whatever the moment at which they meet."""
    actions: dict[str, Callable[[Path, int], object]] = {
        "savers": save,
        "collectors": lambda folder, number: collected(folder),
        "writers": lambda folder, number: write_dataset(folder, VIDEOS, {"game": f"of {number}"}),
    }
    for turn in range(4):
        folder = tmp_path / f"shared{turn}"
        children = [Child(lambda child, n=number, f=folder: actions[work](f, n)) for number in range(5)]
        for child in children:
            child.begin()
        results = [child.result() for child in children]
        done = [number for number, result in enumerate(results) if result == "done"]
        assert done, results
        assert all(result == "done" or IN_USE in result or "exists already" in result for result in results), results
        if work == "savers":
            genie, wanted = Genie.load(folder), tmp_path / "alone"
            assert genie.card["seed"] in done
            save(wanted, genie.card["seed"])
            assert all(map(torch.equal, genie.state_dict().values(), Genie.load(wanted).state_dict().values()))
        else:
            assert check_dataset(folder) == []
            assert work == "collectors" or open_dataset(folder).attributes["game"] in [f"of {n}" for n in done]
        assert not [path for path in tmp_path.rglob("*") if path.suffix in (".part", ".previous")]


def test_two_that_save_one_picture_leave_a_whole_one(tmp_path):
    def play(number: int) -> None:
        session = PlaySession(FakeGenie(), np.zeros((64, 64, 3), np.uint8), seed=number)
        for _ in range(number + 1):
            session.step(2)
        session.save_gif(tmp_path / "world.gif")

    children = [Child(lambda child, n=number: play(n)) for number in range(5)]
    for child in children:
        child.begin()
    assert [child.result() for child in children] == ["done"] * 5
    assert os.listdir(tmp_path) == ["world.gif"]
    assert 2 <= open_dataset(tmp_path / "world.gif").num_frames <= 6


def test_two_players_save_their_gifs_beside_each_other(tmp_path):
    """Each takes the next free name, also where both look for it at once."""
    from genie_lite.play import PlayWidget

    def press(child: Child) -> None:
        player = PlayWidget(FakeGenie(), np.zeros((1, 64, 64, 3), np.uint8), gif_folder=tmp_path)
        pausing(child, PlaySession, "save_gif")
        player.save_gif()

    children = [Child(press) for _ in range(3)]
    for child in children:
        child.begin()
    for child in children:
        child.is_in_the_middle()  # each has chosen a name
    for child in children:
        child.begin()
    assert [child.result() for child in children] == ["done"] * 3
    assert sorted(os.listdir(tmp_path)) == ["play-001.gif", "play-002.gif", "play-003.gif"]
