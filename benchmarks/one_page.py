"""Genie on one page: the cells tagged `page` of notebooks/09_genie_on_one_page.ipynb.

Written by tools/one_page.py. Edit the notebook, not this file.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_lite.config import CodebookConfig, ModelConfig, TransformerConfig


def cut(frames: Tensor, p: int) -> Tensor:
    """Frames [B, T, H, W, C] to patches of p by p pixels, [B, T, N, p·p·C]."""
    return rearrange(frames, "b t (h p) (w q) c -> b t (h w) (p q c)", p=p, q=p)


def join(patches: Tensor, p: int, rows: int) -> Tensor:
    """Patches [B, T, N, p·p·C], in `rows` rows, to frames [B, T, H, W, C]."""
    return rearrange(patches, "b t (h w) (p q c) -> b t (h p) (w q) c", h=rows, p=p, q=p)


def norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])


def rotary(x: Tensor) -> Tensor:
    """Rotate pairs of columns of x [..., L, d] by angles that grow along L."""
    length, half = x.shape[-2], x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, device=x.device) / half)
    angles = torch.arange(length, device=x.device)[:, None] * rates
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], dim=-1)


class Attention(nn.Module):
    """Multi-head self-attention along the third axis of x [B, M, L, D]."""

    def __init__(self, sizes: TransformerConfig, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = sizes.num_heads, causal
        widths = sizes.head_width, sizes.head_width, sizes.value_width
        self.q, self.k, self.v = (nn.Linear(sizes.d_model, self.heads * width, bias=False) for width in widths)
        self.out = nn.Linear(self.heads * sizes.value_width, sizes.d_model, bias=False)
        nn.init.zeros_(self.out.weight)  # a fresh block changes nothing

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (rearrange(f(x), "b m l (h d) -> (b m) h l d", h=self.heads) for f in (self.q, self.k, self.v))
        q, k = norm(q), norm(k)
        if self.causal:
            q, k = rotary(q), rotary(k)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(rearrange(y, "(b m) h l d -> b m l (h d)", b=len(x)))


class STBlock(nn.Module):
    """Attention over space, attention over time, a feed-forward layer; x is [B, T, N, D]."""

    def __init__(self, sizes: TransformerConfig) -> None:
        super().__init__()
        width, hidden = sizes.d_model, round(sizes.d_model * sizes.ffn_ratio)
        self.spatial = Attention(sizes, causal=False)
        self.temporal = Attention(sizes, causal=True)
        grow, shrink = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(shrink.weight)
        self.feed_forward = nn.Sequential(grow, nn.SiLU(), shrink)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.spatial(norm(x))
        x = x + self.temporal(norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.feed_forward(norm(x))


class STTransformer(nn.Module):
    """An input layer, a learned vector for each place in a frame, ST blocks, an output layer."""

    def __init__(self, inputs: nn.Module, sizes: TransformerConfig, places: int, outputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.positions = nn.Parameter(0.02 * torch.randn(places, sizes.d_model))
        self.blocks = nn.ModuleList(STBlock(sizes) for _ in range(sizes.num_layers))
        self.outputs = nn.Linear(sizes.d_model, outputs)

    def forward(self, x: Tensor, action: Tensor | float = 0.0) -> Tensor:
        x = self.inputs(x) + self.positions + action
        for block in self.blocks:
            x = block(x)
        return self.outputs(norm(x))


class Codebook(nn.Module):
    """K vectors on the unit sphere, each the running mean of the latents that choose it."""

    def __init__(self, sizes: CodebookConfig) -> None:
        super().__init__()
        self.decay, self.patience, self.count = sizes.decay, sizes.restart_after or math.inf, sizes.num_codes
        self.vectors = nn.Buffer(F.normalize(torch.randn(self.count, sizes.latent_dim), dim=-1))
        self.sums = nn.Buffer(self.vectors / self.count)  # running sum of each code's latents
        self.usage = nn.Buffer(torch.full((self.count,), 1 / self.count))  # and how many they are, as a share
        self.idle = nn.Buffer(torch.zeros(self.count))  # steps since a latent chose it

    @torch.no_grad()
    def learn(self, latents: Tensor, codes: Tensor) -> None:
        chosen = F.one_hot(codes, self.count).float()  # [latents, K]
        used = chosen.any(dim=0)
        self.sums.lerp_(chosen.T @ latents / len(latents), 1 - self.decay)
        self.usage.lerp_(chosen.mean(dim=0), 1 - self.decay)
        self.vectors[used] = F.normalize(self.sums, dim=-1)[used]
        self.idle.add_(1).masked_fill_(used, 0)
        old = self.idle > self.patience  # these start again, each at a random latent
        fresh = latents[torch.randint(len(latents), (int(old.sum()),), device=latents.device)]
        self.vectors[old], self.sums[old] = fresh, fresh / self.count
        self.usage[old], self.idle[old] = 1 / self.count, 0.0


class VectorQuantizer(nn.Module):
    """Replaces each latent [..., d] by the nearest vector of a codebook."""

    def __init__(self, sizes: CodebookConfig) -> None:
        super().__init__()
        self.codebook, self.beta, self.weight = Codebook(sizes), sizes.commitment, sizes.loss_weight

    def nearest(self, latents: Tensor) -> Tensor:
        return (F.normalize(latents, dim=-1) @ self.codebook.vectors.T).argmax(dim=-1)

    def lookup(self, codes: Tensor) -> Tensor:
        return self.codebook.vectors[codes]

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors [..., d] with the gradient of the latents, codes [...], loss."""
        latents, codes = F.normalize(latents, dim=-1), self.nearest(latents)
        if self.training:
            self.codebook.learn(latents.detach().flatten(0, -2), codes.flatten())
        vectors = self.lookup(codes)
        loss = self.beta * F.mse_loss(latents, vectors)
        return latents + (vectors - latents).detach(), codes, self.weight * loss


class VideoTokenizer(nn.Module):
    """Frames [B, T, H, W, C] in [0, 1] to tokens [B, T, N], and back."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes, places, self.p = config.tokenizer, config.tokens_per_frame, config.tokenizer.patch_size
        self.rows = config.frame_size[0] // self.p
        pixels, latent_dim = self.p**2 * config.channels, sizes.codebook.latent_dim
        inputs = nn.Linear(pixels, sizes.encoder.d_model), nn.Linear(latent_dim, sizes.decoder.d_model)
        self.encoder = STTransformer(inputs[0], sizes.encoder, places, latent_dim)
        self.quantizer = VectorQuantizer(sizes.codebook)
        self.decoder = STTransformer(inputs[1], sizes.decoder, places, pixels)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction, tokens, loss."""
        vectors, tokens, loss = self.quantizer(self.encoder(cut(frames, self.p)))
        reconstruction = self.picture(vectors)
        return reconstruction, tokens, F.mse_loss(reconstruction, frames) + loss

    def encode(self, frames: Tensor) -> Tensor:
        return self.quantizer.nearest(self.encoder(cut(frames, self.p)))

    def picture(self, vectors: Tensor) -> Tensor:
        return join(torch.sigmoid(self.decoder(vectors)), self.p, self.rows)


class ActionEncoder(nn.Module):
    """Frames [B, T, H, W, C] to one latent for each transition, [B, T-1, d]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes, self.p = config.latent_action, config.latent_action.patch_size
        inputs = nn.Linear(2 * self.p**2 * config.channels, sizes.encoder.d_model)
        places = math.prod(config.grid(self.p))
        self.transformer = STTransformer(inputs, sizes.encoder, places, sizes.codebook.latent_dim)

    def forward(self, frames: Tensor) -> Tensor:
        patches = cut(frames, self.p)
        change = F.pad(patches.diff(dim=1), (0, 0, 0, 0, 1, 0))  # zero for the first frame
        latents = self.transformer(torch.cat([patches, change], dim=-1)).mean(dim=2)
        return latents[:, 1:]


class LatentActionModel(nn.Module):
    """Frames [B, T, H, W, C] to latent actions [B, T-1], trained by predicting frames 2 .. T."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes, self.p = config.latent_action, config.latent_action.patch_size
        width, pixels, latent_dim = sizes.decoder.d_model, self.p**2 * config.channels, sizes.codebook.latent_dim
        self.rows, places = config.frame_size[0] // self.p, math.prod(config.grid(self.p))
        self.encoder, self.quantizer = ActionEncoder(config), VectorQuantizer(sizes.codebook)
        self.action_embedding = nn.Linear(latent_dim, width)
        self.decoder = STTransformer(nn.Linear(pixels, width), sizes.decoder, places, pixels)
        nn.init.zeros_(self.decoder.outputs.weight)  # begin by copying the frame before
        nn.init.zeros_(self.decoder.outputs.bias)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Prediction of frames 2 .. T, latent actions, loss."""
        vectors, actions, loss = self.quantizer(self.encoder(frames))
        past, future = frames[:, :-1], frames[:, 1:]
        change = self.decoder(cut(past, self.p), self.action_embedding(vectors)[:, :, None])
        prediction = past + join(change, self.p, self.rows)
        return prediction, actions, F.mse_loss(prediction, future) + loss

    def encode(self, frames: Tensor) -> Tensor:
        return self.quantizer.nearest(self.encoder(frames))


class DynamicsModel(nn.Module):
    """Tokens [B, T, N], some hidden, and action vectors [B, T-1, d] to logits [B, T, N, K]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes, self.mask = config.dynamics.transformer, config.tokenizer.codebook.num_codes
        embedding = nn.Embedding(self.mask + 1, sizes.d_model)  # the last row stands for a hidden token
        nn.init.normal_(embedding.weight, std=0.02)
        self.transformer = STTransformer(embedding, sizes, config.tokens_per_frame, self.mask)
        self.action_embedding = nn.Linear(config.latent_action.codebook.latent_dim, sizes.d_model)

    def forward(self, tokens: Tensor, vectors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Hide tokens at random, except in the first frame, and predict them: the loss."""
        rate = 0.5 + 0.5 * torch.rand(len(tokens), 1, 1, device=tokens.device, generator=generator)
        hidden = torch.rand(tokens.shape, device=tokens.device, generator=generator) < rate
        hidden[:, 0] = False
        logits = self.logits(tokens.masked_fill(hidden, self.mask), vectors)
        return F.cross_entropy(logits[hidden], tokens[hidden])

    def logits(self, tokens: Tensor, vectors: Tensor) -> Tensor:
        actions = F.pad(self.action_embedding(vectors.detach()), (0, 0, 1, 0))  # none leads to the first frame
        return self.transformer(tokens, actions[:, :, None])


class Genie(nn.Module):
    """The three models, and what each training stage minimises."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.window = config.context_frames
        self.tokenizer = VideoTokenizer(config)
        self.latent_action = LatentActionModel(config)
        self.dynamics = DynamicsModel(config)

    def loss(self, stage: str, frames: Tensor) -> Tensor:
        if stage in ("tokenizer", "latent_action"):
            return getattr(self, stage)(frames)[2]
        with torch.no_grad():
            tokens = self.tokenizer.encode(frames)
            vectors = self.latent_action.quantizer.lookup(self.latent_action.encode(frames))
        return self.dynamics(tokens, vectors)


def update(model: nn.Module, loss: Tensor, optimizers: list[torch.optim.Optimizer], clip: float = 1.0) -> None:
    """One training step."""
    model.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    for optimizer in optimizers:
        optimizer.step()


def draw(logits: Tensor, temperature: float, points: Tensor) -> Tensor:
    """Tokens [...] from logits [..., K]: where the cumulative distribution passes a random point [...] in [0, 1)."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    shares = (logits / temperature).softmax(dim=-1).cumsum(dim=-1)
    return (shares < points[..., None] * shares[..., -1:]).sum(dim=-1).clamp_max(logits.shape[-1] - 1)


def maskgit(
    model: DynamicsModel, past: Tensor, vectors: Tensor, steps: int, temperature: float, generator: torch.Generator
) -> Tensor:
    """The next frame's tokens [B, N] after tokens [B, T, N]; the last of the action vectors [B, T, d] leads to it."""
    new = torch.full_like(past[:, 0], model.mask)
    order, points = torch.rand(2, *new.shape, device=new.device, generator=generator)
    for step in range(1, steps + 1):
        logits = model.logits(torch.cat([past, new[:, None]], dim=1), vectors)[:, -1]
        new = torch.where(new == model.mask, draw(logits, temperature, points), new)
        hidden = int(math.cos(math.pi / 2 * step / steps) * new.shape[1])
        new = new.scatter(1, order.argsort(dim=1)[:, :hidden], model.mask)  # in a random order, fixed beforehand
    return new


class World:
    """Worlds [B] that grow by a frame a step, from frames [B, T, H, W, C] in [0, 1]."""

    @torch.no_grad()
    def __init__(self, genie: Genie, prompt: Tensor, steps: int = 8, temperature: float = 1.0, seed: int = 0) -> None:
        self.genie, self.steps, self.temperature = genie, steps, temperature
        self.tokens, self.actions = genie.tokenizer.encode(prompt), genie.latent_action.encode(prompt)
        self.generator = torch.Generator(prompt.device).manual_seed(seed)

    @torch.no_grad()
    def step(self, latent_actions: Tensor) -> Tensor:
        """Take one latent action [B] in each world: the new frames [B, H, W, C]."""
        window = self.genie.window - 1  # of past frames
        past, self.actions = self.tokens[:, -window:], torch.cat([self.actions, latent_actions[:, None]], dim=1)
        vectors = self.genie.latent_action.quantizer.lookup(self.actions[:, -past.shape[1] :])
        new = maskgit(self.genie.dynamics, past, vectors, self.steps, self.temperature, self.generator)
        self.tokens = torch.cat([past, new[:, None]], dim=1)
        return self.genie.tokenizer.picture(self.genie.tokenizer.quantizer.lookup(self.tokens))[:, -1]
