"""Prompts for a world: frames of a dataset, or any picture fitted to the world's frame size."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_lite.data import sample_dataset, sample_game
from genie_lite.play.fitting import PromptError, fit_image

if TYPE_CHECKING:
    from genie_lite.api import Genie
    from genie_lite.data import FrameDataset

log = logging.getLogger(__name__)


def prompt_frames(prompt: Any, genie: Genie) -> np.ndarray:
    """A prompt as frames uint8 [T, H, W, C] of the world's size: frames pass as they are, pictures are fitted."""
    size, channels = genie.frame_size, genie.config.model.channels
    if isinstance(prompt, np.ndarray) and prompt.ndim == 4:
        if prompt.shape[0] == 0 or prompt.shape[1:] != (*size, channels) or prompt.dtype != np.uint8:
            raise PromptError(
                f"prompt: found {prompt.dtype} {list(prompt.shape)}, "
                f"wanted uint8 [T, {size[0]}, {size[1]}, {channels}] with at least one frame"
            )
        return prompt.copy()
    if isinstance(prompt, np.ndarray) and prompt.shape == (*size, channels) and prompt.dtype == np.uint8:
        return prompt[None].copy()
    return fit_image(prompt, size, channels)[None]


class Prompts:
    """Prompts from a dataset, or from frames uint8 [N, H, W, C].

    length: frames in each prompt, 1 or more; with 2 to 4 the world also sees which way things move.
    stride: stored frames from one frame of a prompt to the next.
    first: frames of the dataset at which the first prompts end, in this order. All others follow, shuffled by `seed`.
    """

    def __init__(
        self,
        genie: Genie,
        dataset: Any,
        *,
        length: int = 1,
        stride: int = 1,
        seed: int = 0,
        first: Sequence[int] = (),
    ) -> None:
        self.genie, self.dataset, self.length, self.stride = genie, dataset, length, stride
        self.position = 0
        span = (length - 1) * stride
        starts = (
            np.arange(len(dataset) - span)
            if isinstance(dataset, np.ndarray)
            else np.asarray(dataset.clip_starts(length, stride))
        )
        if len(starts) == 0:
            raise PromptError(f"prompts: the dataset has no {length} frames in one episode; give another, or length=1")
        chosen = np.asarray(first, np.int64) - span
        chosen = chosen[np.isin(chosen, starts)]
        others = np.random.default_rng(seed).permutation(starts)
        self._starts = np.concatenate([chosen, others[~np.isin(others, chosen)]])

    @classmethod
    def of_sample(cls, genie: Genie, **options: Any) -> Prompts:
        """Prompts from the shipped videos of the world's own game, from levels no model was trained on.

        Of CoinRun, the first ones are of different levels, with the hero standing on the ground and room on both sides.
        """
        dataset = sample_dataset("test", game=sample_game(genie.config))
        return cls(genie, dataset, **{"first": open_places(dataset), **options})

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> np.ndarray:
        """Prompt `index`, uint8 [T, H, W, C] of the world's frame size; after the last the first comes again."""
        start = self._starts[index % len(self)]
        if isinstance(self.dataset, np.ndarray):
            frames = self.dataset[start : start + self.length * self.stride : self.stride]
        else:
            frames = np.asarray(self.dataset.read_clips(np.array([start]), self.length, self.stride))[0]
        return np.concatenate([prompt_frames(frame, self.genie) for frame in frames])

    def next(self) -> np.ndarray:
        """The next prompt, uint8 [T, H, W, C]."""
        self.position += 1
        return self[self.position - 1]


def open_places(dataset: FrameDataset) -> list[int]:
    """Frames of a shipped dataset that are good to start from, measured beforehand by `tools/open_places.py`.

    They stand in ``NAME_open_places.json`` beside ``NAME.zarr``. Without that file, or when it belongs to other
    videos (which is logged), there are none.
    """
    path = Path(dataset.path).with_suffix("")
    path = path.with_name(f"{path.name}_open_places.json")
    if not path.is_file():
        return []
    content = json.loads(path.read_text())
    if content["num_frames"] != dataset.num_frames or content["episodes"] != len(dataset.episode_starts):
        log.warning("%s belongs to other videos than %s; run tools/open_places.py again", path, dataset.path)
        return []
    return [int(frame) for frame in content["frames"]]
