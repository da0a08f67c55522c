"""Make README's animation, docs/play.gif: prompts of the shipped videos, played with keys that the picture shows."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import genie_lite
from genie_lite.play import PlaySession, Prompts

PAPER, KEY, INK, HELD = (255, 255, 255), (232, 234, 237), (90, 96, 104), (9, 105, 218)
# The same keys in every world: (name of the controller's key, frames for which it is held).
SCRIPT = [("none", 2), ("right", 5), ("up-right", 6), ("right", 2), ("left", 5), ("up", 7), ("up-left", 6), ("none", 3)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="laptop")
    parser.add_argument(
        "--prompts", type=int, nargs="+", default=[1, 4, 5, 10], help="of the player's prompts, by number"
    )
    parser.add_argument("--scale", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/play.gif"))
    options = parser.parse_args()

    genie = genie_lite.load(options.world)
    prompts = Prompts.of_sample(genie, length=4, seed=options.seed)
    keys = [key for key, count in SCRIPT for _ in range(count)]
    worlds = []
    for number in options.prompts:
        session = PlaySession(genie, prompts[number], seed=options.seed)
        worlds.append([session.frame, *(session.press(key) for key in keys)])
    sheets = [
        sheet(frames, key, options.scale)
        for frames, key in zip(np.swapaxes(worlds, 0, 1), ["none", *keys], strict=True)
    ]
    sheets = [sheets[0]] * 3 + sheets
    sheets[0].save(options.out, save_all=True, append_images=sheets[1:], duration=160, loop=0, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


def sheet(worlds: np.ndarray, key: str, scale: int) -> Image.Image:
    """Worlds uint8 [n, H, W, C] side by side, above the keys that are held in all of them."""
    gap, below = 10, 60
    height, width = (side * scale for side in worlds.shape[1:3])
    image = Image.new("RGB", (len(worlds) * (width + gap) + gap, height + gap + below), PAPER)
    draw = ImageDraw.Draw(image)
    for place, world in enumerate(worlds):
        picture = Image.fromarray(world).resize((width, height), Image.Resampling.NEAREST)
        image.paste(picture, (gap + place * (width + gap), gap))
    middle = image.width // 2
    held = key.split("-")
    for name, x, turn in (("left", middle - 62, (-1, 0)), ("up", middle - 18, (0, -1)), ("right", middle + 26, (1, 0))):
        keycap(draw, x, height + gap + 14, turn, held=name in held)
    return with_palette(image, height + gap)


def with_palette(image: Image.Image, bottom: int) -> Image.Image:
    """48 colours: those of the worlds, which are above `bottom`, and those of the keys, which few pixels have."""
    drawn = [*PAPER, *KEY, *INK, *HELD]
    palette = Image.new("P", (1, 1))
    worlds = image.crop((0, 0, image.width, bottom)).quantize(44, dither=Image.Dither.NONE).getpalette()
    palette.putpalette([*worlds[: 3 * 44], *drawn])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def keycap(draw: ImageDraw.ImageDraw, x: int, y: int, turn: tuple[int, int], *, held: bool) -> None:
    """Draw an arrow key of 36 pixels with its upper left corner at x, y, pointing to `turn` (right, down)."""
    draw.rounded_rectangle((x, y, x + 36, y + 36), 6, fill=HELD if held else KEY)
    centre, ahead = np.array([x + 18, y + 18]), np.array(turn)
    aside = ahead[::-1] * (1 if turn[0] else -1)
    points = [centre + 9 * ahead, centre - 6 * ahead + 9 * aside, centre - 6 * ahead - 9 * aside]
    draw.polygon([(float(px), float(py)) for px, py in points], fill=PAPER if held else INK)


if __name__ == "__main__":
    main()
