"""A world that is played: one frame a step, each at the same cost however long the game (section 2.2, figure 8)."""

from __future__ import annotations

import functools
import zlib
from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genie_lite.config import SamplingConfig
from genie_lite.inference.arrays import actions_to_tensor, frames_to_tensor, to_uint8
from genie_lite.inference.compute import playing
from genie_lite.inference.first_guess import FirstGuess, Shown
from genie_lite.inference.kv_cache import KVCache, Slots
from genie_lite.inference.maskgit import Sampler, sample_frame
from genie_lite.inference.one_frame import decode_frame, remember
from genie_lite.models import GenieModel
from genie_lite.models.complete_past import CompletePastDynamicsModel

UNDO_STEPS = 64


class _Past(NamedTuple):
    """What it takes to undo one step."""

    position: int  # of both caches
    dynamics: Slots
    decoder: Slots
    tokens: Tensor
    frame: np.ndarray
    shown: Shown | None
    log_prior: Tensor | None


class Rollout:
    """Worlds [B] that grow by one frame a `step`, from prompt frames uint8 [B, T, H, W, C].

    The dynamics model and the tokenizer's decoder each keep the past in a KV cache, so every MaskGIT step runs the new
    frame only. The random numbers of frame t depend on `seed`, the prompt and t alone: undoing and repeating a step
    gives the same frame, and worlds that share a seed do not drift towards the same picture.

    sampling: MaskGIT's settings, None for the world's own. precision, threads: how to compute; "auto" and None take
    what is quick and robust (inference/compute.py). sampler: takes the place of the one that `sampling` names.
    """

    def __init__(
        self,
        model: GenieModel,
        prompt_frames: np.ndarray,
        sampling: SamplingConfig | None = None,
        *,
        seed: int = 0,
        precision: str = "auto",
        threads: int | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        self.model, self.seed, self.sampler = model, seed, sampler
        self.sampling = sampling or model.config.sampling
        self.tokens: Tensor  # of the newest frame, [B, N]
        self.frame: np.ndarray  # the newest frame, uint8 [B, H, W, C]
        self.decoding: list[Tensor] = []  # its tokens [B, N] after each MaskGIT step
        self._log_prior: Tensor | None = None  # [B, A]
        self._generator = torch.Generator(model.device)
        self._dynamics_cache = KVCache(model.context_frames)
        self._decoder_cache = KVCache(model.context_frames)
        self._prompt_hash = prompt_hash(prompt_frames)
        self._guess = FirstGuess(model) if getattr(model.dynamics, "first_guess", False) else None
        self._past: deque[_Past] = deque(maxlen=UNDO_STEPS)
        frames, _ = frames_to_tensor(model, prompt_frames)
        self.computing = functools.partial(playing, model, len(frames), precision, threads)
        with self.computing():
            self._read_prompt(frames)

    @property
    def position(self) -> int:
        """Index of the newest frame, counted from the first prompt frame."""
        return self._dynamics_cache.position - 1

    @property
    def log_prior(self) -> np.ndarray | None:
        """Log-probability of each latent action that may come next, float64 [B, A]; None for a world without a prior.

        It costs next to nothing where the dynamics model learned the prior: its features of the newest frame are at
        hand. It then knows the whole window, while `ActionPrior` reads a few frames. A prior that is a network of its
        own is not read here.
        """
        return None if self._log_prior is None else self._log_prior.to(torch.float64).cpu().numpy()

    def motions(self) -> np.ndarray | None:
        """Pixels to the right and down by which each latent action would move the hero now, float64 [B, A, 2].

        None for a world whose dynamics model reads no first guesses. What `Foresight` predicts of the last frames alone
        is read off the whole window here, for less.
        """
        if self._guess is None:
            return None
        with self.computing():
            return self._guess.displacements().flip(-1).to(torch.float64).cpu().numpy()

    def step(self, latent_actions: np.ndarray | list[int] | int) -> np.ndarray:
        """Take one latent action [B] in each world, and return the new frames, uint8 [B, H, W, C].

        Raises ValueError for an action outside [0, A).
        """
        actions = actions_to_tensor(self.model, latent_actions, (len(self.tokens),))
        with self.computing():
            before = self._remember()
            try:
                vectors = self.model.latent_action.quantizer.lookup(actions)[:, None]  # [B, 1, latent_dim]
                past = self.tokens[:, None]  # [B, 1, N]
                self._generator.manual_seed(frame_seed(self.seed, self._prompt_hash, before.position))
                self.decoding = sample_frame(
                    self.model.dynamics,
                    vectors,
                    self._dynamics_cache,
                    self.sampling,
                    self._generator,
                    past,
                    self._first_guess(vectors),
                    self.sampler,
                )
                self._append(self.decoding[-1], vectors, past)
            except BaseException:  # an interrupt or too little memory: then this step did not happen
                self._return_to(before)
                raise
            self._past.append(before)
        return self.frame

    def undo(self) -> np.ndarray:
        """Go back one step and return the frame as it was. Raises IndexError after 64 steps back, or at the prompt."""
        if not self._past:
            raise IndexError("undo: no step left to undo")
        self._return_to(self._past.pop())
        return self.frame

    def _remember(self) -> _Past:
        guess = self._guess.snapshot() if self._guess else None
        slots = (self._dynamics_cache.snapshot(), self._decoder_cache.snapshot())
        return _Past(self._dynamics_cache.position, *slots, self.tokens, self.frame, guess, self._log_prior)

    def _return_to(self, past: _Past) -> None:
        with torch.inference_mode():
            self._dynamics_cache.rewind(past.dynamics, past.position)
            self._decoder_cache.rewind(past.decoder, past.position)
            if self._guess and past.shown:
                self._guess.rewind(past.shown)
        self.tokens, self.frame, self._log_prior = past.tokens, past.frame, past.log_prior

    def _first_guess(self, action_vectors: Tensor) -> Tensor | None:
        """The next frame [B, 1, H, W, C] as the latent action model predicts it, if the dynamics model reads that."""
        return self._guess.predict(action_vectors) if self._guess else None

    def _read_prompt(self, frames: Tensor) -> None:
        tokens = self.model.tokenizer.encode(frames)
        actions = tokens.new_zeros(len(tokens), 0)
        if frames.shape[1] > 1:
            actions = self.model.latent_action.encode(self.model.latent_action_inputs(frames, tokens))
        self._read(tokens, actions)

    def _read(self, tokens: Tensor, actions: Tensor) -> None:
        """Make frames of tokens [B, T, N] the past, with the latent actions [B, T-1] between them."""
        vectors = self.model.latent_action.quantizer.lookup(actions)  # [B, T-1, latent_dim]
        for t in range(tokens.shape[1]):
            before = slice(max(t - 1, 0), t)  # the action and the frame that lead to frame t; none for the first
            self._append(tokens[:, t], vectors[:, before], tokens[:, before] if t else None)

    def _append(self, tokens: Tensor, action_vectors: Tensor, past: Tensor | None) -> None:
        """Make complete tokens [B, N] the newest frame: run them once more, for the caches, and decode them."""
        features = remember(self.model.dynamics, tokens, action_vectors, self._dynamics_cache, past)
        self._log_prior = self._prior(features.unflatten(0, tokens.shape))
        self._dynamics_cache.advance()
        pixels = decode_frame(self.model.tokenizer, tokens, self._decoder_cache)
        self._decoder_cache.advance()
        if self._guess:
            self._guess.append(pixels, action_vectors)
        self.tokens, self.frame = tokens, to_uint8(pixels)

    def _prior(self, features: Tensor) -> Tensor | None:
        """Log-probability [B, A] of the next latent action, of the newest frame's features [B, N, D]."""
        dynamics = self.model.dynamics
        if not isinstance(dynamics, CompletePastDynamicsModel) or self.model.action_prior_network is not None:
            return None
        return dynamics.prior(features[:, None])[:, 0]


def prompt_hash(prompt_frames: np.ndarray) -> int:
    """A number for prompt frames uint8 [B, T, H, W, C], the same for the same pictures."""
    return zlib.crc32(np.ascontiguousarray(prompt_frames).tobytes())


def frame_seed(seed: int, prompt: int, t: int) -> int:
    """The seed for the random numbers of frame t, counted from the first prompt frame; `prompt` is its hash."""
    return ((prompt * 1_000_003 + seed) * 1_000_003 + t) % 2**63
