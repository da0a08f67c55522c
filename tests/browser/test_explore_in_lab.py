"""A picture with controls in a real JupyterLab: its sliders have names and obey the keyboard, and a click is heard."""

from __future__ import annotations

import pytest
from browser.conftest import open_notebook
from nbformat import v4, write

pytestmark = pytest.mark.browser

CELL = """
from PIL import Image
from genie_lite import course

def squares(grey, side):
    picture = Image.new("RGB", (200, 100), "black")
    picture.paste((grey, 0, 0), (0, 0, side, side))
    return picture

def click(x, y, grey, side):
    return {"side": round(x / 10) * 10}

course.explore(squares, {"side": 20}, click=click, words="A square.", grey=(100, 200), side=range(10, 110, 10))
"""
PIXEL = """([x, y]) => {
  const image = document.querySelector('img[alt="A square."]');
  if (!image?.naturalWidth) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.getContext("2d").getImageData(x, y, 1, 1).data[0];
}"""


def wait_for_pixel(page, x: int, y: int, red: int) -> None:
    page.wait_for_function(f"([x, y, red]) => ({PIXEL})([x, y]) === red", arg=[x, y, red])


def test_sliders_and_clicks_change_the_picture(browser, server) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = v4.new_notebook(cells=[v4.new_code_cell(CELL.strip())], metadata=kernel)
    write(notebook, server[2] / "explore.ipynb")
    page = open_notebook(browser, server, "explore.ipynb")
    try:
        page.locator(".jp-Notebook .jp-Cell").first.click()
        page.keyboard.press("Shift+Enter")
        wait_for_pixel(page, 15, 15, 100)
        grey, side = (page.get_by_role("slider", name=name) for name in ("grey", "side"))
        grey.focus()
        page.keyboard.press("ArrowRight")
        wait_for_pixel(page, 15, 15, 200)
        assert grey.get_attribute("aria-valuetext") == "200"
        assert page.evaluate(PIXEL, [55, 55]) == 0
        page.locator('img[alt="A square."]').click(position={"x": 60, "y": 40})
        wait_for_pixel(page, 55, 55, 200)
        assert side.get_attribute("aria-valuetext") == "60"
    finally:
        page.context.close()
