"""The sections of the benchmark: each is a function of a Bench and a time limit, and returns its part of the report.

Every "ratio" compares two contenders that took turns in one run: median over rounds, with quartiles.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import genie_lite
from benchmarks.flops import step_flops
from benchmarks.measure import Work, interleave, matmul_flops, ratio, summary
from benchmarks.memory import peak_memory
from benchmarks.plain import plain_copy
from benchmarks.plain_play import PlainPlay
from benchmarks.stages import OurStep, PlainStep, precision_of, some_frames
from genie_lite.api import Genie
from genie_lite.config import COURSE_STAGES, PAPER_STAGES, Config, DataConfig, Stage
from genie_lite.data import ClipLoader, FrameDataset, collect, data_folder, procgen_available, procgen_games
from genie_lite.inference import Rollout
from genie_lite.machine import cores

Report = dict[str, Any]
MASKGIT_STEPS = (1, 2, 4, 8, 25)


@dataclass
class Bench:
    """Settings shared by all sections."""

    preset: str
    config: Config
    dataset: FrameDataset
    data: str | None  # path of the videos; None: the shipped ones
    device: str
    repeats: int
    quick: bool  # smoke test: as little as possible

    def turns(self, contenders: dict[str, Work], seconds: float) -> dict[str, list[float]]:
        return interleave(contenders, self.repeats, seconds, block=0.0 if self.quick else 0.2)


def training(bench: Bench, seconds: float) -> Report:
    """Steps and frames per second of each stage: the package's step against the plain one."""
    stages = {stage: _train(bench, stage, seconds / len(COURSE_STAGES)) for stage in COURSE_STAGES}
    return {"stages": stages, "matmul_flops": matmul(bench)}


def _train(bench: Bench, stage: Stage, seconds: float) -> Report:
    settings = getattr(bench.config.training, stage)
    frames = some_frames(bench.dataset, settings, bench.device)
    # Muon makes a step more expensive so that fewer are needed; with AdamW both take the same steps.
    same = dataclasses.replace(settings, optimizer="adamw")
    adamw = dataclasses.replace(bench.config, training=dataclasses.replace(bench.config.training, **{stage: same}))
    contenders: dict[str, Work] = {
        "ours": OurStep(bench.config, stage, frames),
        "ours, AdamW": OurStep(adamw, stage, frames),
        "plain": PlainStep(bench.config, stage, frames),
    }
    rates = bench.turns(contenders, seconds)
    per_step = settings.clips * settings.frames
    return {
        "precision": precision_of(settings, bench.device),
        "steps_per_second": {name: summary(rate) for name, rate in rates.items()},
        "frames_per_second": {name: summary([r * per_step for r in rate]) for name, rate in rates.items()},
        "ratio": ratio(rates, "ours", "plain"),
        "same_optimizer": {"ratio": ratio(rates, "ours, AdamW", "plain")},
        "flops_per_step": step_flops(bench.config, stage),
    }


def matmul(bench: Bench) -> dict[str, float]:
    """FLOP/s of a large matrix product in each number format used for training here."""
    stages = {getattr(bench.config.training, stage) for stage in (*COURSE_STAGES, *PAPER_STAGES)}
    quick = {precision_of(settings, bench.device) for settings in stages}
    return {dtype: matmul_flops(bench.device, dtype) for dtype in sorted(quick | {"float32"})}


def play(bench: Bench, seconds: float) -> Report:
    """Frames per second by MaskGIT steps, with and without the cache; then late against early in a rollout."""
    shipped, world = _world(bench)
    genie = Genie(bench.config).to(bench.device).eval()  # untrained: the speed does not depend on the weights
    prompt = bench.dataset.read_clips(bench.dataset.clip_starts(genie.context_frames)[:1], genie.context_frames)
    plain, pixels = plain_copy(genie), torch.from_numpy(prompt).to(bench.device).float() / 255
    wanted = (1, 4) if bench.quick else MASKGIT_STEPS
    late = genie.context_frames + 10 if bench.quick else 500
    by_steps = {}
    for steps in wanted:
        rollout = genie.rollout(prompt, maskgit_steps=steps)
        sampling = dataclasses.replace(rollout.sampling, ordering="random")
        contenders = {
            "ours": _player(rollout),
            "plain": _plain_player(PlainPlay(plain, pixels, sampling, seed=0)),
        }
        rates = bench.turns(contenders, seconds / (len(wanted) + 1))
        frames = {name: summary(rate) for name, rate in rates.items()}
        by_steps[str(steps)] = {"frames_per_second": frames, "ratio": ratio(rates, "ours", "plain")}
    early = genie.context_frames + 4  # the window is full
    contenders = {str(start): _player(_played(shipped, prompt, start)) for start in (early, late)}
    rates = bench.turns(contenders, seconds / (len(wanted) + 1))
    frames = {name: summary(rate) for name, rate in rates.items()}
    over_time = {"frames_per_second": frames, "ratio": ratio(rates, str(late), str(early))}
    return {"world": world, "history": genie.context_frames, "by_steps": by_steps, "over_time": over_time}


def _world(bench: Bench) -> tuple[Genie, str]:
    if (data_folder() / "checkpoints" / bench.preset).is_dir():
        return genie_lite.load(bench.preset, bench.device), f"the shipped {bench.preset} world"
    return Genie(bench.config).to(bench.device).eval(), f"an untrained world of preset {bench.preset}"


def _played(genie: Genie, prompt: np.ndarray, frames: int) -> Rollout:
    """A rollout after `frames` frames, generated with one MaskGIT step each."""
    rollout = genie.rollout(prompt, maskgit_steps=1)
    while rollout.position + 1 < frames:
        rollout.step([rollout.position % genie.num_latent_actions])
    rollout.sampling = genie.config.sampling
    return rollout


def _player(rollout: Rollout) -> Work:
    def play_a_frame() -> float:
        rollout.step([rollout.position % rollout.model.num_latent_actions])
        return 1.0

    return play_a_frame


def _plain_player(world: PlainPlay) -> Work:
    def play_a_frame() -> float:
        Genie.to_uint8(
            world.step(torch.tensor([world.position % world.num_latent_actions], device=world.tokens.device))
        )
        return 1.0

    return play_a_frame


def reading(bench: Bench, seconds: float) -> Report:
    """Frames per second that one thread reads for a stage, against those the stage trains on."""
    stages = {}
    for stage in COURSE_STAGES:
        settings = getattr(bench.config.training, stage)
        loader = ClipLoader(bench.dataset, settings.clips, settings.frames, settings.frame_stride, prefetch=0)
        step = OurStep(bench.config, stage, some_frames(bench.dataset, settings, bench.device))
        rates = bench.turns({"read": _reader(loader), "train": step}, seconds / len(COURSE_STAGES))
        per_step = settings.clips * settings.frames
        frames = {name: summary([r * per_step for r in rate]) for name, rate in rates.items()}
        stages[stage] = {"frames_per_second": frames, "ratio": ratio(rates, "read", "train")}
    videos = f"{bench.dataset.num_frames:,} frames" if bench.data else "the shipped videos"
    return {"dataset": videos, "stages": stages}


def _reader(loader: ClipLoader) -> Work:
    def read_a_batch() -> float:
        next(loader)
        return 1.0

    return read_a_batch


def collecting(bench: Bench, seconds: float) -> Report:
    """Game steps per second of `collect`, writing included, against procgen alone with its best thread count."""
    if not procgen_available():
        return {"skipped": "Collecting was skipped: procgen is not installed."}
    data = bench.config.data
    frames = data.frames_per_level or -(-procgen_games.LONGEST_EPISODE // data.action_repeat)
    number = itertools.count()
    bare = {f"procgen, {threads} threads": _games(data, threads) for threads in (0, min(data.num_envs, cores()))}
    with tempfile.TemporaryDirectory() as folder:

        def collected() -> float:
            path = Path(folder) / f"videos-{next(number)}.zarr"
            videos = collect(data, path, frames=frames * data.num_envs, progress=False)
            return float(videos.num_frames * data.action_repeat)

        rates = bench.turns({"collect": collected, **bare}, seconds)
    fastest = max(bare, key=lambda name: float(np.median(rates[name])))
    found = {name: summary(rate) for name, rate in rates.items()}
    against = {"against": fastest, "ratio": ratio(rates, "collect", fastest)}
    return {"game_steps_per_second": found, "action_repeat": data.action_repeat, **against}


def _games(data: DataConfig, threads: int) -> Work:
    """Procgen alone, with the options used for collecting, under random actions."""
    games = procgen_games.make_games(data, data.train_levels, data.num_envs, seed=0, threads=threads)
    rng, steps = np.random.default_rng(0), 256

    def played() -> float:
        for _ in range(steps):
            games.observe()
            games.act(rng.integers(procgen_games.NUM_ENV_ACTIONS, size=data.num_envs, dtype=np.int32))
        return float(steps * data.num_envs)

    return played


def memory(bench: Bench, seconds: float) -> Report:
    """Peak GB of a few training steps in a fresh process."""
    stages = {}
    for stage in COURSE_STAGES[:1] if bench.quick else COURSE_STAGES:
        peaks = {
            who: peak_memory(bench.preset, stage, who, bench.device, bench.data) for who in ("nothing", "ours", "plain")
        }
        stages[stage] = {"gigabytes": peaks, "ratio": summary([peaks["plain"] / peaks["ours"]])}
    return {"of": "tensors on the GPU" if bench.device == "cuda" else "the process", "stages": stages}
