"""Play a hundred frames from each of several prompts and save every fifth as a picture.

The latent actions are inferred from other held-out videos, one after another.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import genie_lite
from genie_lite.data import sample_dataset, sample_game
from genie_lite.evaluation import pick_clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", help="a shipped name, or a checkpoint folder")
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--steps", type=int, default=None, help="MaskGIT steps (default: the world's own)")
    parser.add_argument("--temperature", type=float, default=None, help="(default: the world's own)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    options = parser.parse_args()

    genie = genie_lite.load(options.world)
    dataset = sample_dataset("test", game=sample_game(genie.config))
    length = 16
    starts, _ = pick_clips(dataset, options.prompts, length, seed=options.seed)
    videos = dataset.read_clips(starts, length)
    inferred = genie.infer_actions(videos)  # [prompts, 15]
    rolled = [np.roll(inferred, 1 + shift, axis=0) for shift in range(-(-options.frames // inferred.shape[1]))]
    actions = np.concatenate(rolled, axis=1)[:, : options.frames]
    chosen = {"maskgit_steps": options.steps, "temperature": options.temperature}
    played = genie.generate(videos[:, :1], actions, seed=options.seed, **chosen)
    shown = np.concatenate([videos[:, :1], played], axis=1)[:, :: options.every]
    rows = [np.concatenate(list(video), axis=1) for video in shown]
    Image.fromarray(np.concatenate(rows, axis=0)).save(options.out)
    print(f"{options.out}: frames 0, {options.every}, {2 * options.every}, ... of {options.frames} played")


if __name__ == "__main__":
    main()
