"""Damaged and hostile datasets and videos: each is read, or refused with a DatasetError, soon and in little memory.

Time-boxed: a few seconds for each test, or as many as the environment variable GENIE_LITE_HOSTILE_SECONDS says. Every
input is made from a number alone, which a failure names.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
from PIL import Image
from pretend_games import PretendGames

from genie_lite.config import DataConfig
from genie_lite.data import ClipLoader, DatasetError, check_dataset, collect, open_dataset

SECONDS = float(os.environ.get("GENIE_LITE_HOSTILE_SECONDS", "4"))
LONGEST = 10  # seconds that one input may take
MEMORY = 2 * 2**30  # bytes that all of them may add
GAMES = DataConfig(num_envs=2, train_levels=(100, 50), test_levels=(300, 50))
FRAMES = 150
VALUES = (
    None, True, 0, -1, 1, 2**31, 2**63, 10**30, 1.5, float("nan"), float("inf"), "", "x", "|O", "<f8", "<U9", [], [0],
    [-1], [1, 2, 3], [2**60] * 4, [150, 64, 64, 2**30], {}, {"id": "pickle"}, {"id": "blosc"}, [{"id": "pickle"}],
    {"id": "blosc", "cname": 3}, "\ud800", "a" * 10_000, [[[[[]]]]],
)  # fmt: skip


def numbers() -> Iterator[int]:
    """0, 1, 2, ... until the time is over."""
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        yield number
        number += 1


def damages(number: int, rng: np.random.Generator) -> int:
    """How often input `number` is damaged; the first two are left as they are."""
    return int(rng.integers(1, 5)) if number > 1 else 0


def attempt(number: int, action: Callable[[], object]) -> str:
    """Do something with input `number`: "read" or "refused". Anything but a DatasetError fails, as does a long wait."""
    start = time.monotonic()
    try:
        with alarm(number):
            action()
        outcome = "read"
    except DatasetError as error:
        assert str(error), f"input {number}: an error that says nothing"
        outcome = "refused"
    except Exception as error:
        raise AssertionError(f"input {number}: {type(error).__name__}: {error}") from error
    assert time.monotonic() - start < LONGEST, f"input {number}: took over {LONGEST} seconds"
    return outcome


@contextlib.contextmanager
def alarm(number: int) -> Iterator[None]:
    """Interrupt what waits for ever; what swallows the interrupt is found by its duration."""

    def late(*_: object) -> None:
        raise TimeoutError(f"input {number}: took over {LONGEST} seconds")

    if hasattr(signal, "setitimer"):
        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < MEMORY


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound dataset, whose collection could go on."""
    monkeypatch.setitem(sys.modules, "procgen", SimpleNamespace(ProcgenGym3Env=PretendGames, __spec__=True))
    collect(GAMES, tmp_path / "whole.zarr", frames=FRAMES, progress=False)
    return tmp_path / "whole.zarr"


def damage(folder: Path, rng: np.random.Generator) -> None:
    """Do one thing to a file of a dataset, or to one of its metadata fields."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    file = files[rng.integers(len(files))]
    content = bytearray(file.read_bytes())
    kind = rng.integers(13)
    if kind < 4:  # a third of all: metadata are where most can go wrong
        change_metadata(folder, rng)
    elif kind == 4 and content:  # bits
        for _ in range(int(rng.integers(1, 9))):
            content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        file.write_bytes(content)
    elif kind == 5:
        file.write_bytes(content[: rng.integers(len(content) + 1)])
    elif kind == 6:
        file.unlink()
    elif kind == 7:
        file.write_bytes(rng.bytes(int(rng.integers(3_000))))
    elif kind == 8:
        at = int(rng.integers(len(content) + 1))
        file.write_bytes(content[:at] + rng.bytes(int(rng.integers(100))) + content[at:])
    elif kind == 9:
        file.unlink()
        file.mkdir()
    elif kind == 10 and hasattr(os, "mkfifo"):
        file.unlink()
        os.mkfifo(file)
    elif kind == 11:
        file.unlink()
        file.symlink_to(["/dev/zero", str(folder), "nowhere", "../whole.zarr/frames/0.0.0.0"][rng.integers(4)])
    elif kind == 12:  # an array that lies elsewhere
        array = ("frames", "episode_starts", "env_actions")[rng.integers(3)]
        if (folder / array).is_dir() and not (folder / array).is_symlink():
            shutil.rmtree(folder / array)
            (folder / array).symlink_to(folder.with_name("whole.zarr") / array)


def change_metadata(folder: Path, rng: np.random.Generator) -> None:
    """Give one field of one metadata file, or a whole file, another value."""
    files = sorted(file for file in folder.rglob(".z*") if file.is_file() and not file.is_symlink())
    if not files:
        return
    file = files[rng.integers(len(files))]
    try:
        tree = json.loads(file.read_text())
    except ValueError:
        return
    value = VALUES[rng.integers(len(VALUES))]
    target = tree
    while isinstance(target, (dict, list)) and len(target):
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        key = keys[rng.integers(len(keys))]
        if not isinstance(target[key], (dict, list)) or rng.random() < 0.5:
            if isinstance(target, dict) and rng.random() < 0.2:
                del target[key]
            else:
                target[key] = value
            break
        target = target[key]
    file.write_text(json.dumps(tree if rng.random() < 0.95 else value))


def read_everything(path: str | Path) -> None:
    """What training, evaluation and figures read of a dataset."""
    dataset = open_dataset(path)
    with ClipLoader(dataset, 2, 3) as loader:
        next(loader)
    dataset.resized((8, 8)).read_clips(dataset.clip_starts(2)[-1:], 2)
    dataset.env_actions()
    dataset.level_seeds()


def test_a_damaged_dataset_is_read_or_refused(whole: Path) -> None:
    outcomes = []
    for number in numbers():
        rng = np.random.default_rng(number)
        path = whole.with_name("damaged.zarr")
        shutil.copytree(whole, path)
        for _ in range(damages(number, rng)):
            damage(path, rng)
        outside = {file: file.read_bytes() for file in whole.rglob("*") if file.is_file()}
        attempt(number, lambda path=path: check_dataset(path))
        outcomes.append(attempt(number, lambda path=path: read_everything(path)))
        attempt(number, lambda path=path: collect(GAMES, path, frames=FRAMES + 10, progress=False))
        assert outside == {file: file.read_bytes() for file in whole.rglob("*") if file.is_file()}, number
        shutil.rmtree(path)
    print(f"{len(outcomes)} datasets: {outcomes.count('read')} read, {outcomes.count('refused')} refused")
    assert outcomes[0] == "read"


def test_a_damaged_dataset_behind_a_url_is_read_or_refused(whole: Path) -> None:
    memory, outcomes = fsspec.filesystem("memory"), []
    for number in numbers():
        rng = np.random.default_rng(number)
        memory.put(str(whole), "/hostile.zarr", recursive=True)
        for _ in range(damages(number, rng)):
            file = [f for f in sorted(memory.find("/hostile.zarr")) if not f.endswith(".lock")][rng.integers(100) % 9]
            content = bytearray(memory.cat_file(file))
            kind = rng.integers(3)
            if kind == 0 and content:
                content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
            memory.rm_file(file)
            if kind < 2:
                memory.pipe_file(file, bytes(content[: len(content) if kind == 0 else rng.integers(len(content) + 1)]))
        attempt(number, lambda: check_dataset("memory://hostile.zarr"))
        outcomes.append(attempt(number, lambda: read_everything("memory://hostile.zarr")))
        memory.rm("/hostile.zarr", recursive=True)
    print(f"{len(outcomes)} datasets: {outcomes.count('read')} read, {outcomes.count('refused')} refused")
    assert outcomes[0] == "read"


def test_a_damaged_video_is_read_or_refused(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    frames = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3)).astype(np.uint8)
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(tmp_path / "whole.gif", save_all=True, append_images=others, duration=100)
    with av.open(str(tmp_path / "whole.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    outcomes = []
    for number in numbers():
        rng = np.random.default_rng(number)
        suffix = (".gif", ".mp4")[number % 2]
        content = bytearray((tmp_path / f"whole{suffix}").read_bytes())
        for _ in range(damages(number, rng)):
            at = int(rng.integers(len(content))) if rng.random() < 0.5 else int(rng.integers(min(40, len(content))))
            kind = rng.integers(3)
            if kind == 0:
                content[at] = int(rng.integers(256))
            elif kind == 1:
                del content[at : at + int(rng.integers(1, 200))]
            elif rng.random() < 0.3:
                del content[at:]
            if not content:
                break
        (tmp_path / f"damaged{suffix}").write_bytes(content)
        outcomes.append(attempt(number, lambda suffix=suffix: open_dataset(tmp_path / f"damaged{suffix}")))
    print(f"{len(outcomes)} videos: {outcomes.count('read')} read, {outcomes.count('refused')} refused")
    assert outcomes[0] == "read"
