"""Make README's animation, docs/play.gif: one prompt frame, continued under each latent action of a shipped world."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import genie_lite
from genie_lite.data import sample_dataset, sample_game
from genie_lite.play.actions import ActionLabel, card_labels

PAPER, INK, ACCENT = (255, 255, 255), (60, 60, 60), (200, 70, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="laptop")
    parser.add_argument("--start", type=int, default=0, help="number of the prompt frame in the shipped test videos")
    parser.add_argument("--buttons", type=int, default=8, help="latent actions to show, the most frequent ones")
    parser.add_argument("--length", type=int, default=14, help="frames to play")
    parser.add_argument("--steps", type=int, default=None, help="MaskGIT steps (default: the world's own)")
    parser.add_argument("--scale", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/play.gif"))
    options = parser.parse_args()

    genie = genie_lite.load(options.world)
    labels = card_labels(genie)
    if labels is None:
        parser.error(f"{options.world}: found no actions in its card; describe them first (tools/ship.py)")
    common = sorted(sorted(range(len(labels)), key=lambda action: -labels[action].share)[: options.buttons])
    dataset = sample_dataset("test", game=sample_game(genie.config))
    prompt = dataset.read_clips(np.array([options.start]), 2)[0, :1]
    count = len(common)
    actions = np.repeat(np.array(common)[:, None], options.length, axis=1)
    videos = genie.generate(np.repeat(prompt[None], count, axis=0), actions, maskgit_steps=options.steps, seed=1)
    first = genie.decode(genie.encode(prompt))[0]
    frames = [sheet(np.repeat(first[None], count, axis=0), common, labels, options.scale, pressed=False)] * 3
    frames += [sheet(videos[:, t], common, labels, options.scale, pressed=True) for t in range(options.length)]
    frames[0].save(
        options.out, save_all=True, append_images=[*frames[1:], frames[-1], frames[-1]], duration=180, loop=0,
        optimize=True,
    )  # fmt: skip
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


def sheet(
    worlds: np.ndarray, buttons: list[int], labels: list[ActionLabel], scale: int, *, pressed: bool
) -> Image.Image:
    """Worlds uint8 [n, H, W, C] in two rows, each below the one of n `buttons` that is held in it."""
    columns, gap, head = -(-len(worlds) // 2), 14, 26
    height, width = (side * scale for side in worlds.shape[1:3])
    image = Image.new("RGB", (columns * (width + gap) + gap, 2 * (height + head + gap)), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=15)
    for place, (world, button) in enumerate(zip(worlds, buttons, strict=True)):
        row, column = divmod(place, columns)
        x, y = gap + column * (width + gap), row * (height + head + gap)
        draw.text((x, y + 5), f"button {button}", INK, font)
        arrow(draw, x + width - 20, y + 14, labels[button], ACCENT if pressed else INK)
        picture = Image.fromarray(world).resize((width, height), Image.Resampling.NEAREST)
        image.paste(picture, (x, y + head))
    return image.quantize(128, dither=Image.Dither.NONE)


def arrow(draw: ImageDraw.ImageDraw, x: int, y: int, label: ActionLabel, colour: tuple[int, int, int]) -> None:
    """Draw the typical motion that the latent action causes, as an arrow (or a dot) around x, y."""
    if label.glyph == "•":
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        return
    dx, dy = label.dx / label.speed, label.dy / label.speed
    tip = np.array([x + 9 * dx, y + 9 * dy])
    draw.line((x - 9 * dx, y - 9 * dy, *tip), fill=colour, width=3)
    side, back = np.array([-dy, dx]), np.array([dx, dy])
    draw.polygon([tuple(tip + 2 * back), *(tuple(tip - 6 * back + s * 5 * side) for s in (-1, 1))], fill=colour)


if __name__ == "__main__":
    main()
