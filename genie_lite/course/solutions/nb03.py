"""Solutions of notebook 03, the video tokenizer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.course.checking import solution


@solution("03.1")
def compression(height: int, width: int, patch_size: int, num_codes: int) -> float:
    """A patch that hangs over the edge still costs a token, hence `ceil`. One of K tokens takes log2(K) bits."""
    tokens = math.ceil(height / patch_size) * math.ceil(width / patch_size)
    return height * width * 3 * 8 / (tokens * math.log2(num_codes))


@solution("03.2")
def nearest_code(latents: Tensor, codebook: Tensor) -> Tensor:
    """‖z‖² is the same for every code, so the nearest has the largest z·e − ‖e‖²/2, which takes one matrix product."""
    scores = torch.addmm(-codebook.square().sum(dim=-1) / 2, latents, codebook.T)  # [M, K]
    return scores.argmax(dim=-1)


@solution("03.3")
def straight_through(latents: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Only the first term of `passed` has a gradient; in each loss, the side that must not move is detached."""
    passed = latents + (vectors - latents).detach()
    codebook_loss = F.mse_loss(vectors, latents.detach())
    commitment_loss = F.mse_loss(latents, vectors.detach())
    return passed, codebook_loss, commitment_loss


@solution("03.4")
def update_codebook(
    codebook: Tensor,
    usage: Tensor,
    latent_sums: Tensor,
    idle_steps: Tensor,
    latents: Tensor,
    codes: Tensor,
    decay: float,
    restart_after: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`one_hot.T @ latents` adds up the latents of each code; dividing two running means gives the mean of them."""
    K, M = len(codebook), len(latents)
    one_hot = F.one_hot(codes, K).float()  # [M, K]
    share, sums = one_hot.sum(dim=0) / M, one_hot.T @ latents / M
    usage = usage.lerp(share, 1 - decay)
    latent_sums = latent_sums.lerp(sums, 1 - decay)
    chosen = share > 0
    codebook = torch.where(chosen[:, None], latent_sums / usage[:, None], codebook)

    idle_steps = torch.where(chosen, 0, idle_steps + 1)
    idle = idle_steps > restart_after
    fresh = latents[torch.randint(M, (int(idle.sum()),))]
    codebook[idle], usage[idle], latent_sums[idle], idle_steps[idle] = fresh, 1 / K, fresh / K, 0
    return codebook, usage, latent_sums, idle_steps
