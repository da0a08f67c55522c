"""What hostile inputs have in common: each is made from a number alone, and is used or refused, soon and in its place.

A border is a place where something comes in from outside: settings, pictures, checkpoints, … Its `attempts` turn a
number into one hostile input in a folder, and use it. An input is at fault when it raises anything but the errors that
the border documents, computes for over LONGEST seconds, waits for over WAIT, or writes outside its folder.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import shutil
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch._dynamo  # noqa: F401 - now: else the first model imports it, within its time

LONGEST = 10.0  # seconds of computing that one input may take, however busy the machine is
WAIT = 150.0  # seconds that it may take in all
MEMORY = 2 * 2**30  # bytes that all inputs of a process may add


class Border:
    """A place where something comes in. `refusals` are the exceptions that it documents."""

    name: ClassVar[str]
    refusals: ClassVar[tuple[type[BaseException], ...]] = (ValueError,)

    def __init__(self, home: Path) -> None:
        """Prepare what is sound, in `home`; no input may change it."""
        self.home = home

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        """Make input `number` in `folder`, and yield what is to be done with it."""
        raise NotImplementedError


class Fault(AssertionError):
    """An input that was neither used nor refused as documented."""


@dataclass
class Tally:
    """What became of the inputs of a border."""

    border: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def throw(kind: type[Border], numbers: Iterator[int] | range, home: Path) -> Tally:
    """Throw inputs at a border; `home` is an empty folder."""
    tally, began = Tally(kind.name), time.monotonic()
    (home / "sound").mkdir(parents=True)
    border = kind(home / "sound")
    before, place = _snapshot(home), os.getcwd()
    for number in numbers:
        rng = np.random.default_rng([number, zlib.crc32(kind.name.encode())])
        folder = home / "input"
        folder.mkdir()
        os.chdir(folder)
        start, outcome = time.process_time(), "accepted"
        try:
            with _written_outside(folder) as written:
                for action in border.attempts(number, rng, folder):
                    outcome = _attempt(action, kind.refusals)
            if written:
                raise Fault(f"wrote outside its folder: {sorted(written)[:3]}")
        except Fault as fault:
            outcome = ""
            tally.faults.append(f"{kind.name} {number}: {fault}")
        tally.inputs += 1
        tally.accepted += outcome == "accepted"
        tally.refused += outcome == "refused"
        tally.slowest = max(tally.slowest, time.process_time() - start)
        os.chdir(place)
        shutil.rmtree(folder)
        if _snapshot(home) != before:
            tally.faults.append(f"{kind.name} {number}: changed what is beside its folder")
            break
    tally.seconds = time.monotonic() - began
    return tally


def _attempt(action: Callable[[], object], refusals: tuple[type[BaseException], ...]) -> str:
    start = time.process_time()
    rung: list[int] = []
    try:
        with _alarms(rung):
            action()
        outcome = "accepted"
    except refusals as error:
        # A bare ValueError is the package's own; its subclasses, such as UnicodeDecodeError, come from elsewhere.
        if not any(type(error) is kind or (kind is not ValueError and isinstance(error, kind)) for kind in refusals):
            if not type(error).__module__.startswith("genie_lite"):
                raise Fault(f"{type(error).__name__}: {error}") from error
        if not str(error):
            raise Fault("an error that says nothing") from error
        outcome = "refused"
    except Fault:
        raise
    except Exception as error:
        raise Fault(f"{type(error).__name__}: {error}") from error
    if rung or time.process_time() - start > LONGEST:
        raise Fault(f"took {time.process_time() - start:.0f} seconds of computing")
    return outcome


@contextlib.contextmanager
def _alarms(rung: list[int]) -> Iterator[None]:
    """Interrupt what computes or waits for ever, and add the signal that did to `rung`: an input may swallow it."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(signum: int, _: object) -> None:
        rung.append(signum)
        raise TimeoutError(f"computed for over {LONGEST:.0f} seconds, or waited for over {WAIT:.0f}")

    alarms = [(signal.ITIMER_PROF, signal.SIGPROF, LONGEST), (signal.ITIMER_REAL, signal.SIGALRM, WAIT)]
    before = [(signum, signal.signal(signum, late)) for _, signum, _ in alarms]
    for timer, _, seconds in alarms:
        signal.setitimer(timer, seconds)
    faulthandler.dump_traceback_later(2 * WAIT, exit=True)
    try:
        yield
    finally:
        for timer, _, _ in alarms:
            signal.setitimer(timer, 0)
        for signum, handler in before:
            signal.signal(signum, handler)
        faulthandler.cancel_dump_traceback_later()


# ------------------------------------------------------------------------------------------ where it may write

_inside: str | None = None  # the folder of the input under way
_outside: set[str] = set()
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_TARGETS = {"os.rename": 1, "os.symlink": 1, "os.link": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0,
            "os.truncate": 0, "os.chmod": 0}  # fmt: skip


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Hear of every file that Python opens for writing, makes, renames or removes."""
    if _inside is None:
        return
    if event == "open":
        path, flags = arguments[0], arguments[2]
        if not isinstance(flags, int) or not flags & _WRITING:
            return
    elif event in _TARGETS and arguments[-1] in (-1, None, *((arguments[-1],) if event == "os.truncate" else ())):
        path = arguments[_TARGETS[event]]  # unless it is relative to an open folder
    else:
        return
    if not isinstance(path, (str, bytes, os.PathLike)) or (event == "os.mkdir" and os.path.lexists(path)):
        return
    with contextlib.suppress(ValueError):
        where = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(path))))
        if event == "open" and not arguments[2] & getattr(os, "O_NOFOLLOW", 0):
            where = os.path.realpath(os.fsdecode(path))
        if where != _inside and not where.startswith((_inside + os.sep, "/dev/null", "/proc/self")):
            if "__pycache__" not in where:
                _outside.add(where)
                if "HOSTILE_TRACE" in os.environ:
                    faulthandler.dump_traceback()


@contextlib.contextmanager
def _written_outside(folder: Path) -> Iterator[set[str]]:
    """The files outside `folder` that the body opens for writing, makes, or removes."""
    global _inside
    if _audit not in _hooks:
        sys.addaudithook(_audit)  # for good: there is no way back
        _hooks.append(_audit)
    _outside.clear()
    _inside = os.path.realpath(folder)
    try:
        yield _outside
    finally:
        _inside = None


_hooks: list[Any] = []


def _snapshot(home: Path) -> dict[str, tuple[int, int, int]]:
    """Size and times of everything beside the folder of inputs."""
    found = {}
    for place, _, files in os.walk(home):
        for name in files:
            status = os.lstat(os.path.join(place, name))
            found[os.path.join(place, name)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def peak_memory() -> int:
    """Bytes that this process held at most so far; 0 where that is not known."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
