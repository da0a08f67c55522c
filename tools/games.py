"""Is the recipe about one game? A world of CoinRun on games that it has never seen, as it is and adapted in minutes.

Collects videos of CoinRun, Ninja, Climber and Jumper, measures the world's models on held-out levels of each, trains a
latent action model on all four in equal shares, and one world of another game: from the weights of the given one, its
dynamics model alone from them, and from scratch, all with the same number of steps. It can be stopped at any time: the
same command continues. OUT/games.json holds the results, OUT/held.png and OUT/rollouts.png the pictures.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import genie_lite
from genie_lite import evaluation, storage
from genie_lite.api import Genie
from genie_lite.config import Config, load_config
from genie_lite.course.figures import video_picture
from genie_lite.data import FrameDataset, collect, join_datasets
from genie_lite.data.procgen_games import GAMES
from genie_lite.training import train_genie, train_tokenizer

LENGTH = 9  # frames of a clip: eight transitions
T = 4  # where rollouts are scored, as in the paper
PROMPTS = 16  # from which each latent action is held
ONE_CLASS = 0.98  # share of the most frequent class above which an axis has nothing to tell
HELD, SHOWN = 4, 8  # frames for which an action is held in the picture; frames of a rollout in the other
STEPS = {"tokenizer": 300, "latent_action": 200, "dynamics": 500}
ENCODED = 300  # clips that the dynamics model is trained on
FROM = {"adapted": True, "scratch": False, "dynamics": True}  # worlds of the other game: from old weights or not
ARMS = ("adapted", "scratch", "several", "dynamics")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="laptop", help="of CoinRun: a shipped name, or a checkpoint folder")
    parser.add_argument("--preset", default="laptop", help="that the world was made with")
    parser.add_argument("--game", choices=GAMES[1:], default="ninja", help="to adapt to (default: ninja)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS[:3])
    parser.add_argument("--train-frames", type=int, default=30_000, help="of each game (default: 30000)")
    parser.add_argument("--test-frames", type=int, default=4_000, help="of each game (default: 4000)")
    parser.add_argument("--clips", type=int, default=100, help="measured of each game (default: 100)")
    parser.add_argument("--several-steps", type=int, default=600, help="of the latent action model of four games")
    for stage, steps in STEPS.items():
        parser.add_argument(f"--{stage.replace('_', '-')}-steps", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/games"))
    parser.add_argument("--no-progress", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    study = Study(options)
    study.run()
    print(table(study.results))
    return 0


class Study:
    """The parts of the study, each of which is skipped where OUT holds its result."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.out, self.progress = options, options.out, not options.no_progress
        self.world = genie_lite.load(options.world, device="cpu")
        self.config = load_config(options.preset)
        self.results: dict[str, Any] = {}

    def run(self) -> None:
        """All of it, arm by arm; results are written after each measurement, the pictures in the end."""
        test = {game: self.videos(game, "test") for game in GAMES}
        self.measured("shipped", self.world, test)
        meanings = {axis: self.results["shipped"]["coinrun"][f"motion_{axis}"]["meanings"] for axis in AXES}
        self.results["meanings"] = transferred(self.world, test, meanings, self.options.clips)
        worlds = {"shipped": self.world}
        for arm in self.options.arms:
            if arm == "several":
                self.measured(arm, self.several(), test, whole=False)
            else:
                worlds[arm] = self.trained(arm)
                self.measured(arm, worlds[arm], {self.options.game: test[self.options.game]})
        if {"adapted", "scratch"} <= set(self.options.arms):
            self.results["adapted_minus_scratch"] = self.paired("adapted", "scratch")
        self.write()
        self.pictures(worlds, test)

    def videos(self, game: str, split: str) -> FrameDataset:
        """Videos of a game with the preset's look and player."""
        frames = self.options.train_frames if split == "train" else self.options.test_frames
        path = self.out / "videos" / game / f"{split}.zarr"
        return collect(self.of(game).data, path, split, frames=frames, progress=self.progress)

    def of(self, game: str) -> Config:
        """The preset for another game, with the steps of this study and no limit of time."""
        stages = {
            name: dataclasses.replace(
                getattr(self.config.training, name),
                steps=getattr(self.options, f"{name}_steps"),
                time_budget_minutes=None,
                sample_every=0,
                seed=self.options.seed,
            )
            for name in STEPS
        }
        stages["dynamics"] = dataclasses.replace(stages["dynamics"], encoded_clips=ENCODED)
        return dataclasses.replace(
            self.config,
            data=dataclasses.replace(self.config.data, game=game),
            training=dataclasses.replace(self.config.training, **stages),
        )

    def several(self) -> Genie:
        """The world with a latent action model from scratch, trained on the four games in equal shares."""
        config = self.of("coinrun")
        stage = dataclasses.replace(config.training.latent_action, steps=self.options.several_steps)
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, latent_action=stage))
        videos = join_datasets([self.videos(game, "train") for game in GAMES])
        folder = self.out / "several" / "latent_action"
        return self.timed(
            "several latent_action",
            folder,
            lambda: train_genie(
                config, videos, folder, tokenizer=self.world, parts=("latent_action",), progress=self.progress
            ),
        )

    def trained(self, arm: str) -> Genie:
        """A world of the other game, trained as `arm` says."""
        config, videos = self.of(self.options.game), self.videos(self.options.game, "train")
        start = self.world if FROM[arm] else None
        genie, folder = self.world, self.out / arm
        shared: dict[str, Any] = {"start": start, "progress": self.progress}
        if arm != "dynamics":
            genie = self.timed(
                f"{arm} tokenizer",
                folder / "tokenizer",
                lambda: train_tokenizer(config, videos, folder / "tokenizer", **shared),
            )
            genie = self.timed(
                f"{arm} latent_action",
                folder / "latent_action",
                lambda base=genie: train_genie(
                    config, videos, folder / "latent_action", tokenizer=base, parts=("latent_action",), **shared
                ),
            )
        return self.timed(
            f"{arm} dynamics",
            folder / "dynamics",
            lambda: train_genie(config, videos, folder / "dynamics", tokenizer=genie, parts=("dynamics",), **shared),
        )

    def timed(self, name: str, folder: Path, train: Callable[[], Genie]) -> Genie:
        """The checkpoint in `folder`; trained first where there is none, with the minutes of processor time noted."""
        if not (folder / "checkpoint").is_dir():
            begin = time.process_time()
            train()
            write(folder / "minutes.json", {"processor_minutes": (time.process_time() - begin) / 60})
        self.results.setdefault("minutes", {})[name] = read(folder / "minutes.json")["processor_minutes"]
        return Genie.load(folder / "checkpoint")

    def measured(self, arm: str, world: Genie, test: dict[str, FrameDataset], *, whole: bool = True) -> None:
        """Measure a world on held-out levels of each game of `test`, unless that was done before."""
        for game, videos in test.items():
            path = self.out / "results" / f"{arm}-{game}.json"
            if not path.is_file():
                write(path, measure(world, videos, self.options.clips, whole=whole))
            self.results.setdefault(arm, {})[game] = {k: v for k, v in read(path).items() if k != "each"}
        self.write()

    def paired(self, first: str, second: str) -> dict[str, list[float]]:
        """How much better one world of the other game is than another on the same clips, with 95 % intervals."""
        each = [read(self.out / "results" / f"{arm}-{self.options.game}.json")["each"] for arm in (first, second)]
        return {name: mean(np.subtract(each[0][name], each[1][name])[:, None]) for name in each[0]}

    def write(self) -> None:
        """OUT/games.json, as far as the study is."""
        settings = {name: value for name, value in vars(self.options).items() if name not in ("out", "no_progress")}
        write(self.out / "games.json", {"settings": settings, "results": self.results})

    def pictures(self, worlds: dict[str, Genie], test: dict[str, FrameDataset]) -> None:
        """OUT/held.png and OUT/rollouts.png."""
        clips = {game: liveliest(videos) for game, videos in test.items()}
        codes = self.world.num_latent_actions
        rows = []
        for video in clips.values():
            prompts = video[:, :1].repeat(codes, axis=0)
            held = self.world.generate(prompts, np.arange(codes)[:, None].repeat(HELD, 1), seed=self.options.seed)
            rows.append(np.concatenate([video[0, :1], held[:, -1]]))
        columns = ["prompt", *(f"action {code}" for code in range(codes))]
        video_picture(rows, list(clips), columns=columns, scale=1).quantize().save(self.out / "held.png")
        rows, names = [], []
        for game, video in clips.items():
            rows.append(video[0, :SHOWN])
            names.append(f"{game}\nthe game")
            for arm, world in worlds.items():
                if arm == "shipped" or game == self.options.game:
                    made = world.generate(video[:, :1], world.infer_actions(video), seed=self.options.seed)
                    rows.append(np.concatenate([video[:, :1], made], axis=1)[0, :SHOWN])
                    names.append(arm)
        video_picture(rows, names, columns=["prompt", *range(1, SHOWN)], scale=1).quantize().save(
            self.out / "rollouts.png"
        )


def write(path: Path, content: dict[str, Any]) -> None:
    storage.write_json(path, {"format_version": storage.FORMAT_VERSION, **content})


def read(path: Path) -> dict[str, Any]:
    return {name: value for name, value in storage.read_json(path).items() if name != "format_version"}


# ------------------------------------------------------------------------------------------------- what is measured

AXES = ("left_right", "up_down")


def some(videos: FrameDataset, clips: int, length: int) -> np.ndarray:
    """Starts of clips that share no frame, the same ones each time."""
    return evaluation.pick_clips(videos, clips, length)[0]


def liveliest(videos: FrameDataset, clips: int = 20) -> np.ndarray:
    """Of a few clips the one whose pixels change most, uint8 [1, T, H, W, C]: nothing can be seen of one at rest."""
    frames = videos.read_clips(some(videos, clips, LENGTH), LENGTH)
    change = np.abs(np.diff(frames.astype(np.int16), axis=1)).sum((1, 2, 3, 4))
    return frames[[change.argmax()]]


def measure(genie: Genie, videos: FrameDataset, clips: int, *, whole: bool) -> dict[str, Any]:
    """Everything about a world on one game, with 95 % intervals over clips; not `whole`: of its latent actions only."""
    starts, notes = evaluation.pick_clips(videos, clips, LENGTH)
    frames = videos.read_clips(starts, LENGTH)
    codes, motion = genie.infer_actions(frames), evaluation.measure_motion(frames)
    keys = evaluation.read_env_actions(videos, starts, LENGTH)
    copied = evaluation.psnr(frames[:, 1:], frames[:, :-1])
    shares = evaluation.code_usage(codes, genie.num_latent_actions).shares
    found: dict[str, Any] = {"clips": len(starts), "notes": notes, "shares": shares.tolist()}
    decibels = {"lam_gain": evaluation.psnr(frames[:, 1:], genie.predict_next(frames)) - copied}
    probes = {
        "motion": evaluation.probe_motion(codes, motion, num_codes=genie.num_latent_actions),
        "key": evaluation.probe_env_actions(codes, keys, num_codes=genie.num_latent_actions),
        "key_motion": evaluation.probe_motion_by_env_actions(keys, motion),
    }
    for kind, axes in probes.items():
        for axis in AXES:
            found[f"{kind}_{axis}"] = plain(axes[axis])
    if whole:
        scores = evaluation.score_rollouts(genie, frames[:, : T + 1])
        decibels["tokenizer_psnr"] = evaluation.psnr(frames, genie.decode(genie.encode(frames)))
        decibels |= {"rollout_gain": scores.gain[:, T - 1 :], "delta_psnr": scores.delta[:, T - 1 :]}
        held = evaluation.action_consistency(genie, frames[:: max(1, len(frames) // PROMPTS), :1])
        found["held_left_right"] = [*held.left_right, held.chance_left_right]
        found["held_up_down"] = [*held.up_down, held.chance_up_down]
    found["each"] = {name: values.mean(axis=1).tolist() for name, values in decibels.items()}  # of each clip
    return found | {name: mean(values) for name, values in decibels.items()}


def mean(values: np.ndarray) -> list[float]:
    """Mean of [B, X] over all, with its interval over clips."""
    return list(evaluation.bootstrap_mean(values.mean(axis=1, keepdims=True))[0])


def plain(probe: evaluation.Probe) -> dict[str, Any]:
    """A probe as JSON holds it; without scores where nearly all transitions are of one class."""
    found: dict[str, Any] = {"class_shares": probe.class_shares.tolist(), "transitions": probe.transitions}
    if probe.class_shares.max() < ONE_CLASS:
        found |= {
            "information": [*probe.information, probe.chance_information],
            "accuracy": [*probe.accuracy, probe.chance_accuracy],
            "meanings": probe.meanings.tolist(),
        }
    return found


def transferred(
    genie: Genie, test: dict[str, FrameDataset], meanings: dict[str, list[int]], clips: int, resamples: int = 500
) -> dict[str, Any]:
    """Balanced accuracy in each game of the meanings that codes have in CoinRun: does a code mean the same there?"""
    found: dict[str, Any] = {}
    for game, videos in test.items():
        frames = videos.read_clips(some(videos, clips, LENGTH), LENGTH)
        codes, motion = genie.infer_actions(frames), evaluation.measure_motion(frames)
        truths = {"left_right": (motion.left_right(), motion.sure_x), "up_down": (motion.up_down(), motion.sure_y)}
        rng = np.random.default_rng(0)
        draws = [np.arange(len(frames)), *rng.integers(len(frames), size=(resamples, len(frames)))]
        for axis, (truth, known) in truths.items():
            if np.bincount(truth[known]).max() >= ONE_CLASS * known.sum():
                continue
            guesses = np.array(meanings[axis])[codes]
            values = [evaluation.balanced_accuracy(truth[d][known[d]], guesses[d][known[d]]) for d in draws]
            found.setdefault(game, {})[axis] = [values[0], *np.quantile(values[1:], [0.025, 0.975])]
    return found


def table(results: dict[str, Any]) -> str:
    """The results as a table in Markdown, a row for each model and game."""

    def cell(numbers: list[float] | None, digits: int = 2) -> str:
        if not numbers:
            return ""
        chance = f" ({numbers[3]:.{digits}f})" if len(numbers) > 3 else ""
        return f"{numbers[0]:.{digits}f} [{numbers[1]:.{digits}f}, {numbers[2]:.{digits}f}]{chance}"

    measures = ["lam_gain", "tokenizer_psnr", "rollout_gain", "delta_psnr", "held_left_right", "held_up_down"]
    probes = [f"{kind}_{axis}" for kind in ("motion", "key", "key_motion") for axis in AXES]
    parts = [*measures, *(f"{name} {score}" for name in probes for score in ("information", "accuracy"))]
    lines = [f"| measure | {'model':8} | " + " | ".join(GAMES) + " |", "|---" * (2 + len(GAMES)) + "|"]
    for part in parts:
        name, _, score = part.partition(" ")
        for arm in ("shipped", "several", *FROM):
            games = results.get(arm, {})
            values = [games.get(game, {}).get(name) for game in GAMES]
            values = [value.get(score) if score and value else value for value in values]
            if any(values):
                digits = 1 if "psnr" in name or "gain" in name else 2
                lines.append(f"| {part} | {arm:8} | " + " | ".join(cell(value, digits) for value in values) + " |")
    for axis in AXES:
        values = [results.get("meanings", {}).get(game, {}).get(axis) for game in GAMES]
        lines.append(f"| CoinRun's meanings, {axis} | shipped | " + " | ".join(map(cell, values)) + " |")
    for name, value in results.get("adapted_minus_scratch", {}).items():
        lines.append(f"| {name}, adapted minus scratch, clip by clip | | | {cell(value)} |")
    minutes = ", ".join(f"{name} {value:.1f}" for name, value in results.get("minutes", {}).items() if value)
    return "\n".join([*lines, f"processor minutes: {minutes}"])


if __name__ == "__main__":
    sys.exit(main())
