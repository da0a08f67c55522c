"""Clips encoded once, before the dynamics model is trained: what it needs of a video never changes while it learns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from genie_lite import storage
from genie_lite.config import StageConfig
from genie_lite.data import FrameDataset, mirror
from genie_lite.models import GenieModel
from genie_lite.models.shift_latent_action import ShiftLatentActionModel
from genie_lite.nn import autocast
from genie_lite.training.own_past import own_past, wanted_in_stage

AT_ONCE = 16  # clips encoded together


class EncodedClips(NamedTuple):
    """What the dynamics model is trained on."""

    tokens: Tensor  # int64 [B, T, N]
    latent_actions: Tensor  # int64 [B, T-1]
    guesses: Tensor | None  # first guesses of frames 2 .. T, [B, T-1, H, W, C] in [0, 1]; None if the model reads none
    past: Tensor | None = None  # int64 [B, T, N], read as the past in place of `tokens`; None: the same


@torch.no_grad()
def encode_clips(
    model: GenieModel, frames: Tensor, make_past: Callable[[Tensor, Tensor], Tensor] | None = None
) -> EncodedClips:
    """Encoded clips of frames [B, T, H, W, C] in [0, 1]; with first guesses if the dynamics model reads them.

    `make_past` may make another past, [B, T, N], of their tokens and latent actions.
    """
    tokens = model.tokenizer.encode(frames)
    actions = model.latent_action.encode(model.latent_action_inputs(frames, tokens))
    return with_guesses(model, tokens, actions, make_past(tokens, actions) if make_past else None)


@torch.no_grad()
def with_guesses(model: GenieModel, tokens: Tensor, actions: Tensor, past: Tensor | None = None) -> EncodedClips:
    """Encoded clips of tokens [B, T, N] and latent actions [B, T-1]; with first guesses if they are read.

    Guesses are made as in play, of frames as the tokenizer's decoder shows them: those of the `past` [B, T, N], if it
    is given. A sharp guess alone knows more: it moves the frame as far as the true one moved, so that the model learns
    to follow the guess.
    """
    settings, latent_action = model.config.model.dynamics, model.latent_action
    if not settings.first_guess:
        return EncodedClips(tokens, actions, None, past)
    vectors = latent_action.quantizer.lookup(actions)
    if settings.sharp_guess:
        assert isinstance(latent_action, ShiftLatentActionModel)
        true = model.tokenizer.decode(tokens)
        shown = true if past is None else model.tokenizer.decode(past)
        guesses = latent_action.predict_sharply(shown[:, :-1], vectors, true[:, 1:])
    else:
        guesses = latent_action.predict(model.tokenizer.decode((tokens if past is None else past)[:, :-1]), vectors)
    return EncodedClips(tokens, actions, guesses.float().clamp(0, 1), past)


class EncodedVideos:
    """`stage.encoded_clips` clips of a dataset, drawn at random, encoded and kept in memory and in `file`.

    The past of a share `stage.own_past` of them is what `model` makes of it. A resumed run reads them from `file` in
    place of encoding them again.
    """

    def __init__(
        self, model: GenieModel, dataset: FrameDataset, stage: StageConfig, file: Path, *, progress: bool = True
    ) -> None:
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            storage.write_tensors(file, _encode(model, dataset, stage, progress))
        self._clips = storage.read_tensors(file)

    def __len__(self) -> int:
        return len(self._clips["tokens"])

    def __getitem__(self, numbers: Tensor) -> EncodedClips:
        """The clips with these numbers, int64 [B], on the device of `numbers`."""
        rows = {name: tensor[numbers.cpu()].to(numbers.device) for name, tensor in self._clips.items()}
        guesses = rows["guesses"].float() / 255 if "guesses" in rows else None
        past = rows["past"].long() if "past" in rows else None
        return EncodedClips(rows["tokens"].long(), rows["latent_actions"].long(), guesses, past)


class NumberLoader:
    """Endless batches of numbers of clips, int64 [B] in [0, choices); batch i is a pure function of (seed, i).

    part (i, n): of every batch only part i of n. Iterated over and closed like a ClipLoader. ValueError when clips
    cannot be shared evenly.
    """

    def __init__(self, choices: int, clips: int, seed: int = 0, part: tuple[int, int] = (0, 1)) -> None:
        if clips % part[1]:
            raise ValueError(f"clips: found {clips} a step, expected a multiple of {part[1]}, the number of processes")
        self.step = 0  # index of the next batch
        self._choices, self._clips, self._seed, self._part = choices, clips, seed, part

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        rng = np.random.default_rng([self._seed, self.step])
        self.step += 1
        return rng.integers(self._choices, size=self._clips)[self._part[0] :: self._part[1]]

    def seek(self, step: int) -> None:
        """Go on with batch `step`."""
        self.step = step

    def close(self) -> None:
        """Nothing is open."""


def _encode(model: GenieModel, dataset: FrameDataset, stage: StageConfig, progress: bool) -> dict[str, Tensor]:
    """Encoded clips as tensors of the smallest types that hold them."""
    starts = dataset.clip_starts(stage.frames, stage.frame_stride)
    count = min(stage.encoded_clips, len(starts))
    rng = np.random.default_rng(stage.seed)
    starts = dataset.draw_clips(starts, count, rng, again=False)
    to_mirror = rng.random(count) < stage.mirrored
    device, parts = next(model.parameters()).device, []
    wanted = wanted_in_stage(stage, count).to(device)
    for first in tqdm(
        range(0, count, AT_ONCE), desc=f"encoding {count} clips, {AT_ONCE} at once", disable=not progress
    ):
        now = slice(first, first + AT_ONCE)
        clips = mirror(dataset.read_clips(starts[now], stage.frames, stage.frame_stride), to_mirror[now])
        with torch.inference_mode(), autocast(device, stage.precision):
            make_past = None
            if stage.own_past:
                some = wanted[first : first + AT_ONCE]
                make_past = functools.partial(own_past, model, wanted=some, seed=stage.seed, precision=stage.precision)
            found = encode_clips(model, torch.from_numpy(clips).to(device).float() / 255, make_past)
        part = {"tokens": found.tokens.to(torch.int32), "latent_actions": found.latent_actions.to(torch.int16)}
        if found.past is not None:
            part["past"] = found.past.to(torch.int32)
        if found.guesses is not None:
            part["guesses"] = (found.guesses * 255).round().to(torch.uint8)
        parts.append({name: tensor.cpu() for name, tensor in part.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
