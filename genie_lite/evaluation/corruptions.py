"""Videos degraded on purpose: what a distance between videos must notice, and what its network learns from.

Each takes videos uint8 [B, T, H, W, C], a strength in [0, 1] (one for all, or one per video [B]; 0 changes nothing)
and a generator, and returns videos of the same shape and type.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Strength = float | np.ndarray
PATCH = 8  # pixels per side, like the patches of the course's tokenizer


def noise(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise; standard deviation 64 grey levels at strength 1."""
    sigma = 64 * _each(strength, videos)
    return _grey_levels(videos + sigma * generator.standard_normal(videos.shape, dtype=np.float32))


def blur(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Gaussian blur within each frame; standard deviation 3 pixels at strength 1."""
    sigma = 3 * np.broadcast_to(np.asarray(strength, np.float32), len(videos)) + 1e-3
    rows, columns = (_gaussian(side, sigma) for side in videos.shape[2:4])
    down = _along_rows(rows, videos.astype(np.float32))
    return _grey_levels(_along_rows(columns, down.swapaxes(2, 3)).swapaxes(2, 3))


def blocks(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Every 8 x 8 patch blended towards its mean colour; flat at strength 1."""
    size, (height, width) = PATCH, videos.shape[2:4]
    tiles = videos.astype(np.float32).reshape(*videos.shape[:2], height // size, size, width // size, size, -1)
    flat = np.broadcast_to(tiles.mean((3, 5), keepdims=True), tiles.shape).reshape(videos.shape)
    share = _each(strength, videos)
    return _grey_levels((1 - share) * videos + share * flat)


def patches(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """A share of the 8 x 8 patches replaced by patches from anywhere in the videos, like wrong tokens."""
    size, (clips, length, height, width, channels) = PATCH, videos.shape
    tiles = videos.reshape(clips, length, height // size, size, width // size, size, channels).swapaxes(3, 4)
    pool = tiles.reshape(-1, size, size, channels)
    wrong = generator.random(tiles.shape[:4]) < _each(strength, videos)[..., 0]
    tiles = tiles.copy()
    tiles[wrong] = pool[generator.integers(len(pool), size=int(wrong.sum()))]
    return tiles.swapaxes(3, 4).reshape(videos.shape)


def ghosts(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Each frame blended with the previous one, in equal parts at strength 1."""
    share = _each(strength, videos) / 2
    before = np.concatenate([videos[:, :1], videos[:, :-1]], axis=1)
    return _grey_levels((1 - share) * videos + share * before)


def tint(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Colour channels rotated: at strength 1 red, green and blue swap places."""
    share = _each(strength, videos)
    return _grey_levels((1 - share) * videos + share * np.roll(videos, 1, axis=-1))


# ------------------------------------------------------------------------------------------------------ time


def shuffle(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Frames shuffled in a share of the videos."""
    return _some_videos(videos, strength, generator, lambda video: video[generator.permutation(len(video))])


def reverse(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """A share of the videos played backwards."""
    return _some_videos(videos, strength, generator, lambda video: video[::-1])


def slow(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """A share of the videos at half speed: every frame shown twice, the second half dropped."""
    return _some_videos(videos, strength, generator, lambda video: video[np.arange(len(video)) // 2])


def freeze(videos: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """The last frames of every video replaced by the frame before them; at strength 1 all show the first frame."""
    length = videos.shape[1]
    last = np.rint((length - 1) * (1 - np.broadcast_to(strength, len(videos)))).astype(int)
    return videos[np.arange(len(videos))[:, None], np.minimum(np.arange(length), last[:, None])]


LOOKS = {"noise": noise, "blur": blur, "blocks": blocks, "patches": patches}
TIMES = {"shuffle": shuffle, "reverse": reverse, "slow": slow, "freeze": freeze}
UNSEEN = {"ghosts": ghosts, "tint": tint}  # held out: the video network is not trained on these
CORRUPTIONS = {**LOOKS, **TIMES, **UNSEEN}


def _each(strength: Strength, videos: np.ndarray) -> np.ndarray:
    """A strength for each video, float32 [B, 1, 1, 1, 1]."""
    return np.broadcast_to(np.asarray(strength, np.float32), len(videos)).reshape(-1, 1, 1, 1, 1)


def _grey_levels(videos: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(videos), 0, 255).astype(np.uint8)


def _along_rows(matrices: np.ndarray, videos: np.ndarray) -> np.ndarray:
    """Multiply the pixel rows of [B, T, H, W, C] by one matrix per video, [B, H, H]."""
    return (matrices[:, None] @ videos.reshape(*videos.shape[:3], -1)).reshape(videos.shape)


def _gaussian(side: int, sigma: np.ndarray) -> np.ndarray:
    """Matrices float32 [B, side, side] that blur a line of pixels, renormalised at the edges."""
    distance = np.arange(side)[:, None] - np.arange(side)
    weights = np.exp(-0.5 * np.square(distance / sigma[:, None, None]))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def _some_videos(
    videos: np.ndarray, strength: Strength, generator: np.random.Generator, change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Apply `change` to a share of the videos: exactly that many for one strength, at random for one per video."""
    order = generator.permutation(len(videos)) + generator.random() if np.ndim(strength) == 0 else None
    chosen = generator.random(len(videos)) < strength if order is None else order < np.asarray(strength) * len(videos)
    changed = videos.copy()
    for index in np.flatnonzero(chosen):
        changed[index] = change(videos[index])
    return changed
