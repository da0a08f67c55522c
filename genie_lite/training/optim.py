"""Optimisers and their schedule."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from genie_lite.config import StageConfig
from genie_lite.training.muon import Muon


def build_optimizers(model: nn.Module, stage: StageConfig) -> dict[str, torch.optim.Optimizer]:
    """AdamW for everything trainable (tables 8 and 9), or Muon for the matrices inside blocks and AdamW for the rest.

    Muon (Jordan, 2024) turns each matrix's update into the nearest orthogonal one. Every group remembers its
    peak learning rate as "max_lr" for `set_progress`.
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = [p for name, p in trainable.items() if stage.optimizer == "muon" and ".blocks." in name and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in trainable.values() if id(p) not in chosen]
    betas, decay = (stage.beta1, stage.beta2), stage.weight_decay
    optimizers: dict[str, torch.optim.Optimizer] = {}
    if rest:  # sharded parameters and whole ones cannot be in one group
        groups = [[p for p in rest if isinstance(p, DTensor) == sharded] for sharded in (True, False)]
        named = [{"params": group} for group in groups if group]
        optimizers["adamw"] = torch.optim.AdamW(named, lr=stage.max_lr, betas=betas, weight_decay=decay)
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
