"""What the play test measures on frames of a played world, and on the real game's: plain functions of arrays."""

from __future__ import annotations

import numpy as np

from genie_lite.evaluation.bootstrap import Interval, bootstrap_mean, clip_weights, interval
from genie_lite.evaluation.frechet import frechet_distance
from genie_lite.evaluation.motion import Motion

STILL = 0.5  # pixels a frame, up to which nothing moves
TAKE_OFF = 2.0  # pixels a frame upwards, from which on a jump has begun
TAKE_OFF_WITHIN = 3  # presses
FALLEN = 0.5  # share of the rise that is lost again before a jump counts as landed
HERO = (slice(20, 44), slice(22, 42))  # rows and columns of a 64x64 frame where the hero is
RESAMPLES = 200
ALIKE = 10.0  # grey levels, standard deviation of the colours of cells below which they are one surface
COLOURS = 4  # bins a channel in a histogram of colours


def moves(motion: Motion, direction: int) -> np.ndarray:
    """Whether the player moves to the side `direction` (-1 left, +1 right), bool [B, T]; where unsure it does not."""
    return (direction * motion.dx > STILL) & motion.sure_x


def distance(motion: Motion, direction: int) -> np.ndarray:
    """How far the player gets to the side `direction` (-1 left, +1 right) in all, pixels, float64 [B].

    Steps back count against it; where the pixels do not determine the motion, there is none.
    """
    return np.where(motion.sure_x, direction * motion.dx, 0.0).sum(1)


def stands(motion: Motion) -> np.ndarray:
    """Whether the player surely stands still, bool [B, T]."""
    still = (np.abs(motion.dx) <= STILL) & (np.abs(motion.dy) <= STILL)
    return still & motion.sure_x & motion.sure_y


def jumps(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Which players take off at once, bool [B], and the frame at which they are back on the ground, int64 [B], or -1.

    Back on the ground: after a fall through at least half of the rise, a frame after which the height stays.
    """
    speed = -motion.dy  # upwards
    height = np.cumsum(speed, axis=1)  # of frame t + 1 above frame 0
    off = ((speed[:, :TAKE_OFF_WITHIN] > TAKE_OFF) & motion.sure_y[:, :TAKE_OFF_WITHIN]).any(1)
    highest = np.maximum.accumulate(np.maximum(height, 0), axis=1)
    fallen = (highest > TAKE_OFF) & (height <= highest * (1 - FALLEN))
    rests = (np.abs(motion.dy[:, 1:]) <= STILL) & motion.sure_y[:, 1:]
    landed = fallen[:, :-1] & rests
    return off, np.where(landed.any(1) & off, landed.argmax(1) + 1, -1)


def structure(frames: np.ndarray) -> np.ndarray:
    """How much there is to see beside the hero: mean absolute difference of neighbouring pixels, in grey levels.

    uint8 [..., H, W, C] to float32 [...]. Across and down are measured apart, and the lesser counts: stripes have none.
    """
    across, down = _differences(frames)
    beside = np.ones(frames.shape[-3:-1], bool)
    rows, columns = (frames.shape[-3] / 64, frames.shape[-2] / 64)
    beside[_scaled(HERO[0], rows), _scaled(HERO[1], columns)] = False
    inside = (beside[:, 1:], beside[1:])
    parts = [(np.abs(d) * m).sum((-1, -2)) / m.sum() for d, m in zip((across, down), inside, strict=True)]
    return np.minimum(*parts)


def gradient_energy(frames: np.ndarray) -> np.ndarray:
    """Mean squared difference of neighbouring pixels, in squared grey levels: uint8 [..., H, W, C] to float32 [...]."""
    return np.sum([np.square(d).mean((-1, -2)) for d in _differences(frames)], axis=0)


def one_surface(frames: np.ndarray) -> np.ndarray:
    """Whether a frame shows a single surface, as from inside a wall: uint8 [..., H, W, C] to bool [...].

    Over cells of an eighth of height and width, without the sixteen around the hero, mean colours deviate by less than
    ALIKE in every channel.
    """
    *most, height, width, channels = frames.shape
    cells = frames.reshape(*most, 8, height // 8, 8, width // 8, channels).mean((-4, -2))
    beside = np.ones((8, 8), bool)
    beside[2:6, 2:6] = False
    return np.asarray(cells[..., beside, :].std(-2).max(-1) < ALIKE)


def colour_histograms(frames: np.ndarray) -> np.ndarray:
    """Share of pixels in each of 64 colours, float64 [B, 64], of videos uint8 [B, T, H, W, 3]."""
    bins = (frames // (256 // COLOURS)).astype(np.int64) @ np.array([COLOURS**2, COLOURS, 1])
    return np.stack([np.bincount(video.reshape(-1), minlength=COLOURS**3) / video.size for video in bins])


def recognised(late: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    """For each video, the share of the other prompts whose colours are less like its late frames than its own prompt's.

    late uint8 [B, T, H, W, 3], prompts uint8 [B, H, W, 3]; float64 [B]; a half for worlds that forget their prompts.
    """
    found, wanted = colour_histograms(late), colour_histograms(prompts[:, None])
    distance = np.abs(found[:, None] - wanted[None]).sum(-1)  # [video, prompt]
    own = np.diagonal(distance)[:, None]
    better = (own < distance) + 0.5 * (own == distance)
    return (better.sum(1) - 0.5) / (len(late) - 1)


def differences_between(frames: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute difference in grey levels of every two frames, float64 [B, B], and which pairs share a group."""
    grey = frames.astype(np.float32).mean(-1).reshape(len(frames), -1)
    distance = np.stack([np.abs(grey - one).mean(1) for one in grey]).astype(np.float64)
    pairs = (groups[:, None] == groups[None]) & ~np.eye(len(frames), dtype=bool)
    return distance, pairs


def pair_mean(distance: np.ndarray, pairs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of `distance` over `pairs` for each row of `draws`: NaN where none is left."""
    weights = weights.astype(np.float64)
    total = np.einsum("ri,ij,rj->r", weights, distance * pairs, weights)
    count = np.einsum("ri,ij,rj->r", weights, pairs.astype(float), weights)
    return np.divide(total, count, out=np.full(len(weights), np.nan), where=count > 0)


def draws(count: int, *, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each prompt counts, int64 [1 + resamples, count]: once, then as in each bootstrap sample."""
    return np.concatenate([np.ones((1, count), np.int64), clip_weights(count, resamples=resamples, seed=seed)])


def over_draws(found: np.ndarray) -> Interval:
    """The interval of a number of 0 or more, measured with each row of `draws`, [1 + resamples]."""
    return interval(float(found[0]), found[1:], bounds=(0, np.inf))


def mean_share(shares: np.ndarray, *, seed: int) -> Interval:
    """Mean of shares, float [B] in [0, 1], with its interval over prompts; NaN is left out."""
    found = bootstrap_mean(np.asarray(shares, float)[:, None], seed=seed)[0]
    return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))


def frechet_distances(reference: np.ndarray, made: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fréchet distance of features [B, windows, D] from [B', windows, D] for each row of `draws`."""
    reference = reference.reshape(-1, reference.shape[-1])
    drawn = (np.repeat(made, row, axis=0).reshape(-1, made.shape[-1]) for row in weights)
    return np.array([frechet_distance(reference, features) for features in drawn])


def _differences(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences of neighbouring pixels in grey levels, across and down."""
    grey = frames.astype(np.float32).mean(-1)
    return np.diff(grey, axis=-1), np.diff(grey, axis=-2)


def _scaled(part: slice, factor: float) -> slice:
    return slice(int(part.start * factor), int(part.stop * factor))
