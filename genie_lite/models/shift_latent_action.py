"""A latent action model whose decoder moves the frame (an option of this project; the paper's decoder does not).

A camera that follows the hero makes almost every change from one frame to the next a scrolling of the scene. A decoder
that has to repaint each patch spends its codes on how far the scene scrolled. A decoder that can move the last frame
needs only the displacement, most of which gravity and momentum decide, and leaves the code to the player.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_lite.config import ModelConfig
from genie_lite.models.latent_action_variants import ExtendedLatentActionModel
from genie_lite.nn.displacement import match_displacements, shift_matrices

NO_SHIFT = 8.0  # initial logit of "no shift", all others 0: probability 98 % at a reach of 32 pixels
LEAST = 1e-6  # added to probabilities of displacements, so that no single one rules a displacement out
STAYS = -2.0  # initial logit of a pixel that stays in place while the scene moves


class ShiftLatentActionModel(ExtendedLatentActionModel):
    """A latent action model whose decoder predicts a shift, a mask and a change.

    Shift: a distribution over vertical and one over horizontal displacements of up to `reach` pixels, applied to the
    last frame as one row and one column matrix (CDNA of Finn et al., 2016, made separable). Mask: which pixels do not
    move, as the hero, who stays in the middle of the screen. Change: what the decoder adds in each patch, as in the
    variant with `residual_output`. Before training the prediction is the last frame. The decoder also reads
    x_t - x_(t-1).

    With `motion_input` encoder and decoder also read how far the scene moved up to each frame that they see, measured
    by matching whole frames (`match_displacements`).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        settings = config.latent_action
        self.reach, self.motion_input = settings.shift, settings.motion_input
        encoder, decoder = settings.encoder.d_model, settings.decoder.d_model
        displacements = 2 * (2 * self.reach + 1)  # vertical, then horizontal

        self.decoder_patches = nn.Linear(2 * self.patches.width, decoder)
        self.to_patch = nn.Linear(decoder, self.patches.width + self.patches.patch_size**2)  # a change and a mask
        self.to_shift = nn.Linear(decoder, displacements)
        for layer in (self.to_patch, self.to_shift):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.to_shift.bias.view(2, -1)[:, self.reach] = NO_SHIFT
        if self.motion_input:
            self.encoder_motion = nn.Linear(displacements, encoder, bias=False)
            self.decoder_motion = nn.Linear(displacements, decoder, bias=False)
        self.rows: Tensor  # [displacement, H, H]
        self.columns: Tensor  # [displacement, W, W]
        for name, length in zip(("rows", "columns"), config.frame_size, strict=True):
            self.register_buffer(name, shift_matrices(length, self.reach), persistent=False)

    def encoded(self, frames: Tensor) -> Tensor:
        embedded = self.encoder_patches(self.encoder_input(frames)) + self.encoder_positions
        if self.motion_input:
            embedded = embedded + self.encoder_motion(self.motion(frames))[:, :, None]
        return self.encoder(embedded.to(self._dtype(frames)))

    def predict(self, frames: Tensor, action_vectors: Tensor) -> Tensor:
        """The frame after each of frames [B, t, H, W, C], given its action's vector, [B, t, latent_dim]."""
        return self.drawn(self.decoder_input(frames, action_vectors), frames)

    def drawn(self, x: Tensor, frames: Tensor) -> Tensor:
        return self.to_frames(frames, self.decoder(x.to(self._dtype(frames))))

    def predict_sharply(self, frames: Tensor, action_vectors: Tensor, after: Tensor) -> Tensor:
        """The frame after each of frames [B, t, H, W, C], moved as far as leads to the true ones, `after`.

        action_vectors are [B, t, latent_dim]. See `sharp_frames`.
        """
        decoded = self.decoder(self.decoder_input(frames, action_vectors))
        return self.sharp_frames(frames, decoded, after)

    def displacements(
        self, frames: Tensor, action_vectors: Tensor, motion: Tensor | None = None, *, sharp: bool = False
    ) -> Tensor:
        """How far the hero would move, down and right, in pixels: [B, t, 2], on average, or if `sharp` most likely.

        frames are [B, t, H, W, C], action_vectors [B, t, latent_dim]; `motion` is as for `decoder_input`.
        """
        return self.pixels(self.decoder(self.decoder_input(frames, action_vectors, motion)), sharp=sharp)

    def pixels(self, decoded: Tensor, *, sharp: bool = False) -> Tensor:
        """The same, [B, t, 2], of what the decoder made of the frames, [B, t, N, D]."""
        shifts = self.shifts(decoded)
        if sharp:
            return (shifts.argmax(dim=-1) - self.reach).to(shifts.dtype)
        steps = torch.arange(-self.reach, self.reach + 1, device=shifts.device, dtype=shifts.dtype)
        return (shifts * steps).sum(dim=-1)

    def decoder_input(self, frames: Tensor, action_vectors: Tensor, motion: Tensor | None = None) -> Tensor:
        """What the decoder reads, [B, t, N, D], of frames [B, t, H, W, C] and the actions after them.

        action_vectors are [B, t, latent_dim], or [B, 1, latent_dim] where only the last frame's counts. `motion` is
        `self.motion(frames)` where it is known already.
        """
        embedded = self.past(frames) + self.per_frame(frames, action_vectors, motion)[:, :, None]
        return embedded.to(self._dtype(frames))

    def past(self, frames: Tensor) -> Tensor:
        patches = self.patches.cut(frames)
        change = F.pad(patches.diff(dim=1), (0, 0, 0, 0, 1, 0))
        return self.decoder_patches(torch.cat([patches, change], dim=-1)) + self.decoder_positions

    def per_frame(self, frames: Tensor, action_vectors: Tensor, motion: Tensor | None = None) -> Tensor:
        """As in the parent, plus how far the scene moved up to each frame; `motion` is as for `decoder_input`."""
        embedded = self.action_embedding(action_vectors)
        if self.motion_input:
            embedded = embedded + self.decoder_motion(self.motion(frames) if motion is None else motion)
        return embedded

    def to_frames(self, frames: Tensor, decoded: Tensor) -> Tensor:
        """The frame after each of frames [B, t, H, W, C], of what the decoder made of them, [B, t, N, D]."""
        return self._changed(frames, self._move(frames, self.shifts(decoded)), decoded)

    def sharp_frames(self, frames: Tensor, decoded: Tensor, after: Tensor | None = None) -> Tensor:
        """The same, moved by one displacement in place of the mean over all, which blurs where they are uncertain.

        It is the likeliest; where the true next frames `after` are given, the likeliest that fits them.
        """
        likely = self.shifts(decoded)
        if after is not None:
            pairs = torch.stack([frames, after], dim=2).flatten(0, 1)
            measured = match_displacements(pairs, self.reach).view_as(likely)
            likely = (likely + LEAST).log() + (measured + LEAST).log()
        one = F.one_hot(likely.argmax(dim=-1), likely.shape[-1]).float()
        return self._changed(frames, self._move(frames, one), decoded)

    def shifts(self, decoded: Tensor) -> Tensor:
        """Distributions of the displacement, down and right, [B, t, 2, 2 · reach + 1], of decoded [B, t, N, D]."""
        return self.to_shift(decoded.mean(dim=2)).float().unflatten(-1, (2, -1)).softmax(dim=-1)

    def _changed(self, frames: Tensor, moved: Tensor, decoded: Tensor) -> Tensor:
        """What the decoder makes of frames that it has moved, both [B, t, H, W, C]."""
        output = self.patches.join(self.to_patch(decoded)).float()  # [B, t, H, W, C + 1]
        stays = torch.sigmoid(output[..., -1:] + STAYS)
        return moved + stays * (frames - moved) + output[..., :-1]

    def motion(self, frames: Tensor) -> Tensor:
        """How far the scene moved up to each of frames [B, T, H, W, C]: [B, T, 2 · (2 · reach + 1)]; 0 at the first."""
        return F.pad(match_displacements(frames, self.reach).flatten(2), (0, 0, 1, 0))

    def _move(self, frames: Tensor, shifts: Tensor) -> Tensor:
        """Shift frames [B, t, H, W, C] by distributions [B, t, 2, 2 · reach + 1]."""
        with torch.autocast(frames.device.type, enabled=False):  # pixels keep their value where nothing moves
            vertical, horizontal = shifts.unbind(-2)
            rows = torch.einsum("btk,kij->btij", vertical, self.rows)
            columns = torch.einsum("btk,kij->btij", horizontal, self.columns)
            return torch.einsum("btij,btjwc->btiwc", rows, torch.einsum("btvw,bthwc->bthvc", columns, frames))

    def _dtype(self, frames: Tensor) -> torch.dtype:
        device = frames.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.to_shift.weight.dtype
