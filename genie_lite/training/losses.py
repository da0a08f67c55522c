"""What each model minimises in one training step, and what is logged beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.config import STAGES
from genie_lite.models import GenieModel, LatentActionModel, VideoTokenizer
from genie_lite.models.complete_past import CompletePastDynamicsModel
from genie_lite.nn import perplexity
from genie_lite.training.encoded import EncodedClips, encode_clips

Losses = dict[str, Tensor]  # "loss" is minimised, the others are logged

PARTS = STAGES["genie"]
PRIOR_WEIGHT = 0.1  # of the action prior's loss: it must not shape what the dynamics model knows of pictures


def tokenizer_losses(model: VideoTokenizer, frames: Tensor) -> Losses:
    """One step's numbers: the loss; PSNR in dB; the effective number of codes in use."""
    output = model(frames)
    psnr = -10 * output.reconstruction_loss.detach().log10()
    return {"loss": output.loss, "psnr": psnr, "codes_in_use": _effective(model.quantizer.usage)}


def genie_losses(genie: GenieModel, frames: Tensor, parts: Sequence[str] = PARTS) -> Losses:
    """One step's numbers of the second phase: the sum of the losses of `parts`, and what each logs."""
    result: Losses = {"loss": torch.zeros((), device=frames.device)}
    genie.tokenizer.eval()
    if "latent_action" in parts:
        result |= latent_action_losses(genie.latent_action, genie.latent_action_inputs(frames))
    if "dynamics" in parts:
        found = dynamics_losses(genie, encode_clips(genie, frames))  # no gradient to the latent actions
        result |= found | {"loss": result["loss"] + found["loss"]}
    return result


def dynamics_losses(genie: GenieModel, clips: EncodedClips) -> Losses:
    """One step's numbers: the loss; the cross-entropy of masked tokens; that of the next action, if it is learned."""
    model, vectors = genie.dynamics, genie.latent_action.quantizer.lookup(clips.latent_actions)
    if not isinstance(model, CompletePastDynamicsModel):
        loss = model(clips.tokens, vectors).loss
        return {"loss": loss, "cross_entropy": loss.detach()}
    output, prior = model.losses(clips.tokens, vectors, guesses=clips.guesses, past=clips.past)
    surprise = F.nll_loss(prior.flatten(0, 1), clips.latent_actions.flatten())
    loss = output.loss + PRIOR_WEIGHT * surprise
    return {"loss": loss, "cross_entropy": output.loss.detach(), "prior_cross_entropy": surprise.detach()}


def latent_action_losses(model: LatentActionModel, frames: Tensor) -> Losses:
    """One step's numbers: the loss; dB gained over copying the last frame; the effective number of actions in use.

    `frames` are what the model sees (Genie.latent_action_inputs).
    """
    output = model(frames)
    copying = (frames[:, 1:] - frames[:, :-1]).square().mean()
    gain = 10 * (copying / output.prediction_loss.detach()).log10()
    return {"loss": output.loss, "gain_db": gain, "actions_in_use": _effective(model.quantizer.usage)}


def _effective(usage: Tensor) -> Tensor:
    return perplexity(usage / usage.sum())
