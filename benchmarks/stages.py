"""One training step of each stage, by the package and by the plain reference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks import one_page
from benchmarks.plain import plain_copy
from genie_lite.api import Genie
from genie_lite.config import STAGES, Config, Stage, StageConfig
from genie_lite.data import FrameDataset
from genie_lite.nn import STTransformer, native_bfloat16
from genie_lite.training import distributed
from genie_lite.training.loop import training_step
from genie_lite.training.losses import Losses, genie_losses, tokenizer_losses
from genie_lite.training.optim import build_optimizers, set_progress


def some_frames(dataset: FrameDataset, settings: StageConfig, device: str) -> Tensor:
    """A fixed batch for a stage, float [B, T, H, W, C] in [0, 1], with clips spread over the dataset."""
    starts = dataset.clip_starts(settings.frames, settings.frame_stride)
    chosen = starts[torch.linspace(0, len(starts) - 1, settings.clips).long().numpy()]
    clips = dataset.read_clips(chosen, settings.frames, settings.frame_stride)
    return torch.from_numpy(clips).to(device).float() / 255


def precision_of(settings: StageConfig, device: str) -> str:
    """The number format a stage trains in on this machine."""
    quick = settings.precision == "auto" and native_bfloat16(device)
    return "bfloat16" if quick or settings.precision == "bfloat16" else "float32"


def stage_model(genie: Genie, stage: Stage) -> nn.Module:
    """The modules of a fresh Genie that a stage trains, as genie_lite.training passes them on; the rest is frozen."""
    parts = STAGES[stage]
    for name, module in genie.named_children():
        if name not in parts:
            module.requires_grad_(False)
    return nn.ModuleDict({part: getattr(genie, part) for part in parts})


class OurStep:
    """The package's training step on one batch; a call returns the number of steps done, 1."""

    def __init__(self, config: Config, stage: Stage, frames: Tensor) -> None:
        self.settings: StageConfig = getattr(config.training, stage)
        self.genie, self.stage, self.frames = Genie(config).to(frames.device), stage, frames
        self.model = stage_model(self.genie, stage).train()
        self._sharded = distributed.sharded(self.model, frames.device, self.settings.precision)
        self._sharded.__enter__()  # until the process ends; with one process nothing happens
        self.optimizers = build_optimizers(self.model, self.settings)
        set_progress(self.optimizers, self.settings, 0, 0.0)
        if self.settings.compile:
            for transformer in (m for m in self.model.modules() if isinstance(m, STTransformer)):
                transformer.compile()

    def losses(self, frames: Tensor) -> Losses:
        if self.stage == "tokenizer":
            return tokenizer_losses(self.genie.tokenizer, frames)
        return genie_losses(self.genie, frames, STAGES[self.stage])

    def __call__(self) -> float:
        training_step(self.model, self.losses, self.frames, self.optimizers, self.settings)
        return 1.0


class PlainStep:
    """The plain reference's training step on one batch, of a stage of the course."""

    def __init__(self, config: Config, stage: Stage, frames: Tensor) -> None:
        settings: StageConfig = getattr(config.training, stage)
        self.plain = plain_copy(Genie(config)).to(frames.device).train()
        self.stage, self.frames, self.clip = stage, frames, settings.grad_clip or float("inf")
        self.model: nn.Module = getattr(self.plain, stage)
        rate = settings.max_lr / max(settings.warmup_steps, 1)  # the rate of a run's first step
        betas, decay = (settings.beta1, settings.beta2), settings.weight_decay
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate, betas=betas, weight_decay=decay)

    def __call__(self) -> float:
        one_page.update(self.model, self.plain.loss(self.stage, self.frames), [self.optimizer], self.clip)
        return 1.0
