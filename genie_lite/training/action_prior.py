"""Training the action prior: minutes on one core, after the latent action model, from frames alone."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.api import Genie
from genie_lite.config import StageConfig
from genie_lite.data import FrameDataset
from genie_lite.models.action_prior import ActionPriorNetwork
from genie_lite.training.loop import fit
from genie_lite.training.losses import Losses
from genie_lite.training.run_settings import fingerprint

STAGE = StageConfig(
    steps=800, clips=8, frames=16, optimizer="adamw", max_lr=2e-3, beta2=0.99, weight_decay=0.05, sample_every=0
)


def train_action_prior(
    genie: Genie,
    dataset: FrameDataset,
    run_dir: str | Path,
    *,
    stage: StageConfig = STAGE,
    progress: bool = True,
) -> Genie:
    """Give `genie` an action prior, trained on clips of `dataset`; the same Genie, which `save` stores with it.

    The targets are the latent actions that its latent action model infers; no other part of it changes. `run_dir`
    receives log.csv and state/ (for resuming); the loss is in nats a latent action.
    """
    torch.manual_seed(stage.seed)
    prior = ActionPriorNetwork(genie.config.model).to(genie.device)

    def losses(frames: Tensor) -> Losses:
        with torch.no_grad():
            codes = genie.latent_action.encode(genie.latent_action_inputs(frames))
        logits = prior(frames[:, :-1]).float()
        return {"loss": F.cross_entropy(logits.flatten(0, 1), codes.flatten())}

    genie.eval()
    settings = {"base": {"latent_action": fingerprint(genie.latent_action)}}
    fit(prior, losses, dataset, stage, Path(run_dir), title="action prior", settings=settings, progress=progress)
    genie.action_prior_network = prior
    return genie
