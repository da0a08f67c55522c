"""k-means (Lloyd, 1982): K centres placed so that points are close to the nearest one on average."""

from __future__ import annotations

import torch
from torch import Tensor

from genie_lite.nn.vector_quantizer import nearest_points

LEAST = 0.1  # of an even share of the points: a centre with fewer starts again


def k_means(points: Tensor, count: int, generator: torch.Generator | None = None, rounds: int = 10) -> Tensor:
    """`count` centres [count, D] of points [n, D], after `rounds` rounds of assigning points and averaging them.

    Starts from distinct points. In all but the last third of the rounds, a centre that attracts almost no points starts
    again at one that is far from every centre. Raises ValueError if there are fewer distinct points than centres.
    """
    distinct = torch.unique(points, dim=0)
    if len(distinct) < count:
        raise ValueError(f"k_means: found {len(distinct)} distinct points, wanted {count} or more; give more points")
    centres = distinct[torch.randperm(len(distinct), generator=generator)[:count].to(points.device)]
    for left in range(rounds, 0, -1):
        nearest, distances = nearest_points(points, centres)
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp_min(1)[:, None], centres)
        idle = sizes < LEAST * len(points) / count
        if left > rounds // 3 and idle.any():  # drawn in proportion to the squared distance, as k-means++ does
            fresh = distances.clamp_min(1e-9).cpu().double().multinomial(int(idle.sum()), generator=generator)
            centres[idle] = points[fresh.to(points.device)]
    return centres
