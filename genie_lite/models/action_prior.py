"""The action prior: which latent action comes next, given the frames so far. Not in the paper.

A latent action model names what happened, and part of that is no choice: who is in the air will fall. The prior learns
that part from video alone, so that play can prefer latent actions that make sense now.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_lite.config import ModelConfig

FRAMES = 4  # that a prediction looks at
WIDTH, HIDDEN = 32, 128
GRID = 8  # cells along each side of a frame that are told apart
DROPOUT = 0.2


class ActionPriorNetwork(nn.Module):
    """p(latent action from frame t to t+1 | frames up to t): a small convolutional network, causal in time.

    About a hundredth of the dynamics model's work for a frame. Frames are float [B, T, H, W, C] in [0, 1].
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.space = nn.Sequential(
            nn.Conv2d(2 * config.channels, WIDTH, 4, stride=4),
            nn.GELU(),
            nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(GRID),  # changes nothing for frames of 64x64
        )
        self.embed = nn.Linear(WIDTH * GRID * GRID, HIDDEN)
        self.time = nn.Conv1d(HIDDEN, HIDDEN, FRAMES)
        self.dropout = nn.Dropout(DROPOUT)
        self.to_logits = nn.Linear(HIDDEN, config.latent_action.codebook.num_codes)

    def forward(self, frames: Tensor) -> Tensor:
        """Logits [B, T, A]; entry t is about the latent action that leads from frame t to the next."""
        pixels = rearrange(frames, "b t h w c -> b t c h w")
        change = F.pad(pixels.diff(dim=1), (0, 0) * 3 + (1, 0))  # none before the first frame
        seen = torch.cat([pixels - 0.5, change], dim=2)
        features = self.space(rearrange(seen, "b t c h w -> (b t) c h w"))
        x = self.embed(self.dropout(rearrange(features, "(b t) c h w -> b t (c h w)", b=len(frames))))
        past = F.pad(rearrange(F.gelu(x), "b t d -> b d t"), (FRAMES - 1, 0))
        x = x + rearrange(self.time(past), "b d t -> b t d")
        return self.to_logits(self.dropout(F.gelu(x)))
