"""What the play test makes of the frames of world and game: rows of its table, curves press by press."""

from __future__ import annotations

from functools import partial

import numpy as np

from genie_lite.data.fit import fit_frames
from genie_lite.evaluation.bootstrap import Interval, bootstrap_mean
from genie_lite.evaluation.play_measures import (
    differences_between,
    frechet_over_prompts,
    gradient_energy,
    jumps,
    mean_share,
    moves,
    over_prompts,
    pair_mean,
    recognised,
    stands,
    structure,
)
from genie_lite.evaluation.play_prompts import PRESSES, ScriptRun
from genie_lite.evaluation.video_network import SIDE, video_network

PERCENTILE = 1  # of real frames, below which a frame is flat (structure) or above 100 less it noisy (gradient energy)
JUMP_GRACE = 2  # frames that a jump may take longer than in the real game


def direction(
    run: ScriptRun, world: np.ndarray, side: int, seed: int
) -> tuple[dict[str, list[Interval]], dict[str, Interval]]:
    """Share of presses that move the right way, press by press, and the largest gap between world and game."""
    made = {"world": world, "game": run.game}
    shares = {who: moves(run.motion(frames, PRESSES), side).astype(float) for who, frames in made.items()}

    def gap(weights: np.ndarray) -> np.ndarray:
        difference = weights @ (shares["world"] - shares["game"]) / weights.sum(1, keepdims=True)
        return np.abs(difference).max(1)

    curves = {who: bootstrap_mean(share, seed=seed) for who, share in shares.items()}
    return curves, {"world": over_prompts(len(world), gap, seed=seed)}


def standing(run: ScriptRun, world: np.ndarray, seed: int) -> dict[str, Interval]:
    return {
        who: mean_share(stands(run.motion(frames, PRESSES))[:, 4:].mean(1), seed=seed)
        for who, frames in (("world", world), ("game", run.game))
    }


def jumping(run: ScriptRun, world: np.ndarray, seed: int) -> dict[str, dict[str, Interval]]:
    length = run.game.shape[1]
    (off, landed), (_, expected) = (jumps(run.motion(frames, length)) for frames in (world, run.game))
    in_time = (landed >= 0) & (landed <= expected + JUMP_GRACE)
    ones = np.ones(len(off))
    back = np.where(off, in_time, np.nan)
    return {
        "jump: share that takes off": {
            "world": mean_share(off, seed=seed),
            "game": mean_share(ones, seed=seed),
        },
        "jump: of these, back on the ground in time": {
            "world": mean_share(back, seed=seed) if off.any() else Interval(np.nan, np.nan, np.nan),
            "game": mean_share(ones, seed=seed),
        },
    }


class LateFrames:
    """Judges late frames by real videos: a reference of 2 B, and B others that show what chance does."""

    def __init__(self, real: np.ndarray, prompts: int, seed: int) -> None:
        self.seed, self.network = seed, video_network()
        self.reference, self.other = self._features(real[: 2 * prompts]), real[2 * prompts :]
        self.least = float(np.percentile(structure(real), PERCENTILE))
        self.most = float(np.percentile(gradient_energy(real), 100 - PERCENTILE))

    def rows(self, name: str, made: dict[str, np.ndarray], prompts: np.ndarray) -> dict[str, dict[str, Interval]]:
        """Distance, flat and noisy frames of `made` videos [B, T, H, W, C], beside frozen prompts and real videos."""
        length = self.other.shape[1]
        shown = {who: videos[:, -length:] for who, videos in made.items()}
        shown["frozen prompts"] = np.repeat(prompts[:, -1:], length, axis=1)
        shown["other real videos"] = self.other
        features = {who: self._features(videos) for who, videos in shown.items()}
        measures = {who: frechet_over_prompts(self.reference, found) for who, found in features.items()}
        count = len(prompts)
        distances = {who: over_prompts(count, measure, seed=self.seed) for who, measure in measures.items()}
        ratio = over_prompts(count, lambda w: measures["world"](w) / measures["game"](w), seed=self.seed)
        flat = {
            who: mean_share((structure(videos) < self.least).mean(1), seed=self.seed) for who, videos in shown.items()
        }
        noisy = {
            who: mean_share((gradient_energy(videos) > self.most).mean(1), seed=self.seed)
            for who, videos in shown.items()
        }
        return {
            f"{name}: distance of late frames": distances,
            f"{name}: distance, world over game": {"world": ratio},
            f"{name}: flat late frames": flat,
            f"{name}: noisy late frames": noisy,
        }

    def _features(self, videos: np.ndarray) -> np.ndarray:
        fitted = fit_frames(videos.reshape(-1, *videos.shape[2:]), (SIDE, SIDE))
        return self.network.features(fitted.reshape(*videos.shape[:2], *fitted.shape[1:]))


def adherence(run: ScriptRun, world: np.ndarray, at: int, seed: int) -> dict[str, dict[str, Interval]]:
    """How different worlds under the same keys are, and whether they keep their prompts' colours."""
    made = {"world": world, "game": run.game}
    pairs = {who: differences_between(videos[:, at], run.groups) for who, videos in made.items()}
    measures = {who: partial(pair_mean, *found) for who, found in pairs.items()}
    count = len(world)
    name = run.script.name
    return {
        f"{name}: difference between prompts": {
            who: over_prompts(count, measure, seed=seed) for who, measure in measures.items()
        },
        f"{name}: difference, world over game": {
            "world": over_prompts(count, lambda w: measures["world"](w) / measures["game"](w), seed=seed)
        },
        f"{name}: own prompt recognised": {
            who: mean_share(recognised(videos[:, at:], run.prompts[:, -1]), seed=seed) for who, videos in made.items()
        },
    }
