"""Any picture to the frame size a model wants: centre crop to its shape, then area resize."""

from __future__ import annotations

import numpy as np


def fit_frames(frames: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
    """Fit uint8 [..., h, w, C] to [..., H, W, C]: the largest centred window of the same shape, averaged by area."""
    height, width = frames.shape[-3:-1]
    if (height, width) == tuple(frame_size):
        return frames
    rows, columns = crop_size((height, width), frame_size)
    top, left = (height - rows) // 2, (width - columns) // 2
    window = frames[..., top : top + rows, left : left + columns, :].astype(np.float32)
    down = np.einsum("ih,...hwc->...iwc", _overlaps(rows, frame_size[0]), window, optimize=True)
    both = np.einsum("jw,...iwc->...ijc", _overlaps(columns, frame_size[1]), down, optimize=True)
    return np.clip(np.rint(both), 0, 255).astype(np.uint8)


def crop_size(size: tuple[int, int], frame_size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the largest window of the shape of `frame_size` in a picture of `size`, both (H, W)."""
    scale = min(size[0] / frame_size[0], size[1] / frame_size[1])
    return max(1, round(frame_size[0] * scale)), max(1, round(frame_size[1] * scale))


def _overlaps(size: int, new: int) -> np.ndarray:
    """Share of each old pixel in each new one, float32 [new, size]; rows sum to 1."""
    edges = np.linspace(0, size, new + 1)
    low = np.maximum(edges[:-1, None], np.arange(size)[None])
    high = np.minimum(edges[1:, None], np.arange(1, size + 1)[None])
    shares = np.clip(high - low, 0, None)
    return (shares / shares.sum(1, keepdims=True)).astype(np.float32)
