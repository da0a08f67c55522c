"""Frames to patches and back."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


class Patches:
    """Cuts frames [B, T, H, W, C] into square patches [B, T, N, patch_size² · C], and joins them again.

    Patches run row by row from the top left. Frames that they do not tile are padded at the right and bottom by
    repeating the edge, and cropped again when joined.
    """

    def __init__(self, frame_size: tuple[int, int], patch_size: int, channels: int = 3) -> None:
        self.frame_size, self.patch_size, self.channels = frame_size, patch_size, channels
        self.rows, self.columns = (-(-side // patch_size) for side in frame_size)

    @property
    def count(self) -> int:
        """N, patches per frame."""
        return self.rows * self.columns

    @property
    def width(self) -> int:
        """Numbers in one patch."""
        return self.patch_size**2 * self.channels

    def cut(self, frames: Tensor) -> Tensor:
        """Frames [B, T, H, W, C] to patches [B, T, N, patch_size² · C]."""
        height, width = frames.shape[2:4]
        down, right = self.rows * self.patch_size - height, self.columns * self.patch_size - width
        if down or right:
            channels_first = rearrange(frames, "b t h w c -> b (t c) h w")
            padded = F.pad(channels_first, (0, right, 0, down), mode="replicate")
            frames = rearrange(padded, "b (t c) h w -> b t h w c", c=frames.shape[-1])
        p = self.patch_size
        return rearrange(frames, "b t (rows p) (columns q) c -> b t (rows columns) (p q c)", p=p, q=p)

    def join(self, patches: Tensor) -> Tensor:
        """Patches [B, T, N, patch_size² · C] to frames [B, T, H, W, C]."""
        p, (height, width) = self.patch_size, self.frame_size
        pattern = "b t (rows columns) (p q c) -> b t (rows p) (columns q) c"
        return rearrange(patches, pattern, rows=self.rows, p=p, q=p)[:, :, :height, :width]
