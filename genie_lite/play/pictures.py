"""Frames as bytes and as files: PNG for the screen, looping GIFs for previews and for the disk."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from genie_lite.storage import whole_file

FPS = (0.1, 50.0)  # viewers slow down anything faster; a GIF counts its delays in hundredths of a second
MAX_GIF_SIDE = 4096  # pixels
_TRAILER = b";"


def to_image(frame: np.ndarray) -> Image.Image:
    """A frame uint8 [H, W, C], C 1 or 3, as a PIL image."""
    return Image.fromarray(np.ascontiguousarray(frame[..., 0] if frame.shape[-1] == 1 else frame))


def to_png(picture: np.ndarray | Image.Image) -> bytes:
    """A frame uint8 [H, W, C] or a PIL image as PNG bytes; compressed for speed rather than size."""
    image = to_image(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def to_gif(frames: Iterable[np.ndarray], *, scale: int = 1, fps: float = 8.0) -> bytes:
    """Frames uint8 [H, W, C] as the bytes of a looping GIF; arguments as for `write_gif`."""
    return b"".join(_gif(frames, scale, fps))


def write_gif(frames: Iterable[np.ndarray], path: str | Path, *, scale: int = 4, fps: float = 8.0) -> Path:
    """Write frames uint8 [H, W, C] as a looping GIF, one at a time, and return its path (with ``.gif`` added).

    scale: pixels of the GIF per pixel of the frame, 1 or more. fps: frames per second, 0.1 to 50.
    Raises ValueError for other numbers and OSError when writing fails, which leaves an older file as it was.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() != ".gif":
        path = path.with_name(path.name + ".gif")
    chunks = _gif(frames, scale, fps)
    first = next(chunks)  # checks the numbers before a file appears
    with whole_file(path) as file:
        file.write(first)
        file.writelines(chunks)
    return path


def _gif(frames: Iterable[np.ndarray], scale: int, fps: float) -> Iterator[bytes]:
    """The parts of a GIF file: Pillow encodes each frame as a file of its own, and these are joined here.

    Pillow's own writer keeps every frame in memory until the last one. Each frame brings its own palette.
    """
    if not isinstance(scale, (int, np.integer)) or scale < 1:
        raise ValueError(f"scale: found {scale!r}, wanted a whole number of pixels, 1 or more")
    if not isinstance(fps, (int, float, np.number)) or not FPS[0] <= fps <= FPS[1]:
        raise ValueError(f"fps: found {fps!r}, wanted {FPS[0]:g} to {FPS[1]:g} frames per second")
    delay = round(100 / fps).to_bytes(2, "little")
    control = b"!\xf9\x04\x00" + delay + b"\x00\x00"  # no transparency, nothing to dispose of
    for number, frame in enumerate(frames):
        image = _with_palette(to_image(frame))
        size = (image.width * int(scale), image.height * int(scale))
        if max(size) > MAX_GIF_SIDE:
            raise ValueError(f"scale: found {scale}, which makes {size[0]} × {size[1]} pixels; at most {MAX_GIF_SIDE}")
        buffer = io.BytesIO()
        image.resize(size, Image.Resampling.NEAREST).save(buffer, "GIF", optimize=False, interlace=0)
        if number == 0:
            width, height = (side.to_bytes(2, "little") for side in size)
            yield b"GIF89a" + width + height + b"\x00\x00\x00" + b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
        yield control + _image_block(buffer.getvalue())
    yield _TRAILER


def _with_palette(image: Image.Image) -> Image.Image:
    """An RGB picture in 256 colours or fewer. The octree is 20 times as fast as Pillow's default, which now and then
    is wrong by more than 100 levels of 255; the octree by 16 at most."""
    if image.mode == "L":
        return image
    return image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _image_block(file: bytes) -> bytes:
    """The image of a one-frame GIF file, its palette made local (GIF89a, sections 18 to 22)."""
    bits = file[10] & 0x07
    palette_end = 13 + 3 * 2 ** (bits + 1)
    start = palette_end
    while file[start : start + 1] == b"!":  # skip extensions: a label, then blocks that begin with their length
        start += 2
        while file[start]:
            start += file[start] + 1
        start += 1
    descriptor = file[start : start + 9] + bytes([0x80 | bits])
    return descriptor + file[13:palette_end] + file[start + 10 : -len(_TRAILER)]
