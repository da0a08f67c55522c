"""The latent action model (section 2.1, figure 5): discovers actions from video alone."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.nn import Patches, STTransformer, VectorQuantizer, position_embedding


class LatentActionOutput(NamedTuple):
    prediction: Tensor  # of frames 2 .. T, [B, T-1, H, W, C]
    latent_actions: Tensor  # int64 [B, T-1]
    loss: Tensor  # what training minimises
    prediction_loss: Tensor  # mean squared error of the prediction


class LatentActionModel(nn.Module):
    """Describes what happened between two frames by one of A codes, so that a decoder can predict the second.

    The encoder sees frames x_1 .. x_(t+1); the decoder sees x_1 .. x_t and the code. So the code has to carry what the
    past does not tell: the player's choice. Frames are [B, T, H, W, C] in [0, 1]. To play, only the codebook is needed
    after training.

    `build.build_latent_action` chooses between this class and its variants. These may pass `patches` of their own, and
    an encoder input that is `encoder_views` times as wide.
    """

    inputs: ClassVar[Literal["pixels", "tokens"]] = "pixels"  # what frames are made of

    def __init__(self, config: ModelConfig, *, patches: Patches | None = None, encoder_views: int = 1) -> None:
        super().__init__()
        settings, window = config.latent_action, config.context_frames
        encoder, decoder, codebook = settings.encoder, settings.decoder, settings.codebook
        self.patches = patches or Patches(config.frame_size, settings.patch_size, config.channels)

        # Encode
        self.encoder_patches = nn.Linear(encoder_views * self.patches.width, encoder.d_model)
        self.encoder_positions = position_embedding(self.patches.count, encoder.d_model)
        self.encoder = STTransformer(encoder, window)
        self.to_latent = nn.Linear(encoder.d_model, codebook.latent_dim)
        # Quantize
        self.quantizer = VectorQuantizer(codebook)
        # Decode
        self.decoder_patches = nn.Linear(self.patches.width, decoder.d_model)
        self.decoder_positions = position_embedding(self.patches.count, decoder.d_model)
        self.action_embedding = nn.Linear(codebook.latent_dim, decoder.d_model)
        self.decoder = STTransformer(decoder, window)
        self.to_patch = nn.Linear(decoder.d_model, self.patches.width)

    def forward(self, frames: Tensor) -> LatentActionOutput:
        """Predict frames 2 .. T through their latent actions: one training step's loss."""
        quantized = self.quantizer(self.latents(frames))
        prediction = self.predict(frames[:, :-1], quantized.vectors)
        errors = (prediction - frames[:, 1:]).square().flatten(2).mean(-1)  # [B, T-1]
        loss = self.weigh(errors, frames).mean() + quantized.loss
        return LatentActionOutput(prediction, quantized.codes, loss, errors.mean())

    def weigh(self, errors: Tensor, frames: Tensor) -> Tensor:
        """Weight the errors [B, T-1] of frames 2 .. T; in the paper they weigh the same."""
        return errors

    # ------------------------------------------------------------------------------------------------ Encode

    def latents(self, frames: Tensor) -> Tensor:
        """Continuous latent actions [B, T-1, latent_dim] of frames [B, T, H, W, C]; entry t saw frames up to t+1."""
        return self.to_latent(self.encoded(frames).mean(dim=2)[:, 1:])  # one per frame; no action leads to the first

    def encoded(self, frames: Tensor) -> Tensor:
        """What the encoder makes of frames [B, T, H, W, C]: [B, T, N, D], causal."""
        embedded = self.encoder_patches(self.encoder_input(frames))
        return self.encoder(embedded + self.encoder_positions.to(embedded.dtype))

    def encoder_input(self, frames: Tensor) -> Tensor:
        """The patches that the encoder reads, [B, T, N, numbers per patch]."""
        return self.patches.cut(frames)

    # ---------------------------------------------------------------------------------------------- Quantize

    def encode(self, frames: Tensor) -> Tensor:
        """Latent actions int64 [B, T-1] of frames [B, T, H, W, C]."""
        return self.quantizer.nearest(self.latents(frames))

    # ------------------------------------------------------------------------------------------------ Decode

    def predict(self, frames: Tensor, action_vectors: Tensor) -> Tensor:
        """The frame after each of frames [B, t, H, W, C], given the vectors of their actions, [B, t, latent_dim]."""
        past = self.past(frames)
        actions = self.per_frame(frames, action_vectors)[:, :, None].to(past.dtype)  # [B, t, 1, D]: for every patch
        return self.drawn(past + actions, frames)

    def past(self, frames: Tensor) -> Tensor:
        """Frames [B, t, H, W, C] as the decoder reads them, [B, t, N, D]."""
        embedded = self.decoder_patches(self.patches.cut(frames))
        return embedded + self.decoder_positions.to(embedded.dtype)

    def per_frame(self, frames: Tensor, action_vectors: Tensor) -> Tensor:
        """What is added to every patch of a frame, [B, t, D]: the embedding of its action, [B, t, latent_dim]."""
        return self.action_embedding(action_vectors)

    def drawn(self, x: Tensor, frames: Tensor) -> Tensor:
        """The frame after each of frames [B, t, H, W, C], of the decoder's input x [B, t, N, D]."""
        return self.next_frames(frames, self.patches.join(self.to_patch(self.decoder(x))).float())

    def next_frames(self, frames: Tensor, output: Tensor) -> Tensor:
        """Predicted frames, from the frames before them and the decoder's output; all are [B, t, H, W, C]."""
        return torch.sigmoid(output)
