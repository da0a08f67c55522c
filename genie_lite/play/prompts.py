"""Prompts: where play starts. Frames of a dataset, and any picture fitted to the world's frame size (figure 10)."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from genie_lite.api import Genie

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA", "ICO")
MAX_PIXELS = 64_000_000  # a larger picture is refused before it is unpacked
MIN_SIDE = 8
_DECODING = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error)


class PromptError(ValueError):
    """A picture or prompt that cannot be used; the message says why and what would do."""


@dataclass(frozen=True)
class FittedImage:
    """A picture as the model sees it, beside the original, with what was done to it."""

    frame: np.ndarray  # uint8 [H, W, C]
    original: Image.Image  # upright RGB, before cropping and resizing
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """One sentence: everything that was done."""
        text = "; ".join(self.notes) if self.notes else "taken as it is"
        return f"{text[0].upper()}{text[1:]}."


def fit_image(image: Any, frame_size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Any picture as a frame, uint8 [H, W, C]; `fit` also tells what was done."""
    return fit(image, frame_size, channels).frame


def fit(image: Any, frame_size: tuple[int, int], channels: int = 3) -> FittedImage:
    """Fit a picture to frames of [H, W]: cut from its middle to the frame's aspect, then resized by area.

    image: an array [H, W] or [H, W, 1..4] (integers 0 .. 255, uint16, bool, or floats in [0, 1]), a PIL image, a path,
    or the bytes of an image file. Greyscale, palette, CMYK, 16-bit and transparent pictures (over white) become RGB;
    EXIF rotation is applied; an animation gives its first frame.
    Raises PromptError for what is no picture, is damaged, has a side under 8 pixels, or over 64 million pixels.
    """
    height, width = frame_size
    notes: list[str] = []
    try:
        picture = _rgb(_upright(_opened(image, notes), notes), notes)
    except _DECODING as error:
        if isinstance(error, PromptError):
            raise
        raise PromptError(f"picture: damaged, it cannot be read to its end ({error}); save it again") from error
    w, h = picture.size
    if min(w, h) < MIN_SIDE:
        raise PromptError(f"picture: found {w} × {h} pixels, wanted at least {MIN_SIDE} on each side")
    crop_w, crop_h = min(w, h * width / height), min(h, w * height / width)
    box = ((w - crop_w) / 2, (h - crop_h) / 2, (w + crop_w) / 2, (h + crop_h) / 2)
    if crop_w < w or crop_h < h:
        notes.append(f"cut from the middle, {w} × {h} to {round(crop_w)} × {round(crop_h)}")
    if (crop_w, crop_h) != (width, height):
        verb = "shrunk" if crop_w > width else "enlarged"
        notes.append(f"{verb} to {width} × {height} pixels")
    fitted = picture.resize((width, height), Image.Resampling.BOX, box=box)
    frame = np.asarray(fitted if channels == 3 else fitted.convert("L"))
    return FittedImage(np.array(frame.reshape(height, width, channels)), picture, tuple(notes))


def _opened(image: Any, notes: list[str]) -> Image.Image:
    if isinstance(image, Image.Image):
        return _first_frame(image, notes)
    if isinstance(image, np.ndarray):
        return _from_array(image, notes)
    if isinstance(image, (str, Path)):
        path = Path(image).expanduser()
        if not path.is_file():
            raise PromptError(f"picture {str(image)!r}: no such file; give the path of an image file")
        image = path.read_bytes()
    if not isinstance(image, (bytes, bytearray, memoryview)):
        raise PromptError(
            f"picture: found {type(image).__name__}, wanted an array, a PIL image, a path, or the bytes of an image"
        )
    if len(image) == 0:
        raise PromptError("picture: the file is empty (0 bytes)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            opened = Image.open(io.BytesIO(image), formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise PromptError(f"picture: too large ({error}); wanted at most {MAX_PIXELS:,} pixels") from error
        except _DECODING as error:
            raise PromptError(
                f"picture: not an image that can be read ({len(image):,} bytes); "
                f"wanted one of {', '.join(FORMATS)}, undamaged"
            ) from error
    return _first_frame(opened, notes)


def _first_frame(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise PromptError(
            f"picture: found {image.width} × {image.height} pixels, wanted at most {MAX_PIXELS:,} in all; shrink it"
        )
    if getattr(image, "n_frames", 1) > 1:
        notes.append(f"first of {image.n_frames} frames")  # type: ignore[attr-defined]
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
        notes.append("16-bit values reduced to 8 bits")
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
        values = np.asarray(image, dtype=np.float64)
        low, high = float(np.nan_to_num(values).min()), float(np.nan_to_num(values).max())
        top = next((top for top in (1.0, 255.0, 65535.0) if high <= top), high)
        top = 65535.0 if image.mode.startswith("I") and 255 < high <= 65535 or image.mode.startswith("I;16") else top
        values = np.nan_to_num(values) - min(low, 0.0)
        image = Image.fromarray(np.rint(values / (top - min(low, 0.0)) * 255).clip(0, 255).astype(np.uint8))
        notes.append("high-depth values reduced to 8 bits")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        if np.asarray(layer)[..., 3].min() < 255:
            notes.append("transparent parts laid over white")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode in ("1", "L"):
        notes.append("greyscale")
    return image if image.mode == "RGB" else image.convert("RGB")


# ------------------------------------------------------------------------------------------ prompts for a world


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
    """Prompts from a dataset (or from frames uint8 [N, H, W, C]), in an order shuffled by `seed`.

    length: frames in each prompt, 1 or more; with 2 to 4 the world also sees which way things move.
    stride: stored frames from one frame of a prompt to the next.
    """

    def __init__(self, genie: Genie, dataset: Any, *, length: int = 1, stride: int = 1, seed: int = 0) -> None:
        self.genie, self.dataset, self.length, self.stride = genie, dataset, length, stride
        self.position = 0
        self._starts = (
            np.arange(len(dataset) - (length - 1) * stride)
            if isinstance(dataset, np.ndarray)
            else np.asarray(dataset.clip_starts(length, stride))
        )
        if len(self._starts) == 0:
            raise PromptError(f"prompts: the dataset has no {length} frames in one episode; give another, or length=1")
        self._starts = np.random.default_rng(seed).permutation(self._starts)

    @classmethod
    def of_sample(cls, genie: Genie, **options: Any) -> Prompts:
        """Prompts from the CoinRun videos that ship, of the world's own game, from levels no model was trained on."""
        from genie_lite.data import sample_dataset, sample_game

        return cls(genie, sample_dataset("test", game=sample_game(genie.config)), **options)

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
