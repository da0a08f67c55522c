"""Clips whose past is what the world itself makes of them, as in play (not in the paper).

A dynamics model that is trained on true pasts alone never sees its own mistakes, yet in play its past is made of them.
Here a trained world plays the latent actions of a clip, and the frames that it makes are the past that the model reads,
while the tokens to predict stay the true ones.

The true next frame follows from such a past only while the world shows the clip's own scene. A latent action says
roughly how far the hero moves, and after a step that is a pixel too long every token of the true next frame is another
one. So the true frame takes the place of one whose scene lies elsewhere, and comes after a few frames in any case. A
world with a sharp guess is told how far the clip's scene moved, and seldom lies elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genie_lite.config import StageConfig
from genie_lite.inference import Rollout
from genie_lite.inference.arrays import to_uint8
from genie_lite.models import GenieModel, VideoTokenizer
from genie_lite.nn.displacement import match_displacements


class FollowingRollout(Rollout):
    """A rollout along clips of tokens [B, T, N], from their first frames: a frame is the world's or the clip's own.

    It is the world's where `wanted`, bool [B, T], says so and the scene lies where the clip's does. `past` are the
    tokens [B, N] of each frame so far.
    """

    def __init__(
        self, model: GenieModel, tokens: Tensor, wanted: Tensor, *, seed: int = 0, precision: str = "auto"
    ) -> None:
        self._clips, self._wanted = tokens, wanted
        self.past: list[Tensor] = []
        with torch.inference_mode():
            first = to_uint8(model.tokenizer.decode(tokens[:, :1]).float().clamp(0, 1))
        super().__init__(model, first, seed=seed, precision=precision)

    def _read_prompt(self, frames: Tensor) -> None:
        self._read(self._clips[:, :1], self._clips.new_zeros(len(frames), 0))

    def _first_guess(self, action_vectors: Tensor) -> Tensor | None:
        if self._guess is None:
            return None
        true = self._clips[:, len(self.past), None]
        return self._guess.predict(action_vectors, self.model.tokenizer.decode(true).float())

    def _append(self, tokens: Tensor, action_vectors: Tensor, past: Tensor | None) -> None:
        t = len(self.past)
        true, keep = self._clips[:, t], self._wanted[:, t]
        if t and keep.any():
            keep = keep & in_place(self.model.tokenizer, tokens, true)
        tokens = torch.where(keep[:, None], tokens, true)
        super()._append(tokens, action_vectors, past)
        self.past.append(tokens)


def in_place(tokenizer: VideoTokenizer, tokens: Tensor, true: Tensor) -> Tensor:
    """Whether frames of tokens [B, N] show the scene where the `true` ones [B, N] do, to the pixel: bool [B]."""
    frames = tokenizer.decode(torch.cat([true, tokens])[:, None])  # each by itself
    pairs = torch.stack(frames[:, 0].chunk(2), dim=1)  # [B, 2, H, W, C]
    reach = min(pairs.shape[2:4]) // 4
    return (match_displacements(pairs, reach)[:, 0].argmax(dim=-1) == reach).all(dim=-1)


def own_past(
    model: GenieModel,
    tokens: Tensor,
    latent_actions: Tensor,
    wanted: Tensor,
    *,
    seed: int = 0,
    precision: str = "auto",
) -> Tensor:
    """The past of clips with tokens [B, T, N] and latent actions [B, T-1] as `model` plays it: tokens [B, T, N].

    `wanted`, bool [B, T], says which frames should be the model's own (see `FollowingRollout`).
    """
    past = tokens.clone()
    chosen = wanted.any(dim=1)
    if chosen.any():
        rollout = FollowingRollout(model, tokens[chosen], wanted[chosen], seed=seed, precision=precision)
        for actions in latent_actions[chosen].unbind(dim=1):
            rollout.step(actions.cpu().numpy())
        past[chosen] = torch.stack(rollout.past, dim=1)
    return past


def wanted_in_stage(stage: StageConfig, clips: int) -> Tensor:
    """`draw_wanted` for the encoded clips of a stage, bool [clips, T]: none but in the first, a share `own_past`.

    Clips are in random order, and a world plays many together faster than a few of each batch.
    """
    wanted = draw_wanted(clips, stage.frames, stage.own_past_frames, torch.Generator().manual_seed(stage.seed))
    wanted[round(stage.own_past * clips) :] = False
    return wanted


def draw_wanted(clips: int, frames: int, most: int, generator: torch.Generator) -> Tensor:
    """Which frames of each clip should be the world's own: bool [clips, frames].

    Each clip has 1 to `most` of them in a row, then a true one, and so on. Its first frame is true.
    """
    period = 2 + torch.randint(most, (clips, 1), generator=generator)
    phase = (torch.rand(clips, 1, generator=generator) * period).long()
    wanted = (torch.arange(frames) + phase) % period != 0
    wanted[:, 0] = False
    return wanted
