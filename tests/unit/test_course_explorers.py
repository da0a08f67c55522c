"""What one looks through with controls: clicks choose what lies under them, and what is outlined is what is there."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from genie_lite.course import explorers
from genie_lite.course.explorers import BETWEEN, ENLARGED, RED, TOP, ActionView, CodebookView, RolloutView
from genie_lite.evaluation import psnr

P, SIDE, CODES, VIDEOS, FRAMES = 8, 32, 10, 3, 5  # patch, frame, codebook
PLACES = (SIDE // P) ** 2


@pytest.fixture
def codebook() -> CodebookView:
    """A codebook each of whose codes decodes to one grey level; code 9 is never used."""
    tokens = np.random.default_rng(0).integers(CODES - 1, size=(VIDEOS, FRAMES, PLACES))
    grid = tokens.reshape(VIDEOS, FRAMES, SIDE // P, SIDE // P).repeat(P, axis=2).repeat(P, axis=3)
    decoded = np.repeat((20 * grid[..., None]).astype(np.uint8), 3, axis=-1)
    return CodebookView(tokens, decoded + np.uint8(3), decoded, patch_size=P, num_codes=CODES)


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB")).astype(int)


def is_red(area: np.ndarray) -> np.ndarray:
    return (np.abs(area - np.array([int(255 * part) for part in to_rgb(RED)])) <= 2).all(axis=-1)


def test_a_code_is_shown_as_what_it_decodes_to(codebook: CodebookView) -> None:
    for code in range(CODES - 1):
        assert (codebook.faces[code] == 20 * code).all()
    assert (codebook.faces[CODES - 1] == 255).all() and codebook.counts[CODES - 1] == 0


def test_a_click_on_a_code_chooses_it(codebook: CodebookView) -> None:
    now = {"code": 0, "video": 1, "frame": 2}
    for code in range(CODES):
        row, column = divmod(code, codebook.side)
        x, y = (column + 0.5) * codebook.cell, TOP + (row + 0.5) * codebook.cell
        assert codebook.click(x, y, **now) == {"code": code}


def test_a_click_on_a_patch_of_either_frame_chooses_its_token(codebook: CodebookView) -> None:
    for shift in (0, ENLARGED * SIDE + BETWEEN):
        for place in range(PLACES):
            row, column = divmod(place, SIDE // P)
            x = codebook.left + shift + (column + 0.5) * P * ENLARGED
            y = TOP + (row + 0.5) * P * ENLARGED
            chosen = codebook.click(x, y, code=0, video=1, frame=2)
            assert chosen == {"code": codebook.tokens[1, 1, place]}


def test_a_click_beside_them_changes_nothing(codebook: CodebookView) -> None:
    now = {"code": 0, "video": 1, "frame": 2}
    width, height = codebook.draw(**now).size
    between = codebook.left + ENLARGED * SIDE + BETWEEN / 2
    after_the_last = (codebook.side * codebook.cell - 2, TOP + codebook.book.height - 2)  # the square is not full
    for x, y in ((between, TOP + 20), (width - 5, height - 5), (5, 5), (codebook.left - 3, TOP + 20), after_the_last):
        assert codebook.click(x, y, **now) == {}, (x, y)


def test_red_marks_the_patches_that_have_the_code(codebook: CodebookView) -> None:
    for code in (0, 4, CODES - 1):
        picture = pixels(codebook.draw(code, 2, 3))
        for shift in (0, ENLARGED * SIDE + BETWEEN):
            left = codebook.left + shift
            frame = is_red(picture[TOP : TOP + ENLARGED * SIDE, left : left + ENLARGED * SIDE])
            step = P * ENLARGED
            corners = frame[::step, ::step].ravel()  # the upper left pixel of each patch
            assert (corners == (codebook.tokens[2, 2] == code)).all()


def test_most_finds_the_frame_with_most_uses(codebook: CodebookView) -> None:
    video, frame = codebook.most(4, VIDEOS)
    uses = (codebook.tokens == 4).sum(axis=2)
    assert uses[video, frame - 1] == uses.max()


def test_tokens_must_be_those_of_the_patches(codebook: CodebookView) -> None:
    with pytest.raises(ValueError, match="tokens: found 16 per frame, expected 8 x 8 patches"):
        CodebookView(codebook.tokens, codebook.videos, codebook.decoded, patch_size=4, num_codes=CODES)


def test_the_code_of_the_step_lights_up_and_the_key_stands_beside() -> None:
    rng = np.random.default_rng(1)
    videos = rng.integers(255, size=(2, 4, 16, 16, 3), dtype=np.uint8)
    far = rng.uniform(size=(2, 3, 8))
    codes, keys = far.argmin(axis=2), np.array([["left", "none", "right"], ["up", "down", "none"]])
    view = ActionView(videos, codes, far, keys)
    for step in range(3):
        figure = view.draw(1, step + 1)
        above, below = figure.subfigs
        before, after, bars = above.axes
        assert (before.images[0].get_array() == videos[1, step]).all()
        assert (after.images[0].get_array() == videos[1, step + 1]).all()
        lit = [k for k, bar in enumerate(bars.patches) if to_hex(bar.get_facecolor()) != explorers.FAINT]
        assert lit == [codes[1, step]] and [bar.get_height() for bar in bars.patches] == list(far[1, step])
        assert keys[1, step] in above.get_suptitle()
        assert [axis.get_title() for axis in below.axes] == ["", *map(str, codes[1])]
        plt.close(figure)


def test_a_rollout_stands_beside_the_game() -> None:
    rng = np.random.default_rng(2)
    real = rng.integers(255, size=(2, 6, 16, 16, 3), dtype=np.uint8)
    made = {"right": real[:, 1:] // 2, "wrong": 255 - real[:, 1:]}
    view = RolloutView(real, made)
    for frame in (1, 5):
        figure = view.draw("wrong", 1, frame)
        pictures, curve = figure.subfigs
        game, prompt, world, difference = (axis.images[0].get_array() for axis in pictures.axes)
        assert (game == real[1, frame]).all() and (prompt == real[1, 0]).all()
        assert (world == made["wrong"][1, frame - 1]).all()
        assert (difference == np.abs(world.astype(int) - game)).all()
        lines = {line.get_label(): line for line in curve.axes[0].lines}
        for name, frames in made.items():
            expected = psnr(real[1, 1 : frame + 1], frames[1, :frame])
            assert list(lines[name].get_xdata()) == list(range(1, frame + 1))
            assert np.allclose(lines[name].get_ydata(), expected)
        plt.close(figure)
