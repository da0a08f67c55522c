"""Frames that move as a whole: how far they did, and matrices that move them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SHARPNESS = 4.0  # of measured displacements: larger makes the distribution narrower
NOISE = 1e-3  # mean squared error below which two frames count as equal


def shift_matrices(length: int, reach: int) -> Tensor:
    """[2 · reach + 1, length, length]: matrix k takes pixel i from pixel i + k - reach, or from the edge."""
    source = torch.arange(length) + torch.arange(-reach, reach + 1)[:, None]
    return F.one_hot(source.clamp(0, length - 1), length).float()


@torch.no_grad()
def match_displacements(frames: Tensor, reach: int) -> Tensor:
    """How far the scene moved between frames [B, T, H, W, C]: distributions [B, T-1, 2, 2 · reach + 1].

    Vertical displacements first, then horizontal ones. Entry k is large where the later frame looks like the earlier
    one k - reach pixels further down or right. The mean squared error over what both frames show is found for all
    displacements at once, by Fourier transforms; `reach` must be less than H and W, so that some overlap is left.
    """
    height, width = frames.shape[2:4]
    if frames.shape[1] < 2:  # Fourier transforms of nothing are an error
        return frames.new_zeros(len(frames), 0, 2, 2 * reach + 1)
    size = (height + reach, width + reach)  # zeros around the frame, so that displacements do not wrap around
    steps = torch.arange(-reach, reach + 1, device=frames.device)
    with torch.autocast(frames.device.type, enabled=False):
        images = frames.float().permute(0, 1, 4, 2, 3)  # [B, T, C, H, W]
        spectra = torch.fft.rfft2(images, s=size)
        squares = torch.fft.rfft2(images.square().sum(2), s=size)
        inside = torch.fft.rfft2(torch.ones(height, width, device=frames.device), s=size)
        products = (spectra[:, 1:].conj() * spectra[:, :-1]).sum(2)
        summed = squares[:, 1:].conj() * inside + inside.conj() * squares[:, :-1] - 2 * products
        errors = torch.fft.irfft2(summed, s=size)[..., steps % size[0], :][..., steps % size[1]].clamp_min(0)
        overlap = (height - steps.abs())[:, None] * (width - steps.abs())
        errors = errors / overlap  # [B, T-1, down, right]
        by_axis = torch.stack([errors.amin(-1), errors.amin(-2)], dim=2)
        least = errors.amin((-2, -1))[..., None, None]
        return (-SHARPNESS * by_axis / (least + NOISE)).softmax(dim=-1)
