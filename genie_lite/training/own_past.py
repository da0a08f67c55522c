"""Clips whose past is what the world itself makes of them, as in play (not in the paper).

A dynamics model that is trained on true pasts alone never sees its own mistakes, yet in play its past is made of them.
Here a trained world plays the latent actions of a clip, and the frames that it makes are the past that the model reads,
while the tokens to predict stay the true ones. A world that is left alone drifts away until its frames and the clip's
have nothing in common, so after a few frames of its own a true one comes in between.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genie_lite.config import StageConfig
from genie_lite.inference import Rollout
from genie_lite.inference.arrays import to_uint8
from genie_lite.models import GenieModel


class AnchoredRollout(Rollout):
    """A rollout along clips of tokens [B, T, N], in which the frames where `true`, bool [B, T], are the clips' own.

    It begins with the first frame of each clip. `made` are its frames so far.
    """

    def __init__(self, model: GenieModel, tokens: Tensor, true: Tensor, *, seed: int = 0, precision: str = "auto"):
        self._clips, self._true = tokens, true
        self.made: list[Tensor] = []  # tokens [B, N] of each frame
        with torch.inference_mode():
            first = to_uint8(model.tokenizer.decode(tokens[:, :1]).float().clamp(0, 1))
        super().__init__(model, first, seed=seed, precision=precision)

    def _read_prompt(self, frames: Tensor) -> None:
        self._read(self._clips[:, :1], self._clips.new_zeros(len(frames), 0))

    def _append(self, tokens: Tensor, action_vectors: Tensor, past: Tensor | None) -> None:
        t = len(self.made)
        tokens = torch.where(self._true[:, t, None], self._clips[:, t], tokens)
        super()._append(tokens, action_vectors, past)
        self.made.append(tokens)


def own_past(
    model: GenieModel,
    tokens: Tensor,
    latent_actions: Tensor,
    ages: Tensor,
    *,
    seed: int = 0,
    precision: str = "auto",
) -> Tensor:
    """The past of clips with tokens [B, T, N] and latent actions [B, T-1] as `model` plays it: tokens [B, T, N].

    `ages` [B, T] say how many frames ago the last true frame was: where 0, the frame is the clip's own.
    """
    past = tokens.clone()
    chosen = ages.any(dim=1)
    if chosen.any():
        rollout = AnchoredRollout(model, tokens[chosen], ages[chosen] == 0, seed=seed, precision=precision)
        for actions in latent_actions[chosen].unbind(dim=1):
            rollout.step(actions.cpu().numpy())
        past[chosen] = torch.stack(rollout.made, dim=1)
    return past


def ages_of_pasts(stage: StageConfig, clips: int) -> Tensor:
    """`draw_ages` for the encoded clips of a stage, [clips, T]: all 0 but in the first ones, a share `own_past`.

    Clips are in random order, and a world plays many alike faster than a few of each batch.
    """
    ages = draw_ages(clips, stage.frames, stage.own_past_frames, torch.Generator().manual_seed(stage.seed))
    ages[round(stage.own_past * clips) :] = 0
    return ages


def draw_ages(clips: int, frames: int, most: int, generator: torch.Generator) -> Tensor:
    """For each frame of each clip, how many frames ago the last true one was: int64 [clips, frames], 0 to `most`.

    Each clip has 1 to `most` frames in a row of the world's own, then a true one, and so on. Its first frame is true.
    """
    period = 2 + torch.randint(most, (clips, 1), generator=generator)
    phase = (torch.rand(clips, 1, generator=generator) * period).long()
    t = torch.arange(frames)
    return torch.where(t < period - phase, t, (t + phase) % period)
