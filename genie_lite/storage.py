"""Checkpoints on disk: JSON and safetensors, never pickle. Files are written whole or not at all (files.py)."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genie_lite.files import (
    FolderInUseError,
    UnwritableError,
    draft_of,
    naming_failures,
    reason,
    recover,
    recover_all,
    sole_writer,
    sync,
    whole_file,
    whole_folder,
)
from genie_lite.interrupts import interrupts_postponed

__all__ = [
    "CheckpointError",
    "FolderInUseError",
    "UnwritableError",
    "is_folder",
    "load_into",
    "read_json",
    "read_tensors",
    "recover",
    "recover_all",
    "require_finite",
    "require_readable",
    "require_replaceable",
    "require_shapes",
    "sole_writer",
    "whole_file",
    "whole_folder",
    "write_json",
    "write_tensors",
]

FORMAT_VERSION = 1

MAX_JSON = 2**24  # bytes of a JSON file: an average card has 20 kB
CONFIG_FILE, MODEL_FILE, PRIOR_FILE, CARD_FILE = FILES = (
    *("config.json", "model.safetensors", "action_prior.safetensors", "card.json"),
)


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: the message names the file or tensor, what was found and what was expected."""


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to a new file in one step."""
    with whole_file(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors to a safetensors file, in one step. UnwritableError where the disk refuses."""
    with naming_failures(path, SafetensorError), draft_of(path) as draft:
        draft.mkdir()  # a folder: a kill leaves a file of safetensors' own naming in it
        file = draft / "file"
        file.touch()
        mode = file.stat().st_mode
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, file)
        file.chmod(mode)  # what the umask says; safetensors lets nobody but the owner read
        sync(file)
        os.replace(file, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a checkpoint's JSON file; CheckpointError when it is missing, cut short, or of another format version."""
    require_readable(path, MAX_JSON)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not valid JSON ({error}); the checkpoint is damaged, use another") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: found format_version {version!r}, wanted {FORMAT_VERSION}; "
            "load it with the genie-lite release that wrote it, or train again"
        )
    return content


def read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """Read a safetensors file; CheckpointError when it is missing, damaged, or may not be read."""
    require_readable(path)
    try:
        with interrupts_postponed():  # safetensors makes a ValueError of Ctrl-C
            return load_file(path, device=str(device))
    except OSError as error:
        raise _unreadable(path, error) from error
    except SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); the file is damaged, use another") from error


def is_folder(path: Path) -> bool:
    """Whether a folder is there; CheckpointError where one cannot even look, for want of permission for instance."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise _unreadable(path, error) from error


def require_replaceable(folder: Path) -> None:
    """CheckpointError unless there is nothing at `folder`, an empty folder, or a checkpoint and nothing else."""
    if not os.path.lexists(folder):
        return
    with naming_failures(folder):
        found = _foreign(folder)
    if found is not None:
        raise CheckpointError(
            f"{folder}: found {found}, wanted nothing, an empty folder, or a checkpoint to replace; "
            "nothing was overwritten, choose another folder"
        )


def _foreign(folder: Path) -> str | None:
    """What is at `folder`, in words, if it is anything but an empty folder or a checkpoint."""
    if folder.is_symlink():
        return f"a link to {os.readlink(folder)}"
    if not folder.is_dir():
        return "a file"
    names = sorted(os.listdir(folder))
    foreign = [name for name in names if name not in FILES]
    try:
        if names and not foreign:
            read_json(folder / CONFIG_FILE)
    except CheckpointError:
        foreign = names
    more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
    return f"a folder with {', '.join(foreign[:3])}{more}" if foreign else None


def require_readable(path: Path, most: int | None = None) -> None:
    """CheckpointError unless `path` is a regular file that may be read, of at most `most` bytes."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(
            f"{path}: no such file; a checkpoint is a folder with config.json and *.safetensors"
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"{path}: found no regular file, wanted one; the checkpoint is damaged, use another")
    if most is not None and status.st_size > most:
        raise CheckpointError(
            f"{path}: found {status.st_size:,} bytes, wanted {most:,} at most; use another checkpoint"
        )
    try:
        with path.open("rb"):
            pass
    except OSError as error:  # which safetensors would call a missing file
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> CheckpointError:
    if isinstance(error, PermissionError):
        return CheckpointError(
            f"{path}: you may not read it; ask its owner for permission (chmod -R a+rX), or use another checkpoint"
        )
    return CheckpointError(f"{path}: cannot be read ({reason(error)}); use another checkpoint")


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
