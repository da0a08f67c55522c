"""Whatever writes, interrupted at random moments: what follows is what would have been, and nothing is left behind.

Each work is done once undisturbed. Then a process that does the same is killed (SIGKILL, SIGTERM) or stopped (Ctrl-C,
once or twice) after a random part of that time, and is started again: in the end the results must be equal to the bit.
Processes are forked from one that has imported everything already.
"""

from __future__ import annotations

import contextlib
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
from hostile.works import Digest, Work, works

from genie_lite.files import LEFTOVER

LONGEST = 300.0  # seconds that a process may take to end
KINDS = ("SIGKILL", "SIGTERM", "Ctrl-C", "Ctrl-C twice")


@dataclass
class Interrupted:
    """What became of a work's interrupts."""

    work: str
    interrupts: int = 0
    in_the_middle: int = 0  # that the process did not outrun
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


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
