"""Frames to patches and back."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


class Patches:
    """Cuts frames [B, T, H, W, C] into N square patches, [B, T, N, patch_size² · C], and puts them together again.

    Frames that patches do not tile are padded at the right and bottom by their edge, and cropped on the way back.
    """

    def __init__(self, frame_size: tuple[int, int], patch_size: int) -> None:
        self.frame_size, self.patch_size = frame_size, patch_size
        self.rows, self.columns = (-(-side // patch_size) for side in frame_size)

    @property
    def count(self) -> int:
        """N, patches per frame."""
        return self.rows * self.columns

    def cut(self, frames: Tensor) -> Tensor:
        height, width = frames.shape[2:4]
        down, right = self.rows * self.patch_size - height, self.columns * self.patch_size - width
        if down or right:
            by_channel = rearrange(frames, "b t h w c -> b (t c) h w")
            padded = F.pad(by_channel, (0, right, 0, down), mode="replicate")
            frames = rearrange(padded, "b (t c) h w -> b t h w c", c=frames.shape[-1])
        p = self.patch_size
        return rearrange(frames, "b t (r p) (s q) c -> b t (r s) (p q c)", p=p, q=p)

    def join(self, patches: Tensor) -> Tensor:
        p, (height, width) = self.patch_size, self.frame_size
        frames = rearrange(patches, "b t (r s) (p q c) -> b t (r p) (s q) c", r=self.rows, p=p, q=p)
        return frames[:, :, :height, :width]
