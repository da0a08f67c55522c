"""Expert video without actions, the latent action after each frame, and the few true actions that are handed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from genie_lite.api import Genie
from genie_lite.data import FrameDataset

UNKNOWN = -1  # target of a frame that has none
HISTORY = 4  # frames that the latent action model sees before a transition, where the episode has them
AT_ONCE = 32  # clips labelled together


class AgentError(ValueError):
    """An agent that cannot be trained: the message says what was found, what was wanted and what to do."""


class Labels(NamedTuple):
    """True env actions [n] of the transitions that begin at these frames [n], int64: all that is handed over."""

    frames: np.ndarray
    env_actions: np.ndarray

    def first(self, count: int) -> Labels:
        """The first `count` of them."""
        if not 1 <= count <= len(self.frames):
            raise AgentError(f"labels: found {count}, wanted 1 to {len(self.frames)}, as many as were drawn")
        return Labels(self.frames[:count], self.env_actions[:count])


@dataclass(frozen=True)
class ExpertVideo:
    """Episodes in memory: frames uint8 [F, H, W, C], the first frame of each episode [E], and the dataset they are of.

    What a policy learns from: it has no true actions.
    """

    frames: np.ndarray
    episode_starts: np.ndarray
    dataset: FrameDataset

    @classmethod
    def read(cls, dataset: FrameDataset) -> ExpertVideo:
        """All frames of `dataset`; 40,000 of 64x64 take 0.5 GB."""
        frames = np.empty((dataset.num_frames, *dataset.frame_size, dataset.channels), np.uint8)
        for first, last in zip(dataset.episode_starts, _ends(dataset), strict=True):
            frames[first:last] = dataset.read_clips(np.array([first]), int(last - first))[0]
        return cls(frames, dataset.episode_starts, dataset)

    @property
    def ends(self) -> np.ndarray:
        """One past the last frame of each episode, int64 [E]."""
        return _ends(self.dataset)

    @property
    def episodes(self) -> np.ndarray:
        """The episode of each frame, int64 [F]."""
        return np.repeat(np.arange(len(self.episode_starts)), self.ends - self.episode_starts)

    @property
    def transitions(self) -> np.ndarray:
        """Frames that another frame of the same episode follows, int64 [n]: those that have a latent action."""
        last = np.zeros(len(self.frames), bool)
        last[self.ends - 1] = True
        return np.flatnonzero(~last)


def latent_action_labels(genie: Genie, video: ExpertVideo, *, progress: bool = True) -> np.ndarray:
    """The latent action after each frame, int64 [F] (appendix E.1); UNKNOWN after the last frame of an episode.

    Episodes are cut into clips as long as the world's context, which overlap, so that the latent action model sees at
    least HISTORY frames before a transition where the episode has them. It is only asked, never trained.
    """
    length = genie.context_frames
    history = min(HISTORY, length - 2)
    codes = np.full(len(video.frames), UNKNOWN)
    starts: dict[int, list[tuple[int, int]]] = {}  # by length of the clip: its first frame, its first new transition
    for first, last in zip(video.episode_starts.tolist(), video.ends.tolist(), strict=True):
        known = first
        while known < last - 1:
            begin = max(first, min(known - history, last - length))
            starts.setdefault(min(length, last - begin), []).append((begin, known - begin))
            known = min(begin + length, last) - 1
    with tqdm(
        total=sum(map(len, starts.values())), desc="inferring latent actions", unit=" clips", disable=not progress
    ) as bar:
        for frames, clips in starts.items():
            for at in range(0, len(clips), AT_ONCE):
                part = clips[at : at + AT_ONCE]
                found = genie.infer_actions(np.stack([video.frames[begin : begin + frames] for begin, _ in part]))
                for (begin, new), row in zip(part, found, strict=True):
                    codes[begin + new : begin + frames - 1] = row[new:]
                bar.update(len(part))
    return codes


def latest_latent_action(genie: Genie, frames: np.ndarray) -> np.ndarray:
    """The latent action between the last two of frames uint8 [B, T, H, W, C], as it happened in play: int64 [B]."""
    return np.asarray(genie.infer_actions(frames)[:, -1], np.int64)


def previous_codes(codes: np.ndarray) -> np.ndarray:
    """The latent action before each frame, given those after it, int64 [F]; UNKNOWN at the start of an episode."""
    return np.roll(codes, 1)  # after the last frame of an episode it is UNKNOWN


def draw_labels(video: ExpertVideo, frames: np.ndarray, *, seed: int = 0) -> Labels:
    """Hand over the true env actions of `frames`, in random order, so that the first n are a sample of n.

    The only place in this subpackage where true actions are read. AgentError for videos without them.
    """
    try:
        env_actions = video.dataset.env_actions()
    except ValueError as error:
        raise AgentError(f"labels: true actions are needed for the labelled samples, but {error}") from error
    chosen = np.random.default_rng(seed).permutation(np.asarray(frames, np.int64))
    return Labels(chosen, env_actions[chosen].astype(np.int64))


def _ends(dataset: FrameDataset) -> np.ndarray:
    return np.append(dataset.episode_starts[1:], dataset.num_frames)
