"""With what number format and how many threads a world is computed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from genie_lite.nn import autocast


@contextlib.contextmanager
def computing(model: nn.Module, precision: str = "auto", threads: int | None = None) -> Iterator[None]:
    """x"""
    learning = [module for module in model.modules() if module.training]  # none in a world that is only played
    device = next(model.parameters()).device
    try:
        for module in learning:
            module.training = False
        with torch.inference_mode(), autocast(device, precision):
            yield
    finally:
        for module in learning:
            module.training = True


def play_precision(device: torch.device, precision: str = "auto") -> str:
    return precision


def play_threads(device: torch.device, threads: int | None = None) -> int | None:
    return None
