"""The loop that every stage shares: batch, loss, backward, clip, step, report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genie_lite.config import StageConfig
from genie_lite.data import ClipLoader, FrameDataset
from genie_lite.nn import STTransformer, autocast
from genie_lite.training import distributed
from genie_lite.training.encoded import NumberLoader
from genie_lite.training.losses import Losses
from genie_lite.training.optim import build_optimizers, set_progress
from genie_lite.training.run import Run
from genie_lite.training.run_settings import run_settings


def fit(
    model: nn.Module,
    losses: Callable[[Tensor], Losses],
    dataset: FrameDataset,
    stage: StageConfig,
    run_dir: Path,
    *,
    title: str,
    choices: int = 0,
    settings: Mapping[str, Any] | None = None,
    device: torch.device | None = None,
    on_sample: Callable[[int], None] | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> None:
    """Train `model` on clips of `dataset` until `stage.steps` or the time budget is reached.

    `losses` maps frames [B, T, H, W, C] in [0, 1] to {"loss": ..., other numbers to log}. With `choices`, clips were
    encoded before: no frames are read, and `losses` is given numbers of clips, int64 [B] in [0, choices).
    `on_sample(step)` is called every `stage.sample_every` steps. `device` is where to train, by default where the model
    is.

    A run that was stopped or killed continues from the newest state in `run_dir`/state, with the numbers it would have
    had; `settings` are those that its numbers depend on besides `stage` and the dataset. Ctrl-C finishes the step,
    saves the state and is passed on.

    Under torchrun the model is sharded in place (training.distributed), the processes share each step's `stage.clips`
    clips, all of them call `on_sample`, and the first one writes. `run_dir` has to be a folder that all of them see.

    Raises TrainingError at the first loss that is not finite, CheckpointError if the state in `run_dir` was made with
    other settings, DatasetError if clips are too long for the videos or cannot be shared evenly.
    """
    device = device or next(model.parameters()).device
    distributed.seed(stage.seed)
    with _compiled(model, stage), distributed.sharded(model, device, stage.precision):
        optimizers = build_optimizers(model, stage)
        run = Run(
            model, optimizers, _loader(dataset, stage, choices), stage, run_dir, title=title,
            settings=run_settings(stage, dataset, settings or {}),
            on_sample=on_sample, progress=progress, tensorboard=tensorboard,
        )  # fmt: skip
        model.train()
        with run:
            while run.progress < 1:
                batch = _to_device(run.next_batch(), device)
                rate = set_progress(optimizers, stage, run.step, run.progress)
                numbers, norm = training_step(model, losses, batch, optimizers, stage)
                run.report(numbers, norm, rate)
    model.eval()


def training_step(
    model: nn.Module,
    losses: Callable[[Tensor], Losses],
    batch: Tensor,
    optimizers: Mapping[str, torch.optim.Optimizer],
    stage: StageConfig,
) -> tuple[Losses, Tensor]:
    """Losses of a batch [B, ...] (see `fit`), backward, clip, step: the losses, and the gradient norm before clipping.

    With `stage.micro_batch` the clips go through in parts, of which only one is in memory; gradients and losses are
    means over all clips. A codebook's running means and restarts see the parts one after the other.
    """
    numbers: Losses = {}
    parts = batch.split(stage.micro_batch or len(batch))
    for part in parts:
        distributed.sync_gradients(model, part is parts[-1])
        with autocast(batch.device, stage.precision):
            found = losses(part)
        share = len(part) / len(batch)
        (share * found["loss"]).backward()
        numbers = {name: share * value.detach() + numbers.get(name, 0.0) for name, value in found.items()}
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    norm = distributed.clip_gradients(parameters, stage.grad_clip or float("inf"))
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return numbers, norm


def _loader(dataset: FrameDataset, stage: StageConfig, choices: int) -> ClipLoader | NumberLoader:
    """This process's part of every batch: clips, or numbers of clips."""
    part = (distributed.rank(), distributed.count())
    if choices:
        return NumberLoader(choices, stage.clips, stage.seed, part)
    return ClipLoader(
        dataset,
        stage.clips,
        stage.frames,
        stride=stage.frame_stride,
        seed=stage.seed,
        part=part,
        mirrored=stage.mirrored,
    )


def _to_device(batch: np.ndarray, device: torch.device) -> Tensor:
    """A batch on a device; frames uint8 become float in [0, 1]."""
    clips = torch.from_numpy(batch)
    if device.type == "cuda":
        clips = clips.pin_memory()
    clips = clips.to(device, non_blocking=True)
    return clips.float() / 255 if clips.dtype == torch.uint8 else clips


@contextlib.contextmanager
def _compiled(model: nn.Module, stage: StageConfig) -> Iterator[None]:
    """torch.compile the transformers if `stage` says so: whole, or block by block where blocks are sharded."""
    transformers = [module for module in model.modules() if isinstance(module, STTransformer)] if stage.compile else []
    whole = distributed.count() == 1
    modules = transformers if whole else [block for transformer in transformers for block in transformer.blocks]
    for module in modules:
        module.compile()
    try:
        yield
    finally:
        for module in modules:
            module._compiled_call_impl = None  # play feeds one frame at a time, which would compile anew
