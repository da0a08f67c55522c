"""Play a hundred frames from each of several prompts, running right and jumping, and save every fifth as a picture.

Also says in how many worlds the last frames, through a whole jump, show a single surface: the hero is inside a wall.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import genie_lite
from genie_lite.data import sample_dataset, sample_game
from genie_lite.evaluation import pick_clips
from genie_lite.evaluation.key_scripts import KEYS
from genie_lite.evaluation.play_measures import one_surface
from genie_lite.evaluation.play_test import play_keys
from genie_lite.play import Controller

PROMPT_FRAMES = 4
A_JUMP = 12  # frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", help="a shipped name, or a checkpoint folder")
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument(
        "--keys", nargs="+", choices=KEYS, default=["right"] * 6 + ["up-right"] * 2, help="pressed in turn, repeated"
    )
    parser.add_argument("--steps", type=int, default=None, help="MaskGIT steps (default: the world's own)")
    parser.add_argument("--temperature", type=float, default=None, help="(default: the world's own)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    options = parser.parse_args()

    genie = genie_lite.load(options.world)
    dataset = sample_dataset("test", game=sample_game(genie.config))
    starts, _ = pick_clips(dataset, options.prompts, PROMPT_FRAMES, seed=options.seed)
    prompts = dataset.read_clips(starts, PROMPT_FRAMES)
    keys = [options.keys[t % len(options.keys)] for t in range(options.frames)]
    chosen = {"maskgit_steps": options.steps, "temperature": options.temperature, "seed": options.seed}
    played = play_keys(genie, Controller(genie), prompts, [keys] * options.prompts, **chosen)
    shown = np.concatenate([prompts[:, -1:], played], axis=1)[:, :: options.every]
    rows = [np.concatenate(list(video), axis=1) for video in shown]
    Image.fromarray(np.concatenate(rows, axis=0)).save(options.out)
    print(f"{options.out}: frames 0, {options.every}, {2 * options.every}, ... of {options.frames} played")
    lost = one_surface(played[:, -A_JUMP:]).all(1)
    print(f"a single surface in all of the last {A_JUMP} frames: {lost.sum()} of {options.prompts} worlds")


if __name__ == "__main__":
    main()
