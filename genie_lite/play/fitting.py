"""Any picture as a prompt (figure 10 of the paper): read, turned upright, converted to RGB and fitted to a frame."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from genie_lite.data.fit import crop_size, fit_frames

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA", "ICO")
MAX_PIXELS = 64_000_000  # a larger picture is refused before it is decoded
MAX_BYTES = 256_000_000  # of an image file
MIN_SIDE = 8
DEPTH_NOTE = "values of more than 8 bits reduced to 8"


class PromptError(ValueError):
    """A picture or prompt that cannot be used; the message says why and what would work."""


@dataclass(frozen=True)
class FittedImage:
    """A picture as the model sees it, the original, and what was done to it."""

    frame: np.ndarray  # uint8 [H, W, C]
    original: Image.Image  # upright RGB, before cropping and resizing
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """Everything that was done, in one sentence."""
        text = "; ".join(self.notes) if self.notes else "taken as it is"
        return f"{text[0].upper()}{text[1:]}."


def fit_image(image: Any, frame_size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Fit any picture to a frame, uint8 [H, W, C]; `fit` also says what was done."""
    return fit(image, frame_size, channels).frame


def fit(image: Any, frame_size: tuple[int, int], channels: int = 3) -> FittedImage:
    """Fit a picture to frames of [H, W]: crop its centre to the frame's aspect ratio, then resize by area averaging.

    image: an array [H, W] or [H, W, 1 to 4] (integers 0 to 255, uint16, bool, or floats in [0, 1]), a PIL image, a
    path, or the bytes of an image file. Greyscale, palette, CMYK, 16-bit and transparent pictures (over white) become
    RGB; EXIF rotation is applied; an animation gives its first frame.
    Raises PromptError for anything that is not a picture, is damaged, has a side under 8 pixels or too many pixels.
    """
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow thinks of a file's metadata is of no use to a player
        picture = _decoded(_opened(image, notes), notes)
    height, width = frame_size
    w, h = picture.size
    if min(w, h) < MIN_SIDE:
        raise PromptError(f"picture: found {w} × {h} pixels, wanted at least {MIN_SIDE} on each side")
    crop_h, crop_w = crop_size((h, w), frame_size)
    if (crop_h, crop_w) != (h, w):
        notes.append(f"cropped to the centre, {w} × {h} to {crop_w} × {crop_h}")
    if (crop_h, crop_w) != (height, width):
        notes.append(f"{'shrunk' if crop_w > width else 'enlarged'} to {width} × {height} pixels")
    frame = fit_frames(_pixels(picture, frame_size, channels), frame_size)
    return FittedImage(np.array(frame), picture, tuple(notes))


def _pixels(picture: Image.Image, frame_size: tuple[int, int], channels: int) -> np.ndarray:
    """An RGB picture as uint8 [h, w, C], large ones shrunk by a whole factor first: resizing works in float32."""
    factor = min(picture.height // (8 * frame_size[0]), picture.width // (8 * frame_size[1]))
    picture = picture.reduce(factor) if factor > 1 else picture
    return np.asarray(picture) if channels == 3 else np.asarray(picture.convert("L"))[..., None]


def _opened(image: Any, notes: list[str]) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray):
        return _from_array(image, notes)
    if isinstance(image, (str, Path)):
        image = _read(Path(image).expanduser())
    if not isinstance(image, (bytes, bytearray, memoryview)):
        raise PromptError(
            f"picture: found {type(image).__name__}, wanted an array, a PIL image, a path, or the bytes of an image"
        )
    if len(image) == 0:
        raise PromptError("picture: the file is empty (0 bytes)")
    try:
        return Image.open(io.BytesIO(image), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PromptError(f"picture: too large ({error}); wanted at most {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # as above: any error means that this is not a picture Pillow can read
        raise PromptError(
            f"picture: not an image that can be read ({len(image):,} bytes); "
            f"wanted one of {', '.join(FORMATS)}, undamaged"
        ) from error


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise PromptError(f"picture {str(path)!r}: no such file; give the path of an image file")
        if path.stat().st_size > MAX_BYTES:
            raise PromptError(
                f"picture {str(path)!r}: found {path.stat().st_size:,} bytes, wanted {MAX_BYTES:,} at most"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if isinstance(error, PromptError):
            raise
        raise PromptError(f"picture {str(path)!r}: cannot be read ({error})") from error


def _decoded(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        return _rgb(_upright(_first_frame(image, notes), notes), notes)
    except PromptError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble over
        reason = f"{type(error).__name__}: {error}"
        raise PromptError(f"picture: damaged, it cannot be read to its end ({reason}); save it again") from error


def _first_frame(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise PromptError(
            f"picture: found {image.width} × {image.height} pixels, wanted at most {MAX_PIXELS:,} in all; shrink it"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"first of {frames} frames")
        image.seek(0)
    image.load()
    return image


def _from_array(array: np.ndarray, notes: list[str]) -> Image.Image:
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (2, 3, 4)):
        raise PromptError(f"picture: found an array of shape {list(array.shape)}, wanted [H, W] or [H, W, 1 to 4]")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise PromptError(f"picture: found shape {list(array.shape)}, wanted at most {MAX_PIXELS:,} pixels; shrink it")
    if array.dtype == np.uint16:
        notes.append(DEPTH_NOTE)
        array = (array // 257).astype(np.uint8)
    elif array.dtype == bool:
        array = array * np.uint8(255)
    elif array.dtype.kind in "fiu" and array.dtype != np.uint8:
        top = 1 if array.dtype.kind == "f" else 255
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= top):
            raise PromptError(
                f"picture: found {array.dtype} values from {low} to {high}, wanted uint8, or floats in [0, 1]"
            )
        array = np.rint(array * (255 / top)).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise PromptError(f"picture: found values of type {array.dtype}, wanted uint8, or floats in [0, 1]")
    return Image.fromarray(np.ascontiguousarray(array))


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.size != image.size or image.getexif().get(0x0112, 1) != 1:
        notes.append("turned upright as its EXIF data says")
    return upright


def _rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
        notes.append(DEPTH_NOTE)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        if layer.getchannel("A").getextrema()[0] < 255:  # type: ignore[operator]
            notes.append("transparent parts laid over white")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode in ("1", "L"):
        notes.append("greyscale")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit, 32-bit or float picture as 8-bit greyscale, scaled from its lowest possible value to its highest."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
    low, high = min(float(values.min()), 0.0), float(values.max())
    sixteen = image.mode.startswith("I;16") or (image.mode.startswith("I") and 255 < high <= 65535)
    top = 65535.0 if sixteen else next((top for top in (1.0, 255.0, 65535.0) if high <= top), high)
    return Image.fromarray(np.rint((values - low) / (top - low) * 255).clip(0, 255).astype(np.uint8))
