"""The video tokenizer (section 2.1, figure 6): a VQ-VAE whose encoder and decoder are ST-transformers."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.build import codebook, position_embedding, st_transformer
from genie_lite.nn import Patches, TemporalCache, k_means

GREY = 0.5  # pixels count from here, where codes are patches, so that a code's length says something


class TokenizerOutput(NamedTuple):
    reconstruction: Tensor  # frames [B, T, H, W, C], float, about [0, 1]
    tokens: Tensor  # int64 [B, T, N]
    loss: Tensor  # what training minimises
    reconstruction_loss: Tensor  # mean squared error over pixels, its part that PSNR is made of


class VideoTokenizer(nn.Module):
    """Frames [B, T, H, W, C] in [0, 1] to tokens [B, T, N] in [0, K), and back.

    Both directions are causal: the tokens of frame t know frames up to t, and decode with tokens up to t. The option
    `attention` makes it a rival of table 3: "space" (ViT) knows frame t alone; "full" (C-ViViT) is causal as well.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        settings, window = config.tokenizer, config.context_frames
        self.patches = Patches(config.frame_size, settings.patch_size)
        pixels = settings.patch_size**2 * config.channels
        encoder, decoder, latent_dim = settings.encoder, settings.decoder, settings.codebook.latent_dim

        self.patch_embedding = nn.Linear(pixels, encoder.d_model)
        self.encoder_positions = position_embedding(self.patches.count, encoder.d_model)
        self.encoder = st_transformer(encoder, window, settings.attention)
        self.to_latent = nn.Linear(encoder.d_model, latent_dim)
        self.quantizer = codebook(settings.codebook)
        self.from_latent = nn.Linear(latent_dim, decoder.d_model)
        self.decoder_positions = position_embedding(self.patches.count, decoder.d_model)
        self.decoder = st_transformer(decoder, window, settings.attention)
        self.to_patch = nn.Linear(decoder.d_model, pixels)

    def forward(self, frames: Tensor) -> TokenizerOutput:
        quantized = self.quantizer(self.latents(frames))
        reconstruction = self._decode(quantized.vectors)
        error = F.mse_loss(reconstruction.float(), frames)
        # Pixels leave little error to learn from; at 1 the quantizer's own loss would drown it.
        return TokenizerOutput(reconstruction, quantized.codes, error + 0.1 * quantized.loss, error)

    def latents(self, frames: Tensor) -> Tensor:
        """What the quantizer sees: [B, T, N, latent_dim]."""
        embedded = self.patch_embedding(self.patches.cut(frames))
        return self.to_latent(self.encoder(embedded + self.encoder_positions.to(embedded.dtype)))

    def encode(self, frames: Tensor) -> Tensor:
        """Tokens int64 [B, T, N] of frames [B, T, H, W, C]."""
        return self.quantizer.nearest(self.latents(frames))

    def decode(self, tokens: Tensor, cache: TemporalCache | None = None) -> Tensor:
        """Frames [B, T, H, W, C] in [0, 1] of tokens [B, T, N]; with a cache, of the newest frame's tokens alone."""
        return self._decode(self.quantizer.lookup(tokens), cache).float().clamp(0, 1)

    def _decode(self, vectors: Tensor, cache: TemporalCache | None = None) -> Tensor:
        embedded = self.from_latent(vectors)
        decoded = self.decoder(embedded + self.decoder_positions.to(embedded.dtype), cache)
        return self.patches.join(self._colour(vectors, self.to_patch(decoded)))

    def _colour(self, vectors: Tensor, output: Tensor) -> Tensor:
        return torch.sigmoid(output)


class PatchTokenizer(VideoTokenizer):
    """The option `codes` "patches": no encoder to train, a token is the nearest of K typical patches.

    `fit_patches` finds these before training. The decoder starts at showing them, and learns what neighbours and the
    past tell beyond. What that is good for is said in docs/experiments.md.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        del self.patch_embedding, self.encoder_positions, self.encoder, self.to_latent
        self.quantizer.commitment = 0.0  # nothing here could commit itself
        nn.init.zeros_(self.to_patch.weight)
        nn.init.zeros_(self.to_patch.bias)

    def latents(self, frames: Tensor) -> Tensor:
        """The patches themselves, [B, T, N, latent_dim], from -0.5 to 0.5."""
        return self.patches.cut(frames) - GREY

    def _colour(self, vectors: Tensor, output: Tensor) -> Tensor:
        return GREY + vectors + output.to(vectors.dtype)

    @torch.no_grad()
    def fit_patches(self, frames: Tensor, generator: torch.Generator | None = None) -> None:
        """Make the codebook of K typical patches of frames [B, T, H, W, C] in [0, 1], by k-means."""
        points = self.latents(frames).flatten(0, 2)
        self.quantizer.codebook.copy_(k_means(points, self.quantizer.num_codes, generator))


def build_tokenizer(config: ModelConfig) -> VideoTokenizer:
    """The tokenizer that `config` describes, untrained."""
    return PatchTokenizer(config) if config.tokenizer.codes == "patches" else VideoTokenizer(config)
