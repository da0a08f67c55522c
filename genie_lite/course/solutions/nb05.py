"""Solutions of notebook 05."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.course.checking import solution


@solution("05.1")
def draw_mask(B: int, T: int, N: int, low: float, high: float, generator: torch.Generator | None = None) -> Tensor:
    """The rate has shape (B, 1, 1): one for each clip, shared by all its tokens."""
    rate = low + (high - low) * torch.rand(B, 1, 1, generator=generator)
    mask = torch.rand(B, T, N, generator=generator) < rate
    mask[:, 0] = False
    return mask


@solution("05.2")
def masked_loss(
    features: Tensor, tokens: Tensor, masked: Tensor, to_logits: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Indexing with a bool mask gives one row for each masked token; `to_logits` then has no others to compute."""
    logits = to_logits(features[masked])  # [M, K]
    loss = F.cross_entropy(logits.float(), tokens[masked])
    return logits, loss


@solution("05.3")
def one_step(tokens: np.ndarray, drawn: np.ndarray, score: np.ndarray, remaining: int, mask_token: int) -> np.ndarray:
    """Every masked position takes its drawn token; then the worst-scored of them are masked again."""
    masked = tokens == mask_token
    result = np.where(masked, drawn, tokens)
    worst_first = np.argsort(np.where(masked, score, np.inf))
    result[worst_first[:remaining]] = mask_token
    return result


@solution("05.4")
def delta_psnr(real: np.ndarray, inferred: np.ndarray, random: np.ndarray, t: int) -> float:
    """Convert to float before subtracting; x_t is entry t - 1, since entry 0 is x_1; average after the logarithm."""

    def psnr(video: np.ndarray) -> np.ndarray:
        error = real[:, t - 1].astype(float) - video[:, t - 1]
        return 10 * np.log10(255**2 / (error**2).mean(axis=(1, 2, 3)))

    return float((psnr(inferred) - psnr(random)).mean())
