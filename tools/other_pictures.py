"""Play from pictures that are not from the game: photographs and drawings beside frames of held-out levels.

For each kind of picture it prints what limits the world: how well its tokens show the picture at all, and how long the
dynamics model keeps what they show. OUT.png has a row for each picture: the picture, what its tokens show, and the
frames after 1, 2, 4 and 8 steps with no key, with the right key and with the left key. Needs scikit-image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

import genie_lite
from genie_lite.api import Genie
from genie_lite.data import sample_dataset, sample_game
from genie_lite.evaluation import pick_clips
from genie_lite.evaluation.motion import measure_motion
from genie_lite.evaluation.play_measures import recognised
from genie_lite.evaluation.play_test import play_keys
from genie_lite.play import Controller, fit_image

PHOTOGRAPHS = "astronaut cat coffee rocket colorwheel hubble_deep_field immunohistochemistry retina".split()
COLUMNS = (
    "pictures",
    "tokens show them, dB",
    "no key: 8th frame as tokens showed it, dB",
    "recognised after 8 steps",
    "right: steps that move right",
    "left: steps that move left",
)
STEPS, SHOWN = 8, (0, 1, 3, 7)
KEYS = {"none": 0, "right": 1, "left": -1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", help="a shipped name, or a checkpoint folder")
    parser.add_argument("--temperature", type=float, default=None, help="(default: the world's own)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    options = parser.parse_args()

    genie = genie_lite.load(options.world)
    kinds = {"frames of the game": game_frames(genie, options.seed)}
    kinds["drawings"] = np.stack([fit_image(drawing(n), genie.frame_size) for n in range(8)])
    photographs = [fit_image(getattr(skimage.data, name)(), genie.frame_size) for name in PHOTOGRAPHS]
    kinds["photographs"] = np.stack(photographs)
    rows = []
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for kind, pictures in kinds.items():
        shown = genie.decode(genie.encode(pictures[:, None]))[:, 0]
        played = {key: play(genie, pictures, key, options) for key in KEYS}
        known = [recognised(video[:, -1:], shown).mean() for video in played.values()]
        numbers = [psnr(shown, pictures), psnr(played["none"][:, -1], shown), np.mean(known)]
        numbers += [moved(played[key], shown, KEYS[key]) for key in ("right", "left")]
        print(f"| {kind} | {' | '.join(f'{number:.2f}' for number in numbers)} |")
        frames = [video[:, list(SHOWN)] for video in played.values()]
        strips = np.concatenate([pictures[:, None], shown[:, None], *frames], axis=1)
        rows += [np.concatenate(list(strip), axis=1) for strip in strips]
    Image.fromarray(np.concatenate(rows)).save(options.out)


def play(genie: Genie, pictures: np.ndarray, key: str, options: argparse.Namespace) -> np.ndarray:
    keys = [[key] * STEPS] * len(pictures)
    chosen = {"temperature": options.temperature, "seed": options.seed}
    return play_keys(genie, Controller(genie), pictures[:, None], keys, **chosen)


def psnr(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean PSNR of pictures uint8 [B, H, W, C], in dB; identical ones count as 60."""
    error = np.square((found.astype(float) - wanted) / 255).mean(axis=(1, 2, 3))
    return float((-10 * np.log10(error.clip(1e-6))).mean())


def moved(videos: np.ndarray, first: np.ndarray, direction: int) -> float:
    """Share of steps in which the scene scrolls as it does when the hero moves to `direction`."""
    motion = measure_motion(np.concatenate([first[:, None], videos], axis=1))
    return float((direction * np.asarray(motion.dx) > 0.5).mean())


def game_frames(genie: Genie, seed: int) -> np.ndarray:
    dataset = sample_dataset("test", game=sample_game(genie.config))
    starts, _ = pick_clips(dataset, 8, 2, seed=seed)
    return dataset.read_clips(starts, 1)[:, 0]


def drawing(number: int) -> Image.Image:
    """A level as a child would draw it: ground, a crate or two, a sun, a figure in the middle; colours of its own."""
    rng = np.random.default_rng(number)
    sky, ground, crate, figure = (tuple(int(c) for c in rng.integers(low, low + 90, 3)) for low in (160, 40, 80, 0))
    image = Image.new("RGB", (256, 256), sky)
    draw = ImageDraw.Draw(image)
    floor = 176
    draw.rectangle((0, floor, 256, 256), fill=ground)
    for _ in range(int(rng.integers(1, 4))):
        x, side = int(rng.integers(0, 220)), int(rng.integers(24, 48))
        if abs(x + side / 2 - 128) > side:
            draw.rectangle((x, floor - side, x + side, floor), fill=crate, outline=(0, 0, 0), width=3)
    draw.ellipse((200, 16, 240, 56), fill=(250, 220, 80))
    draw.ellipse((114, floor - 56, 142, floor - 28), fill=figure)
    draw.rectangle((120, floor - 30, 136, floor), fill=figure)
    return image


if __name__ == "__main__":
    main()
