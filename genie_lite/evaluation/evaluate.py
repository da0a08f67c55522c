"""`evaluate_genie`: every metric of a world, measured on held-out videos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from genie_lite.data import DatasetError
from genie_lite.evaluation.bootstrap import EvaluationError, Interval, bootstrap_mean, clip_weights, interval
from genie_lite.evaluation.clips import batches, pick_clips
from genie_lite.evaluation.controllability import Consistency, action_consistency, describe_motion, score_rollouts
from genie_lite.evaluation.env_actions import probe_env_actions, probe_motion_by_env_actions, read_env_actions
from genie_lite.evaluation.markers import motion_measure
from genie_lite.evaluation.motion import Motion
from genie_lite.evaluation.probes import Probe, perplexity, probe_motion
from genie_lite.evaluation.psnr_ssim import PSNR_CAP, psnr, ssim
from genie_lite.evaluation.report import MEASURES, Report
from genie_lite.evaluation.rollout_distances import RolloutDistances

CONSISTENCY_PROMPTS = 32
CONSISTENCY_STEPS = 4
AT_T = {
    "rollout_psnr": "free rollout",
    "rollout_copy_psnr": "copying the prompt",
    "rollout_gain": "rollout over copying",
    "delta_psnr": "ΔtPSNR",
}  # scalar metrics and the curves they are read from


def evaluate_genie(
    genie: Any,
    dataset: Any,
    *,
    clips: int = 200,
    frames: int = 16,
    stride: int = 1,
    t: int = 4,
    maskgit_steps: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
    progress: bool = True,
    env_actions: bool = True,
    consistency: bool = True,
    fvd_weights: str | Path | None = None,
    fvd_sha256: str | None = None,
) -> Report:
    """Measure a world on held-out videos of `dataset`: fidelity, controllability, codebook use, probes.

    `clips` clips of `frames` frames, `stride` stored frames apart, are drawn without overlap; they may be longer than
    the world's sliding window. `t` is the frame at which scalar rollout metrics and ΔtPSNR are reported (4 in section
    3). `maskgit_steps` and `temperature` override the configured sampling. `env_actions` adds probes of the true
    actions where the dataset has them; `consistency` adds how alike an action moves other prompts, for which more
    frames are generated. Generated frames of CoinRun, without the prompt, are also compared with real ones as a set: by
    `coinrun_video_distance`, and by `frechet_video_distance` (FVD) if its weights are given.
    EvaluationError if there are too few videos or they are too short.
    """
    if not 1 <= t < frames:
        raise EvaluationError(f"t: found {t}, wanted 1 to {frames - 1} for clips of {frames} frames; give more frames")
    starts, notes = pick_clips(dataset, clips, frames, stride, seed)
    if len(starts) < 4:
        raise EvaluationError(f"clips: found {len(starts)}, wanted 4 or more: probes are fitted on half of them")
    distances = RolloutDistances(dataset, frames - 1, fvd_weights, fvd_sha256)
    num_actions = int(genie.num_latent_actions)
    random_actions = np.random.default_rng(seed).integers(num_actions, size=(len(starts), frames - 1))
    prompts_kept = np.linspace(0, len(starts) - 1, min(CONSISTENCY_PROMPTS, len(starts))).astype(int)
    generated = 2 * random_actions.size + consistency * num_actions * len(prompts_kept) * CONSISTENCY_STEPS

    found: dict[str, list[np.ndarray]] = defaultdict(list)
    consistent: Consistency | None = None
    motions: list[Motion] = []
    measure = motion_measure(dataset)
    with tqdm(total=generated, desc="evaluating", unit="frame", disable=not progress) as bar:
        for index, group in enumerate(batches(np.arange(len(starts)), frames, dataset.frame_size)):
            videos = dataset.read_clips(starts[group], frames, stride)
            _add_reconstructions(videos, genie, found)
            motions.append(measure(videos))
            scores = score_rollouts(
                genie,
                videos,
                random_actions=random_actions[group],
                maskgit_steps=maskgit_steps,
                temperature=temperature,
                seed=seed + index,
            )
            for name in ("inferred", "random", "copying"):
                found[name].append(getattr(scores, name))
            distances.add(videos[:, 1:], scores.frames)
            bar.update(2 * random_actions[group].size)
        if consistency:
            consistent = action_consistency(
                genie,
                dataset.read_clips(starts[prompts_kept], 1, 1),
                steps=CONSISTENCY_STEPS,
                maskgit_steps=maskgit_steps,
                temperature=temperature,
                seed=seed,
                measure=measure,
                done=lambda: bar.update(len(prompts_kept) * CONSISTENCY_STEPS),
            )
    arrays, motion = {name: np.concatenate(parts) for name, parts in found.items()}, Motion.join(motions)
    codes = arrays["codes"]

    curves = _curves(arrays, seed)
    set_distances, floors, distance_notes = distances.measure(seed)
    metrics = _fidelity(arrays, seed) | set_distances
    notes += distance_notes
    metrics |= {name: curves[curve][t - 1] for name, curve in AT_T.items()}
    chances = dict(floors)
    if consistent is not None:
        metrics |= {"consistency_left_right": consistent.left_right, "consistency_up_down": consistent.up_down}
        chances["consistency_left_right"] = consistent.chance_left_right
        chances["consistency_up_down"] = consistent.chance_up_down
    metrics |= _usage(arrays, num_actions, int(genie.config.model.tokenizer.codebook.num_codes), seed)
    probes: dict[str, dict[str, Probe]] = {}
    scrolls = bool((motion.sure_x & motion.sure_y).any())
    if scrolls:
        probes["motion"] = probe_motion(codes, motion, num_codes=num_actions, seed=seed)
    else:
        notes.append("no probe of motion: the frames have too little structure to measure it")
    if env_actions:
        try:
            pressed = read_env_actions(dataset, starts, frames, stride)
            probes["env"] = probe_env_actions(codes, pressed, num_codes=num_actions, seed=seed)
            if scrolls:
                probes["env_motion"] = probe_motion_by_env_actions(pressed, motion, seed=seed)
        except DatasetError as error:
            notes.append(f"no probe of true actions: {error}")
    _add_probes(probes, metrics, chances)

    unsure = 1 - (motion.sure_x & motion.sure_y).mean()
    notes += [
        f"PSNR per frame is capped at {PSNR_CAP:.1f} dB (one grey level); x_t is the frame after t latent actions",
        f"motion is uncertain along some axis in {unsure:.1%} of transitions, which the probes exclude",
    ]
    sampling = genie.config.sampling
    settings = {
        "dataset": str(getattr(dataset, "path", "")),
        "clips": len(starts),
        "frames": frames,
        "stride": stride,
        "t": t,
        "maskgit_steps": sampling.maskgit_steps if maskgit_steps is None else maskgit_steps,
        "temperature": sampling.temperature if temperature is None else temperature,
        "min_p": sampling.min_p,
        "seed": seed,
    }
    actions = [action.to_dict() for action in describe_motion(codes, motion, num_actions=num_actions)]
    return Report(metrics, chances, curves, actions, settings, notes)


def _add_reconstructions(videos: np.ndarray, genie: Any, found: dict[str, list[np.ndarray]]) -> None:
    """Add to `found` all that a batch of videos [B, T, H, W, C] gives without a rollout."""
    tokens = genie.encode(videos)
    decoded = genie.decode(tokens)
    found["tokens"].append(tokens.astype(np.int32))
    found["codes"].append(genie.infer_actions(videos))
    found["tokenizer_psnr"].append(psnr(videos, decoded))
    found["tokenizer_ssim"].append(ssim(videos, decoded))
    found["lam_psnr"].append(psnr(videos[:, 1:], genie.predict_next(videos)))
    found["lam_copy_psnr"].append(psnr(videos[:, 1:], videos[:, :-1]))


def _curves(arrays: dict[str, np.ndarray], seed: int) -> dict[str, list[Interval]]:
    """PSNR at each t of the rollouts and of copying, and their paired differences."""
    generated, copied, shuffled = arrays["inferred"], arrays["copying"], arrays["random"]
    curves = {
        "free rollout": generated,
        "random actions": shuffled,
        "copying the prompt": copied,
        "rollout over copying": generated - copied,
        "ΔtPSNR": generated - shuffled,
    }
    return {name: bootstrap_mean(values, seed=seed) for name, values in curves.items()}


def _fidelity(arrays: dict[str, np.ndarray], seed: int) -> dict[str, Interval]:
    values = {name: arrays[name] for name in ("tokenizer_psnr", "tokenizer_ssim", "lam_psnr", "lam_copy_psnr")}
    values["lam_gain"] = values["lam_psnr"] - values["lam_copy_psnr"]
    return {name: bootstrap_mean(value.mean(axis=1, keepdims=True), seed=seed)[0] for name, value in values.items()}


def _usage(arrays: dict[str, np.ndarray], num_actions: int, num_tokens: int, seed: int) -> dict[str, Interval]:
    def counts(codes: np.ndarray, size: int) -> np.ndarray:
        return np.stack([np.bincount(clip.reshape(-1), minlength=size) for clip in codes])

    def over_clips(counted: np.ndarray, measure: Callable[[np.ndarray], np.ndarray], most: float = 1) -> Interval:
        copies = clip_weights(len(counted), resamples=200, seed=seed) @ counted
        shares = counted.sum(0) / counted.sum()
        return interval(float(measure(shares)), measure(copies / copies.sum(1, keepdims=True)), bounds=(0, most))

    actions, tokens = counts(arrays["codes"], num_actions), counts(arrays["tokens"], num_tokens)
    return {
        "action_perplexity": over_clips(actions, perplexity, num_actions),
        "action_least_share": over_clips(actions, lambda shares: shares.min(-1)),
        "token_perplexity": over_clips(tokens, perplexity, num_tokens),
        "token_used_share": over_clips(tokens, lambda shares: (shares > 0).mean(-1)),
    }


def _add_probes(probes: dict[str, dict[str, Probe]], metrics: dict[str, Interval], chances: dict[str, float]) -> None:
    """Add every measure of every probe under names such as ``motion_left_right_accuracy``."""
    for kind, axes in probes.items():
        for axis, result in axes.items():
            for measure in MEASURES:
                metrics[f"{kind}_{axis}_{measure}"] = getattr(result, measure)
                chances[f"{kind}_{axis}_{measure}"] = getattr(result, f"chance_{measure}")
