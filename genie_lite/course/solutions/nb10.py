"""Solutions of notebook 10."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from genie_lite.course.checking import solution


@solution("10.1")
def cloning_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """`ignore_index` leaves out the frames without a target, and the mean is over the others."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


@solution("10.2")
def shares_by_code(codes: np.ndarray, keys: np.ndarray, num_codes: int, num_keys: int) -> np.ndarray:
    """A table of counts whose rows are divided by their sums; an empty row takes the counts of all samples."""
    counts = np.zeros((num_codes, num_keys))
    np.add.at(counts, (codes, keys), 1)
    counts[counts.sum(axis=1) == 0] = counts.sum(axis=0)
    return counts / counts.sum(axis=1, keepdims=True)


@solution("10.3")
def best_future(
    start: np.ndarray,
    policy: Callable[[np.ndarray], np.ndarray],
    step: Callable[[np.ndarray], np.ndarray],
    left: Callable[[np.ndarray], np.ndarray],
    horizon: int,
) -> np.ndarray:
    """The policy looks at what is imagined so far, the world draws what comes, and the end decides."""
    frames, taken = start, []
    for _ in range(horizon):
        taken.append(policy(frames))
        frames = np.concatenate([frames, step(taken[-1])[:, None]], axis=1)
    return np.stack(taken, axis=1)[left(frames).argmin()]
