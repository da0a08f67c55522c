"""How far videos are from real CoinRun as a whole, on a small network that ships: no download, and its own name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genie_lite.evaluation.bootstrap import LEVEL, EvaluationError, Interval
from genie_lite.evaluation.psnr_ssim import frechet_distance
from genie_lite.evaluation.video_network import VideoNetwork, video_network

HALVINGS = 100
MIN_VIDEOS = 8


@dataclass(frozen=True)
class VideoDistance:
    """A Fréchet distance of videos from real ones, beside that of real videos from other real ones (the floor).

    Both compare `videos` videos with as many others, so that the bias of small samples is the same. `excess` is
    the distance less the floor: its interval tells whether videos differ from real ones, better than the two intervals
    beside each other, because what makes one distance large often makes both so.
    """

    distance: Interval
    floor: Interval
    excess: Interval
    videos: int

    def __str__(self) -> str:
        return f"{self.distance}, real videos {self.floor} ({self.videos} against {self.videos} videos)"


def coinrun_video_distance(
    real: np.ndarray, made: np.ndarray, *, network: VideoNetwork | None = None, halvings: int = HALVINGS, seed: int = 0
) -> VideoDistance:
    """Fréchet video distance of videos `made` from `real` ones on a small CoinRun network; not comparable with FVD.

    Both are uint8 [B, T, 64, 64, 3] of 8 or more frames, equally many. The unit is the spread of real CoinRun videos:
    a distance of 1 is what shifts one of 64 features by one standard deviation. See `halved_distance` for the rest.
    """
    if np.shape(real) != np.shape(made):
        raise EvaluationError(
            f"made: found videos of shape {list(np.shape(made))}, wanted the real ones', {list(np.shape(real))}; "
            "a Fréchet distance leans with the number and the length of videos, so give as many, as long"
        )
    network = video_network() if network is None else network
    return halved_distance(network.features(real), network.features(made), halvings=halvings, seed=seed)


def halved_distance(real: np.ndarray, made: np.ndarray, *, halvings: int = HALVINGS, seed: int = 0) -> VideoDistance:
    """Fréchet distance between features [videos, windows, D], video i of `made` being made from video i of `real`.

    Videos are split at random into halves, again and again: one half of the real videos stands against the other half
    of the made ones, and against the other half of the real ones, which is the floor. So no video meets the one it was
    made from, and both distances lean upwards alike. Values are means over the splits, and the ends of the interval
    their percentiles: the spread of half-samples is that of the whole sample (the delete-half jackknife).
    """
    if np.shape(real) != np.shape(made) or np.ndim(real) != 3 or len(real) < MIN_VIDEOS:
        raise EvaluationError(
            f"real, made: found features of shape {list(np.shape(real))} and {list(np.shape(made))}, wanted one shape "
            f"[videos, windows, features] of {MIN_VIDEOS} or more videos; evaluate more videos"
        )
    generator, half = np.random.default_rng(seed), len(real) // 2
    found = np.empty((3, halvings))
    for i in range(halvings):
        order = generator.permutation(len(real))
        one, other = order[:half], order[half : 2 * half]
        reference = real[one].reshape(-1, real.shape[-1])
        for row, videos in enumerate((made, real)):
            found[row, i] = frechet_distance(reference, videos[other].reshape(-1, real.shape[-1]))
    found[2] = found[0] - found[1]
    ends = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    distance, floor, excess = (
        Interval(float(row.mean()), float(a), float(b)) for row, a, b in zip(found, *ends, strict=True)
    )
    return VideoDistance(distance, floor, excess, half)
