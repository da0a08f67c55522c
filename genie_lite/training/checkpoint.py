"""A training run's state on disk: the last good one survives a kill at any moment, and resuming repeats its numbers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from torch import nn

from genie_lite import storage
from genie_lite.training.optim import load_optimizer_tensors, optimizer_tensors

_NAME = re.compile(r"step-(\d+)")


def save_state(
    folder: Path, model: nn.Module, optimizers: dict[str, torch.optim.Optimizer], step: int, elapsed: float, seed: int
) -> None:
    """Write `folder`/step-N: weights, optimiser state, random state, steps and seconds done; keep the newest two."""
    with storage.whole_folder(folder / f"step-{step:07d}") as draft:
        storage.write_tensors(draft / "model.safetensors", model.state_dict())
        random = {"random.torch": torch.get_rng_state()}
        if torch.cuda.is_available():
            random["random.cuda"] = torch.cuda.get_rng_state()
        storage.write_tensors(draft / "optimizer.safetensors", {**optimizer_tensors(optimizers), **random})
        content = {"format_version": storage.FORMAT_VERSION, "step": step, "elapsed": elapsed, "seed": seed}
        storage.write_json(draft / "state.json", content)
    for old in _states(folder)[:-2]:
        shutil.rmtree(old)


def load_state(
    folder: Path, model: nn.Module, optimizers: dict[str, torch.optim.Optimizer], seed: int
) -> tuple[int, float]:
    """Put the newest state back and return its steps and seconds done; (0, 0) when there is none.

    Raises CheckpointError when the state belongs to other settings (another seed, other shapes).
    """
    states = _states(folder)
    if not states:
        return 0, 0.0
    newest = states[-1]
    content = storage.read_json(newest / "state.json")
    if content["seed"] != seed:
        raise storage.CheckpointError(
            f"{newest}: was trained with seed {content['seed']}, now asked for {seed}; use another run folder"
        )
    storage.load_into(model, storage.read_tensors(newest / "model.safetensors"), newest / "model.safetensors")
    tensors = storage.read_tensors(newest / "optimizer.safetensors")
    torch.set_rng_state(tensors.pop("random.torch"))
    if (cuda := tensors.pop("random.cuda", None)) is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(cuda)
    load_optimizer_tensors(optimizers, tensors)
    return int(content["step"]), float(content["elapsed"])


def _states(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.is_dir() and _NAME.fullmatch(path.name))
