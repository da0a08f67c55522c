"""A world being played: one frame a step, each at the same cost however long the game (section 2.2, figure 8)."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genie_lite.nn import TemporalCache

if TYPE_CHECKING:
    from genie_lite.api import Genie

UNDO_STEPS = 64


class _Past(NamedTuple):
    dynamics: list[tuple[Tensor, Tensor]]
    decoder: list[tuple[Tensor, Tensor]]
    tokens: Tensor
    frame: np.ndarray


class Rollout:
    """Worlds [B] that grow by one frame a `step`, from prompt frames [B, T, H, W, C] uint8.

    Keys and values of past frames are kept (TemporalCache), for the dynamics model and for the tokenizer's decoder, so
    each MaskGIT step runs the new frame alone. The random numbers of frame t depend on `seed` and t only: undoing
    and repeating a step gives the same frame.
    """

    def __init__(
        self,
        genie: Genie,
        prompt_frames: np.ndarray,
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
    ) -> None:
        chosen: dict[str, Any] = {"maskgit_steps": maskgit_steps, "temperature": temperature}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        self.sampling = dataclasses.replace(genie.config.sampling, **chosen)
        self.genie, self.seed = genie, seed
        self._generator = torch.Generator(genie.device)
        self._dynamics_cache = TemporalCache(genie.context_frames)
        self._decoder_cache = TemporalCache(genie.context_frames)
        self._past: deque[_Past] = deque(maxlen=UNDO_STEPS)
        self.decoding: list[Tensor] = []  # tokens [B, N] after each MaskGIT step of the newest frame
        with genie.inference():
            self._read_prompt(prompt_frames)

    @property
    def position(self) -> int:
        """Index of the newest frame, counted from the first prompt frame."""
        return self._dynamics_cache.position - 1

    def step(self, latent_actions: np.ndarray | list[int] | int) -> np.ndarray:
        """Take one latent action [B] in each world; the new frames, uint8 [B, H, W, C].

        Raises ValueError for an action outside [0, A).
        """
        actions = self.genie.check_actions(latent_actions, (len(self.tokens),))
        with self.genie.inference():
            caches = (self._dynamics_cache.snapshot(), self._decoder_cache.snapshot())
            self._past.append(_Past(*caches, self.tokens, self.frame))
            vectors = self.genie.latent_action.quantizer.lookup(actions)[:, None]
            self._generator.manual_seed(self.seed * 1_000_003 + self._dynamics_cache.position)
            model = self.genie.dynamics
            past = self.tokens[:, None]
            self.decoding = model.sample(vectors, self._dynamics_cache, self.sampling, self._generator, past)
            self._append(self.decoding[-1], vectors, past)
        return self.frame

    def undo(self) -> np.ndarray:
        """Go back one step (at most 64 are kept); the frame as it was. Raises IndexError when there is none."""
        if not self._past:
            raise IndexError("undo: no step left to undo")
        past = self._past.pop()
        with torch.inference_mode():
            self._dynamics_cache.rewind(past.dynamics)
            self._decoder_cache.rewind(past.decoder)
        self.tokens, self.frame = past.tokens, past.frame
        return self.frame

    def _read_prompt(self, prompt_frames: np.ndarray) -> None:
        frames, _ = self.genie.check_frames(prompt_frames)
        tokens = self.genie.tokenizer.encode(frames)
        seen = self.genie.latent_action_inputs(frames, tokens)
        actions = self.genie.latent_action.encode(seen) if frames.shape[1] > 1 else None
        for t in range(frames.shape[1]):
            codes = tokens.new_zeros(len(tokens), 0) if t == 0 or actions is None else actions[:, t - 1 : t]
            past = tokens[:, t - 1 : t] if t else None
            self._append(tokens[:, t], self.genie.latent_action.quantizer.lookup(codes), past)

    def _append(self, tokens: Tensor, action_vectors: Tensor, past: Tensor | None) -> None:
        """Make complete tokens [B, N] the newest frame: run them once more so that the caches hold them, and decode."""
        self.genie.dynamics.remember(tokens[:, None], action_vectors, self._dynamics_cache, past)
        self._dynamics_cache.advance()
        pixels = self.genie.tokenizer.decode(tokens[:, None], self._decoder_cache)
        self._decoder_cache.advance()
        self.tokens, self.frame = tokens, self.genie.to_uint8(pixels)[:, 0]
