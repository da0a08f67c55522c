"""Files and folders that are written completely or not at all, whoever else writes and whenever a writer is killed."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import psutil
from filelock import FileLock, Timeout

from genie_lite.interrupts import interrupts_postponed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Drafts of what is being written, and the old folder while a new one takes its place: .NAME.PID.part
LEFTOVER = re.compile(r"\.(?P<name>.+?)\.(?P<pid>\d+)(\.[0-9a-f]{8})?\.(?P<kind>part|previous)")
_drafts: set[Path] = set()  # that this process is writing


class FolderInUseError(ValueError):
    """Raised for a folder that another program is writing into."""


class UnwritableError(OSError):
    """A file or folder that cannot be written: the message names it, why, and what to do; `reason` is the why alone."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path}: cannot be written ({reason}); make room, or choose another place")


@contextlib.contextmanager
def naming_failures(path: Path | str, *kinds: type[Exception]) -> Iterator[None]:
    """Raise UnwritableError for `path` when writing it fails with an OSError, or with an error of other `kinds`."""
    if "\0" in str(path):
        raise UnwritableError(repr(str(path)), "no file has a null character in its name")
    try:
        yield
    except Exception as error:
        if not isinstance(error, (OSError, *kinds)):
            raise
        raise UnwritableError(path, reason(error)) from error


def reason(error: Exception) -> str:
    """Why something could not be written, without the name of a draft, which means nothing to a user."""
    if isinstance(error, UnwritableError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        path = error.filename if isinstance(error.filename, (str, os.PathLike)) else ""
        is_draft = any(LEFTOVER.fullmatch(part) for part in Path(path).parts)
        return error.strerror if is_draft or not path else f"{error.strerror}: {path}"
    return str(error) or type(error).__name__


@contextlib.contextmanager
def sole_writer(folder: Path | str) -> Iterator[None]:
    """Lock a folder for writing; the lock ends with the process. FolderInUseError if another program holds it."""
    folder = Path(folder)
    with contextlib.ExitStack() as stack:
        with naming_failures(folder):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(FileLock(folder / ".lock", timeout=0))
            except Timeout:
                raise _in_use(folder) from None
        yield


@contextlib.contextmanager
def whole_folder(folder: Path | str) -> Iterator[Path]:
    """Write a folder under a temporary name, then rename it: a kill or a full disk leaves the old one as it was.

    Between two renames the old folder has another name; `recover` brings it back if the writer was killed there.
    FolderInUseError while somebody else writes the same folder, UnwritableError for a link and where the disk refuses.
    """
    with naming_failures(folder):
        folder = Path(os.path.abspath(folder))
        if folder in (Path.cwd(), *Path.cwd().parents):
            raise UnwritableError(folder, "the working folder lies in it and would be replaced")
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
            raise UnwritableError(folder, f"it is a {'link' if folder.is_symlink() else 'file'} and would be replaced")
        draft, previous = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("part", "previous"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder.parent):
            recover(folder)
            if any(match["kind"] == "part" for _, match in _leftovers(folder)):
                raise _in_use(folder)
            draft.mkdir()
            _drafts.add(draft)
        try:
            yield draft
            for path in draft.rglob("*"):
                if path.is_file():
                    sync(path)
            with interrupts_postponed(), _alone_in(folder.parent):
                if folder.exists():
                    os.replace(folder, previous)
                try:
                    os.replace(draft, folder)
                except OSError:
                    if previous.exists():
                        os.replace(previous, folder)
                    raise
                shutil.rmtree(previous, ignore_errors=True)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            _drafts.discard(draft)


@contextlib.contextmanager
def whole_file(path: Path | str) -> Iterator[BinaryIO]:
    """Write a file under a temporary name and then rename it: it appears complete or not at all.

    A missing folder is made. A failure, such as a full disk, leaves an older file of this name as it was, and raises
    UnwritableError.
    """
    with draft_of(path) as draft:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)


@contextlib.contextmanager
def draft_of(path: Path | str) -> Iterator[Path]:
    """The path of a draft beside a file, for whoever writes it in a way of their own; what is left of it is removed.

    UnwritableError where the disk refuses.
    """
    with naming_failures(path):
        path = recover(os.path.abspath(path))
        if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
            raise UnwritableError(path, "something there is no regular file, and would be replaced")
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
        _drafts.add(draft)
        try:
            yield draft
        finally:
            _remove(draft)
            _drafts.discard(draft)


def recover(path: Path | str) -> Path:
    """Clean up after writers of a folder or file that were killed, and return its path.

    Half-written drafts are removed. A folder that was being replaced comes back: the new one where it was complete,
    else the old one. What a running program writes at this moment is left alone.
    """
    for leftover, match in _leftovers(Path(path), being_written=False):
        with contextlib.suppress(OSError):  # of another user, in a folder that may only be read
            if match["kind"] == "previous" and not os.path.lexists(path):
                os.replace(leftover, path)
            else:
                _remove(leftover)
    return Path(path)


def recover_all(folder: Path | str) -> None:
    """`recover` everything in a folder."""
    found = [LEFTOVER.fullmatch(path.name) for path in Path(folder).glob(".*.*")]
    for name in {match["name"] for match in found if match}:
        recover(Path(folder) / name)


def _leftovers(path: Path, *, being_written: bool = True) -> list[tuple[Path, re.Match[str]]]:
    """Drafts and former versions of a folder or file that a running program writes, or those of programs that ended."""
    found: list[Path] = []
    with contextlib.suppress(OSError):  # a folder in which one may not look
        if path.name and path.parent.is_dir():
            found = sorted(path.parent.glob(f".{glob.escape(path.name)}.*"), key=lambda leftover: leftover.suffix)
    matches = [(leftover, LEFTOVER.fullmatch(leftover.name)) for leftover in found]
    return [
        (leftover, match)
        for leftover, match in matches
        if match and match["name"] == path.name and _is_being_written(leftover, int(match["pid"])) == being_written
    ]


def _is_being_written(leftover: Path, pid: int) -> bool:
    """Whether the process that made a draft still writes it. One that started later only happens to have its number."""
    if pid == os.getpid():
        return Path(os.path.abspath(leftover)) in _drafts
    try:
        status = leftover.stat()
        return psutil.Process(pid).create_time() <= max(status.st_mtime, status.st_ctime)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other program is at this point for the same folder, where the file system can tell."""
    descriptor = None
    try:
        with contextlib.suppress(OSError):
            if fcntl is not None:
                descriptor = os.open(folder, os.O_RDONLY)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _in_use(folder: Path) -> FolderInUseError:
    return FolderInUseError(
        f"{folder}: another program is writing into it; wait for its end, stop it, or choose another folder"
    )


def sync(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
