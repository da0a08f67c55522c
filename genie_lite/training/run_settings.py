"""The settings that a run was begun with, so that resuming with others is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from genie_lite import storage
from genie_lite.config import StageConfig, config_to_dict
from genie_lite.data import FrameDataset

# Settings with which a run may be resumed though it was begun with others: they change how long it trains, what it
# writes, or how it fits the machine.
MAY_DIFFER = (
    "steps",
    "time_budget_minutes",
    "micro_batch",
    "compile",
    "log_every",
    "sample_every",
    "checkpoint_every_minutes",
)

Settings = dict[str, Any]  # dotted names to values that JSON knows


def run_settings(stage: StageConfig, dataset: FrameDataset, others: Mapping[str, Any]) -> Settings:
    """Everything that a run's numbers depend on: a stage's settings, its videos, and `others`."""
    found = {**config_to_dict(stage), "dataset": identity(dataset), **others}
    return dict(_flat(json.loads(json.dumps(found)), ""))  # as they come back from disk: lists, not tuples


def identity(dataset: FrameDataset) -> str:
    """Which videos these are, wherever they lie: their number, size and origin, and a digest of some of their bytes."""
    digest = hashlib.sha256(dataset.episode_starts.tobytes())
    digest.update(json.dumps(dataset.attributes, sort_keys=True, default=str).encode())
    for frame in (0, dataset.num_frames - 1):
        digest.update(dataset.read_clips(np.array([frame]), 1).tobytes())
    height, width = dataset.frame_size
    return f"{dataset.num_frames} frames of {height}x{width}, {digest.hexdigest()[:12]}"


def fingerprint(model: nn.Module) -> str:
    """Twelve characters that tell the weights of a model from any others."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:12]


def _flat(tree: Any, at: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        yield at, tree
        return
    for key, value in tree.items():
        yield from _flat(value, f"{at}.{key}" if at else key)


def require_equal(saved: Settings, wanted: Settings, state: Path) -> None:
    missing = object()
    differing = [
        f"{name} (saved: {saved.get(name, 'not recorded')}, now: {wanted.get(name, 'no such setting')})"
        for name in sorted(saved.keys() | wanted.keys())
        if name not in MAY_DIFFER and saved.get(name, missing) != wanted.get(name, missing)
    ]
    if differing:
        raise storage.CheckpointError(
            f"{state}: cannot resume with other settings than it was trained with: {'; '.join(differing)}. "
            "Go back to those, or train in another run folder. "
            f"What may differ: {', '.join(MAY_DIFFER)}, and the number of processes"
        )
