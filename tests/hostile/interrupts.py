"""Whatever writes, interrupted at random moments: what follows is what would have been, and nothing is left behind.

Each work is done once undisturbed. Then a process that does the same is killed (SIGKILL, SIGTERM) or stopped (Ctrl-C,
once or twice) after a random part of that time, and is started again: in the end the results must be equal to the bit.
Processes are forked from one that has imported everything already.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from hostile.of_media import pretend_games
from PIL import Image

from genie_lite import cli, load_config
from genie_lite.api import Genie
from genie_lite.config import DataConfig
from genie_lite.data import check_dataset, collect, open_dataset, sample_dataset, write_dataset
from genie_lite.files import LEFTOVER
from genie_lite.play import PlaySession
from genie_lite.training import read_log, train_genie, train_tokenizer

LONGEST = 300.0  # seconds that a process may take to end
KINDS = ("SIGKILL", "SIGTERM", "Ctrl-C", "Ctrl-C twice")
ACTIONS = [0, 3, 1, 5, 2, 2, 4, 0]
Digest = dict[str, str]


@dataclass
class Interrupted:
    """What became of a work's interrupts."""

    work: str
    interrupts: int = 0
    in_the_middle: int = 0  # that the process did not outrun
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Work:
    """Something that writes into `folder`; done again after an interrupt, it goes on or begins anew."""

    name: str

    def __init__(self, home: Path) -> None:
        self.home = home

    def prepare(self, folder: Path) -> None:
        """What is there before."""

    def do(self, folder: Path) -> None:
        raise NotImplementedError

    def result(self, folder: Path) -> Digest:
        """What must be equal to the bit."""
        raise NotImplementedError


class Collecting(Work):
    name = "collect"
    GAMES = DataConfig(num_envs=4, train_levels=(100, 50), test_levels=(300, 50))

    def do(self, folder: Path) -> None:
        with pretend_games():
            collect(self.GAMES, folder / "videos.zarr", frames=2_500, progress=False)

    def result(self, folder: Path) -> Digest:
        path = folder / "videos.zarr"
        attributes = json.dumps(open_dataset(path).attributes, sort_keys=True)  # in whatever order they were written
        return {"sound": str(check_dataset(path)), **digests(path), ".zattrs": digest(attributes.encode())}


class Training(Work):
    """A stage of preset tiny, which saves its state after every step or only in the end."""

    def __init__(self, home: Path, name: str, every: float) -> None:
        super().__init__(home)
        self.name, self.stage = f"train {name}, states {'often' if not every else 'in the end'}", name
        settings = {"steps": 10, "log_every": 1, "sample_every": 5, "checkpoint_every_minutes": every}
        if name == "dynamics":
            settings["encoded_clips"] = 20
        self.config = load_config("tiny", {f"training.{name}.{key}": value for key, value in settings.items()})

    def do(self, folder: Path) -> None:
        videos, run = open_dataset(self.home / "videos.zarr"), folder / "run"
        if self.stage == "tokenizer":
            train_tokenizer(self.config, videos, run, progress=False)
        else:
            parts = ["dynamics"] if self.stage == "dynamics" else ["latent_action", "dynamics"]
            train_genie(self.config, videos, run, tokenizer=self.home / "world", parts=parts, progress=False)

    def result(self, folder: Path) -> Digest:
        run = folder / "run"
        states = sorted((run / "state").iterdir())
        log = {name: digest(column.tobytes()) for name, column in read_log(run).items() if name != "minutes"}
        return {"states": str(len(states) <= 2), "last": states[-1].name, **log, **digests(run / "checkpoint"),
                **digests(run / "samples")}  # fmt: skip


class Saving(Work):
    name = "save"

    def prepare(self, folder: Path) -> None:
        shutil.copytree(self.home / "world", folder / "world")

    def do(self, folder: Path) -> None:
        genie = Genie.load(folder / "world")  # an old one or a new one, but whole
        for number in range(30):
            genie.card = {"note": number}
            genie.save(folder / "world")

    def result(self, folder: Path) -> Digest:
        return digests(folder / "world")


class Playing(Work):
    """The command: a GIF at its end, over one that is there."""

    name = "play, from a shell"

    def prepare(self, folder: Path) -> None:
        (folder / "world.gif").write_bytes(b"GIF89a, an older one")

    def do(self, folder: Path) -> None:
        words = ["play", str(self.home / "world"), "--actions", ",".join(map(str, ACTIONS * 8))]
        status = cli.main([*words, "--prompt", str(self.home / "prompt.png"), "--out", str(folder / "world.gif")])
        if status == 130:
            raise KeyboardInterrupt
        assert status == 0

    def result(self, folder: Path) -> Digest:
        return digests(folder)


class Session(Work):
    """A session in a notebook, which an interrupt does not end: it plays on, and takes back what it likes."""

    name = "play, in a session"

    def do(self, folder: Path) -> None:
        session = PlaySession(Genie.load(self.home / "world"), np.zeros((64, 64, 3), np.uint8))
        while session.num_steps < 8 * len(ACTIONS):
            with contextlib.suppress(KeyboardInterrupt):
                session.step(ACTIONS[session.num_steps % len(ACTIONS)])
                if session.num_steps % 5 == 4:
                    session.undo()
                    session.step(ACTIONS[session.num_steps % len(ACTIONS)])
        np.save(folder / "frames.npy", session.frames)
        session.save_gif(folder / "world.gif")

    def result(self, folder: Path) -> Digest:
        return digests(folder)


def works(home: Path) -> list[Work]:
    """All of them; `home` receives what they build on."""
    torch.manual_seed(0)
    Genie(load_config("tiny")).save(home / "world")
    sample = sample_dataset("test")
    write_dataset(home / "videos.zarr", sample.read_clips(sample.clip_starts(40)[[0, 500]], 40))
    Image.new("RGB", (64, 64), "teal").save(home / "prompt.png")
    trainings = [Training(home, name, every) for name in ("tokenizer", "dynamics", "genie") for every in (0.0, 60.0)]
    return [Collecting(home), *trainings, Saving(home), Playing(home), Session(home)]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def digests(folder: Path) -> Digest:
    """Each file of a folder, locks apart."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): digest(path.read_bytes()) for path in files}


# ------------------------------------------------------------------------------------------------- interrupting


def interrupt(work: Work, count: int, seed: int, home: Path) -> Interrupted:
    """Interrupt a work `count` times, the kinds in turn; `home` is an empty folder."""
    found, began = Interrupted(work.name), time.monotonic()
    wanted, seconds, names = undisturbed(work, home / "undisturbed")
    for number in range(count):
        rng = np.random.default_rng([seed, number, *work.name.encode()])
        kind, folder = KINDS[(seed + number) % len(KINDS)], home / str(number)
        folder.mkdir()
        work.prepare(folder)
        pid = forked(lambda folder=folder: work.do(folder), home / "log")
        time.sleep(float(rng.uniform(0, seconds)))
        for signum in signals(kind, rng):
            os.kill(pid, signum)
        status = ended(pid)
        found.interrupts += 1
        found.in_the_middle += status != 0
        expected = {"SIGKILL": (-9,), "SIGTERM": (-15,)}.get(kind, (130,))
        where = f"{work.name} {seed}/{number}, {kind}"
        if status not in (0, *expected):
            found.faults.append(f"{where}: exit status {status}: {(home / 'log').read_text()[-500:]}")
        status = ended(forked(lambda folder=folder: finish(work, folder, home / "result"), home / "log"))
        if status:
            found.faults.append(f"{where}: it cannot go on: {(home / 'log').read_text()[-500:]}")
            continue
        result = json.loads((home / "result").read_text())
        if result != wanted:
            other = [name for name in wanted.keys() | result.keys() if wanted.get(name) != result.get(name)]
            found.faults.append(f"{where}: other results than undisturbed: {sorted(other)[:5]}")
        if left := left_behind(folder, names):
            found.faults.append(f"{where}: left behind: {left[:5]}")
        shutil.rmtree(folder)
    found.seconds = time.monotonic() - began
    return found


def preload(chosen: list[Work], home: Path) -> None:
    """Import what the works import when they begin, which would take most of the time of every process."""
    listed = home / "modules"

    def list_them() -> None:
        before = set(sys.modules)
        for number, work in enumerate(chosen):
            folder = home / f"preloading{number}"
            folder.mkdir()
            work.prepare(folder)
            work.do(folder)
        listed.write_text(json.dumps(sorted(set(sys.modules) - before)))

    assert ended(forked(list_them, home / "log")) == 0, (home / "log").read_text()
    for name in json.loads(listed.read_text()):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def undisturbed(work: Work, folder: Path) -> tuple[Digest, float, set[str]]:
    """Result, duration, and names of files, of a work that nobody interrupts."""
    folder.mkdir()
    work.prepare(folder)
    log, result = folder.with_name("log"), folder.with_name("result")
    start = time.monotonic()
    assert ended(forked(lambda: work.do(folder), log)) == 0, log.read_text()
    seconds = time.monotonic() - start
    assert ended(forked(lambda: finish(work, folder, result), log)) == 0, log.read_text()
    return json.loads(result.read_text()), seconds, set(names_in(folder))


def finish(work: Work, folder: Path, result: Path) -> None:
    work.do(folder)
    result.write_text(json.dumps(work.result(folder)))


def signals(kind: str, rng: np.random.Generator) -> Iterator[int]:
    if not kind.startswith("Ctrl-C"):
        yield getattr(signal, kind)
        return
    yield signal.SIGINT
    if kind == "Ctrl-C twice":
        time.sleep(float(rng.uniform(0, 0.04)))
        yield signal.SIGINT


def forked(action: Callable[[], object], log: Path) -> int:
    """The number of a new process that does something and then ends, in 130 after Ctrl-C."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        action()
        status = 0
    except KeyboardInterrupt:
        status = 130
    except BaseException:  # noqa: BLE001 - told in the log
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    """Wait for the end of a process: its exit status, or minus the signal that ended it."""
    deadline = time.monotonic() + LONGEST
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -1000
        time.sleep(0.002)


def left_behind(folder: Path, expected: set[str]) -> list[str]:
    """Files that an undisturbed run does not have, apart from which states are kept."""
    found = names_in(folder)
    return [name for name in found if name not in expected or LEFTOVER.fullmatch(Path(name).name)]


def names_in(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")))
    return [str(path) for path in paths if not any(part.startswith("step-") and "." not in part for part in path.parts)]


def interrupt_all(count: int, seed: int = 0) -> list[Interrupted]:
    """At least `count` interrupts, shared between all works."""
    if not hasattr(os, "fork"):
        return []  # Windows
    found = []
    with tempfile.TemporaryDirectory(prefix="genie-lite-interrupts-") as place:
        torch.set_num_threads(1)
        home = Path(place)
        (home / "base").mkdir()
        chosen = works(home / "base")
        preload(
            [work for work in chosen if work.name in ("collect", "play, from a shell") or "genie" in work.name], home
        )
        for number, work in enumerate(chosen):
            (home / str(number)).mkdir()
            found.append(interrupt(work, -(-count // len(chosen)), seed, home / str(number)))
            print(found[-1].work, *(found[-1].faults or ["no fault"]), sep=": ", file=sys.stderr, flush=True)
    return found
