"""Genie: the tokenizer, the latent action model and the dynamics model together, behind one face."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from genie_lite import storage
from genie_lite.config import Config, ConfigError, config_from_dict, config_to_dict
from genie_lite.inference.rollout import Rollout
from genie_lite.models.dynamics import DynamicsModel
from genie_lite.models.latent_action import LatentActionModel
from genie_lite.models.tokenizer import build_tokenizer
from genie_lite.nn import autocast
from genie_lite.storage import CheckpointError

if TYPE_CHECKING:
    from genie_lite.play.session import PlaySession

__all__ = ["CheckpointError", "Genie"]

RUNNING_SUMS = ("quantizer.latent_sums", "quantizer.idle_steps")  # of a codebook, between two training steps


class Genie(nn.Module):
    """One picture in, a world to play out.

    Public methods take and give NumPy arrays: frames uint8 [B, T, H, W, C], tokens int64 [B, T, N], latent actions
    int64 [B, T-1]; the batch axis may be left out. `precision` is what the machine is quick in unless set.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.precision = "auto"
        self.tokenizer = build_tokenizer(config.model)
        self.latent_action = LatentActionModel(config.model)
        self.dynamics = DynamicsModel(config.model)
        self.card: dict[str, Any] = {}  # what is known of a trained model: data, time, hardware, metrics

    # ------------------------------------------------------------------------------------------ what it is

    @property
    def num_latent_actions(self) -> int:
        """A, how many buttons this world has."""
        return self.config.model.latent_action.codebook.num_codes

    @property
    def context_frames(self) -> int:
        """Frames of history that a new frame attends to."""
        return self.config.model.context_frames

    @property
    def frame_size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.config.model.frame_size

    @property
    def device(self) -> torch.device:
        return self.tokenizer.decoder_positions.device

    # ------------------------------------------------------------------------------------------ what it does

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Frames to tokens, int64 [B, T, N]."""
        pixels, single = self.check_frames(frames)
        with self.inference():
            return _out(self.tokenizer.encode(pixels), single)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens [B, T, N] to frames."""
        codes = torch.as_tensor(np.asarray(tokens), device=self.device)
        count, num_tokens = self.config.model.tokens_per_frame, self.dynamics.num_tokens
        if codes.ndim not in (2, 3) or codes.shape[-1] != count:
            raise ValueError(f"tokens: found shape {list(codes.shape)}, wanted [B, T, {count}] or [T, {count}]")
        if codes.is_floating_point() or codes.min() < 0 or codes.max() >= num_tokens:
            raise ValueError(
                f"tokens: found {codes.dtype} up to {codes.max()}, wanted whole numbers in [0, {num_tokens})"
            )
        with self.inference():
            frames = self.tokenizer.decode(codes.long() if codes.ndim == 3 else codes.long()[None])
        return self.to_uint8(frames)[0 if codes.ndim == 2 else ...]

    def infer_actions(self, frames: np.ndarray) -> np.ndarray:
        """The latent action between each two frames: int64 [B, T-1]."""
        pixels, single = self.check_frames(frames, least=2)
        with self.inference():
            return _out(self.latent_action.encode(self.latent_action_inputs(pixels)), single)

    def predict_next(self, frames: np.ndarray) -> np.ndarray:
        """The latent action model's own guess of frames 2 .. T from the frames before them and the inferred actions.

        It exists to train the codes; the played world comes from the dynamics model.
        """
        pixels, single = self.check_frames(frames, least=2)
        with self.inference():
            prediction = self.latent_action(self.latent_action_inputs(pixels)).prediction
            if self.latent_action.inputs == "tokens":  # the nearest tokens, seen through the tokenizer's decoder
                later = self.tokenizer.quantizer.nearest(prediction).flatten(2, 3)
                first = self.tokenizer.encode(pixels[:, :1])
                prediction = self.tokenizer.decode(torch.cat([first, later], dim=1))[:, 1:]
        return self.to_uint8(prediction)[0 if single else ...]

    def generate(
        self,
        prompt_frames: np.ndarray,
        latent_actions: np.ndarray | list[int],
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Play latent actions [B, T] from prompt frames [B, T0, H, W, C]: the T new frames, uint8 [B, T, H, W, C].

        One video [T0, H, W, C] or one picture [H, W, C] with actions [T] gives [T, H, W, C].
        """
        actions = np.asarray(latent_actions)
        single = actions.ndim == 1
        prompt = np.asarray(prompt_frames)
        if single:
            prompt, actions = prompt[None] if prompt.ndim == 4 else prompt, actions[None]
        rollout = self.rollout(prompt, maskgit_steps=maskgit_steps, temperature=temperature, seed=seed)
        frames = [rollout.step(actions[:, t]) for t in range(actions.shape[1])]
        video = np.stack(frames, axis=1) if frames else np.zeros((len(actions), 0, *rollout.frame.shape[1:]), np.uint8)
        return video[0] if single else video

    def rollout(
        self,
        prompt_frames: np.ndarray,
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
    ) -> Rollout:
        """Worlds to be played a step at a time, one for each prompt; see Rollout."""
        return Rollout(self, prompt_frames, maskgit_steps=maskgit_steps, temperature=temperature, seed=seed)

    def play(
        self,
        prompt: Any = None,
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
    ) -> PlaySession:
        """A play session from `prompt` (frame, video, picture file; None: a frame of the shipped sample)."""
        from genie_lite.play.session import PlaySession  # above this room: imported only when someone plays

        return PlaySession(self, prompt, maskgit_steps=maskgit_steps, temperature=temperature, seed=seed)

    # ------------------------------------------------------------------------------------------ to and from disk

    def save(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> Path:
        """Write a checkpoint folder, whole or not at all: config.json, model.safetensors and, if known, card.json.

        `dtype` torch.bfloat16 makes a file for sharing: half the size, without the running sums that only the next
        training step of a codebook would need.
        """
        tensors = self.state_dict()
        if dtype is not None:
            tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
            tensors = {name: t for name, t in tensors.items() if not name.endswith(RUNNING_SUMS)}
        with storage.whole_folder(folder) as draft:
            content = {"format_version": storage.FORMAT_VERSION, "config": config_to_dict(self.config)}
            storage.write_json(draft / "config.json", content)
            storage.write_tensors(draft / "model.safetensors", tensors)
            if self.card:
                storage.write_json(draft / "card.json", {"format_version": storage.FORMAT_VERSION, **self.card})
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> Genie:
        """Read a checkpoint folder; CheckpointError says what is missing, damaged, or does not fit."""
        folder = storage.recover(folder)
        if not folder.is_dir():
            raise CheckpointError(f"checkpoint {str(folder)!r}: no such folder; save one with genie.save(folder)")
        try:
            config = config_from_dict(storage.read_json(folder / "config.json").get("config", {}))
        except ConfigError as error:
            raise CheckpointError(f"{folder / 'config.json'}: {error}") from error
        genie = cls(config)
        tensors = storage.read_tensors(folder / "model.safetensors")
        shared = not any(name.endswith(RUNNING_SUMS) for name in tensors)
        if shared:  # restarted below, from the codebooks
            tensors |= {name: t for name, t in genie.state_dict().items() if name.endswith(RUNNING_SUMS)}
        storage.load_into(genie, tensors, folder / "model.safetensors")
        if shared:
            genie.tokenizer.quantizer.restart_sums()
            genie.latent_action.quantizer.restart_sums()
        if (folder / "card.json").is_file():
            genie.card = storage.read_json(folder / "card.json")
        return genie.to(device).eval()

    # ------------------------------------------------------------------------------------------ at the border

    def latent_action_inputs(self, frames: Tensor, tokens: Tensor | None = None) -> Tensor:
        """What the latent action model sees of frames [B, T, H, W, C] in [0, 1]: them, or their tokens' codes.

        Codes stand where their patch does, [B, T, rows, columns, latent_dim]; no gradient reaches the tokenizer.
        `tokens` [B, T, N] spares encoding the frames again.
        """
        if self.latent_action.inputs == "pixels":
            return frames
        with torch.no_grad():
            codes = self.tokenizer.quantizer.lookup(self.tokenizer.encode(frames) if tokens is None else tokens)
        return codes.unflatten(2, (self.tokenizer.patches.rows, self.tokenizer.patches.columns))

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """No gradients, no learning codebooks, the machine's quick number format."""
        learning = [module for module in self.modules() if module.training]  # none in a world that is only played
        try:
            for module in learning:
                module.training = False
            with torch.inference_mode(), autocast(self.device, self.precision):
                yield
        finally:
            for module in learning:
                module.training = True

    def check_frames(self, frames: np.ndarray, least: int = 1) -> tuple[Tensor, bool]:
        """Public frames to float [B, T, H, W, C] in [0, 1], and whether the batch axis was missing."""
        array = np.asarray(frames)
        height, width = self.frame_size
        wanted = f"uint8 [B, T, {height}, {width}, {self.config.model.channels}] with T >= {least}"
        array = array[None] if array.ndim == 3 else array
        single = array.ndim == 4
        array = array[None] if single else array
        fits = array.ndim == 5 and array.shape[2:] == (height, width, self.config.model.channels)
        if not fits or array.dtype != np.uint8 or array.shape[1] < least:
            raise ValueError(
                f"frames: found {np.asarray(frames).dtype} {list(np.shape(frames))}, wanted {wanted}; "
                "genie_lite.play.prompts.fit_image fits any picture"
            )
        return torch.as_tensor(array, device=self.device).float() / 255, single

    def check_actions(self, latent_actions: Any, shape: tuple[int, ...]) -> Tensor:
        """Latent actions as int64 of `shape`; ValueError names what is out of range or of another shape."""
        array = np.asarray(latent_actions)
        array = np.broadcast_to(array, shape) if array.ndim == 0 else array
        if array.shape != shape or array.dtype.kind not in "iu":
            raise ValueError(f"latent_actions: found {array.dtype} {list(array.shape)}, wanted integers {list(shape)}")
        if array.size and (array.min() < 0 or array.max() >= self.num_latent_actions):
            wrong = array[(array < 0) | (array >= self.num_latent_actions)].flat[0]
            raise ValueError(f"latent action {wrong}: out of range, this world has 0 .. {self.num_latent_actions - 1}")
        return torch.as_tensor(np.array(array, dtype=np.int64), device=self.device)

    @staticmethod
    def to_uint8(frames: Tensor) -> np.ndarray:
        """Float frames in [0, 1] to uint8 [0, 255]."""
        return (frames.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _out(tensor: Tensor, single: bool) -> np.ndarray:
    array = tensor.cpu().numpy()
    return array[0] if single else array
