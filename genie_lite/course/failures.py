"""Worlds broken on purpose, and the measures that should notice (notebook 07).

A fault of the actions: a latent action model is trained from scratch with one thing changed. A fault of the dynamics: a
trained dynamics model is trained further with one thing changed. Each is compared with the same run without the fault.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.api import Genie
from genie_lite.config import ModelConfig, StageConfig
from genie_lite.data import FrameDataset
from genie_lite.evaluation import Interval, Motion, bootstrap_mean, code_usage, delta_psnr, probe_motion, psnr
from genie_lite.models import LatentActionModel, build_latent_action
from genie_lite.models.latent_action import LatentActionOutput
from genie_lite.models.latent_action_variants import ExtendedLatentActionModel
from genie_lite.training.encoded import with_guesses
from genie_lite.training.loop import fit
from genie_lite.training.losses import Losses, dynamics_losses, latent_action_losses

# --------------------------------------------------------------------------------------------- making worlds


class SeesTheAnswer(ExtendedLatentActionModel):
    """A latent action model that is off by one frame: its decoder reads the frame it has to predict."""

    def forward(self, frames: Tensor) -> LatentActionOutput:
        quantized = self.quantizer(self.latents(frames))
        change = self.predict(frames[:, 1:], quantized.vectors) - frames[:, 1:]  # should be frames[:, :-1], twice
        prediction = frames[:, :-1] + change
        error = F.mse_loss(prediction, frames[:, 1:])
        return LatentActionOutput(prediction, quantized.codes, error + quantized.loss, error)


def train_actions(
    base: Genie,
    dataset: FrameDataset,
    stage: StageConfig,
    run_dir: str | Path,
    *,
    codebook: dict[str, Any] | None = None,
    model: Callable[[ModelConfig], LatentActionModel] = build_latent_action,
) -> Genie:
    """A Genie with the tokenizer and dynamics model of `base`, and a latent action model trained here from scratch.

    `codebook` changes settings of its codebook, such as {"num_codes": 1}; `model` may be a class with a fault.
    """
    settings = base.config.model.latent_action
    settings = replace(settings, codebook=replace(settings.codebook, **(codebook or {})))
    genie = Genie(replace(base.config, model=replace(base.config.model, latent_action=settings)))
    genie.tokenizer.load_state_dict(base.tokenizer.state_dict())
    own, learned = genie.dynamics.state_dict(), base.dynamics.state_dict()
    # A prior over another number of latent actions stays new.
    genie.dynamics.load_state_dict(own | {name: t for name, t in learned.items() if t.shape == own[name].shape})
    torch.manual_seed(stage.seed)
    genie.latent_action = lam = model(genie.config.model)
    genie.to(base.device)
    fit(lam, lambda frames: latent_action_losses(lam, frames), dataset, stage, Path(run_dir), title="latent action")
    return genie.eval()


def train_dynamics(
    world: Genie, dataset: FrameDataset, stage: StageConfig, run_dir: str | Path, *, swap_actions: bool = False
) -> Genie:
    """A copy of `world` whose dynamics model is trained further, on the world's own latent actions.

    With `swap_actions` each video of a batch gets the actions of another video: a fault of the data, not of the model.
    """
    genie = copy.deepcopy(world)

    def losses(frames: Tensor) -> Losses:
        with torch.no_grad():
            tokens, codes = genie.tokenizer.encode(frames), genie.latent_action.encode(frames)
        if swap_actions:
            codes = codes.roll(1, dims=0)
        return dynamics_losses(genie, with_guesses(genie, tokens, codes))

    fit(genie.dynamics, losses, dataset, stage, Path(run_dir), title="dynamics")
    return genie.eval()


# ------------------------------------------------------------------------------------------ examining worlds


def prediction_gains(genie: Genie, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain of the next-frame prediction over copying, dB [B]: with the video's own codes, and with another video's.

    The codes are swapped inside the model's own forward pass. A measure that called the decoder itself would hand it
    the correct frames and miss a decoder that reads more than it should.
    """
    book = genie.latent_action.quantizer
    foreign = torch.as_tensor(np.roll(genie.infer_actions(videos), 1, axis=0), device=genie.device)
    copying = psnr(videos[:, 1:], videos[:, :-1])
    own = psnr(videos[:, 1:], genie.predict_next(videos))
    hook = book.register_forward_hook(lambda _, inputs, output: output._replace(vectors=book.lookup(foreign)))
    try:
        swapped = psnr(videos[:, 1:], genie.predict_next(videos))
    finally:
        hook.remove()
    return (own - copying).mean(1), (swapped - copying).mean(1)


class Signs(NamedTuple):
    """What `examine` measures; with a 95 % interval over videos where there is one."""

    gain: Interval  # of the latent action model's prediction over copying the last frame, dB
    codes_in_use: float  # effective number (perplexity)
    rarest: float  # share of the rarest code
    worth: Interval  # dB that the prediction loses when it is given another video's codes
    probe: float  # balanced accuracy from code to motion, above chance; mean of left/right and up/down
    delta: Interval | None  # ΔtPSNR at t = 4, dB; None: not measured

    @property
    def due_to_code(self) -> float:
        """Share of the gain that is lost with the wrong code; at 1 or more nothing is left of the gain."""
        return self.worth.value / max(self.gain.value, 0.1)  # a gain near zero would make the ratio meaningless

    def table_row(self) -> dict[str, float | None]:
        """The numbers as notebook 07 names them in its table."""
        return {
            "gain over copying, dB": self.gain.value,
            "codes in use": self.codes_in_use,
            "rarest code, %": 100 * self.rarest,
            "share of the gain due to the code": self.due_to_code,
            "probe above chance": self.probe,
            "ΔtPSNR, dB": self.delta.value if self.delta else None,
        }


def alarms(signs: Signs, limits: dict[str, float]) -> list[str]:
    """Names of the measured numbers that lie below their limit."""
    row = signs.table_row()
    return [name for name, limit in limits.items() if (value := row[name]) is not None and value < limit]


def examine(
    genie: Genie, videos: np.ndarray, motion: Motion, *, rollouts: int = 0, maskgit_steps: int = 8, seed: int = 0
) -> Signs:
    """Examine a world on held-out videos, uint8 [B, T, H, W, C], with their measured `motion`.

    ΔtPSNR is measured on the first `rollouts` videos, which takes most of the time; 0: not measured.
    """
    codes = genie.infer_actions(videos)
    own, foreign = prediction_gains(genie, videos)
    usage = code_usage(codes, genie.num_latent_actions)
    probes = probe_motion(codes, motion, num_codes=genie.num_latent_actions, seed=seed)
    above = [probes[axis].accuracy.value - probes[axis].chance_accuracy for axis in ("left_right", "up_down")]
    return Signs(
        gain=bootstrap_mean(own[:, None], seed=seed)[0],
        codes_in_use=usage.perplexity,
        rarest=float(usage.shares.min()),
        worth=bootstrap_mean((own - foreign)[:, None], seed=seed)[0],
        probe=float(np.mean(above)),
        delta=delta_psnr(genie, videos[:rollouts], 4, maskgit_steps=maskgit_steps, seed=seed) if rollouts else None,
    )
