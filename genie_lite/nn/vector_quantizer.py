"""Vector quantization (van den Oord et al., 2017), with three habits that keep a codebook alive.

Codes are compared by direction (l2-normalised), follow the running mean of their latents (EMA), and restart on a random
latent when none has chosen them for a while. Each can be turned off in `CodebookConfig`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import CodebookConfig

ROWS = 1024  # points compared with all others at once: their scores fit a CPU's cache


def _in_float32(method: Callable[..., Any]) -> Callable[..., Any]:
    """Switch autocast off: distances between near codes, and running means, need more digits than bfloat16 has."""

    @functools.wraps(method)
    def run(self: nn.Module, latents: Tensor, *rest: Tensor) -> Any:
        with torch.autocast(latents.device.type, enabled=False):
            return method(self, latents, *rest)

    return run


class Quantized(NamedTuple):
    """What a quantizer returns: the chosen code vectors, their indices, and the loss that trains the choice."""

    vectors: Tensor  # [..., latent_dim]; gradients pass straight through to the latents
    codes: Tensor  # int64 [...] in [0, K)
    loss: Tensor  # commitment loss (and codebook loss, if codes learn by gradient), times `loss_weight`


class VectorQuantizer(nn.Module):
    """Replaces each latent [..., latent_dim] by the nearest of K codes.

    `config.update` says how codes learn: "ema" moves each code to the running mean of its latents, "gradient" adds
    the paper's codebook loss, "fixed" leaves them as they are. Only codes that learn by gradient are a parameter;
    others are a buffer, which no optimiser sees. The buffer `usage` [K] is the running share of each code.

    `group` is set while several processes train copies of one codebook, each on a part of the batch.
    """

    codebook: Tensor  # [K, latent_dim]
    usage: Tensor
    idle_steps: Tensor
    latent_sums: Tensor

    def __init__(self, config: CodebookConfig) -> None:
        super().__init__()
        self.config, self.num_codes = config, config.num_codes
        self.group: dist.ProcessGroup | None = None
        codebook = self.place(torch.randn(config.num_codes, config.latent_dim))
        if config.update == "gradient":
            self.register_parameter("codebook", nn.Parameter(codebook))
        else:
            self.register_buffer("codebook", codebook)
        self.register_buffer("usage", torch.full((self.num_codes,), 1 / self.num_codes))
        self.register_buffer("idle_steps", torch.zeros(self.num_codes, dtype=torch.int64))
        self.register_buffer("latent_sums", codebook / self.num_codes)

    def forward(self, latents: Tensor) -> Quantized:
        """Quantize latents [..., latent_dim]; in training mode the codebook learns from them."""
        latents = self.place(latents.float())
        codes = self.nearest(latents)
        if self.training:
            self.learn(latents.detach().flatten(0, -2), codes.flatten())
        vectors, codebook_loss, commitment_loss = self.straight_through(latents, self.lookup(codes))
        loss = self.config.commitment * commitment_loss
        if self.config.update == "gradient":
            loss = loss + codebook_loss
        return Quantized(vectors, codes, self.config.loss_weight * loss)

    @_in_float32
    def nearest(self, latents: Tensor) -> Tensor:
        """Index of the code nearest to each latent [..., latent_dim]: int64 [...]."""
        latents, codebook = self.place(latents.float()), self.place(self.codebook)
        return self.choose(latents.flatten(0, -2), codebook).view(latents.shape[:-1])

    def choose(self, latents: Tensor, codebook: Tensor) -> Tensor:
        """Which of codebook [K, latent_dim] is nearest to each of latents [M, latent_dim]: int64 [M]."""
        return nearest_points(latents, codebook)[0]

    def straight_through(self, latents: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder is given for latents [..., latent_dim] and the vectors of their codes, and two losses.

        It has the value of the codes and the gradient of the latents. The codebook loss pulls codes to their latents,
        the commitment loss latents to their codes: mean squared errors, each with a gradient for one side alone.
        """
        passed = latents + (vectors - latents).detach()
        return passed, F.mse_loss(vectors, latents.detach()), F.mse_loss(latents, vectors.detach())

    def lookup(self, codes: Tensor) -> Tensor:
        """The vectors [..., latent_dim] of codes [...]."""
        return F.embedding(codes, self.place(self.codebook))

    def perplexity(self) -> float:
        """Effective number of codes in use over recent training steps."""
        return float(perplexity(self.usage / self.usage.sum()))

    def restart_sums(self) -> None:
        """Set the running sums anew, from the codebook and the usage as they are."""
        self.latent_sums.copy_(self.codebook.detach() * self.usage[:, None])
        self.idle_steps.zero_()

    @torch.no_grad()
    def start_from(self, other: VectorQuantizer) -> None:
        """Begin with the codes of `other`, which may have fewer: its most used codes then get copies, a little apart.

        Raises ValueError if `other` has more codes than this one, or codes of another width.
        """
        found, wanted = list(other.codebook.shape), list(self.codebook.shape)
        if found[1] != wanted[1] or found[0] > wanted[0]:
            raise ValueError(f"codebook to start from: found {found}, wanted {wanted[0]} codes or fewer of {wanted[1]}")
        order = other.usage.argsort(descending=True).repeat(-(-self.num_codes // other.num_codes))
        twin_of = torch.cat([torch.arange(other.num_codes, device=order.device), order])[: self.num_codes]
        codes = other.codebook[twin_of]
        apart = 0.1 * codes.std() * torch.randn_like(codes)
        apart[: other.num_codes] = 0.0
        self.codebook.copy_(self.place(codes + apart))
        self.usage.copy_((other.usage / twin_of.bincount())[twin_of])
        self.restart_sums()

    def place(self, vectors: Tensor) -> Tensor:
        """Vectors [..., latent_dim] as they are compared: of length 1 with `normalize`, else as they are."""
        return F.normalize(vectors, dim=-1) if self.config.normalize else vectors

    @torch.no_grad()
    @_in_float32
    def learn(self, latents: Tensor, codes: Tensor) -> None:
        """Move the codebook towards latents [M, latent_dim] that chose codes [M], and restart codes long idle."""
        share = torch.bincount(codes, minlength=self.num_codes).to(latents.dtype) / len(codes)
        self._average(share)
        chosen = share > 0
        self.usage.lerp_(share, 1 - self.config.decay)
        self.idle_steps.add_(1).masked_fill_(chosen, 0)
        if self.config.update == "ema":
            sums = F.one_hot(codes, self.num_codes).to(latents.dtype).T @ latents / len(codes)
            self._average(sums)
            self.latent_sums.lerp_(sums, 1 - self.config.decay)
            means = self.latent_sums / self.usage.clamp_min(1e-12)[:, None]
            self.codebook.copy_(torch.where(chosen[:, None], self.place(means), self.codebook))
        if self.config.restart_after:
            idle = self.idle_steps > self.config.restart_after
            if idle.any():
                self._restart(idle, latents)

    def _restart(self, idle: Tensor, latents: Tensor) -> None:
        picks = torch.randint(len(latents), (int(idle.sum()),), device=latents.device)
        fresh = latents[picks]
        if self.group is not None:  # all must restart alike
            dist.broadcast(fresh, group=self.group, group_src=0)
        self.codebook[idle] = fresh
        self.usage[idle] = 1 / self.num_codes
        self.latent_sums[idle] = fresh / self.num_codes
        self.idle_steps[idle] = 0

    def _average(self, tensor: Tensor) -> None:
        """Replace `tensor` by its mean over the processes of `group`, so that their codebooks stay equal."""
        if self.group is not None:
            dist.all_reduce(tensor, group=self.group)
            tensor /= self.group.size()

    def extra_repr(self) -> str:
        codes, width = self.codebook.shape
        return f"{codes} codes of width {width}, normalize={self.config.normalize}, update={self.config.update!r}"


def nearest_points(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Which of others [K, D] is nearest to each of points [n, D], int64 [n], and its squared distance [n]."""
    lengths = others.square().sum(-1) / 2  # |x - c|² is smallest where x·c - |c|²/2 is largest
    best = [torch.addmm(-lengths, rows, others.T).max(-1) for rows in points.split(ROWS)]
    scores, chosen = (torch.cat(parts) for parts in zip(*best, strict=True))
    return chosen, points.square().sum(-1) - 2 * scores


def perplexity(shares: Tensor) -> Tensor:
    """Effective number of codes, 1 (collapse) to K (all alike): the exponential of the entropy of shares [..., K]."""
    return torch.special.entr(shares).sum(-1).exp()
