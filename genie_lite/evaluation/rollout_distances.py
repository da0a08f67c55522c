"""Distances between the sets of real and of generated videos, accumulated batch by batch for `evaluate_genie`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from genie_lite.evaluation.bootstrap import EvaluationError, Interval
from genie_lite.evaluation.frechet import frechet_distance
from genie_lite.evaluation.fvd import I3D, LEAST_FRAMES, load_i3d
from genie_lite.evaluation.video_distance import MIN_VIDEOS, halved_distance
from genie_lite.evaluation.video_network import FRAMES, SIDE, VideoNetwork, video_network


class RolloutDistances:
    """CoinRun video distance of CoinRun videos of `length` frames, and FVD if its weights are given.

    A missing requirement of FVD raises EvaluationError at once; one of the CoinRun distance becomes a note.
    """

    def __init__(self, dataset: Any, length: int, fvd_weights: str | Path | None, fvd_sha256: str | None) -> None:
        self.length = length
        self.notes: list[str] = []
        self.features: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
        self.network: VideoNetwork | None = None
        self.i3d: I3D | None = None
        game = getattr(dataset, "attributes", {}).get("game")
        if game != "coinrun":
            self.notes.append(f"no CoinRun video distance: found videos of {game or 'an unknown game'}")
        elif length < FRAMES or tuple(dataset.frame_size) != (SIDE, SIDE):
            found = f"{length} generated frames of {dataset.frame_size[0]}x{dataset.frame_size[1]}"
            self.notes.append(f"no CoinRun video distance: found {found}, wanted {FRAMES} or more of {SIDE}x{SIDE}")
        else:
            self.network = video_network()
        if fvd_weights is not None:
            if length < LEAST_FRAMES:
                raise EvaluationError(
                    f"frames: found {length + 1}, wanted {LEAST_FRAMES + 1} or more for FVD: the prompt and "
                    f"{LEAST_FRAMES} generated frames; give more frames, or no fvd_weights"
                )
            self.i3d = load_i3d(fvd_weights, sha256=fvd_sha256)

    def add(self, real: np.ndarray, generated: np.ndarray) -> None:
        """Add real videos uint8 [B, T, H, W, C] and those generated with their actions."""
        for name, network in (("coinrun_distance", self.network), ("fvd", self.i3d)):
            if network is not None:
                pair = self.features.setdefault(name, ([], []))
                for videos, parts in zip((real, generated), pair, strict=True):
                    parts.append(network.features(videos))

    def measure(self, seed: int) -> tuple[dict[str, Interval], dict[str, float], list[str]]:
        """Metrics, the distance between real videos for those that have one, and notes."""
        metrics, floors, notes = {}, {}, list(self.notes)
        pairs = {name: tuple(map(np.concatenate, parts)) for name, parts in self.features.items()}
        if "coinrun_distance" in pairs:
            real, generated = pairs["coinrun_distance"]
            if len(real) < MIN_VIDEOS:
                notes.append(f"no CoinRun video distance: found {len(real)} videos, wanted {MIN_VIDEOS} or more")
            else:
                found = halved_distance(real, generated, seed=seed)
                metrics["coinrun_distance"], floors["coinrun_distance"] = found.distance, found.floor.value
                notes.append(f"the CoinRun video distance compares {found.videos} videos with {found.videos} others")
        if self.i3d is not None:
            real, generated = pairs["fvd"]
            metrics["fvd"] = Interval(frechet_distance(real, generated), math.nan, math.nan)
            halves = np.array_split(np.random.default_rng(seed).permutation(real), 2)
            notes.append(
                f"FVD over {len(real)} videos of {self.length} frames; between two halves of the real videos it is "
                f"{frechet_distance(*halves):.1f}; weights with SHA-256 {self.i3d.sha256}"
            )
        return metrics, floors, notes
