"""A training run's state on disk: the last good one survives a kill at any moment, and resuming repeats its numbers.

`run/state/step-N` holds tensors/*.safetensors (weights and optimiser state), random.safetensors (the random state of
every process) and state.json (position and settings). Everything is keyed by parameter names, so that one process or
several may go on with what others saved, however their shards were cut.

torch.distributed.checkpoint writes and reads the tensors. Its default storage keeps the list of shards in a pickle,
`.metadata`; with its storage for Hugging Face files that list is in the header of each safetensors file, each process
writes what it holds, and no process ever needs memory for the whole state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pydantic
import torch
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.tensor import DTensor

from genie_lite import storage
from genie_lite.config.errors import explain
from genie_lite.config.fields import Count, Number
from genie_lite.training import distributed
from genie_lite.training.run_settings import Settings, require_equal

_NAME = re.compile(r"step-(\d+)")

Optimizers = Mapping[str, torch.optim.Optimizer]


@dataclass(frozen=True)
class Position:
    """How far a run has come: optimiser steps, which are batches too, and seconds of training."""

    step: int = 0
    elapsed: float = 0.0


class _StateFile(pydantic.BaseModel, strict=True):
    """`state.json`."""

    step: Count
    elapsed: Number
    processes: Count
    settings: dict[str, Any]


def save_state(folder: Path, model: nn.Module, optimizers: Optimizers, position: Position, settings: Settings) -> Path:
    """Write `folder`/step-N, and keep the newest two. Every process of a run calls this at the same step."""
    state = folder / f"step-{position.step:07d}"
    random = _random_states()
    with _shared_draft(state) as draft:
        with _quiet():
            writer = dcp.HuggingFaceStorageWriter(str(draft / "tensors"), save_distributed=True)
            try:
                dcp.save(_tensors(model, optimizers), storage_writer=writer, no_dist=distributed.count() == 1)
            except dcp.CheckpointException as error:  # not an Exception; it holds what went wrong in each process
                raise next(iter(error.failures.values()))[0] from None
        if distributed.rank() == 0:
            storage.write_tensors(draft / "random.safetensors", random)
            content = {**dataclasses.asdict(position), "processes": distributed.count(), "settings": settings}
            storage.write_json(draft / "state.json", {"format_version": storage.FORMAT_VERSION, **content})
    if distributed.rank() == 0:
        for old in _states(folder)[:-2]:
            shutil.rmtree(old)
    return state


def load_state(folder: Path, model: nn.Module, optimizers: Optimizers, settings: Settings) -> Position:
    """Put the newest state back and say where it stands; the beginning where there is none.

    CheckpointError when a setting differs that may not, or when files are missing, damaged, or of another model.
    """
    state = newest_state(folder)
    if state is None:
        return Position()
    content = storage.read_json(state / "state.json")
    if "settings" not in content:
        raise storage.CheckpointError(
            f"{state}: holds no settings, as states of earlier versions of genie-lite do; "
            "finish the run with the version that began it, or train in another run folder"
        )
    try:
        saved = _StateFile.model_validate(content)
    except pydantic.ValidationError as error:
        raise storage.CheckpointError(f"{state / 'state.json'}: {explain(error)}; the state is damaged") from error
    require_equal(saved.settings, settings, state)
    _read_tensors(state / "tensors", saved.processes, _tensors(model, optimizers))
    random = state / "random.safetensors"
    try:
        _restore_random(storage.read_tensors(random), saved.step, settings["seed"])
    except (KeyError, IndexError, RuntimeError, TypeError) as error:
        raise storage.CheckpointError(f"{random}: holds no random states ({error}); the state is damaged") from error
    return Position(saved.step, saved.elapsed)


def newest_state(folder: Path) -> Path | None:
    """The folder of the newest state, None where there is none."""
    return next(iter(_states(folder)[::-1]), None)


def _states(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.is_dir() and _NAME.fullmatch(path.name))


def _tensors(model: nn.Module, optimizers: Optimizers) -> dict[str, Tensor]:
    """Weights and optimiser state by name, the very tensors: "model.NAME", "optimizer.NAME.exp_avg"."""
    weights, optimizer = get_state_dict(model, list(optimizers.values()))
    tensors = {f"model.{name}": cast(Tensor, value) for name, value in weights.items()}
    for name, values in cast("dict[str, dict[str, Tensor]]", optimizer["state"]).items():
        tensors |= {f"optimizer.{name}.{key}": value for key, value in values.items()}
    return tensors


def _read_tensors(folder: Path, files: int, tensors: dict[str, Tensor]) -> None:
    """Fill `tensors`, whole or shards, from files that `files` processes wrote."""
    found = list(folder.glob("*.safetensors"))
    if len(found) != files:
        raise storage.CheckpointError(
            f"{folder}: found {len(found)} of {files} files; the state is damaged, use another"
        )
    for file in found:
        storage.require_readable(file)
    try:
        reader = dcp.HuggingFaceStorageReader(str(folder))
        entries = cast("dict[str, dcp.TensorStorageMetadata]", reader.read_metadata().state_dict_metadata)
        shapes = {name: list(entry.size) for name, entry in entries.items()}
        storage.require_shapes(shapes, {name: list(tensor.shape) for name, tensor in tensors.items()}, folder)
        with _quiet():
            dcp.load(tensors, storage_reader=reader, no_dist=distributed.count() == 1)
    except (SafetensorError, OSError, KeyError, dcp.CheckpointException) as error:
        raise storage.CheckpointError(f"{folder}: cannot be read ({error}); the state is damaged") from error
    local = {name: tensor.to_local() if isinstance(tensor, DTensor) else tensor for name, tensor in tensors.items()}
    storage.require_finite(local, folder)


def _random_states() -> dict[str, Tensor]:
    """Random states of all processes, a row each: on the CPU, and on the GPU where there is one."""
    own = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        own["cuda"] = torch.cuda.get_rng_state()
    return {name: torch.stack(distributed.gather(state)) for name, state in own.items()}


def _restore_random(states: dict[str, Tensor], step: int, seed: int) -> None:
    """Give each process its random state; one that had none begins with a state of its own."""
    rank = distributed.rank()
    if rank >= len(states["cpu"]):
        distributed.seed(seed, step)
        return
    torch.set_rng_state(states["cpu"][rank].clone())  # PyTorch crashes on memory that is not aligned, as a row may be
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][rank].clone())


@contextlib.contextmanager
def _shared_draft(folder: Path) -> Iterator[Path]:
    """storage.whole_folder by the first process, for all of them to write into."""
    first = distributed.rank() == 0
    with storage.whole_folder(folder) if first else contextlib.nullcontext() as draft:
        yield distributed.from_first(draft)
        distributed.wait()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's warning that there is a single process, which is what was asked for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
