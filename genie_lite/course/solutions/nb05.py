"""Solutions of notebook 05."""

from __future__ import annotations

import numpy as np

from genie_lite.course.checking import solution


@solution("05.1")
def draw_mask(B: int, T: int, N: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """The rate has shape (B, 1, 1): one for each clip, shared by all its tokens."""
    rate = rng.uniform(low, high, (B, 1, 1))
    mask = rng.random((B, T, N)) < rate
    mask[:, 0] = False
    return mask


@solution("05.2")
def one_step(tokens: np.ndarray, drawn: np.ndarray, score: np.ndarray, remaining: int, mask_token: int) -> np.ndarray:
    """Every masked position takes its drawn token; then the worst-scored of them are masked again."""
    masked = tokens == mask_token
    result = np.where(masked, drawn, tokens)
    worst_first = np.argsort(np.where(masked, score, np.inf))
    result[worst_first[:remaining]] = mask_token
    return result


@solution("05.3")
def delta_psnr(real: np.ndarray, inferred: np.ndarray, random: np.ndarray, t: int) -> float:
    """Convert to float before subtracting; x_t is entry t - 1, since entry 0 is x_1; average after the logarithm."""

    def psnr(video: np.ndarray) -> np.ndarray:
        error = real[:, t - 1].astype(float) - video[:, t - 1]
        return 10 * np.log10(255**2 / (error**2).mean(axis=(1, 2, 3)))

    return float((psnr(inferred) - psnr(random)).mean())
