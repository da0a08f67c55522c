"""The latent action model (section 2.1, figure 5): discovers actions from video alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.build import codebook, position_embedding, st_transformer
from genie_lite.nn import Patches


class LatentActionOutput(NamedTuple):
    prediction: Tensor  # of frames 2 .. T, [B, T-1, H, W, C]
    latent_actions: Tensor  # int64 [B, T-1]
    loss: Tensor  # what training minimises
    prediction_loss: Tensor  # mean squared error over pixels (or over the numbers of codes, see `inputs`)


class LatentActionModel(nn.Module):
    """Names what happened between two frames with one of A codes, so that a decoder can predict the second.

    The encoder sees x_1 .. x_(t+1); the decoder sees only x_1 .. x_t and the code, so the code has to carry what the
    past does not tell: the player's choice. Frames are pixels, [B, T, H, W, C] in [0, 1]. After training only the
    codebook is needed to play.

    With the option `inputs` "tokens" (table 2: "replacing x with z in figure 5") a frame is the picture that its tokens
    make: [B, T, rows, columns, latent_dim of the tokenizer], the code of each token looked up. Nothing else changes: a
    patch covers the same part of the frame, and the loss is the squared error of the codes predicted.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        settings, window = config.latent_action, config.context_frames
        self.difference_input, self.residual_output = settings.difference_input, settings.residual_output
        frame_size, channels, patch_size = config.frame_size, config.channels, settings.patch_size
        self.inputs, self.relative_loss = settings.inputs, settings.loss == "relative"
        if self.inputs == "tokens":
            patch_size //= config.tokenizer.patch_size  # tokens along the side of a patch
            frame_size, channels = config.grid(config.tokenizer.patch_size), config.tokenizer.codebook.latent_dim
        self.picture = (*frame_size, channels)  # what one frame is to this model
        self.patches = Patches(frame_size, patch_size)
        pixels = patch_size**2 * channels
        encoder, decoder, latent_dim = settings.encoder, settings.decoder, settings.codebook.latent_dim

        self.encoder_patches = nn.Linear(pixels * (2 if self.difference_input else 1), encoder.d_model)
        self.encoder_positions = position_embedding(self.patches.count, encoder.d_model)
        self.encoder = st_transformer(encoder, window)
        self.to_latent = nn.Linear(encoder.d_model, latent_dim)
        self.quantizer = codebook(settings.codebook)

        self.decoder_patches = nn.Linear(pixels, decoder.d_model)
        self.decoder_positions = position_embedding(self.patches.count, decoder.d_model)
        self.action_embedding = nn.Linear(latent_dim, decoder.d_model)
        self.decoder = st_transformer(decoder, window)
        self.to_patch = nn.Linear(decoder.d_model, pixels)
        if self.residual_output:  # start by copying the last frame; every gain from there is the action's
            nn.init.zeros_(self.to_patch.weight)
            nn.init.zeros_(self.to_patch.bias)

    def forward(self, frames: Tensor) -> LatentActionOutput:
        quantized = self.quantizer(self.latents(frames))
        prediction = self.predict(frames[:, :-1], quantized.vectors)
        errors = (prediction - frames[:, 1:]).square().flatten(2).mean(-1)  # [B, T-1]
        loss = (errors * self._weights(frames)).mean() + 0.1 * quantized.loss  # weights of 1, unless loss: relative
        return LatentActionOutput(prediction, quantized.codes, loss, errors.mean())

    def _weights(self, frames: Tensor) -> Tensor | float:
        """What each frame's error counts for, [B, T-1]: a fall changes more pixels than a step, and would drown it."""
        if not self.relative_loss:
            return 1.0
        changes = frames.diff(dim=1).square().flatten(2).mean(-1)
        usual = changes.mean().clamp_min(1e-9)
        return usual / (changes + usual / 2)

    def latents(self, frames: Tensor) -> Tensor:
        """What happened between frames, before it is quantized: [B, T-1, latent_dim]; entry t saw frames up to t+1."""
        if self.inputs == "tokens" and tuple(frames.shape[2:]) != self.picture:
            wanted = ", ".join(map(str, self.picture))
            raise ValueError(
                f"frames: found {list(frames.shape)}, wanted the codes of tokens, [B, T, {wanted}]; "
                "this model does not read pixels: ask the whole Genie, or take its latent_action_inputs(frames)"
            )
        patches = self.patches.cut(frames)
        if self.difference_input:
            change = F.pad(patches.diff(dim=1), (0, 0, 0, 0, 1, 0))  # frame 1 has nothing to differ from
            patches = torch.cat([patches, change], dim=-1)
        embedded = self.encoder_patches(patches)
        encoded = self.encoder(embedded + self.encoder_positions.to(embedded.dtype))
        return self.to_latent(encoded.mean(dim=2)[:, 1:])

    def encode(self, frames: Tensor) -> Tensor:
        """Latent actions int64 [B, T-1] of frames [B, T, H, W, C]."""
        return self.quantizer.nearest(self.latents(frames))

    def predict(self, frames: Tensor, action_vectors: Tensor) -> Tensor:
        """The frame after each of frames [B, t, H, W, C], given its action's vector, [B, t, latent_dim]."""
        embedded = self.decoder_patches(self.patches.cut(frames))
        actions = self.action_embedding(action_vectors)[:, :, None].to(embedded.dtype)  # added to every position
        decoded = self.decoder(embedded + self.decoder_positions.to(embedded.dtype) + actions)
        output = self.patches.join(self.to_patch(decoded)).float()
        if self.residual_output:
            return frames + output
        return torch.sigmoid(output) if self.inputs == "pixels" else output  # codes lie anywhere, pixels in [0, 1]
