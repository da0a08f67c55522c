"""The video tokenizer (section 2.1, figure 6): a VQ-VAE whose encoder and decoder are ST-transformers."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.nn import Patches, STBlock, STTransformer, VectorQuantizer, position_embedding
from genie_lite.nn.st_transformer import Block


class TokenizerOutput(NamedTuple):
    reconstruction: Tensor  # frames [B, T, H, W, C], float, about [0, 1]
    tokens: Tensor  # int64 [B, T, N]
    loss: Tensor  # what training minimises
    reconstruction_loss: Tensor  # its part that PSNR measures: mean squared error over pixels


class VideoTokenizer(nn.Module):
    """Frames [B, T, H, W, C] in [0, 1] to tokens [B, T, N] in [0, K), and back.

    Both directions are causal: the tokens of frame t depend on frames up to t, and so does what they decode to.
    Encoder and decoder are stacks of `block`. `build.build_tokenizer` chooses the block, and between this class and its
    variant.
    """

    def __init__(self, config: ModelConfig, block: Block = STBlock) -> None:
        super().__init__()
        self.patches = Patches(config.frame_size, config.tokenizer.patch_size, config.channels)
        self._build_encoder(config, block)
        self.quantizer = VectorQuantizer(config.tokenizer.codebook)
        self._build_decoder(config, block)

    def _build_encoder(self, config: ModelConfig, block: Block) -> None:
        encoder = config.tokenizer.encoder
        self.patch_embedding = nn.Linear(self.patches.width, encoder.d_model)
        self.encoder_positions = position_embedding(self.patches.count, encoder.d_model)
        self.encoder = STTransformer(encoder, config.context_frames, block)
        self.to_latent = nn.Linear(encoder.d_model, config.tokenizer.codebook.latent_dim)

    def _build_decoder(self, config: ModelConfig, block: Block) -> None:
        decoder = config.tokenizer.decoder
        self.from_latent = nn.Linear(config.tokenizer.codebook.latent_dim, decoder.d_model)
        self.decoder_positions = position_embedding(self.patches.count, decoder.d_model)
        self.decoder = STTransformer(decoder, config.context_frames, block)
        self.to_patch = nn.Linear(decoder.d_model, self.patches.width)

    def forward(self, frames: Tensor) -> TokenizerOutput:
        """Reconstruct frames [B, T, H, W, C] through their tokens: one training step's loss."""
        quantized = self.quantizer(self.latents(frames))
        reconstruction = self.reconstruct(quantized.vectors)
        error = F.mse_loss(reconstruction.float(), frames)
        return TokenizerOutput(reconstruction, quantized.codes, error + quantized.loss, error)

    # ------------------------------------------------------------------------------------------------ Encode

    def latents(self, frames: Tensor) -> Tensor:
        """Continuous latents [B, T, N, latent_dim] of frames [B, T, H, W, C]."""
        embedded = self.patch_embedding(self.patches.cut(frames))
        encoded = self.encoder(embedded + self.encoder_positions.to(embedded.dtype))
        return self.to_latent(encoded)

    # ---------------------------------------------------------------------------------------------- Quantize

    def encode(self, frames: Tensor) -> Tensor:
        """Tokens int64 [B, T, N] of frames [B, T, H, W, C]: the code nearest to each latent."""
        return self.quantizer.nearest(self.latents(frames))

    # ------------------------------------------------------------------------------------------------ Decode

    def decode(self, tokens: Tensor) -> Tensor:
        """Frames [B, T, H, W, C] in [0, 1] from tokens [B, T, N]."""
        return self.reconstruct(self.quantizer.lookup(tokens)).float().clamp(0, 1)

    def reconstruct(self, vectors: Tensor) -> Tensor:
        """Frames [B, T, H, W, C] from code vectors [B, T, N, latent_dim]."""
        return self.to_frames(self.decoder(self.embed(vectors)), vectors)

    def embed(self, vectors: Tensor) -> Tensor:
        """The input of the decoder's transformer, [B, T, N, D], from code vectors [B, T, N, latent_dim]."""
        embedded = self.from_latent(vectors)
        return embedded + self.decoder_positions.to(embedded.dtype)

    def to_frames(self, decoded: Tensor, vectors: Tensor) -> Tensor:
        """Frames [B, T, H, W, C] from the transformer's output [B, T, N, D]; variants read `vectors` too."""
        return self.patches.join(torch.sigmoid(self.to_patch(decoded)))
