"""Model FLOPs of one training step, computed from the settings, and the peak FLOP/s of common GPUs.

Only matrix products count, attention scores included, with two FLOPs per multiply-add; a backward pass costs twice its
forward pass, except that inputs need no gradient. Causal attention counts in full, as is usual. The optimiser (even
Muon's products), the running means of codebooks and recomputed activations do not count.
tests/unit/test_benchmarks.py compares the result with PyTorch's own counter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from genie_lite.config import CodebookConfig, Config, ModelConfig, TransformerConfig

# Dense bfloat16 with float32 accumulation, from NVIDIA's data sheets, for the fastest variant (SXM where it exists).
PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}


class Flops(NamedTuple):
    """FLOPs of a forward pass and of its backward pass."""

    forward: float
    backward: float

    def __add__(self, other: Flops) -> Flops:  # type: ignore[override]  # adds, unlike tuples
        return Flops(self.forward + other.forward, self.backward + other.backward)

    @property
    def total(self) -> float:
        return self.forward + self.backward


def step_flops(config: Config, stage: str) -> float:
    """FLOPs of one step of `stage` ("tokenizer", "latent_action", "dynamics" or "genie") at its clips and frames."""
    model, settings = config.model, getattr(config.training, stage)
    clips, frames = settings.clips, settings.frames
    if stage == "tokenizer":
        return tokenizer(model, clips, frames).total
    total = latent_action(model, clips, frames).total if stage in ("latent_action", "genie") else 0.0
    if stage in ("dynamics", "genie"):
        total += dynamics(model, clips, frames).total
        if stage == "genie" or not settings.encoded_clips:  # inputs are encoded at every step, without gradients
            total += encoding(model, clips, frames)
    return total


def encoding(model: ModelConfig, clips: int, frames: int) -> float:
    """What the dynamics model reads of clips: tokens, latent actions, first guesses."""
    total = tokenizer_encoder(model, clips, frames).forward + latent_action_encoder(model, clips, frames).forward
    if model.dynamics.first_guess:
        shown = frames if model.dynamics.sharp_guess else frames - 1  # a sharp guess is fitted to the frame after it
        total += tokenizer_decoder(model, clips, shown).forward + latent_action_decoder(model, clips, frames).forward
    return total


def tokenizer(model: ModelConfig, clips: int, frames: int) -> Flops:
    return tokenizer_encoder(model, clips, frames) + tokenizer_decoder(model, clips, frames)


def tokenizer_decoder(model: ModelConfig, clips: int, frames: int) -> Flops:
    settings, places = model.tokenizer, clips * frames * model.tokens_per_frame
    pixels, width = settings.patch_size**2 * model.channels, settings.decoder.d_model
    decoder = transformer(settings.decoder, places, model.tokens_per_frame, frames)
    fixed = settings.codes == "patches"  # the codes get no gradient
    ends = linear(places, settings.codebook.latent_dim, width, of_input=fixed) + linear(places, width, pixels)
    return decoder + ends


def tokenizer_encoder(model: ModelConfig, clips: int, frames: int) -> Flops:
    settings, places = model.tokenizer, clips * frames * model.tokens_per_frame
    if settings.codes == "patches":
        return nearest(settings.codebook, places)
    pixels, width = settings.patch_size**2 * model.channels, settings.encoder.d_model
    ends = linear(places, pixels, width, of_input=True) + linear(places, width, settings.codebook.latent_dim)
    stack = transformer(settings.encoder, places, model.tokens_per_frame, frames)
    return ends + stack + nearest(settings.codebook, places)


def latent_action(model: ModelConfig, clips: int, frames: int) -> Flops:
    return latent_action_encoder(model, clips, frames) + latent_action_decoder(model, clips, frames)


def latent_action_decoder(model: ModelConfig, clips: int, frames: int) -> Flops:
    settings, count = model.latent_action, _patches(model)
    pixels, width = settings.patch_size**2 * model.channels, settings.decoder.d_model
    transitions = clips * (frames - 1)
    places = transitions * count
    seen, made = (2 * pixels, pixels + settings.patch_size**2) if settings.shift else (pixels, pixels)
    ends = linear(places, seen, width, of_input=True) + linear(places, width, made)
    if settings.shift:
        ends += shift(model, transitions)
    actions = linear(transitions, settings.codebook.latent_dim, width)
    decoder = transformer(settings.decoder, places, count, frames - 1)
    return ends + actions + decoder


def shift(model: ModelConfig, transitions: int) -> Flops:
    """The decoder's displacements, and the last frame moved by them; frames need no gradient."""
    settings, (height, width) = model.latent_action, model.frame_size
    displacements = 2 * settings.shift + 1
    total = linear(transitions, settings.decoder.d_model, 2 * displacements)
    for side in (height, width):  # the matrices that shift by each displacement are constant
        mixed = 2.0 * transitions * displacements * side**2
        total += Flops(mixed, mixed)
    across, down = (2.0 * transitions * side * height * width * model.channels for side in (width, height))
    total += Flops(across, across) + Flops(down, 2 * down)
    if settings.motion_input:
        total += linear(transitions, 2 * displacements, settings.decoder.d_model, of_input=True)
    return total


def latent_action_encoder(model: ModelConfig, clips: int, frames: int) -> Flops:
    settings, count = model.latent_action, _patches(model)
    pixels, width = settings.patch_size**2 * model.channels, settings.encoder.d_model
    places = clips * frames * count
    seen = 2 * pixels if settings.difference_input else pixels
    ends = linear(places, seen, width, of_input=True)
    ends += linear(clips * (frames - 1), width, settings.codebook.latent_dim)
    if settings.motion_input:
        ends += linear(clips * frames, 2 * (2 * settings.shift + 1), width, of_input=True)
    stack = transformer(settings.encoder, places, count, frames)
    return ends + stack + nearest(settings.codebook, clips * (frames - 1))


def dynamics(model: ModelConfig, clips: int, frames: int) -> Flops:
    """Logits are computed only for masked tokens in the loss: at the mean masking rate, in all frames but the first."""
    settings, count = model.dynamics.transformer, model.tokens_per_frame
    counted = clips * (frames - 1) * count * sum(model.dynamics.mask_rate) / 2 * model.dynamics.loss_share
    if model.dynamics.past == "complete":
        stack = two_streams(model, clips, frames)
    else:
        stack = transformer(settings, clips * frames * count, count, frames)
    actions = linear(clips * (frames - 1), model.latent_action.codebook.latent_dim, settings.d_model, of_input=True)
    if model.dynamics.previous_input:
        stack += linear(clips * (frames - 1) * count, settings.d_model, settings.d_model)
    codes = model.tokenizer.codebook
    if model.dynamics.guess_likeness:
        stack += linear(counted, settings.d_model, 2) + Flops(2.0 * counted * codes.latent_dim * codes.num_codes, 0)
    return stack + actions + linear(counted, settings.d_model, codes.num_codes)


def two_streams(model: ModelConfig, clips: int, frames: int) -> Flops:
    """Complete frames and masked ones side by side; first guesses and the action prior."""
    settings, square, transitions = model.dynamics.transformer, model.dynamics.merge**2, clips * (frames - 1)
    count = model.tokens_per_frame // square
    width, pixels = settings.d_model, square * model.tokenizer.patch_size**2 * model.channels
    stack = transformer(settings, 2 * transitions * count, count, 2 * (frames - 1))
    stack += linear(transitions, width, model.latent_action.codebook.num_codes)
    stack += linear(clips * (frames - 2), model.latent_action.codebook.latent_dim, width, of_input=True)
    if square > 1:
        rows = 2 * transitions * count
        stack += linear(rows, square * width, width) + linear(rows, width, square * width)
    if model.dynamics.first_guess:
        stack += linear(transitions * count, pixels, 2 * width, of_input=True)
        stack += linear(transitions * count, 2 * width, width)
    return stack


def transformer(settings: TransformerConfig, places: float, count: int, frames: int) -> Flops:
    """An ST-transformer over `places` = B · T · N tokens: `count` per frame, `frames` frames per clip."""
    width, heads = settings.d_model, settings.num_heads
    pair = heads * (settings.head_width + settings.value_width)  # multiplications per query-key pair
    attention = linear(places, width, heads * settings.head_width * 2 + heads * settings.value_width)
    attention += linear(places, heads * settings.value_width, width)
    scores = 2 * places * pair * (count + frames)
    hidden = round(width * settings.ffn_ratio)
    block = attention + attention + linear(places, width, hidden) + linear(places, hidden, width)
    block += Flops(scores, 2 * scores)
    return Flops(settings.num_layers * block.forward, settings.num_layers * block.backward)


def linear(rows: float, before: int, after: int, of_input: bool = False) -> Flops:
    """A matrix product; with `of_input` its input needs no gradient."""
    forward = 2.0 * rows * before * after
    return Flops(forward, forward if of_input else 2 * forward)


def nearest(settings: CodebookConfig, latents: float) -> Flops:
    """Each latent compared with every code; no gradient."""
    return Flops(2.0 * latents * settings.latent_dim * settings.num_codes, 0.0)


def peak_flops(gpu_name: str) -> float | None:
    """Dense bfloat16 FLOP/s of a GPU by name; None if unknown."""
    # Excludes the RTX A1000, and the slower D and laptop variants of the 4090.
    return next((peak for name, peak in PEAK.items() if re.search(rf"\b{name}\b(?! (?:D|Laptop))", gpu_name)), None)


def _patches(model: ModelConfig) -> int:
    rows, columns = model.grid(model.latent_action.patch_size)
    return rows * columns
