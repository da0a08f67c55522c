"""Building blocks of the plain reference: a quantizer, and an ST-transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_lite.config import CodebookConfig, TransformerConfig


class PlainQuantizer(nn.Module):
    """Latents -> vectors of the nearest codes, the codes, the loss. Codes learn by gradient or by running means."""

    usage: Tensor
    idle_steps: Tensor
    latent_sums: Tensor

    def __init__(self, settings: CodebookConfig) -> None:
        super().__init__()
        self.settings, count = settings, settings.num_codes
        self.codebook = nn.Parameter(torch.zeros(count, settings.latent_dim), settings.update == "gradient")
        self.register_buffer("usage", torch.zeros(count))
        self.register_buffer("idle_steps", torch.zeros(count, dtype=torch.int64))
        self.register_buffer("latent_sums", torch.zeros(count, settings.latent_dim))

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        latents = self.place(latents)
        codes = self.nearest(latents)
        if self.training:
            self.learn(latents.detach().flatten(0, -2), codes.flatten())
        vectors = self.lookup(codes)
        loss = self.settings.commitment * F.mse_loss(latents, vectors.detach())
        if self.settings.update == "gradient":
            loss = loss + F.mse_loss(vectors, latents.detach())
        return latents + (vectors - latents).detach(), codes, self.settings.loss_weight * loss

    def nearest(self, latents: Tensor) -> Tensor:
        distances = torch.cdist(self.place(latents).flatten(0, -2), self.place(self.codebook))
        return distances.argmin(dim=-1).view(latents.shape[:-1])

    def lookup(self, codes: Tensor) -> Tensor:
        return self.place(self.codebook)[codes]

    def place(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1) if self.settings.normalize else vectors

    @torch.no_grad()
    def learn(self, latents: Tensor, codes: Tensor) -> None:
        decay, count = self.settings.decay, self.settings.num_codes
        chosen = F.one_hot(codes, count).float()  # [latents, K]
        used = chosen.sum(dim=0) > 0
        self.usage = decay * self.usage + (1 - decay) * chosen.mean(dim=0)
        self.idle_steps = torch.where(used, 0, self.idle_steps + 1)
        if self.settings.update == "ema":
            self.latent_sums = decay * self.latent_sums + (1 - decay) * chosen.T @ latents / len(codes)
            means = self.place(self.latent_sums / self.usage.clamp_min(1e-12)[:, None])
            self.codebook.copy_(torch.where(used[:, None], means, self.codebook))
        idle = self.idle_steps > self.settings.restart_after
        if self.settings.restart_after and idle.any():
            fresh = latents[torch.randint(len(latents), (int(idle.sum()),), device=latents.device)]
            self.codebook[idle], self.latent_sums[idle] = fresh, fresh / count
            self.usage[idle], self.idle_steps[idle] = 1 / count, 0


class PlainTransformer(nn.Module):
    """A stack of ST blocks over x [B, T, N, D]."""

    def __init__(self, settings: TransformerConfig, window: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(PlainBlock(settings, window) for _ in range(settings.num_layers))
        self.norm = nn.LayerNorm(settings.d_model, elementwise_affine=False)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class PlainBlock(nn.Module):
    """Attention over space, attention over time, a feed-forward layer."""

    def __init__(self, settings: TransformerConfig, window: int) -> None:
        super().__init__()
        width, hidden = settings.d_model, round(settings.d_model * settings.ffn_ratio)
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(3))
        self.spatial, self.temporal = PlainAttention(settings), PlainAttention(settings, window)
        grow, shrink = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)
        self.feed_forward = nn.Sequential(grow, nn.SiLU(), shrink)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.spatial(self.norms[0](x))
        x = x + rearrange(self.temporal(rearrange(self.norms[1](x), "b t n d -> b n t d")), "b n t d -> b t n d")
        return x + self.feed_forward(self.norms[2](x))


class PlainAttention(nn.Module):
    """Attention along the third axis of x [B, M, L, D]. With a window, L is time: causal, rotary, that many frames."""

    def __init__(self, settings: TransformerConfig, window: int | None = None) -> None:
        super().__init__()
        self.heads, self.window = settings.num_heads, window
        self.q = nn.Linear(settings.d_model, self.heads * settings.head_width, bias=False)
        self.k = nn.Linear(settings.d_model, self.heads * settings.head_width, bias=False)
        self.v = nn.Linear(settings.d_model, self.heads * settings.value_width, bias=False)
        self.out = nn.Linear(self.heads * settings.value_width, settings.d_model, bias=False)
        self.norm = nn.LayerNorm(settings.head_width, elementwise_affine=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            rearrange(layer(x), "b m l (h d) -> (b m) h l d", h=self.heads) for layer in (self.q, self.k, self.v)
        )
        q, k = self.norm(q), self.norm(k)
        mask, causal = None, False
        if self.window is not None:
            q, k = rotary(q), rotary(k)
            causal = x.shape[2] <= self.window
            if not causal:
                ones = torch.ones(x.shape[2], x.shape[2], dtype=torch.bool, device=x.device)
                mask = ones.tril() & ones.triu(1 - self.window)  # itself and window - 1 before it
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        return self.out(rearrange(y, "(b m) h l d -> b m l (h d)", b=len(x)))


def rotary(x: Tensor) -> Tensor:
    """Rotate pairs of columns of x [..., L, d] by angles that grow along L (Su et al., 2021)."""
    length, half = x.shape[-2], x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, device=x.device) / half)
    angles = torch.arange(length, device=x.device)[:, None] * rates
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], dim=-1)
