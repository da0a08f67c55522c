"""The loop that every stage shares: batch, loss, backward, clip, step, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from genie_lite.config import StageConfig
from genie_lite.data import ClipLoader, FrameDataset
from genie_lite.nn import STTransformer, autocast, processes
from genie_lite.training.checkpoint import load_state, save_state
from genie_lite.training.codebook_monitor import CollapseWatch
from genie_lite.training.encoded import NumberLoader
from genie_lite.training.log import NoLog, RunLog
from genie_lite.training.optim import build_optimizers, set_progress

logger = logging.getLogger(__name__)

Losses = dict[str, Tensor]  # "loss" is minimised, the others are logged


def fit(
    model: nn.Module,
    losses: Callable[[Tensor], Losses],
    dataset: FrameDataset,
    stage: StageConfig,
    run_dir: Path,
    *,
    title: str,
    choices: int = 0,
    on_sample: Callable[[int], None] | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> None:
    """Train `model` on clips of `dataset` until `stage.steps` or the time budget is reached.

    `losses` maps frames [B, T, H, W, C] in [0, 1] to {"loss": ..., other numbers to log}. With `choices`,
    clips are at hand already, encoded: no frames are read, and `losses` is given numbers of clips, int64 [B] in
    [0, choices). A run that was stopped or
    killed goes on from the newest state in `run_dir`/state, with the numbers it would have had. `on_sample(step)`
    is called every `stage.sample_every` steps. Ctrl-C saves the state and passes on.

    Under torchrun the processes share each step's `stage.clips` clips, and the first one writes; resumed, all but the
    first draw other random numbers than they would have. ValueError when the clips cannot be shared evenly.
    """
    first = processes.rank() == 0
    run_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(stage.seed)
    device = next(model.parameters()).device
    optimizers = build_optimizers(model, stage)
    step, before = load_state(run_dir / "state", model, optimizers, stage.seed)
    if step:
        logger.info("%s: resuming at step %d of %d", title, step, stage.steps)
    _meet(model, stage.seed, step)
    part = (processes.rank(), processes.count())
    loader: ClipLoader | NumberLoader = (
        NumberLoader(choices, stage.clips, stage.seed, part)
        if choices
        else ClipLoader(dataset, stage.clips, stage.frames, stride=stage.frame_stride, seed=stage.seed, part=part)
    )
    log = RunLog(run_dir, title, stage, step, progress=progress, tensorboard=tensorboard) if first else NoLog()
    loader.seek(step)
    started = saved = time.monotonic()
    elapsed, done = before, _progress(stage, step, before)
    transformers = [module for module in model.modules() if isinstance(module, STTransformer)]
    if stage.compile:
        for transformer in transformers:
            transformer.compile()
    watches = CollapseWatch.over(model, title, stage)
    model.train()
    on_sample = on_sample if first and stage.sample_every else None
    if step == 0 and on_sample:
        on_sample(0)
    try:
        while done < 1:
            frames = _to_device(next(loader), device)
            lr = set_progress(optimizers, stage, step, done)
            result, norm = training_step(model, losses, frames, optimizers, stage)
            step += 1
            elapsed = _agreed(before + time.monotonic() - started, stage, device)
            done = _progress(stage, step, elapsed)
            row = None
            if step % stage.log_every == 0 or done >= 1:
                values = list(result.values())
                processes.average_(values)
                numbers = dict(zip(result, map(float, values), strict=True))
                row = {"step": step, "minutes": elapsed / 60, "lr": lr, "grad_norm": float(norm), **numbers}
                log.warn(*(alarm for watch in watches if (alarm := watch.look(step))))
            log.tick(done, elapsed, step, row)
            if on_sample and (step % stage.sample_every == 0 or done >= 1):
                on_sample(step)
            if first and (done >= 1 or time.monotonic() - saved > 60 * stage.checkpoint_every_minutes):
                save_state(run_dir / "state", model, optimizers, step, elapsed, stage.seed)
                saved = time.monotonic()
    except KeyboardInterrupt:
        if first:
            save_state(run_dir / "state", model, optimizers, step, elapsed, stage.seed)
        logger.warning("%s: stopped at step %d; start it again with the same run folder to go on", title, step)
        raise
    finally:
        loader.close()
        log.close()
        for watch in watches:
            watch.close()
        for transformer in transformers:
            transformer._compiled_call_impl = None  # play feeds one frame at a time, which would compile anew
    model.eval()


def training_step(
    model: nn.Module,
    losses: Callable[[Tensor], Losses],
    frames: Tensor,
    optimizers: dict[str, torch.optim.Optimizer],
    stage: StageConfig,
) -> tuple[Losses, Tensor]:
    """Losses of frames [B, T, H, W, C] in [0, 1] (or numbers of clips, see `fit`), backward, clip, step.

    Returns the losses, and the norm of the gradient before clipping.

    With `stage.micro_batch` the clips go through in parts, of which only one is in memory; gradients and losses are
    means over all clips. A codebook's running means and restarts see the parts one after the other.
    """
    result: Losses = {}
    for part in frames.split(stage.micro_batch or len(frames)):
        with autocast(frames.device, stage.precision):
            found = losses(part)
        share = len(part) / len(frames)
        (share * found["loss"]).backward()
        result = {name: share * value.detach() + result.get(name, 0.0) for name, value in found.items()}
    parameters = [p for p in model.parameters() if p.requires_grad]
    processes.average_(p.grad for p in parameters if p.grad is not None)
    norm = torch.nn.utils.clip_grad_norm_(parameters, stage.grad_clip or float("inf"))
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return result, norm


def _meet(model: nn.Module, seed: int, step: int) -> None:
    """Begin with the same weights in every process, and with chance of its own in each but the first."""
    processes.copy_first_([p.detach() for p in model.parameters()] + list(model.buffers()))
    if processes.rank():
        own = np.random.SeedSequence([seed, step, processes.rank()])
        torch.manual_seed(int(own.generate_state(1)[0]))


def _agreed(elapsed: float, stage: StageConfig, device: torch.device) -> float:
    """The first process's clock, where a clock ends the run: all must end at the same step."""
    if not stage.time_budget_minutes or processes.count() == 1:
        return elapsed
    clock = torch.tensor([elapsed], dtype=torch.float64, device=device)
    processes.copy_first_([clock])
    return float(clock)


def _progress(stage: StageConfig, step: int, elapsed: float) -> float:
    """How much of a stage is done, by steps or by time, whichever is further."""
    by_time = elapsed / (60 * stage.time_budget_minutes) if stage.time_budget_minutes else 0.0
    return max(step / stage.steps, by_time)


def _to_device(batch: np.ndarray, device: torch.device) -> Tensor:
    clips = torch.from_numpy(batch)
    if device.type == "cuda":
        clips = clips.pin_memory()
    clips = clips.to(device, non_blocking=True)
    return clips.float() / 255 if clips.dtype == torch.uint8 else clips
