"""What the play test makes of the frames of world and game: rows of its table, curves press by press."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genie_lite.data.fit import fit_frames
from genie_lite.evaluation.bootstrap import Interval, bootstrap_mean
from genie_lite.evaluation.play_measures import (
    differences_between,
    distance,
    draws,
    frechet_distances,
    gradient_energy,
    jumps,
    mean_share,
    moves,
    over_draws,
    pair_mean,
    recognised,
    stands,
    structure,
)
from genie_lite.evaluation.play_prompts import PRESSES, ScriptRun
from genie_lite.evaluation.video_network import FRAMES, SIDE, video_network

SINGLE = 5  # late frames of each video whose look is judged
PERCENTILE = 1  # of real frames, below which a frame is flat (structure) or above 100 less it noisy (gradient energy)
CODED = "game, coded"  # real frames through the tokenizer
STANDS_STILL = "standing still"  # a world in which nobody moves
NEAR = 2.0  # pixels by which a press may move the hero more or less than in the game and still count as alike
JUMP_GRACE = 2  # frames that a jump may take longer than in the real game


def direction(
    run: ScriptRun, world: np.ndarray, side: int, seed: int
) -> tuple[dict[str, list[Interval]], dict[str, dict[str, Interval]]]:
    """Share of presses that move the right way, press by press; rows for the largest gap and the distance covered.

    Two more rows stand beside a world in which nobody moves: how far apart world and game come to stand, on average
    over moments, and the share of presses that move the hero as far as in the game, to within NEAR pixels.
    """
    made = {"world": run.motion(world, PRESSES), "game": run.motion(run.game, PRESSES)}
    shares = {who: moves(motion, side).astype(float) for who, motion in made.items()}
    covered = {who: distance(motion, side) for who, motion in made.items()}
    apart = {"world": np.abs(covered["world"] - covered["game"]), STANDS_STILL: np.abs(covered["game"])}
    across = {who: np.where(motion.sure_x, motion.dx, 0.0) for who, motion in made.items()}
    across[STANDS_STILL] = np.zeros_like(across["game"])
    alike = {who: (np.abs(across[who] - across["game"]) <= NEAR).mean(1) for who in ("world", STANDS_STILL)}

    weights = draws(len(world), seed=seed)
    gaps = np.abs(weights @ (shares["world"] - shares["game"]) / len(world)).max(1)
    curves = {who: bootstrap_mean(share, seed=seed) for who, share in shares.items()}
    name = run.script.name
    return curves, {
        f"{name}: largest gap": {"world": over_draws(gaps)},
        f"{name}: distance, pixels": {who: bootstrap_mean(d[:, None], seed=seed)[0] for who, d in covered.items()},
        f"{name}: distance from where the game ends": {
            who: bootstrap_mean(d[:, None], seed=seed)[0] for who, d in apart.items()
        },
        f"{name}: presses that move him as the game does": {
            who: mean_share(share, seed=seed) for who, share in alike.items()
        },
    }


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
    """Judges late frames by those that the real game shows under the same script from other moments of other levels.

    What the tokenizer loses makes the game itself look unlike the game: beside the ratio of world to game stands that
    to the game coded and decoded, which is about the dynamics alone.
    The look of single frames and videos of 8 frames are compared apart: the first does not see what moves and how.
    """

    def __init__(self, others: np.ndarray, seed: int) -> None:
        self.seed, self.network, self.length = seed, video_network(), others.shape[1]
        self.reference = {kind: features(others) for kind, features in self._kinds.items()}
        self.least = float(np.percentile(structure(others), PERCENTILE))
        self.most = float(np.percentile(gradient_energy(others), 100 - PERCENTILE))

    def rows(self, name: str, made: dict[str, np.ndarray], prompts: np.ndarray) -> dict[str, dict[str, Interval]]:
        """Distances, flat and noisy frames of `made` videos [B, T, H, W, C], beside frozen prompts."""
        shown = {who: videos[:, -self.length :] for who, videos in made.items()}
        shown["frozen prompts"] = np.repeat(prompts[:, -1:], self.length, axis=1)
        rows: dict[str, dict[str, Interval]] = {}
        weights = draws(len(prompts), seed=self.seed)
        for kind, features in self._kinds.items():
            found = {who: frechet_distances(self.reference[kind], features(v), weights) for who, v in shown.items()}
            rows[f"{name}: late {kind}, distance"] = {who: over_draws(copies) for who, copies in found.items()}
            for who, below in (("game", "game"), ("coded game", CODED)):
                ratio = {"world": over_draws(found["world"] / found[below])}
                rows[f"{name}: late {kind}, world over {who}"] = ratio
        rows[f"{name}: late frames, flat"] = {
            who: mean_share((structure(videos) < self.least).mean(1), seed=self.seed) for who, videos in shown.items()
        }
        rows[f"{name}: late frames, noisy"] = {
            who: mean_share((gradient_energy(videos) > self.most).mean(1), seed=self.seed)
            for who, videos in shown.items()
        }
        return rows

    @property
    def _kinds(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        return {"frames": self._of_frames, "videos": self._of_videos}

    def _of_frames(self, videos: np.ndarray) -> np.ndarray:
        """Features [B, SINGLE, D] of single frames: of videos in which each stands still."""
        chosen = videos[:, np.linspace(0, videos.shape[1] - 1, SINGLE).astype(int)]
        still = np.repeat(chosen.reshape(-1, 1, *videos.shape[2:]), FRAMES, axis=1)
        return self._of_videos(still).reshape(len(videos), SINGLE, -1)

    def _of_videos(self, videos: np.ndarray) -> np.ndarray:
        """Features [B, windows, D] of videos."""
        fitted = fit_frames(videos.reshape(-1, *videos.shape[2:]), (SIDE, SIDE))
        return self.network.features(fitted.reshape(*videos.shape[:2], *fitted.shape[1:]))


def adherence(run: ScriptRun, world: np.ndarray, at: int, seed: int) -> dict[str, dict[str, Interval]]:
    """How different worlds under the same keys are, and whether they keep their prompts' colours."""
    made = {"world": world, "game": run.game}
    weights = draws(len(world), seed=seed)
    found = {who: pair_mean(*differences_between(v[:, at], run.groups), weights) for who, v in made.items()}
    name = run.script.name
    return {
        f"{name}: difference between prompts": {who: over_draws(copies) for who, copies in found.items()},
        f"{name}: difference, world over game": {"world": over_draws(found["world"] / found["game"])},
        f"{name}: own prompt recognised": {
            who: mean_share(recognised(videos[:, at:], run.prompts[:, -1]), seed=seed) for who, videos in made.items()
        },
    }
