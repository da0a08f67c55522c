"""Distance of a set of videos from real CoinRun, measured with a small network that ships with the package."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genie_lite.evaluation.bootstrap import LEVEL, EvaluationError, Interval
from genie_lite.evaluation.frechet import frechet_distance
from genie_lite.evaluation.video_network import VideoNetwork, video_network

HALVINGS = 100
MIN_VIDEOS = 8


@dataclass(frozen=True)
class VideoDistance:
    """Fréchet distance of generated from real videos, and between disjoint sets of real videos (the floor).

    Both compare `videos` videos with as many others, so they share the bias of small samples. `excess` is distance
    minus floor, paired split by split: a sharper test of whether videos differ from real ones than two separate
    intervals, because the same splits tend to make both distances large.
    """

    distance: Interval
    floor: Interval
    excess: Interval
    videos: int

    def __str__(self) -> str:
        return f"{self.distance}, real videos {self.floor} ({self.videos} against {self.videos} videos)"


def coinrun_video_distance(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    network: VideoNetwork | None = None,
    halvings: int = HALVINGS,
    seed: int = 0,
) -> VideoDistance:
    """Fréchet distance of `generated` from `real` videos on a small CoinRun network; not comparable with FVD.

    Both are uint8 [B, T, 64, 64, 3] with the same B and T >= 8. Features are scaled to unit variance on real CoinRun,
    so shifting one of the 64 by one standard deviation adds a distance of 1. See `halved_distance` for the method.
    """
    if np.shape(real) != np.shape(generated):
        raise EvaluationError(
            f"generated: found shape {list(np.shape(generated))}, wanted that of real, {list(np.shape(real))}; "
            "a Fréchet distance depends on the number and length of videos, so both must match"
        )
    network = video_network() if network is None else network
    return halved_distance(network.features(real), network.features(generated), halvings=halvings, seed=seed)


def halved_distance(
    real: np.ndarray, generated: np.ndarray, *, halvings: int = HALVINGS, seed: int = 0
) -> VideoDistance:
    """Fréchet distance between features [videos, windows, D]; video i of `generated` was made from video i of `real`.

    For each of `halvings` random splits, one half of the real videos is compared with the other half of the generated
    ones, and with the other half of the real ones (the floor). So no video is compared with the one it was made from,
    and both distances have the same bias. Values are means over splits, interval ends their percentiles: the spread
    over half-samples estimates that of the whole sample (delete-half jackknife).
    """
    if np.shape(real) != np.shape(generated) or np.ndim(real) != 3 or len(real) < MIN_VIDEOS:
        raise EvaluationError(
            f"real, generated: found features {list(np.shape(real))} and {list(np.shape(generated))}, wanted one shape "
            f"[videos, windows, features] of {MIN_VIDEOS} or more videos; evaluate more videos"
        )
    generator, half = np.random.default_rng(seed), len(real) // 2
    found = np.empty((3, halvings))
    for i in range(halvings):
        order = generator.permutation(len(real))
        one, other = order[:half], order[half : 2 * half]
        reference = real[one].reshape(-1, real.shape[-1])
        for row, videos in enumerate((generated, real)):
            found[row, i] = frechet_distance(reference, videos[other].reshape(-1, real.shape[-1]))
    found[2] = found[0] - found[1]
    ends = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    distance, floor, excess = (
        Interval(float(row.mean()), float(a), float(b)) for row, a, b in zip(found, *ends, strict=True)
    )
    return VideoDistance(distance, floor, excess, half)
