"""The next frame as the latent action model predicts it, for dynamics models that begin from this guess."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genie_lite.inference.kv_cache import KVCache, Slots
from genie_lite.inference.one_frame import newest_frame
from genie_lite.models import GenieModel
from genie_lite.models.shift_latent_action import ShiftLatentActionModel


class Shown(NamedTuple):
    """What it takes to return to a moment of a rollout."""

    position: int  # of the decoder's cache
    slots: Slots
    frames: Tensor  # the newest one or two, [B, T, H, W, C]


class FirstGuess:
    """Follows the frames that a rollout shows, and predicts the next one by the latent action model's decoder.

    The decoder keeps its past in a KV cache. Raises ValueError for a latent action model that does not move frames.
    """

    def __init__(self, model: GenieModel) -> None:
        if not isinstance(model.latent_action, ShiftLatentActionModel):
            raise ValueError("first guess: needs a latent action model with `shift`")
        self.model = model.latent_action
        self._sharp = model.config.model.dynamics.sharp_guess
        self._window = model.context_frames
        self._cache = KVCache(self._window)
        self._frames: Tensor | None = None
        self._predicted = False  # whether the action after the newest frame is in the cache already

    def append(self, frame: Tensor, action_vectors: Tensor) -> None:
        """Show the newest frame [B, H, W, C] and the action that led to it, [B, 1, latent_dim] ([B, 0, ...]: none)."""
        frame = frame[:, None]
        if self._frames is None:
            self._frames = frame
            return
        if not self._predicted:
            self._decode(action_vectors)
        self._cache.advance()
        self._predicted = False
        self._frames = torch.cat([self._frames[:, -1:], frame], dim=1)

    def predict(self, action_vectors: Tensor, after: Tensor | None = None) -> Tensor:
        """The frame [B, 1, H, W, C] that action_vectors [B, 1, latent_dim] should lead to.

        Where the true one, `after`, is known, a sharp guess moves as far as it did.
        """
        assert self._frames is not None, "predict: no frame was shown"
        decoded = self._decode(action_vectors)
        self._predicted = True
        if self._sharp:
            return self.model.sharp_frames(self._frames[:, -1:], decoded, after).clamp(0, 1)
        return self.model.to_frames(self._frames[:, -1:], decoded).clamp(0, 1)

    def displacements(self) -> Tensor:
        """Pixels down and right by which each latent action would move the hero now, [B, A, 2]."""
        assert self._frames is not None, "displacements: no frame was shown"
        codes = self.model.quantizer.codebook
        clips, count = len(self._frames), len(codes)
        past = self.model.past(self._frames)[:, -1:].repeat_interleave(count, 0)
        motion = (
            self.model.motion(self._frames)[:, -1:].repeat_interleave(count, 0) if self.model.motion_input else None
        )
        vectors = self.model.quantizer.lookup(torch.arange(count, device=codes.device)).repeat(clips, 1)[:, None]
        frames = self._frames[:, -1:].repeat_interleave(count, 0)
        embedded = past + self.model.per_frame(frames, vectors, motion)[:, :, None]
        embedded = embedded.to(self.model._dtype(frames))
        decoded = newest_frame(self.model.decoder, embedded, self._cache.repeated(count, clips)).view_as(embedded)
        return self.model.pixels(decoded, sharp=self._sharp).view(clips, count, 2)

    def snapshot(self) -> Shown:
        """What `rewind` needs to undo the next `append`."""
        assert self._frames is not None, "snapshot: no frame was shown"
        return Shown(self._cache.position, self._cache.snapshot(), self._frames)

    def rewind(self, snapshot: Shown) -> None:
        """Return to the moment of `snapshot`, one frame ago."""
        if snapshot.slots:
            self._cache.rewind(snapshot.slots, snapshot.position)
        else:  # nothing was in the cache yet
            self._cache = KVCache(self._window)
        self._frames, self._predicted = snapshot.frames, False

    def _decode(self, action_vectors: Tensor) -> Tensor:
        """What the decoder makes of the newest frame and an action after it, [B, 1, N, D]."""
        assert self._frames is not None
        embedded = self.model.decoder_input(self._frames, action_vectors)[:, -1:]
        return newest_frame(self.model.decoder, embedded, self._cache).view_as(embedded)
