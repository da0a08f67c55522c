"""From the arrays of the public API to tensors, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from genie_lite.models import GenieModel


def frames_to_tensor(model: GenieModel, frames: np.ndarray, least: int = 1) -> tuple[Tensor, bool]:
    """Frames uint8 [B, T, H, W, C] to float in [0, 1], and whether the batch axis was missing.

    One video [T, H, W, C] and one frame [H, W, C] are taken too. Raises ValueError for anything else, for another frame
    size, or for fewer than `least` frames.
    """
    array = np.asarray(frames)
    wanted = (*model.frame_size, model.config.model.channels)
    array = array[None] if array.ndim == 3 else array
    single = array.ndim == 4
    array = array[None] if single else array
    fits = array.ndim == 5 and array.shape[2:] == wanted and array.shape[1] >= least
    if not fits or array.dtype != np.uint8:
        raise ValueError(
            f"frames: found {np.asarray(frames).dtype} {list(np.shape(frames))}, "
            f"wanted uint8 [B, T, {', '.join(map(str, wanted))}] with T >= {least}; "
            "genie_lite.play.prompts.fit_image fits any picture"
        )
    return torch.as_tensor(array, device=model.device).float() / 255, single


def actions_to_tensor(model: GenieModel, latent_actions: Any, shape: tuple[int, ...]) -> Tensor:
    """Latent actions as int64 of `shape`; one number stands for all. ValueError names what is out of range or shape."""
    array = np.asarray(latent_actions)
    array = np.broadcast_to(array, shape) if array.ndim == 0 else array
    if array.shape != shape or array.dtype.kind not in "iu":
        raise ValueError(f"latent_actions: found {array.dtype} {list(array.shape)}, wanted integers {list(shape)}")
    if array.size and (array.min() < 0 or array.max() >= model.num_latent_actions):
        wrong = array[(array < 0) | (array >= model.num_latent_actions)].flat[0]
        raise ValueError(f"latent action {wrong}: out of range, this world has 0 .. {model.num_latent_actions - 1}")
    return torch.as_tensor(np.array(array, dtype=np.int64), device=model.device)


def tokens_to_tensor(model: GenieModel, tokens: np.ndarray) -> tuple[Tensor, bool]:
    """Tokens [B, T, N] or [T, N] to int64 [B, T, N], and whether the batch axis was missing; else ValueError."""
    codes = torch.as_tensor(np.asarray(tokens), device=model.device)
    count, num_tokens = model.config.model.tokens_per_frame, model.dynamics.num_tokens
    if codes.ndim not in (2, 3) or codes.shape[-1] != count:
        raise ValueError(f"tokens: found shape {list(codes.shape)}, wanted [B, T, {count}] or [T, {count}]")
    if codes.is_floating_point() or codes.min() < 0 or codes.max() >= num_tokens:
        raise ValueError(
            f"tokens: found {codes.dtype} from {codes.min()} to {codes.max()}, "
            f"wanted whole numbers in [0, {num_tokens})"
        )
    single = codes.ndim == 2
    return (codes[None] if single else codes).long(), single


def to_uint8(frames: Tensor) -> np.ndarray:
    """Float frames in [0, 1] to uint8, values outside clipped."""
    return (frames.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
