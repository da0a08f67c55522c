"""Vector quantization (van den Oord et al., 2017), with the three habits that keep a codebook alive:

codes compared by direction (l2-normalised), codes that follow the mean of their latents (EMA), and codes that
restart on a random latent when nobody has chosen them for a while.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_lite.nn import processes

ROWS = 1024  # points compared with all others at once: their scores fit a CPU's cache


def _in_float32(method: Callable[..., Any]) -> Callable[..., Any]:
    """Distances between near codes, and running means, need more digits than autocast's bfloat16 has."""

    @functools.wraps(method)
    def run(self: nn.Module, latents: Tensor, *rest: Tensor) -> Any:
        with torch.autocast(latents.device.type, enabled=False):
            return method(self, latents, *rest)

    return run


class Quantized(NamedTuple):
    """What a quantizer returns: the chosen code vectors, their indices, and the loss that trains the choice."""

    vectors: Tensor  # [..., latent_dim], gradients pass straight through to the latents
    codes: Tensor  # [...], int64 in [0, K)
    loss: Tensor  # commitment (and codebook, when it learns by gradient)


class VectorQuantizer(nn.Module):
    """Replaces each latent [..., latent_dim] by the nearest of K codes.

    normalize: latents and codes are compared, and returned, on the unit sphere. update: "ema" moves each code to the
    running mean of its latents, "gradient" adds the paper's codebook loss, "fixed" does neither. A code not chosen for
    `restart_after` training steps restarts on a random latent of the batch (0: never). `usage` is the running share
    of each code.
    """

    codebook: Tensor
    usage: Tensor
    idle_steps: Tensor
    latent_sums: Tensor

    def __init__(
        self,
        num_codes: int,
        latent_dim: int,
        *,
        normalize: bool = True,
        update: str = "ema",
        decay: float = 0.99,
        commitment: float = 0.25,
        restart_after: int = 0,
    ) -> None:
        super().__init__()
        self.num_codes, self.normalize, self.update = num_codes, normalize, update
        self.decay, self.commitment, self.restart_after = decay, commitment, restart_after
        codebook = torch.randn(num_codes, latent_dim)
        self.register_parameter("codebook", nn.Parameter(self._place(codebook), requires_grad=update == "gradient"))
        self.register_buffer("usage", torch.full((num_codes,), 1 / num_codes))
        self.register_buffer("idle_steps", torch.zeros(num_codes, dtype=torch.int64))
        self.register_buffer("latent_sums", self.codebook.detach() / num_codes)

    def forward(self, latents: Tensor) -> Quantized:
        latents = self._place(latents.float())
        codes = self.nearest(latents)
        if self.training:
            self._learn(latents.detach().flatten(0, -2), codes.flatten())
        vectors = self.lookup(codes)
        loss = self.commitment * F.mse_loss(latents, vectors.detach())
        if self.update == "gradient":
            loss = loss + F.mse_loss(vectors, latents.detach())
        # Straight-through: the value of the code, the gradient of the latent.
        return Quantized(latents + (vectors - latents).detach(), codes, loss)

    @_in_float32
    def nearest(self, latents: Tensor) -> Tensor:
        """Index of the code nearest to each latent [..., latent_dim]; int64 [...]."""
        latents, codebook = self._place(latents.float()), self._place(self.codebook)
        return nearest_points(latents.flatten(0, -2), codebook)[0].view(latents.shape[:-1])

    def lookup(self, codes: Tensor) -> Tensor:
        """The vectors [..., latent_dim] of codes [...]."""
        return F.embedding(codes, self._place(self.codebook))

    def perplexity(self) -> float:
        """Effective number of codes in use, from 1 (collapse) to K (all alike), over recent training steps."""
        share = self.usage / self.usage.sum()
        return float(torch.exp(-(share * share.clamp_min(1e-9).log()).sum()))

    def restart_sums(self) -> None:
        """Let the running sums begin again from the codebook as it is and the usage as it was."""
        self.latent_sums.copy_(self.codebook.detach() * self.usage[:, None])
        self.idle_steps.zero_()

    @torch.no_grad()
    def start_from(self, other: VectorQuantizer) -> None:
        """Begin with the codes of `other`, which may have fewer: the most used then begin several, a little apart.

        Fewer codes here, or of another width, raise ValueError.
        """
        found, wanted = list(other.codebook.shape), list(self.codebook.shape)
        if found[1] != wanted[1] or found[0] > wanted[0]:
            raise ValueError(f"codebook to start from: found {found}, wanted {wanted[0]} codes or fewer of {wanted[1]}")
        order = other.usage.argsort(descending=True).repeat(-(-self.num_codes // other.num_codes))
        twin_of = torch.cat([torch.arange(other.num_codes, device=order.device), order])[: self.num_codes]
        codes = other.codebook[twin_of]
        apart = 0.1 * codes.std() * torch.randn_like(codes)
        apart[: other.num_codes] = 0.0
        self.codebook.copy_(self._place(codes + apart))
        self.usage.copy_((other.usage / twin_of.bincount())[twin_of])
        self.restart_sums()

    def _place(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1) if self.normalize else vectors

    @torch.no_grad()
    @_in_float32
    def _learn(self, latents: Tensor, codes: Tensor) -> None:
        share = torch.bincount(codes, minlength=self.num_codes).to(latents.dtype) / len(codes)
        processes.average_([share])
        chosen = share > 0
        self.usage.lerp_(share, 1 - self.decay)
        self.idle_steps.add_(1).masked_fill_(chosen, 0)
        if self.update == "ema":
            sums = F.one_hot(codes, self.num_codes).to(latents.dtype).T @ latents / len(codes)
            processes.average_([sums])
            self.latent_sums.lerp_(sums, 1 - self.decay)
            means = self.latent_sums / self.usage.clamp_min(1e-12)[:, None]
            self.codebook.copy_(torch.where(chosen[:, None], self._place(means), self.codebook))
        if self.restart_after:
            idle = self.idle_steps > self.restart_after
            if idle.any():
                self._restart(idle, latents)

    def _restart(self, idle: Tensor, latents: Tensor) -> None:
        picks = torch.randint(len(latents), (int(idle.sum()),), device=latents.device)
        fresh = latents[picks]
        processes.copy_first_([fresh])
        self.codebook[idle] = fresh
        self.usage[idle] = 1 / self.num_codes
        self.latent_sums[idle] = fresh / self.num_codes
        self.idle_steps[idle] = 0

    def extra_repr(self) -> str:
        codes, width = self.codebook.shape
        return f"{codes} codes of width {width}, normalize={self.normalize}, update={self.update!r}"


def nearest_points(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Which of others [K, D] is nearest to each of points [n, D], int64 [n], and its squared distance [n]."""
    lengths = others.square().sum(-1) / 2  # |x - c|² is least where x·c - |c|²/2 is largest
    best = [torch.addmm(-lengths, rows, others.T).max(-1) for rows in points.split(ROWS)]
    scores, chosen = (torch.cat(parts) for parts in zip(*best, strict=True))
    return chosen, points.square().sum(-1) - 2 * scores


def code_shares(codes: Tensor, num_codes: int) -> Tensor:
    """Share of each code among codes [...]: float32 [K], summing to 1."""
    counts = torch.bincount(rearrange(codes, "... -> (...)"), minlength=num_codes)
    return counts.float() / counts.sum().clamp_min(1)
