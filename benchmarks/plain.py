"""The reference that speeds are compared with: the same three models, written the obvious PyTorch way.

Separate q, k and v layers, scaled_dot_product_attention, LayerNorm modules, logits of every token, float32 throughout,
AdamW for every parameter, and no cache: what open reproductions of Genie do. It takes the package's weights, and
tests/unit/test_benchmarks.py checks that it computes the same function. Shapes: see genie_lite.config.schema.

The reference has the paper's models, without a decoder that moves the frame and without a complete past in training. So
every comparison uses settings that switch these off (`COMPARED`), on both sides.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from benchmarks.plain_parts import PlainQuantizer, PlainTransformer
from genie_lite.api import Genie
from genie_lite.config import Config, ModelConfig
from genie_lite.models import DynamicsModel, LatentActionModel, PatchTokenizer, VideoTokenizer
from genie_lite.models.dynamics_variants import ExtendedDynamicsModel
from genie_lite.models.latent_action_variants import ExtendedLatentActionModel
from genie_lite.nn import Patches

# Settings under which both sides have the same models, whatever the preset says.
COMPARED = {
    "model.latent_action.shift": 0,
    "model.latent_action.motion_input": False,
    "model.dynamics.past": "masked",
    "model.dynamics.first_guess": False,
}
# The package's models that have a plain counterpart here.
KNOWN = {
    "tokenizer": (VideoTokenizer, PatchTokenizer),
    "latent_action": (LatentActionModel, ExtendedLatentActionModel),
    "dynamics": (DynamicsModel, ExtendedDynamicsModel),
}


class PlainGenie(nn.Module):
    """The tokenizer, the latent action model and the dynamics model, and what each training stage minimises."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = PlainTokenizer(config.model)
        self.latent_action = PlainLatentAction(config.model)
        self.dynamics = PlainDynamics(config.model)

    def loss(self, stage: str, frames: Tensor) -> Tensor:
        """What `stage` ("tokenizer", "latent_action", "dynamics", or "genie": the last two) minimises."""
        if stage == "tokenizer":
            return self.tokenizer(frames)[2]
        loss = self.latent_action(frames)[2] if stage in ("latent_action", "genie") else torch.zeros(())
        if stage in ("dynamics", "genie"):
            with torch.no_grad():
                tokens = self.tokenizer.encode(frames)
                action_vectors = self.latent_action.quantizer.lookup(self.latent_action.encode(frames))
            loss = loss.to(frames.device) + self.dynamics(tokens, action_vectors)
        return loss

    def trained_by(self, stage: str) -> nn.Module:
        """The model that `stage` trains."""
        if stage == "genie":
            return nn.ModuleList([self.latent_action, self.dynamics])
        module: nn.Module = getattr(self, stage)
        return module


def plain_copy(genie: Genie) -> PlainGenie:
    """A PlainGenie with the weights of `genie`, on its device.

    Raises ValueError for a variant of a model that the reference does not have.
    """
    for part, kinds in KNOWN.items():
        if type(getattr(genie, part)) not in kinds or genie.config.model.tokenizer.attention != "st":
            found = f"{type(getattr(genie, part)).__name__}, attention {genie.config.model.tokenizer.attention!r}"
            raise ValueError(f"{part}: found {found}; the plain reference does not have this variant")
    plain = PlainGenie(genie.config)
    wanted = plain.state_dict()
    weights: dict[str, Tensor] = {}
    for name, value in genie.state_dict().items():
        if name.endswith(".qkv.weight"):
            names = [name.replace(".qkv.", f".{letter}.") for letter in "qkv"]
            weights |= dict(zip(names, value.split([len(wanted[n]) for n in names]), strict=True))
        else:
            weights[name] = value
    plain.load_state_dict(weights)
    return plain.to(genie.device).train(genie.training)


def plain_step(plain: PlainGenie, stage: str, frames: Tensor, optimizer: torch.optim.Optimizer, clip: float) -> None:
    """One training step on frames [B, T, H, W, C] in [0, 1]."""
    loss = plain.loss(stage, frames)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(plain.trained_by(stage).parameters(), clip or float("inf"))
    optimizer.step()


# ------------------------------------------------------------------------------------------------ the three models


class PlainTokenizer(nn.Module):
    """frames -> reconstruction, tokens, loss."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        settings = config.tokenizer
        self.patches = Patches(config.frame_size, settings.patch_size)
        pixels, latent_dim = settings.patch_size**2 * config.channels, settings.codebook.latent_dim
        encoder, decoder = settings.encoder, settings.decoder
        self.given = settings.codes == "patches"
        if not self.given:
            self.patch_embedding = nn.Linear(pixels, encoder.d_model)
            self.encoder_positions = nn.Parameter(torch.zeros(self.patches.count, encoder.d_model))
            self.encoder = PlainTransformer(encoder, config.context_frames)
            self.to_latent = nn.Linear(encoder.d_model, latent_dim)
        self.quantizer = PlainQuantizer(settings.codebook)
        self.from_latent = nn.Linear(latent_dim, decoder.d_model)
        self.decoder_positions = nn.Parameter(torch.zeros(self.patches.count, decoder.d_model))
        self.decoder = PlainTransformer(decoder, config.context_frames)
        self.to_patch = nn.Linear(decoder.d_model, pixels)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vectors, tokens, quantizer_loss = self.quantizer(self.latents(frames))
        reconstruction = self.decode_vectors(vectors)
        error = F.mse_loss(reconstruction, frames)
        return reconstruction, tokens, error if self.given else error + quantizer_loss

    def latents(self, frames: Tensor) -> Tensor:
        if self.given:
            return self.patches.cut(frames) - 0.5
        return self.to_latent(self.encoder(self.patch_embedding(self.patches.cut(frames)) + self.encoder_positions))

    def encode(self, frames: Tensor) -> Tensor:
        return self.quantizer.nearest(self.latents(frames))

    def decode(self, tokens: Tensor) -> Tensor:
        return self.decode_vectors(self.quantizer.lookup(tokens))

    def decode_vectors(self, vectors: Tensor) -> Tensor:
        change = self.to_patch(self.decoder(self.from_latent(vectors) + self.decoder_positions))
        return self.patches.join(0.5 + vectors + change if self.given else torch.sigmoid(change))


class PlainLatentAction(nn.Module):
    """frames -> prediction of frames 2 .. T, latent actions, loss."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.settings = settings = config.latent_action
        self.patches = Patches(config.frame_size, settings.patch_size)
        pixels, latent_dim = settings.patch_size**2 * config.channels, settings.codebook.latent_dim
        encoder, decoder = settings.encoder, settings.decoder
        self.encoder_patches = nn.Linear(2 * pixels if settings.difference_input else pixels, encoder.d_model)
        self.encoder_positions = nn.Parameter(torch.zeros(self.patches.count, encoder.d_model))
        self.encoder = PlainTransformer(encoder, config.context_frames)
        self.to_latent = nn.Linear(encoder.d_model, latent_dim)
        self.quantizer = PlainQuantizer(settings.codebook)
        self.decoder_patches = nn.Linear(pixels, decoder.d_model)
        self.decoder_positions = nn.Parameter(torch.zeros(self.patches.count, decoder.d_model))
        self.action_embedding = nn.Linear(latent_dim, decoder.d_model)
        self.decoder = PlainTransformer(decoder, config.context_frames)
        self.to_patch = nn.Linear(decoder.d_model, pixels)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vectors, codes, quantizer_loss = self.quantizer(self.latents(frames))
        past, future = frames[:, :-1], frames[:, 1:]
        x = self.decoder_patches(self.patches.cut(past)) + self.decoder_positions
        x = x + self.action_embedding(vectors)[:, :, None]
        output = self.patches.join(self.to_patch(self.decoder(x)))
        prediction = past + output if self.settings.residual_output else torch.sigmoid(output)
        error = (prediction - future).square()
        if self.settings.loss == "relative":
            changes = (future - past).square().mean(dim=(2, 3, 4), keepdim=True)
            error = error * changes.mean() / (changes + changes.mean() / 2)
        return prediction, codes, error.mean() + quantizer_loss

    def latents(self, frames: Tensor) -> Tensor:
        if self.settings.difference_input:
            before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
            patches = torch.cat([self.patches.cut(frames), self.patches.cut(frames - before)], dim=-1)
        else:
            patches = self.patches.cut(frames)
        x = self.encoder(self.encoder_patches(patches) + self.encoder_positions)
        return self.to_latent(x.mean(dim=2))[:, 1:]

    def encode(self, frames: Tensor) -> Tensor:
        return self.quantizer.nearest(self.latents(frames))


class PlainDynamics(nn.Module):
    """tokens, action vectors [B, T-1, latent_dim] -> loss. Random numbers are drawn in the package's order."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.settings = settings = config.dynamics
        self.num_tokens, d_model = config.tokenizer.codebook.num_codes, settings.transformer.d_model
        self.token_embedding = nn.Embedding(self.num_tokens + 1, d_model)  # the last one is the mask
        self.positions = nn.Parameter(torch.zeros(config.tokens_per_frame, d_model))
        self.action_embedding = nn.Linear(config.latent_action.codebook.latent_dim, d_model)
        self.transformer = PlainTransformer(settings.transformer, config.context_frames)
        self.to_logits = nn.Linear(d_model, self.num_tokens)
        if settings.previous_input:
            self.previous_embedding = nn.Linear(d_model, d_model, bias=False)

    def forward(self, tokens: Tensor, action_vectors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        low, high = self.settings.mask_rate
        rate = low + (high - low) * torch.rand(len(tokens), 1, 1, device=tokens.device, generator=generator)
        masked = torch.rand(tokens.shape, device=tokens.device, generator=generator) < rate
        masked[:, 0] = False
        visible = tokens
        if self.settings.corruption:
            clips = rearrange(tokens, "b t n -> b (t n)")
            share = torch.rand(len(clips), 1, 1, device=tokens.device, generator=generator) * self.settings.corruption
            wrong = torch.rand(tokens.shape, device=tokens.device, generator=generator) < share
            other = torch.randint(clips.shape[1], clips.shape, device=tokens.device, generator=generator)
            visible = torch.where(wrong, clips.gather(1, other).view_as(tokens), tokens)
        counted = masked
        if self.settings.loss_share < 1:
            draw = torch.rand(tokens.shape, device=tokens.device, generator=generator)
            counted = masked & (draw < self.settings.loss_share)
        logits = self.logits(torch.where(masked, self.num_tokens, visible), action_vectors, visible)
        error = F.cross_entropy(rearrange(logits, "b t n k -> b k t n"), tokens, reduction="none")
        return (error * counted).sum() / counted.sum()

    def logits(self, tokens: Tensor, action_vectors: Tensor, complete: Tensor | None = None) -> Tensor:
        """Scores [B, T, N, K]; no action leads to the first frame. `complete` are the same tokens, none masked."""
        actions = F.pad(self.action_embedding(action_vectors.detach()), (0, 0, 1, 0))[:, :, None]
        x = self.token_embedding(tokens) + self.positions + actions
        if self.settings.previous_input:
            before = self.token_embedding((tokens if complete is None else complete)[:, :-1])
            x = x + F.pad(self.previous_embedding(before), (0, 0, 0, 0, 1, 0))
        return self.to_logits(self.transformer(x))
