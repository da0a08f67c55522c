"""How far films are from real CoinRun as a whole, on a small network that ships: no download, and its own name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genie_lite.evaluation.fidelity import frechet_distance
from genie_lite.evaluation.intervals import LEVEL, EvaluationError, Interval
from genie_lite.evaluation.video_network import VideoNetwork, video_network

HALVINGS = 100
LEAST_FILMS = 8


@dataclass(frozen=True)
class VideoDistance:
    """A Fréchet distance of films from real ones, beside that of real films from other real ones (the floor).

    Both are between `films` films and `films` others, so that what few films add is the same on both sides. `excess` is
    the distance less the floor: its interval tells whether films differ from real ones, better than the two intervals
    beside each other, because what makes one distance large often makes both so.
    """

    distance: Interval
    floor: Interval
    excess: Interval
    films: int

    def __str__(self) -> str:
        return f"{self.distance}, real films {self.floor} ({self.films} against {self.films} films)"


def coinrun_video_distance(
    real: np.ndarray, made: np.ndarray, *, network: VideoNetwork | None = None, halvings: int = HALVINGS, seed: int = 0
) -> VideoDistance:
    """Fréchet video distance of films `made` from `real` ones on a small CoinRun network; not comparable with FVD.

    Both are uint8 [B, T, 64, 64, 3] of 8 or more frames, equally many. The unit is the spread of real CoinRun films:
    a distance of 1 is what shifts one of 64 features by one standard deviation. See `halved_distance` for the rest.
    """
    if np.shape(real) != np.shape(made):
        raise EvaluationError(
            f"made: found films of shape {list(np.shape(made))}, wanted that of the real ones, {list(np.shape(real))}; "
            "a Fréchet distance leans with the number and the length of films, so give as many, as long"
        )
    network = video_network() if network is None else network
    return halved_distance(network.features(real), network.features(made), halvings=halvings, seed=seed)


def halved_distance(real: np.ndarray, made: np.ndarray, *, halvings: int = HALVINGS, seed: int = 0) -> VideoDistance:
    """Fréchet distance between features [films, windows, D], film i of `made` being made from film i of `real`.

    Films are split at random into halves, again and again: one half of the real films stands against the other half
    of the made ones, and against the other half of the real ones, which is the floor. So no film meets the one it was
    made from, and both distances lean upwards alike. Values are means over the splits, and the ends of the interval
    their percentiles: the spread of half-samples is that of the whole sample (the delete-half jackknife).
    """
    if np.shape(real) != np.shape(made) or np.ndim(real) != 3 or len(real) < LEAST_FILMS:
        raise EvaluationError(
            f"real, made: found features of shape {list(np.shape(real))} and {list(np.shape(made))}, wanted one shape "
            f"[films, windows, features] of {LEAST_FILMS} or more films; evaluate more films"
        )
    generator, half = np.random.default_rng(seed), len(real) // 2
    found = np.empty((3, halvings))
    for i in range(halvings):
        order = generator.permutation(len(real))
        one, other = order[:half], order[half : 2 * half]
        reference = real[one].reshape(-1, real.shape[-1])
        for row, films in enumerate((made, real)):
            found[row, i] = frechet_distance(reference, films[other].reshape(-1, real.shape[-1]))
    found[2] = found[0] - found[1]
    ends = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    distance, floor, excess = (
        Interval(float(row.mean()), float(a), float(b)) for row, a, b in zip(found, *ends, strict=True)
    )
    return VideoDistance(distance, floor, excess, half)
