"""Optimisers and their schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genie_lite.config import StageConfig
from genie_lite.training.muon import Muon


def build_optimizers(model: nn.Module, stage: StageConfig) -> dict[str, torch.optim.Optimizer]:
    """AdamW for everything trainable (tables 8 and 9), or Muon for the matrices inside blocks and AdamW for the rest.

    Muon (Jordan, 2024) turns each matrix's update into the nearest orthogonal one. Every group remembers its
    greatest learning rate as "max_lr" for `set_progress`.
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = [p for name, p in trainable.items() if stage.optimizer == "muon" and ".blocks." in name and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in trainable.values() if id(p) not in chosen]
    betas, decay = (stage.beta1, stage.beta2), stage.weight_decay
    optimizers: dict[str, torch.optim.Optimizer] = {}
    if rest:
        optimizers["adamw"] = torch.optim.AdamW(rest, lr=stage.max_lr, betas=betas, weight_decay=decay)
    if matrices:
        optimizers["muon"] = Muon(matrices, lr=stage.muon_lr, weight_decay=decay)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["max_lr"] = group["lr"]
    return optimizers


def set_progress(optimizers: dict[str, torch.optim.Optimizer], stage: StageConfig, step: int, progress: float) -> float:
    """Set learning rates for `step`: linear warm-up, then cosine decay over `progress` in [0, 1]; AdamW's rate."""
    floor = stage.min_lr / stage.max_lr
    factor = floor + (1 - floor) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    factor *= min(1.0, (step + 1) / max(stage.warmup_steps, 1))
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["max_lr"] * factor
    return stage.max_lr * factor


def optimizer_tensors(optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The optimisers' state as named tensors, "adamw.17.exp_avg"; numbers become tensors of one element."""
    return {
        f"{name}.{index}.{key}": torch.as_tensor(value)
        for name, optimizer in optimizers.items()
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
        if value is not None
    }


def load_optimizer_tensors(optimizers: dict[str, torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`."""
    for name, optimizer in optimizers.items():
        states: dict[int, dict[str, Tensor]] = {}
        for path, tensor in tensors.items():
            owner, index, key = path.split(".", 2)
            if owner == name:
                states.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
