"""Fidelity of single frames: peak signal-to-noise ratio (PSNR) and structural similarity (SSIM)."""

from __future__ import annotations

import numpy as np

from genie_lite.evaluation.bootstrap import EvaluationError

# 48.13 dB: every value one grey level off, the smallest error that 8-bit frames can have.
PSNR_CAP = float(20 * np.log10(255))


def psnr(frames: np.ndarray, others: np.ndarray, *, cap: float = PSNR_CAP) -> np.ndarray:
    """Peak signal-to-noise ratio of each frame, float64 [...] in dB, for frames [..., H, W, C].

    Frames are uint8 or floats in [0, 1]; the mean squared error is over all pixels and channels, in [0, 1]. Identical
    frames have an infinite ratio that would dominate any mean, so ratios are capped at `cap`, by default the ratio of
    frames one grey level apart. ``cap=math.inf`` disables the cap.
    """
    reference, other = _unit_frames(frames, others)
    error = np.square(reference - other).mean(axis=(-3, -2, -1))
    with np.errstate(divide="ignore"):
        return np.minimum(-10 * np.log10(error), cap)


def ssim(frames: np.ndarray, others: np.ndarray, *, window: int = 7) -> np.ndarray:
    """Structural similarity of each frame (Wang et al., 2004), float64 [...] in [-1, 1], for frames [..., H, W, C].

    Means, variances and covariance are computed in uniformly weighted square windows of side `window` that lie wholly
    inside the frame, with unbiased variances; channels are averaged.
    """
    reference, other = _unit_frames(frames, others)
    height, width = reference.shape[-3:-1]
    if window % 2 == 0 or not 1 < window <= min(height, width):
        raise EvaluationError(
            f"window: found {window}, wanted an odd number from 3 to {min(height, width)}, "
            f"so that it fits into frames of {height}x{width}"
        )
    pixels = window * window
    mean_r, mean_o = _box_mean(reference, window), _box_mean(other, window)
    unbiased = pixels / (pixels - 1)
    variance_r = unbiased * (_box_mean(reference * reference, window) - mean_r * mean_r)
    variance_o = unbiased * (_box_mean(other * other, window) - mean_o * mean_o)
    covariance = unbiased * (_box_mean(reference * other, window) - mean_r * mean_o)
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_r * mean_o + c1) * (2 * covariance + c2)
    similarity /= (mean_r**2 + mean_o**2 + c1) * (variance_r + variance_o + c2)
    return similarity.mean(axis=(-3, -2, -1))


def _unit_frames(frames: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 in [0, 1]; EvaluationError for other types, ranges or shapes."""
    pair = []
    for name, array in (("frames", frames), ("others", others)):
        array = np.asarray(array)
        if array.ndim < 3:
            raise EvaluationError(f"{name}: found shape {list(array.shape)}, wanted [..., H, W, C]")
        if array.dtype == np.uint8:
            pair.append(array.astype(np.float64) / 255)
        elif np.issubdtype(array.dtype, np.floating):
            if array.size and (array.min() < 0 or array.max() > 1):
                raise EvaluationError(
                    f"{name}: found floats from {array.min():.3g} to {array.max():.3g}, wanted "
                    "[0, 1]; divide by 255, or give uint8"
                )
            pair.append(array.astype(np.float64))
        else:
            raise EvaluationError(f"{name}: found {array.dtype}, wanted uint8, or floats in [0, 1]")
    if pair[0].shape != pair[1].shape:
        raise EvaluationError(f"others: found {list(pair[1].shape)}, wanted the shape of frames, {list(pair[0].shape)}")
    return pair[0], pair[1]


def _box_mean(images: np.ndarray, window: int) -> np.ndarray:
    """Mean over every window inside [..., H, W, C] from cumulative sums: [..., H - window + 1, W - window + 1, C]."""
    for axis in (-3, -2):
        sums = np.cumsum(images, axis=axis)
        sums = np.concatenate([np.zeros_like(np.take(sums, [0], axis=axis)), sums], axis=axis)
        length = sums.shape[axis]
        upper = np.take(sums, np.arange(window, length), axis=axis)
        images = (upper - np.take(sums, np.arange(length - window), axis=axis)) / window
    return images
