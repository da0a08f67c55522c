"""Films spoilt on purpose and by degrees: what a distance between films must notice, and what its network learns from.

Each takes films uint8 [B, T, H, W, C], a strength in [0, 1] for all films or one for each [B] (0 changes nothing), and
a generator; it returns films of the same shape and type.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Strength = float | np.ndarray
PATCH = 8  # pixels a side, as the tokens of the course's worlds


def noise(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise, at strength 1 with a deviation of 64 grey levels."""
    sigma = 64 * _each(strength, films)
    return _grey_levels(films + sigma * generator.standard_normal(films.shape, dtype=np.float32))


def blur(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Gaussian blur within each frame, at strength 1 with a deviation of 3 pixels."""
    sigma = 3 * np.broadcast_to(np.asarray(strength, np.float32), len(films)) + 1e-3
    rows, columns = (_gaussian(side, sigma) for side in films.shape[2:4])
    down = _along_rows(rows, films.astype(np.float32))
    return _grey_levels(_along_rows(columns, down.swapaxes(2, 3)).swapaxes(2, 3))


def blocks(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Every square of 8 pixels a side drawn towards its mean colour, at strength 1 all the way."""
    size, (height, width) = PATCH, films.shape[2:4]
    tiles = films.astype(np.float32).reshape(*films.shape[:2], height // size, size, width // size, size, -1)
    flat = np.broadcast_to(tiles.mean((3, 5), keepdims=True), tiles.shape).reshape(films.shape)
    share = _each(strength, films)
    return _grey_levels((1 - share) * films + share * flat)


def patches(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """A share of all squares of 8 pixels a side replaced by squares from anywhere in the films: wrong tokens."""
    size, (clips, length, height, width, channels) = PATCH, films.shape
    tiles = films.reshape(clips, length, height // size, size, width // size, size, channels).swapaxes(3, 4)
    pool = tiles.reshape(-1, size, size, channels)
    wrong = generator.random(tiles.shape[:4]) < _each(strength, films)[..., 0]
    tiles = tiles.copy()
    tiles[wrong] = pool[generator.integers(len(pool), size=int(wrong.sum()))]
    return tiles.swapaxes(3, 4).reshape(films.shape)


def ghosts(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Each frame mixed with the one before it, at strength 1 half and half."""
    share = _each(strength, films) / 2
    before = np.concatenate([films[:, :1], films[:, :-1]], axis=1)
    return _grey_levels((1 - share) * films + share * before)


def tint(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Colours turned: at strength 1 red, green and blue change places."""
    share = _each(strength, films)
    return _grey_levels((1 - share) * films + share * np.roll(films, 1, axis=-1))


# ------------------------------------------------------------------------------------------------------ time


def shuffle(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """The order of the frames mixed in a share of the films."""
    return _some_films(films, strength, generator, lambda film: film[generator.permutation(len(film))])


def reverse(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Time running backwards in a share of the films."""
    return _some_films(films, strength, generator, lambda film: film[::-1])


def slow(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """Half speed in a share of the films: every frame shown twice, the second half of the film unseen."""
    return _some_films(films, strength, generator, lambda film: film[np.arange(len(film)) // 2])


def freeze(films: np.ndarray, strength: Strength, generator: np.random.Generator) -> np.ndarray:
    """A share of the frames, at the end of every film, replaced by the last one before them (at 1 by the first)."""
    length = films.shape[1]
    last = np.rint((length - 1) * (1 - np.broadcast_to(strength, len(films)))).astype(int)
    return films[np.arange(len(films))[:, None], np.minimum(np.arange(length), last[:, None])]


LOOKS = {"noise": noise, "blur": blur, "blocks": blocks, "patches": patches}
TIMES = {"shuffle": shuffle, "reverse": reverse, "slow": slow, "freeze": freeze}
UNSEEN = {"ghosts": ghosts, "tint": tint}  # the network of the distance is not trained on these
CORRUPTIONS = {**LOOKS, **TIMES, **UNSEEN}


def _each(strength: Strength, films: np.ndarray) -> np.ndarray:
    """A strength for each film, float32 [B, 1, 1, 1, 1]."""
    return np.broadcast_to(np.asarray(strength, np.float32), len(films)).reshape(-1, 1, 1, 1, 1)


def _grey_levels(films: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(films), 0, 255).astype(np.uint8)


def _along_rows(matrices: np.ndarray, films: np.ndarray) -> np.ndarray:
    """Rows of pixels of [B, T, H, W, C] mixed by a matrix for each film, [B, H, H]."""
    return (matrices[:, None] @ films.reshape(*films.shape[:3], -1)).reshape(films.shape)


def _gaussian(side: int, sigma: np.ndarray) -> np.ndarray:
    """Matrices float32 [B, side, side] that blur a line of pixels; the edges get what lies inside."""
    distance = np.arange(side)[:, None] - np.arange(side)
    weights = np.exp(-0.5 * np.square(distance / sigma[:, None, None]))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def _some_films(
    films: np.ndarray, strength: Strength, generator: np.random.Generator, change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """`change` a share of the films: as many as the strength says where it is one number, else by chance."""
    order = generator.permutation(len(films)) + generator.random() if np.ndim(strength) == 0 else None
    chosen = generator.random(len(films)) < strength if order is None else order < np.asarray(strength) * len(films)
    changed = films.copy()
    for index in np.flatnonzero(chosen):
        changed[index] = change(films[index])
    return changed
