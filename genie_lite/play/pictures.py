"""Frames as files and as bytes: PNG for the screen, GIF for the disk, a strip of the last frames."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path

import numpy as np
from PIL import Image


def to_image(frame: np.ndarray) -> Image.Image:
    """A frame uint8 [H, W, C], C 1 or 3, as a PIL image."""
    return Image.fromarray(np.ascontiguousarray(frame[..., 0] if frame.shape[-1] == 1 else frame))


def to_png(picture: np.ndarray | Image.Image) -> bytes:
    """A frame uint8 [H, W, C] or a PIL image as PNG bytes, packed quickly rather than tightly."""
    image = to_image(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def enlarge(frame: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel of [..., H, W, C] repeated `scale` times both ways."""
    return frame.repeat(scale, axis=-3).repeat(scale, axis=-2)


def filmstrip(frames: np.ndarray, slots: int, gap: int = 4) -> bytes:
    """The last `slots` of frames uint8 [T, H, W, C], newest at the right, as one PNG.

    Slots without a frame, and the gaps of `gap` pixels, are transparent, so the strip always has the same size.
    """
    height, width = frames.shape[1:3]
    strip = Image.new("RGBA", (slots * width + (slots - 1) * gap, height))
    shown = frames[-slots:]
    for place, frame in enumerate(shown, start=slots - len(shown)):
        strip.paste(to_image(frame), (place * (width + gap), 0))
    return to_png(strip)


def write_gif(frames: np.ndarray, path: str | Path, *, scale: int = 4, fps: float = 8.0) -> Path:
    """Write frames uint8 [T, H, W, C] as a looping GIF: to a temporary name first, then renamed.

    scale: pixels of the GIF per pixel of the frame, 1 or more. fps: frames per second, above 0 and at most 50
    (viewers slow down anything faster). Raises ValueError for other numbers, OSError when writing fails.
    """
    if scale < 1 or scale != int(scale):
        raise ValueError(f"scale: found {scale}, wanted a whole number of pixels, 1 or more")
    if not 0 < fps <= 50:
        raise ValueError(f"fps: found {fps}, wanted more than 0 and at most 50 frames per second")
    path = Path(path).expanduser()
    if path.suffix.lower() != ".gif":
        path = path.with_name(path.name + ".gif")
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (to_image(enlarge(frame, int(scale))) for frame in frames)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            first.save(
                file, "GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, optimize=False
            )
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
