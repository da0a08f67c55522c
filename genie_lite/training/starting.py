"""What a stage begins with: random weights, those of another Genie, or typical patches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from genie_lite.api import Genie
from genie_lite.config import COURSE_STAGES, Config
from genie_lite.data import FrameDataset
from genie_lite.models import PatchTokenizer
from genie_lite.models.dynamics_variants import start_from_codes
from genie_lite.models.guess_likeness import LikenessDynamicsModel

logger = logging.getLogger(__name__)

PATCHES_PER_CODE = 80  # that k-means sees, where codes are patches


def fit_patches(tokenizer: PatchTokenizer, dataset: FrameDataset, seed: int) -> None:
    """Fit the codebook to patches of frames drawn from the whole dataset, PATCHES_PER_CODE for each code."""
    count = min(dataset.num_frames, -(-PATCHES_PER_CODE * tokenizer.quantizer.num_codes // tokenizer.patches.count))
    starts = np.random.default_rng(seed).choice(dataset.clip_starts(1), count, replace=False)
    frames = (
        torch.from_numpy(dataset.read_clips(np.sort(starts), 1)).to(tokenizer.decoder_positions.device).float() / 255
    )
    logger.info("tokenizer: looking for %d typical patches in %d frames", tokenizer.quantizer.num_codes, count)
    tokenizer.fit_patches(frames, torch.Generator().manual_seed(seed))


def with_fresh_parts(config: Config, base: Genie, parts: Sequence[str]) -> Genie:
    """A Genie with `base`'s weights and settings, but `parts` new from `config`."""
    kept = {name: getattr(base.config.model, name) for name in COURSE_STAGES if name not in parts}
    if "latent_action" in parts and config.model.latent_action != base.config.model.latent_action:
        kept.pop("dynamics", None)  # it may need what this latent action model lacks, and its weights do not fit
    shared = {name: getattr(base.config.model, name) for name in ("frame_size", "channels")}
    genie = Genie(replace(config, model=replace(config.model, **kept, **shared)))
    genie.tokenizer.load_state_dict(base.tokenizer.state_dict())
    if "latent_action" not in parts:
        genie.latent_action.load_state_dict(base.latent_action.state_dict())
        genie.action_prior_network = base.action_prior_network
    if "dynamics" in parts and config.model.dynamics.token_start == "codebook":
        codes = genie.tokenizer.quantizer.lookup(torch.arange(genie.dynamics.num_tokens))
        start_from_codes(genie.dynamics, codes)
    dynamics = genie.dynamics
    if "dynamics" in parts and isinstance(dynamics, LikenessDynamicsModel):
        dynamics.to_logits.codes.copy_(genie.tokenizer.quantizer.codebook)
    if "dynamics" not in parts and genie.config.model.latent_action == base.config.model.latent_action:
        genie.dynamics.load_state_dict(base.dynamics.state_dict())
    for part in COURSE_STAGES:
        if part not in parts:
            getattr(genie, part).requires_grad_(False)
    return genie


def start_from(genie: Genie, start: Genie | str | Path, parts: Sequence[str]) -> None:
    """Give `parts` of `genie` the weights of another. ValueError names the part that is not built alike."""
    other = loaded(start)
    for part in parts:
        model, donor = getattr(genie, part), getattr(other, part)
        weights = donor.state_dict()
        if part == "latent_action" and donor.quantizer.num_codes < model.quantizer.num_codes:
            model.quantizer.start_from(donor.quantizer)
            weights |= model.quantizer.state_dict(prefix="quantizer.")
        if isinstance(model, LikenessDynamicsModel) and not isinstance(donor, LikenessDynamicsModel):
            own = model.to_logits.state_dict(prefix="to_logits.")
            weights = {name: own[name] for name in own if name not in weights} | weights  # trust is yet to be learned
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            what = str(error).splitlines()[-1].strip()
            raise ValueError(
                f"start: its {part} is not built like this one ({what}); give both the same preset"
            ) from error


def loaded(genie: Genie | str | Path) -> Genie:
    return genie if isinstance(genie, Genie) else Genie.load(genie)
