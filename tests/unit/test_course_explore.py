"""Pictures with controls: they follow the controls, and leave a still picture where no kernel runs."""

from __future__ import annotations

import base64
import io
import runpy

import matplotlib.pyplot as plt
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from genie_lite.course import CourseError, explore, notes
from genie_lite.course.explore import as_png, explorer

WIDGET = "application/vnd.jupyter.widget-view+json"


def square(grey: int, side: int) -> Image.Image:
    return Image.new("RGB", (side, side), (grey, grey, grey))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_the_picture_follows_every_control() -> None:
    box = explorer(square, grey=(10, 200), side=range(2, 6))
    controls, screen = box.children
    assert [slider.description for slider in controls.children] == ["grey", "side"]
    assert (pixels(screen.value) == 10).all() and pixels(screen.value).shape == (2, 2, 3)
    controls.children[0].value = 200
    assert (pixels(screen.value) == 200).all()
    controls.children[1].value = 5
    assert (pixels(screen.value) == 200).all() and pixels(screen.value).shape == (5, 5, 3)


def test_without_a_kernel_the_first_picture_is_left(repository, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict] = []
    monkeypatch.setattr(notes, "display", shown.append)
    explore(square, words="A square.", grey=(10, 200), side=(3,))
    assert WIDGET in shown[0]  # what JupyterLab shows while the kernel runs
    cell = new_code_cell("course.explore()", outputs=[new_output("display_data", data=shown[0])])
    notebook = new_notebook(cells=[cell])
    runpy.run_path(str(repository / "tools" / "course.py"))["tidy"](notebook)  # as notebooks are committed
    [output] = notebook.cells[0].outputs
    assert set(output.data) == {"image/png", "text/plain"} and output.data["text/plain"].startswith("A square. ")
    assert "Run this cell" in output.data["text/plain"]
    assert (pixels(base64.b64decode(output.data["image/png"])) == 10).all()


def test_it_starts_where_it_is_told_to() -> None:
    box = explorer(square, {"grey": 200}, grey=(10, 200), side=(3, 4))
    assert (pixels(box.children[1].value) == 200).all() and pixels(box.children[1].value).shape == (3, 3, 3)
    for start in ({"grey": 11}, {"colour": 10}):
        with pytest.raises(CourseError, match=f"start has {list(start)}".replace("[", r"\[")):
            explorer(square, start, grey=(10, 200), side=(3, 4))


def test_a_click_sets_arguments_and_draws_once() -> None:
    drawn: list[tuple[int, int]] = []

    def draw(grey: int, side: int) -> Image.Image:
        drawn.append((grey, side))
        return square(grey, side)

    def click(x: float, y: float, grey: int, side: int) -> dict[str, int]:
        assert (x, y) == (1.5, 2.0)
        return {"grey": 200, "side": side + 1} if side < 4 else {}

    box = explorer(draw, click=click, words="A square.", grey=(10, 200), side=(3, 4))
    controls, screen = box.children
    assert screen.clickable and screen.words == "A square."
    screen.clicked = [1.5, 2.0, 1]
    assert [slider.value for slider in controls.children] == [200, 4] and drawn == [(10, 3), (200, 4)]
    assert (pixels(screen.value) == 200).all() and pixels(screen.value).shape == (4, 4, 3)
    screen.clicked = [1.5, 2.0, 2]  # where nothing is
    assert [slider.value for slider in controls.children] == [200, 4]
    controls.children[0].value = 10  # the sliders still work
    assert (pixels(screen.value) == 10).all()


def test_a_picture_that_cannot_be_clicked_says_so() -> None:
    assert not explorer(square, grey=(10,), side=(3,)).children[1].clickable


def test_figures_are_drawn_and_closed() -> None:
    figure, _ = plt.subplots(figsize=(2, 1))
    assert pixels(as_png(figure)).shape == (80, 160, 3)
    assert not plt.fignum_exists(figure.number)


def test_what_cannot_be_shown_is_named() -> None:
    with pytest.raises(CourseError, match="draw: found ndarray, expected a PIL image or a matplotlib figure"):
        explorer(lambda x: np.zeros(3), x=[1])
    with pytest.raises(CourseError, match=r"explore: found \['side'\], expected one value or more"):
        explorer(square, grey=[1], side=[])
    with pytest.raises(CourseError, match="explore: found no argument"):
        explorer(lambda: None)
