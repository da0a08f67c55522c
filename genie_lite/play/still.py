"""The player as a still picture, for where none can run: on the web, in a notebook reopened without a kernel."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genie_lite.play.pictures import to_image, to_png

SIDE, MARGIN, KEY = 256, 16, 44  # pixels: the picture's height, the space around it, a key
PAPER, LINE, INK, DIM = (255, 255, 255), (208, 208, 208), (34, 34, 34), (96, 96, 96)
PLACES = {  # column and row of a key in the pad, and where its arrow points
    "up-left": (0, 0), "up": (1, 0), "up-right": (2, 0), "left": (0, 1), "none": (1, 1), "right": (2, 1),
    "down-left": (0, 2), "down": (1, 2), "down-right": (2, 2),
}  # fmt: skip
WORDS = ("This is a still picture.", "To play, run this cell:", "click it, then press", "Shift and Enter.")

# JupyterLab shows "Error displaying widget" for a player that is gone: hide that line, and the still picture until it
# is clear whether the player comes.
STYLE = """<style>
.jp-OutputArea-child:has(+ .jp-OutputArea-child .gl-still):not(:has(.gl-player)) { display: none; }
.gl-still { animation: gl-late 0.3s 3s backwards; }
@keyframes gl-late { from { opacity: 0; } }
</style>"""


def still_output(frame: np.ndarray, keys: Iterable[str], player: str) -> dict[str, str]:
    """The still picture as a notebook output, HTML and PNG. `player` names the player that hides it while it runs."""
    png = base64.b64encode(to_png(still_picture(frame, keys))).decode()
    words = "A still picture of the player. To play, run this cell: click it, then press Shift and Enter."
    image = f'<img alt="{words}" src="data:image/png;base64,{png}">'
    return {
        "text/html": f'<div class="gl-still" data-player="{player}">{STYLE}{image}</div>',
        "image/png": png,
        "text/plain": words,
    }


def still_picture(frame: np.ndarray, keys: Iterable[str]) -> Image.Image:
    """A frame uint8 [H, W, C] beside the keys of the player, with the words that the cell must be run."""
    screen = to_image(frame).convert("RGB")
    scale = max(1, SIDE // screen.height)
    screen = screen.resize((screen.width * scale, screen.height * scale), Image.Resampling.NEAREST)
    left = screen.width + 2 * MARGIN + 8
    image = Image.new("RGB", (left + 250, max(screen.height, 256) + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, image.width - 1, image.height - 1), 10, outline=LINE)
    image.paste(screen, (MARGIN, MARGIN))
    for key in keys:
        if key in PLACES:
            column, row = PLACES[key]
            _key(draw, left + column * (KEY + 6), MARGIN + row * (KEY + 6), column - 1, row - 1)
    top = MARGIN + 3 * (KEY + 6) + 10
    for line, words in enumerate(WORDS):
        font, colour = ImageFont.load_default(size=15 if line == 0 else 14), INK if line == 0 else DIM
        draw.text((left, top + 22 * line), words, colour, font)
    return image


def _key(draw: ImageDraw.ImageDraw, x: int, y: int, dx: int, dy: int) -> None:
    """A key at x, y with an arrow that points to dx, dy, or a dot."""
    draw.rounded_rectangle((x, y, x + KEY, y + KEY), 6, fill=(240, 240, 240), outline=LINE)
    centre = np.array([x + KEY / 2, y + KEY / 2])
    if not (dx or dy):
        draw.ellipse((*(centre - 4), *(centre + 4)), fill=INK)
        return
    along = np.array([dx, dy]) / np.hypot(dx, dy)
    across = np.array([-along[1], along[0]])
    tip = centre + 11 * along
    draw.line((*(centre - 11 * along), *tip), fill=INK, width=3)
    draw.polygon([tuple(tip + 2 * along), *(tuple(tip - 7 * along + side * 6 * across) for side in (-1, 1))], fill=INK)
