"""Controllability: do latent actions change what is generated, and always in the same way?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch

from genie_lite.evaluation.bootstrap import EvaluationError, Interval, bootstrap_mean
from genie_lite.evaluation.clips import batches, pick_clips
from genie_lite.evaluation.markers import motion_measure
from genie_lite.evaluation.motion import Motion, measure_motion
from genie_lite.evaluation.psnr_ssim import psnr


class Playable(Protocol):
    """The subset of the Genie API that infers actions and generates."""

    @property
    def num_latent_actions(self) -> int: ...

    def infer_actions(self, frames: np.ndarray) -> np.ndarray: ...

    def generate(
        self,
        prompt_frames: np.ndarray,
        latent_actions: np.ndarray,
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
    ) -> np.ndarray: ...


@dataclass(frozen=True)
class RolloutScores:
    """PSNR in dB against the real video, float64 [B, T-1]; column t-1 scores x_t, the frame after t latent actions."""

    inferred: np.ndarray  # generated with the actions inferred from the real video
    random: np.ndarray  # generated with random actions
    copying: np.ndarray  # the prompt frame, repeated
    frames: np.ndarray  # the videos generated with inferred actions, uint8 [B, T-1, H, W, C]

    @property
    def delta(self) -> np.ndarray:
        """ΔtPSNR of each clip (section 3)."""
        return self.inferred - self.random

    @property
    def gain(self) -> np.ndarray:
        """PSNR above that of copying the prompt, dB."""
        return self.inferred - self.copying


def score_rollouts(
    genie: Playable,
    frames: np.ndarray,
    *,
    random_actions: np.ndarray | None = None,
    maskgit_steps: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
) -> RolloutScores:
    """Regenerate each video uint8 [B, T, H, W, C] from its first frame, with inferred and with random actions.

    Random actions are uniform over all codes (or `random_actions` [B, T-1]). Everything else uses the same random
    numbers in both rollouts, so they differ only in their actions.
    """
    frames = np.asarray(frames)
    if frames.ndim != 5 or frames.shape[1] < 2:
        raise EvaluationError(f"frames: found shape {list(frames.shape)}, wanted [B, T, H, W, C] with 2 or more frames")
    inferred = genie.infer_actions(frames)
    if random_actions is None:
        random_actions = np.random.default_rng(seed).integers(genie.num_latent_actions, size=inferred.shape)
    prompt, real = frames[:, :1], frames[:, 1:]
    videos = [
        genie.generate(prompt, actions, maskgit_steps=maskgit_steps, temperature=temperature, seed=seed)
        for actions in (inferred, random_actions)
    ]
    copying = psnr(real, np.broadcast_to(prompt, real.shape))
    return RolloutScores(psnr(real, videos[0]), psnr(real, videos[1]), copying, videos[0])


def delta_psnr(
    genie: Playable,
    frames: np.ndarray,
    t: int = 4,
    *,
    maskgit_steps: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
) -> Interval:
    """ΔtPSNR in dB (section 3): how far PSNR at x_t falls when random actions replace inferred ones; mean over clips.

    t counts latent actions: x_t is the t-th generated frame, so videos need at least t + 1 frames.
    """
    if not 1 <= t < np.shape(frames)[1]:
        raise EvaluationError(
            f"t: found {t}, wanted 1 to {np.shape(frames)[1] - 1} for videos of {np.shape(frames)[1]} "
            "frames; read longer clips"
        )
    scores = score_rollouts(genie, frames[:, : t + 1], maskgit_steps=maskgit_steps, temperature=temperature, seed=seed)
    return bootstrap_mean(scores.delta[:, t - 1 :], seed=seed)[0]


# ------------------------------------------------------------------------------ the same action, many prompts


@dataclass(frozen=True)
class Consistency:
    """Share of prompt pairs in which the same held action moves the agent the same way, and the share by chance."""

    left_right: Interval
    chance_left_right: float
    up_down: Interval
    chance_up_down: float


def action_consistency(
    genie: Playable,
    prompts: np.ndarray,
    *,
    steps: int = 4,
    maskgit_steps: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
    measure: Callable[[np.ndarray], Motion] = measure_motion,
    done: Callable[[], Any] | None = None,
) -> Consistency:
    """Hold each latent action for `steps` frames from each prompt uint8 [P, T0, H, W, C] and measure the motion.

    Two prompts agree at a step when both move left, both stand still, or both move right (likewise up and down);
    steps with uncertain motion are excluded. The chance level pairs prompts under randomly drawn actions: the
    agreement to expect if actions had no effect. `measure` measures motions; `done` is called after each action.
    """
    if np.ndim(prompts) != 5 or len(prompts) < 2:
        raise EvaluationError(f"prompts: found shape {list(np.shape(prompts))}, wanted [P, T, H, W, C] of 2 or more")
    classes: list[list[np.ndarray]] = [[], []]
    for action in range(genie.num_latent_actions):
        held = np.full((len(prompts), steps), action)
        video = genie.generate(prompts, held, maskgit_steps=maskgit_steps, temperature=temperature, seed=seed)
        motion = measure(np.concatenate([prompts[:, -1:], video], axis=1))
        classes[0].append(np.where(motion.sure_x, motion.left_right(), -1))
        classes[1].append(np.where(motion.sure_y, motion.up_down(), -1))
        if done:
            done()
    horizontal, vertical = (_agreement(np.stack(axis), seed) for axis in classes)
    return Consistency(*horizontal, *vertical)


def _agreement(classes: np.ndarray, seed: int) -> tuple[Interval, float]:
    """Agreement between prompts, and its chance level, for classes int64 [A, P, steps]; -1 marks uncertain motion."""
    seen = np.eye(3)[classes] * (classes >= 0)[..., None]  # [A, P, steps, classes]
    alike = _share_alike(seen, seen.sum(1, keepdims=True) - seen)
    every = seen.sum(0, keepdims=True)
    chance = _share_alike(seen, every.sum(1, keepdims=True) - every)
    if not np.isfinite(alike).any():  # frames without structure: no motion could be measured
        return Interval(np.nan, np.nan, np.nan), float("nan")
    # Each pair involves two prompts, so replacing one prompt moves the mean twice as far as its own agreement.
    mean = np.nanmean(alike)
    found = bootstrap_mean((2 * alike - mean)[:, None], seed=seed)[0]
    return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0)), float(np.nanmean(chance))


def _share_alike(seen: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each prompt [P], the share of its pairs with `others` that have the same class."""
    alike = (seen * others).sum((0, 2, 3))
    pairs = (seen.sum(-1) * others.sum(-1)).sum((0, 2))
    return np.where(pairs > 0, alike / np.maximum(pairs, 1), np.nan)


# ------------------------------------------------------------------------------------- what each action does


@dataclass(frozen=True)
class ActionMotion:
    """Typical motion of the agent in the real transitions labelled with this latent action.

    Median over transitions, in pixels per frame: `dx` to the right, `dy` downwards; 0 for an action that never occurs.
    The median, because agents that run or stand are sometimes falling too, which would tilt every mean downwards.
    """

    action: int
    share: float  # of all transitions
    dx: float
    dy: float
    spread_dx: float  # standard deviations
    spread_dy: float

    def to_dict(self) -> dict[str, float | int]:
        """Plain numbers that JSON can hold."""
        return asdict(self)


def describe_actions(
    genie: Any, dataset: Any, *, clips: int = 100, frames: int = 8, stride: int = 1, seed: int = 0
) -> list[ActionMotion]:
    """What each latent action does, measured without labels: one description per action, in code order.

    A Genie, or a latent action model alone, labels the transitions of real videos from `dataset`; their motion is
    measured from the pixels. The default takes about a second on one core with the course's models.
    """
    is_world = hasattr(genie, "num_latent_actions")
    num_actions = int(genie.num_latent_actions if is_world else genie.quantizer.num_codes)
    starts, _ = pick_clips(dataset, clips, frames, stride, seed)
    codes, motions, measure = [], [], motion_measure(dataset)
    for batch in batches(starts, frames, dataset.frame_size):
        videos = dataset.read_clips(batch, frames, stride)
        codes.append(_infer(genie, videos))
        motions.append(measure(videos))
    return describe_motion(np.concatenate(codes), Motion.join(motions), num_actions=num_actions)


def _infer(model: Any, videos: np.ndarray) -> np.ndarray:
    if hasattr(model, "infer_actions"):
        return model.infer_actions(videos)
    pixels = torch.as_tensor(videos, device=next(model.parameters()).device).float() / 255
    with torch.inference_mode():
        return model.encode(pixels).cpu().numpy()


def describe_motion(codes: np.ndarray, motion: Motion, *, num_actions: int) -> list[ActionMotion]:
    """Median measured motion of each code, for `codes` [B, T-1]; uncertain motion is excluded."""
    descriptions = []
    for action in range(num_actions):
        own = codes == action
        across, down = motion.dx[own & motion.sure_x], motion.dy[own & motion.sure_y]
        typical = [float(np.median(v)) if v.size else 0.0 for v in (across, down)]
        spreads = [float(v.std()) if v.size else 0.0 for v in (across, down)]
        descriptions.append(ActionMotion(action, float(own.mean()), *typical, *spreads))
    return descriptions
