"""A small world without a neural network, with which the check of exercise 07.2 sees what an answer plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genie_lite.course.checking import Mistake


class Practice:
    """Plain grey frames: an action makes the picture brighter or darker, and the seed adds noise."""

    num_latent_actions = 5
    effect = np.array([-30, -8, 0, 9, 25])

    def __init__(self, videos: int, frames: int) -> None:
        generator = np.random.default_rng(3)
        actions = generator.choice(5, size=(videos, frames - 1), p=[0.1, 0.1, 0.6, 0.1, 0.1])
        first = generator.integers(100, 156, (videos, 1, 4, 4, 3))
        steps = self.effect[actions].cumsum(1)[..., None, None, None]
        wobble = generator.integers(-20, 21, (videos, frames - 1, 4, 4, 3))
        self.videos = np.concatenate([first, first + steps + wobble], axis=1).clip(0, 255).astype(np.uint8)
        self.actions = actions
        self.played: list[tuple[np.ndarray, np.ndarray, int, np.ndarray]] = []  # prompt, actions, seed, video

    def infer_actions(self, frames: np.ndarray) -> np.ndarray:
        """The true actions of frames that are (a part of) the practice videos; [B, T, H, W, C] or [T, H, W, C]."""
        frames = np.asarray(frames)
        if frames.ndim == 4:
            return self.infer_actions(frames[None])[0]
        return np.array([self._actions_of(video) for video in frames])

    def _actions_of(self, video: np.ndarray) -> np.ndarray:
        length = len(video)
        for first in range(self.videos.shape[1] - length + 1):
            found = np.flatnonzero((self.videos[:, first : first + length] == video).all((1, 2, 3, 4)))
            if len(found):
                return self.actions[found[0], first : first + length - 1]
        raise ValueError("infer_actions: these frames are not from the videos that were given")

    def generate(self, prompt_frames: np.ndarray, latent_actions: np.ndarray, *, seed: int = 0, **_: Any) -> np.ndarray:
        """New frames [B, T, H, W, C] for prompts [B, T0, H, W, C] and actions [B, T]; the batch axis is optional."""
        prompt, actions = np.asarray(prompt_frames), np.asarray(latent_actions)
        if prompt.ndim == 4 and actions.ndim == 1:
            return self.generate(prompt[None], actions[None], seed=seed)[0]
        if prompt.ndim != 5 or actions.ndim != 2 or len(prompt) != len(actions):
            raise ValueError(
                f"generate: found prompt {list(prompt.shape)} and actions {list(actions.shape)}, "
                "expected [B, T0, H, W, C] and [B, T]"
            )
        if actions.size and (actions.min() < 0 or actions.max() >= 5):
            raise ValueError(f"latent action {actions.max()}: out of range, this world has 0 .. 4")
        steps = self.effect[actions].cumsum(1)[..., None, None, None]
        noise = np.random.default_rng(seed).integers(-6, 7, (*actions.shape, 4, 4, 3))
        video = (prompt[:, -1:] + steps + noise).clip(0, 255).astype(np.uint8)
        self.played.append((prompt, actions, seed, video))
        return video


@dataclass(frozen=True)
class Rollouts:
    """What an answer played of each video: with inferred actions and with random ones, [B, T', H, W, C] each."""

    inferred: np.ndarray
    random: np.ndarray
    random_actions: np.ndarray

    @classmethod
    def of(cls, world: Practice, t: int) -> Rollouts:
        """The two rollouts of each video, in one call of `generate` or in many; a Mistake when others were played."""
        if len(world.played) > 1 and any(len(prompt) == len(world.videos) for prompt, *_ in world.played[2:]):
            raise Mistake(
                f"Videos were played more than once with few actions each, {len(world.played)} calls in all. One call "
                "of `generate` plays all t actions, and the world remembers what came before."
            )
        plays: list[list[tuple[np.ndarray, int, np.ndarray]]] = [[] for _ in world.videos]
        for prompt, actions, seed, video in world.played:
            _check_prompt(prompt, actions, world, t)
            for row in range(len(prompt)):
                found = np.flatnonzero((world.videos[:, :1] == prompt[row]).all((1, 2, 3, 4)))
                if not len(found):
                    raise Mistake("The prompt is not the first frame of each video, `videos[:, :1]`.")
                plays[found[0]].append((actions[row], seed, video[row]))
        counts = sorted({len(rollouts) for rollouts in plays})
        if counts != [2]:
            times = " to ".join(str(count) for count in (counts[0], counts[-1])[: len(counts)])
            raise Mistake(
                f"Each video was played {times} time(s); expected twice: once with the inferred actions, once with "
                "random ones."
            )
        return cls._sorted(plays, world)

    @classmethod
    def _sorted(cls, plays: list[list[tuple[np.ndarray, int, np.ndarray]]], world: Practice) -> Rollouts:
        inferred, random = [], []
        for b, (first, second) in enumerate(plays):
            true = [np.array_equal(actions, world.actions[b, : len(actions)]) for actions, _, _ in (first, second)]
            if not any(true):
                raise Mistake(
                    "Neither rollout used the inferred actions: infer_actions of all frames, from the first on."
                )
            pair = (first, second) if true[0] else (second, first)
            inferred.append(pair[0])
            random.append(pair[1])
        if any(a[1] != b[1] for a, b in zip(inferred, random, strict=True)):
            raise Mistake("The two rollouts had different seeds, so chance sets them apart too. Give both the same.")
        if len({len(play[0]) for play in (*inferred, *random)}) > 1:
            raise Mistake("Some rollouts are longer than others. Play the same number of actions in all of them.")
        actions = np.array([play[0] for play in random])
        _check_random(actions, np.array([play[0] for play in inferred]))
        good, bad = (np.array([play[2] for play in part]) for part in (inferred, random))
        return cls(good, bad, actions)


def _check_prompt(prompt: np.ndarray, actions: np.ndarray, world: Practice, t: int) -> None:
    if prompt.shape[1] != 1:
        raise Mistake(
            f"The prompt has {prompt.shape[1]} frames: the world was shown what it should generate. Give it x_0 alone."
        )
    if actions.shape[1] < t:
        raise Mistake(f"Only {actions.shape[1]} actions were played; x_t with t = {t} takes {t} of them.")


def _check_random(random: np.ndarray, inferred: np.ndarray) -> None:
    """The random actions [B, T] must be new draws, even over all actions and independent at every step."""
    if np.array_equal(random, inferred):
        raise Mistake("Both rollouts used the inferred actions. The second one takes random actions.")
    if np.array_equal(np.sort(random, axis=None), np.sort(inferred, axis=None)):
        raise Mistake(
            "Those are the inferred actions in another order: a useful baseline too, but the paper's ΔtPSNR draws new "
            "ones."
        )
    if (random == random[:, :1]).all():
        raise Mistake("You hold one random action for the whole video. Draw a new one for every step, [B, t] of them.")
    if len(random) > 1 and (random == random[:1]).all():
        raise Mistake("Every video gets the same random actions. Draw them for each video from one generator.")
    missing = sorted(set(range(5)) - set(random.ravel().tolist()))
    if missing:
        raise Mistake(f"Your random actions never use {missing}; expected all of 0 .. A - 1, `integers(A, size=...)`.")
    shares = np.bincount(random.ravel(), minlength=5) / random.size
    if shares.max() > 0.4:
        raise Mistake(
            f"Action {shares.argmax()} makes up {shares.max():.0%} of your random actions; expected all alike."
        )
