"""The public API: `Genie`, a world with NumPy arrays in and out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_lite import storage
from genie_lite.config import Config, ConfigError, config_from_dict, config_to_dict
from genie_lite.inference import Rollout
from genie_lite.inference.action_prior import ActionPrior
from genie_lite.inference.arrays import frames_to_tensor, to_uint8, tokens_to_tensor
from genie_lite.inference.compute import computing
from genie_lite.inference.foresight import Foresight
from genie_lite.inference.maskgit import Sampler
from genie_lite.machine import data_folder
from genie_lite.models import GenieModel
from genie_lite.models.action_prior import ActionPriorNetwork
from genie_lite.storage import CheckpointError

__all__ = ["CheckpointError", "Genie", "load"]

RUNNING_SUMS = ("quantizer.latent_sums", "quantizer.idle_steps")  # of a codebook, between two training steps
PRIOR_PREFIX = "action_prior_network."


class Genie(GenieModel):
    """One picture in, a world to play out.

    Public methods take and return NumPy arrays: frames uint8 [B, T, H, W, C], tokens int64 [B, T, N], latent actions
    int64 [B, T-1]. The batch axis may be left out.

    precision: number format to compute in, "float32", "bfloat16", or "auto" for what suits the machine.
    threads: CPU threads to play on; None for what is robust (inference/compute.py says what that is, and why).
    sampler: decides the tokens of a new frame (inference/maskgit.py); None for the one that the settings name.
    card: what is known of a trained world: data, time, hardware, metrics.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.precision = "auto"
        self.threads: int | None = None
        self.sampler: Sampler | None = None
        self.card: dict[str, Any] = {}

    @property
    def action_prior(self) -> ActionPrior | None:
        """Which latent action is likely to come next, for worlds that have learned it; else None."""
        return ActionPrior(self, self.precision) if ActionPrior.known(self) else None

    @property
    def foresight(self) -> Foresight | None:
        """What each latent action would do at a moment, for worlds that predict displacements; else None.

        None for the robot: its camera stands still, so how far the scene shifts does not say how far the arm goes.
        """
        scrolls = self.config.data.game != "robot"
        return Foresight(self, self.precision) if scrolls and Foresight.known(self) else None

    # ------------------------------------------------------------------------------------------------ the models

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Tokens int64 [B, T, N] of frames [B, T, H, W, C]."""
        pixels, single = frames_to_tensor(self, frames)
        with self.inference():
            tokens = self.tokenizer.encode(pixels).cpu().numpy()
        return tokens[0] if single else tokens

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Frames uint8 [B, T, H, W, C] of tokens [B, T, N]."""
        codes, single = tokens_to_tensor(self, tokens)
        with self.inference():
            frames = to_uint8(self.tokenizer.decode(codes))
        return frames[0] if single else frames

    def infer_actions(self, frames: np.ndarray) -> np.ndarray:
        """The latent action between each two frames: int64 [B, T-1]."""
        pixels, single = frames_to_tensor(self, frames, least=2)
        with self.inference():
            actions = self.latent_action.encode(self.latent_action_inputs(pixels)).cpu().numpy()
        return actions[0] if single else actions

    def predict_next(self, frames: np.ndarray) -> np.ndarray:
        """The latent action model's own prediction of frames 2 .. T, from the frames before and the inferred actions.

        It exists to train the codes; the played world comes from the dynamics model.
        """
        pixels, single = frames_to_tensor(self, frames, least=2)
        with self.inference():
            prediction = self.latent_action(self.latent_action_inputs(pixels)).prediction
            if self.latent_action.inputs == "tokens":  # the nearest tokens, as the tokenizer's decoder shows them
                later = self.tokenizer.quantizer.nearest(prediction).flatten(2, 3)  # [B, T-1, N]
                first = self.tokenizer.encode(pixels[:, :1])
                prediction = self.tokenizer.decode(torch.cat([first, later], dim=1))[:, 1:]
        predicted = to_uint8(prediction)
        return predicted[0] if single else predicted

    # ---------------------------------------------------------------------------------------------------- playing

    def generate(
        self,
        prompt_frames: np.ndarray,
        latent_actions: np.ndarray | list[int],
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        min_p: float | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Play latent actions [B, T] from prompt frames [B, T0, H, W, C]: the T new frames, uint8 [B, T, H, W, C].

        One video [T0, H, W, C] or one frame [H, W, C] with actions [T] gives [T, H, W, C].
        """
        actions, prompt = np.asarray(latent_actions), np.asarray(prompt_frames)
        single = actions.ndim == 1
        if single:
            prompt, actions = prompt[None] if prompt.ndim == 4 else prompt, actions[None]
        rollout = self.rollout(prompt, maskgit_steps=maskgit_steps, temperature=temperature, min_p=min_p, seed=seed)
        frames = [rollout.step(actions[:, t]) for t in range(actions.shape[1])]
        video = np.stack(frames, axis=1) if frames else np.zeros((len(actions), 0, *rollout.frame.shape[1:]), np.uint8)
        return video[0] if single else video

    def rollout(
        self,
        prompt_frames: np.ndarray,
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        min_p: float | None = None,
        seed: int = 0,
    ) -> Rollout:
        """Worlds to be played a step at a time, one for each prompt [B, T, H, W, C]. None: the world's own setting."""
        chosen: dict[str, Any] = {"maskgit_steps": maskgit_steps, "temperature": temperature, "min_p": min_p}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        sampling = dataclasses.replace(self.config.sampling, **chosen)
        return Rollout(
            self, prompt_frames, sampling,
            seed=seed, precision=self.precision, threads=self.threads, sampler=self.sampler,
        )  # fmt: skip

    def inference(self) -> contextlib.AbstractContextManager[None]:
        """A context without gradients or learning codebooks, in `precision`, for calling the models themselves."""
        return computing(self, self.precision)

    @staticmethod
    def to_uint8(frames: torch.Tensor) -> np.ndarray:
        """Float frames in [0, 1], as the models give them, to uint8."""
        return to_uint8(frames)

    # ------------------------------------------------------------------------------------------------ checkpoints

    def save(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> Path:
        """Write a checkpoint folder, whole or not at all: config.json, model.safetensors, and card.json if any.

        An action prior network goes to a file of its own, action_prior.safetensors, which older checkpoints lack.
        `dtype` torch.bfloat16 makes a checkpoint for sharing: half the size, and without the codebooks' running sums,
        which only further training would need. CheckpointError where `folder` holds anything but a checkpoint, which
        is replaced; FolderInUseError while another program saves there; UnwritableError (an OSError) on a full disk.
        """
        storage.require_replaceable(Path(folder))
        tensors = self.state_dict()
        if dtype is not None:
            tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
            tensors = {name: t for name, t in tensors.items() if not name.endswith(RUNNING_SUMS)}
        prior = {name: tensors.pop(name) for name in list(tensors) if name.startswith(PRIOR_PREFIX)}
        prior = {name.removeprefix(PRIOR_PREFIX): tensor for name, tensor in prior.items()}
        with storage.whole_folder(folder) as draft:
            content = {"format_version": storage.FORMAT_VERSION, "config": config_to_dict(self.config)}
            storage.write_json(draft / storage.CONFIG_FILE, content)
            storage.write_tensors(draft / storage.MODEL_FILE, tensors)
            if prior:
                storage.write_tensors(draft / storage.PRIOR_FILE, prior)
            if self.card:
                storage.write_json(draft / storage.CARD_FILE, {"format_version": storage.FORMAT_VERSION, **self.card})
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> Genie:
        """Read a checkpoint folder. Raises CheckpointError, which says what is missing, damaged, or does not fit."""
        folder = storage.recover(folder)
        if not storage.is_folder(folder):
            raise CheckpointError(f"checkpoint {str(folder)!r}: no such folder; save one with genie.save(folder)")
        settings, weights, prior, card = (folder / name for name in storage.FILES)
        try:
            config = config_from_dict(storage.read_json(settings).get("config", {}))
        except ConfigError as error:
            raise CheckpointError(f"{settings}: {error}") from error
        tensors = storage.read_tensors(weights)
        _require_fitting(config, tensors, weights)
        genie = cls(config)
        shared = not any(name.endswith(RUNNING_SUMS) for name in tensors)
        if shared:  # saved without running sums: they are set below, from the codebooks
            tensors |= {name: t for name, t in genie.state_dict().items() if name.endswith(RUNNING_SUMS)}
        storage.load_into(genie, tensors, weights)
        if shared:
            genie.tokenizer.quantizer.restart_sums()
            genie.latent_action.quantizer.restart_sums()
        if os.path.lexists(prior):
            genie.action_prior_network = ActionPriorNetwork(config.model)
            storage.load_into(genie.action_prior_network, storage.read_tensors(prior), prior)
        if os.path.lexists(card):
            genie.card = storage.read_json(card)
        return genie.to(device).eval()


def _require_fitting(config: Config, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """CheckpointError unless settings describe a model of just these tensors, before any memory is taken for it."""
    model = config.model
    transformers = [part for half in (model.tokenizer, model.latent_action) for part in (half.encoder, half.decoder)]
    layers = sum(transformer.num_layers for transformer in [*transformers, model.dynamics.transformer])
    if layers > len(tensors):
        raise CheckpointError(
            f"{source}: does not fit the model of its settings: found {len(tensors)} tensors for {layers} layers"
        )
    with torch.device("meta"):
        wanted = {name: list(tensor.shape) for name, tensor in Genie(config).state_dict().items()}
    found = {name: list(tensor.shape) for name, tensor in tensors.items()}
    sums = {name: shape for name, shape in wanted.items() if name.endswith(RUNNING_SUMS) and name not in found}
    storage.require_shapes(found | sums, wanted, source)


def load(name_or_path: str | Path, device: str | None = None) -> Genie:
    """A trained world, by the name of a shipped one ("laptop") or by its checkpoint folder.

    `device` is "cpu" or "cuda"; None takes a GPU where there is one. Raises CheckpointError for an unknown name, and
    for a checkpoint that cannot be used.
    """
    folder, shipped = storage.recover(name_or_path), data_folder() / "checkpoints"
    if storage.is_folder(folder):
        pass
    elif storage.is_folder(shipped / name_or_path):
        folder = shipped / name_or_path
    elif folder.name == str(name_or_path):
        names = ", ".join(sorted(path.name for path in shipped.glob("*") if path.is_dir())) or "none found"
        raise CheckpointError(
            f"checkpoint {str(name_or_path)!r}: neither a folder nor a shipped name ({names}); give one of those"
        )
    return Genie.load(folder, device or ("cuda" if torch.cuda.is_available() else "cpu"))
