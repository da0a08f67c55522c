"""Writing files and folders completely or not at all, and checkpoints: JSON and safetensors, never pickle."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import psutil
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

FORMAT_VERSION = 1

# Drafts of `whole_folder` and `whole_file`, and the old folder while a new one takes its place: .NAME.PID.part
LEFTOVER = re.compile(r"\.(?P<name>.+?)\.(?P<pid>\d+)(\.[0-9a-f]{8})?\.(?P<kind>part|previous)")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: the message names the file or tensor, what was found and what was expected."""


class FolderInUseError(ValueError):
    """Raised for a folder that another program is writing into."""


@contextlib.contextmanager
def sole_writer(folder: Path | str) -> Iterator[None]:
    """Lock a folder for writing; the lock ends with the process. FolderInUseError if another program holds it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise FolderInUseError(
            f"{folder}: another program is writing into it; wait for its end, stop it, or choose another folder"
        ) from None


@contextlib.contextmanager
def whole_folder(folder: Path | str) -> Iterator[Path]:
    """Write a folder under a temporary name, then rename it: a kill or a full disk leaves the old one as it was.

    Between two renames the old folder has another name; `recover` brings it back if the writer was killed there.
    """
    folder = recover(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft, previous = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("part", "previous"))
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        for path in draft.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        if folder.exists():
            os.replace(folder, previous)
        os.replace(draft, folder)
        shutil.rmtree(previous, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def recover(path: Path | str) -> Path:
    """Clean up after writers of a folder or file that were killed, and return its path.

    Half-written drafts are removed. A folder that was being replaced comes back: the new one where it was complete,
    else the old one. What a running program writes at this moment is left alone.
    """
    path = Path(path)
    if not path.parent.is_dir():
        return path
    for leftover in sorted(path.parent.glob(f".{glob.escape(path.name)}.*"), key=lambda found: found.suffix):
        match = LEFTOVER.fullmatch(leftover.name)
        if match is None or match["name"] != path.name or _is_being_written(leftover, int(match["pid"])):
            continue
        if match["kind"] == "previous" and not path.exists():
            os.replace(leftover, path)
        elif leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    return path


def recover_all(folder: Path | str) -> None:
    """`recover` everything in a folder."""
    found = [LEFTOVER.fullmatch(path.name) for path in Path(folder).glob(".*.*")]
    for name in {match["name"] for match in found if match}:
        recover(Path(folder) / name)


def _is_being_written(leftover: Path, pid: int) -> bool:
    """Whether the process that made a draft still runs. One that started later only happens to have its number."""
    try:
        status = leftover.stat()
        return psutil.Process(pid).create_time() <= max(status.st_mtime, status.st_ctime)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


@contextlib.contextmanager
def whole_file(path: Path | str) -> Iterator[BinaryIO]:
    """Write a file under a temporary name and then rename it: it appears complete or not at all.

    A missing folder is made. A failure, such as a full disk, leaves an older file of this name as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to a new file in one step."""
    with whole_file(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors to a safetensors file."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a checkpoint's JSON file; CheckpointError when it is missing, cut short, or of another format version."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; a checkpoint is a folder with config.json and *.safetensors")
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: not valid JSON ({error}); the checkpoint is damaged, use another") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: found format_version {version!r}, wanted {FORMAT_VERSION}; "
            "load it with the genie-lite release that wrote it, or train again"
        )
    return content


def read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """Read a safetensors file; CheckpointError when it is missing or damaged."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; a checkpoint is a folder with config.json and *.safetensors")
    try:
        return load_file(path, device=str(device))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); the file is damaged, use another") from error


def load_into(module: torch.nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Copy tensors into a module; CheckpointError if names or shapes differ, or if any value is not finite."""
    wanted = {name: list(tensor.shape) for name, tensor in module.state_dict().items()}
    require_shapes({name: list(tensor.shape) for name, tensor in tensors.items()}, wanted, source)
    require_finite(tensors, source)
    module.load_state_dict(tensors)


def require_shapes(found: Mapping[str, list[int]], wanted: Mapping[str, list[int]], source: Path) -> None:
    """CheckpointError that lists the tensors (name to shape) which are missing, surplus or of another shape."""
    problems = [f"missing {name} {wanted[name]}" for name in wanted.keys() - found.keys()]
    problems += [f"surplus {name} {found[name]}" for name in found.keys() - wanted.keys()]
    problems += [
        f"{name} has shape {found[name]}, wanted {wanted[name]}"
        for name in wanted.keys() & found.keys()
        if found[name] != wanted[name]
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise CheckpointError(f"{source}: does not fit the model of its settings: {shown}")


def require_finite(tensors: Mapping[str, torch.Tensor], source: Path) -> None:
    """Raise CheckpointError, naming the first tensor that holds NaN or infinity: training had diverged."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(
                f"{source}: {name} holds values that are not finite, expected numbers; "
                "training diverged before this was saved, so use an earlier checkpoint"
            )
