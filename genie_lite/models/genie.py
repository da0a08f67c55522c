"""The three models of Genie together (figure 3): tensors in, tensors out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genie_lite.config import Config
from genie_lite.models.action_prior import ActionPriorNetwork
from genie_lite.models.build import build_dynamics, build_latent_action, build_tokenizer


class GenieModel(nn.Module):
    """A video tokenizer, a latent action model and a dynamics model that fit one another.

    It knows no files, no sampling and no cache: `genie_lite.api.Genie` adds those.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = build_tokenizer(config.model)
        self.latent_action = build_latent_action(config.model)
        self.dynamics = build_dynamics(config.model)
        self.action_prior_network: ActionPriorNetwork | None = None  # optional, trained last

    @property
    def num_latent_actions(self) -> int:
        """A, the number of latent actions."""
        return self.config.model.latent_action.codebook.num_codes

    @property
    def context_frames(self) -> int:
        """Length of the temporal window: the frames that a new frame attends to, itself included."""
        return self.config.model.context_frames

    @property
    def frame_size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.config.model.frame_size

    @property
    def device(self) -> torch.device:
        return self.tokenizer.decoder_positions.device

    def latent_action_inputs(self, frames: Tensor, tokens: Tensor | None = None) -> Tensor:
        """What the latent action model reads: frames [B, T, H, W, C] in [0, 1], or the codes of their tokens.

        Codes are arranged like the patches of a frame, [B, T, rows, columns, latent_dim]; no gradient reaches the
        tokenizer. If `tokens` [B, T, N] are given, the frames are not encoded again.
        """
        if self.latent_action.inputs == "pixels":
            return frames
        with torch.no_grad():
            codes = self.tokenizer.quantizer.lookup(self.tokenizer.encode(frames) if tokens is None else tokens)
        return codes.unflatten(2, (self.tokenizer.patches.rows, self.tokenizer.patches.columns))
