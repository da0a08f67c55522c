"""Any picture becomes a frame, or says why not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from genie_lite.play import PromptError, fit, fit_image

SIZE = (64, 64)
RED = (200, 30, 40)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that only claims to be this large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"])
def test_every_mode_of_picture_becomes_a_frame(mode):
    image = (
        Image.new(mode, (100, 80)) if mode in ("LAB", "I", "I;16", "F") else Image.new("RGB", (100, 80)).convert(mode)
    )
    frame = fit_image(image, SIZE)
    assert frame.shape == (64, 64, 3) and frame.dtype == np.uint8


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA"])
def test_every_format_is_read_from_bytes_and_path(kind, tmp_path):
    data = encoded(Image.new("RGB", (90, 90), RED), kind)
    path = tmp_path / "picture"
    path.write_bytes(data)
    for source in (data, bytearray(data), memoryview(data), path, str(path)):
        assert np.abs(fit_image(source, SIZE).astype(int) - RED).max() <= 3


@pytest.mark.parametrize("size", [(8, 8), (64, 64), (63, 65), (640, 480), (10, 2000), (1999, 1013)])
@pytest.mark.parametrize("frame_size", [(64, 64), (90, 160), (32, 20)])
def test_every_size_becomes_the_frame_size(size, frame_size):
    assert fit_image(Image.new("RGB", size, RED), frame_size).shape == (*frame_size, 3)
    assert (fit_image(Image.new("RGB", size, RED), frame_size) == RED).all()


def test_the_middle_is_kept_and_pixels_are_averaged():
    array = np.zeros((128, 256, 3), np.uint8)
    array[:, 64:192:2] = 200  # the middle square, every other column
    np.testing.assert_array_equal(fit_image(array, SIZE), np.full((64, 64, 3), 100))


def test_a_frame_of_the_right_size_passes_unchanged_and_is_a_copy():
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    fitted = fit(frame, SIZE)
    np.testing.assert_array_equal(fitted.frame, frame)
    assert fitted.summary == "Taken as it is."
    fitted.frame[:] = 0
    assert frame.any()


def test_what_was_done_is_said():
    fitted = fit(Image.new("L", (200, 100), 9), SIZE)
    assert fitted.summary == "Greyscale; cropped to the centre, 200 × 100 to 100 × 100; shrunk to 64 × 64 pixels."
    assert fitted.original.size == (200, 100)
    assert "Enlarged" in fit(Image.new("RGB", (16, 16)), SIZE).summary


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "RGB"])
def test_transparent_becomes_white(mode):
    clear = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    if mode == "RGB":
        image = Image.open(io.BytesIO(encoded(Image.new("RGB", (64, 64), RED), transparency=RED)))
    elif mode == "P":
        image = Image.open(io.BytesIO(encoded(Image.new("P", (64, 64)), transparency=0)))
    else:
        image = clear.convert(mode) if mode != "PA" else Image.new("PA", (64, 64), (0, 0))
    fitted = fit(image, SIZE)
    assert (fitted.frame == 255).all() and "over white" in fitted.summary


def test_half_transparent_is_mixed_with_white():
    assert fit_image(Image.new("RGBA", (64, 64), (0, 0, 0, 51)), SIZE)[0, 0].tolist() == [204, 204, 204]


def test_sixteen_bit_pictures_keep_their_brightness():
    grey = np.full((70, 70), 257 * 80, np.uint16)
    for source in (grey, Image.fromarray(grey), encoded(Image.fromarray(grey))):
        assert (fit_image(source, SIZE) == 80).all()


def test_an_animation_gives_its_first_frame():
    videos = [Image.new("RGB", (70, 70), colour) for colour in (RED, (0, 0, 255), (0, 255, 0))]
    fitted = fit(encoded(videos[0], "GIF", save_all=True, append_images=videos[1:]), SIZE)
    assert np.abs(fitted.frame.astype(int) - RED).max() <= 3 and "first of 3 frames" in fitted.summary.lower()


def test_a_photo_taken_sideways_is_turned():
    photo = np.zeros((80, 80, 3), np.uint8)
    photo[:40] = 255  # bright above
    exif = Image.Exif()
    exif[0x0112] = 8  # the camera was turned: show it a quarter turn anticlockwise
    fitted = fit(encoded(Image.fromarray(photo), "PNG", exif=exif), SIZE)
    assert fitted.frame[:, :30].min() == 255 and fitted.frame[:, 34:].max() == 0 and "EXIF" in fitted.summary


@pytest.mark.parametrize(
    "array",
    [np.full((70, 70), 0.5, np.float32), np.full((70, 70, 1), 0.5), np.full((70, 70, 4), (0.5, 0.5, 0.5, 1.0)),
     np.full((70, 70, 3), 128, np.int64), np.full((70, 70, 2), (128, 255), np.uint8)],
)  # fmt: skip
def test_arrays_of_many_kinds(array):
    assert (fit_image(array, SIZE) == 128).all()


def test_one_channel_worlds_get_one_channel():
    assert fit_image(Image.new("RGB", (80, 80), RED), SIZE, channels=1).shape == (64, 64, 1)


GOOD = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)))
JPEG = encoded(Image.open(io.BytesIO(GOOD)), "JPEG")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"", "empty"),
        (b"hello, I am a text", "not an image"),
        (b"%PDF-1.4 ...", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (GOOD[: len(GOOD) // 2], "damaged"),
        (JPEG[: len(JPEG) // 2], "damaged"),
        (GOOD[:30], "not an image|damaged"),
        (GOOD[:2000] + bytes(500) + GOOD[2500:], "damaged"),
        (png_header(40_000, 40_000), "too large"),
        (png_header(12_000, 9_000), "at most 64,000,000"),
        (png_header(0, 5), "not an image|damaged|at least 8"),
        (Image.new("RGB", (7, 900)), "found 7 × 900 pixels, wanted at least 8"),
        (Image.new("RGB", (0, 0)), "at least 8|damaged"),
        ("no/such/file.png", "no such file"),
        (".", "no such file"),
        (42, "found int"),
        (None, "found NoneType"),
        (np.zeros((0, 9, 3), np.uint8), r"shape \[0, 9, 3\]"),
        (np.zeros((4, 70, 70, 3), np.uint8), "shape"),
        (np.zeros((70, 70, 5), np.uint8), "shape"),
        (np.full((70, 70), 3.5), "floats in"),
        (np.full((70, 70), np.nan), "floats in"),
        (np.full((70, 70), -1), "floats in"),
        (np.zeros((70, 70), complex), "values of type complex"),
        (np.array([["a"] * 70] * 70), "values of type"),
    ],
)
def test_what_cannot_be_used_is_said_clearly(wrong, message):
    with pytest.raises(PromptError, match=message):
        fit_image(wrong, SIZE)


def test_a_huge_claim_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("unpacked"))
    with pytest.raises(PromptError):
        fit_image(png_header(9_000, 9_000), SIZE)
