"""What others hand in, pictures and model cards, never does more than give a clear error."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
from fakes import FakeGenie
from PIL import Image

from genie_lite.play import ActionLabel, PlaySession, PromptError, fit
from genie_lite.play.actions import card_labels, read_labels
from genie_lite.play.fitting import FORMATS

SIZE = (64, 64)
ROWS = [{"dx": 1.0, "dy": 0.0, "share": 0.1}] * 6


def picture(kind: str) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(noise).resize((48, 48)) if kind == "ICO" else Image.fromarray(noise)
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_picture_gives_a_frame_or_says_that_it_is_damaged(kind):
    """Cut short, with bytes changed, and with bytes left out."""
    rng = np.random.default_rng(FORMATS.index(kind))
    whole = picture(kind)
    refused = 0
    for turn in range(60):
        data = bytearray(whole)
        if turn % 3 == 0:
            del data[int(rng.integers(1, len(data))) :]
        else:
            for place in rng.integers(0, min(len(data), 400 if turn % 2 else len(data)), 4):
                data[place] = int(rng.integers(256))
        if turn % 3 == 1:
            del data[10 : 10 + int(rng.integers(1, 20))]
        try:
            assert fit(bytes(data), SIZE).frame.shape == (64, 64, 3)
        except PromptError as error:
            assert str(error).startswith("picture")
            refused += 1
    assert refused > 0


def test_a_path_that_is_no_plain_file_is_refused_and_not_read(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero", tmp_path, "a\0b"):
        with pytest.raises(PromptError, match="no such file|cannot be read"):
            fit(path, SIZE)
        with pytest.raises(ValueError, match="cannot be read"):
            read_labels(path, 6)


def test_a_file_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(300_000_000)  # sparse: it takes no room
    with pytest.raises(PromptError, match="300,000,000 bytes"):
        fit(path, SIZE)
    with pytest.raises(ValueError, match="300,000,000 bytes"):
        read_labels(path, 6)


@pytest.mark.parametrize("actions", ["/dev/zero", "actions.json", "../../secret.json"])
def test_a_card_cannot_name_a_file(actions):
    genie = FakeGenie()
    genie.card["actions"] = actions
    with pytest.raises(ValueError, match="a card cannot name a file"):
        PlaySession(genie, np.zeros((64, 64, 3), np.uint8)).press("left")


@pytest.mark.parametrize(
    "actions",
    [
        42,
        True,
        {},
        [],
        [None] * 6,
        ["left"] * 6,
        ROWS[:5],
        [*ROWS[:5], {"dx": "fast", "dy": 0}],
        [*ROWS[:5], {"dx": float("nan"), "dy": 0}],
        [*ROWS[:5], {"dx": float("inf"), "dy": 0}],
        [*ROWS[:5], {"dx": 10**400, "dy": 0}],
        [*ROWS[:5], {"dx": [1], "dy": 0}],
        [*ROWS[:5], {"dx": 1, "dy": 0, "share": -3}],
        {"dx": 1, "dy": 2},
        {"dx": [1] * 6, "dy": [1] * 5},
        {"dx": "123456", "dy": None},
        {"actions": {"actions": ROWS}},
    ],
)
def test_a_card_of_wrong_types_is_refused_with_what_was_found(actions):
    genie = FakeGenie()
    genie.card["actions"] = actions
    with pytest.raises(ValueError, match="action descriptions: "):
        card_labels(genie)


def test_a_file_of_labels_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "actions.json"
    for content in (b"[" * 100_000, b"\xff\xfe", b"", b"{", json.dumps({"dx": 3}).encode()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="action descriptions"):
            read_labels(path, 6)
    path.write_text(json.dumps(ROWS))
    assert read_labels(path, 6) == [ActionLabel(1.0, 0.0, 0.1)] * 6
