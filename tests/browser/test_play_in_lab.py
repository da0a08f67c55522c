"""The player in a real JupyterLab in a real browser, in notebook 00 and in a minimal notebook."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

pytestmark = pytest.mark.browser

PIXELS = """() => {
  const picture = document.querySelector(".gl-player .gl-screen");
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return canvas.toDataURL();
}"""
PLACE = """() => {
  const notebook = document.querySelector(".jp-Notebook");
  const everything = [...document.querySelectorAll("*")];
  const scrolled = everything.filter((e) => e.scrollTop).map((e) => [e.className, e.scrollTop]);
  const active = document.querySelector(".jp-Cell.jp-mod-active");
  return JSON.stringify({
    scrolled,
    edit: notebook.classList.contains("jp-mod-editMode"),
    active: active?.dataset.windowedListIndex,
    cells: notebook.querySelectorAll(".jp-Cell").length,
  });
}"""


def frame_number(page) -> int:
    return int(re.search(r"frame (\d+)", page.locator(".gl-status").first.inner_text()).group(1))


def wait_for_frame(page, number: int) -> None:
    page.wait_for_function(
        "n => document.querySelector('.gl-player .gl-status').innerText.startsWith(`frame ${n}`)", arg=number
    )


def wait_for_change(page, before: str) -> str:
    page.wait_for_function(f"before => ({PIXELS})() !== before", arg=before)
    return page.evaluate(PIXELS)


def open_panel(page, title: str) -> None:
    header = page.locator(".gl-panels .jupyter-widget-Collapse-header", has_text=title).first
    if "jupyter-widget-Collapse-open" not in header.locator("xpath=..").get_attribute("class"):
        header.click()


def play_all(page, press) -> None:
    """Press one control after another; each gives a frame, and the picture changes."""
    start = page.evaluate(PIXELS)
    number = frame_number(page)
    for count, one in enumerate(press, start=1):
        one()
        wait_for_frame(page, number + count)
    wait_for_change(page, start)


def test_each_action_button_gives_a_frame(notebook):
    buttons = notebook.locator(".gl-player").first.locator(".gl-action")
    assert buttons.count() >= 2
    play_all(notebook, [buttons.nth(n).click for n in range(buttons.count())])


def test_arrow_keys_play_and_the_notebook_stays_where_it_is(notebook):
    keys = {"←": "ArrowLeft", "↑": "ArrowUp", "→": "ArrowRight", "↓": "ArrowDown"}
    shown = " ".join(text.split("\n")[-1] for text in notebook.locator(".gl-action").all_inner_texts())
    mapped = [name for glyph, name in keys.items() if glyph in shown]
    assert mapped, f"no button shows an arrow key: {shown}"
    notebook.locator(".gl-screen").first.click()
    before = notebook.evaluate(PLACE)
    play_all(notebook, [lambda name=name: notebook.keyboard.press(name) for name in mapped * 3])
    for name in set(keys.values()) - set(mapped):
        notebook.keyboard.press(name)
    assert notebook.evaluate(PLACE) == before


def test_number_keys_play_and_backspace_takes_back(notebook):
    notebook.locator(".gl-screen").first.click()
    before, number, place = notebook.evaluate(PIXELS), frame_number(notebook), notebook.evaluate(PLACE)
    notebook.keyboard.press("1")
    wait_for_frame(notebook, number + 1)
    notebook.keyboard.press("Backspace")
    wait_for_frame(notebook, number)
    notebook.wait_for_function(f"before => ({PIXELS})() === before", arg=before)
    assert notebook.evaluate(PLACE) == place


def test_keys_also_work_after_a_button_was_clicked(notebook):
    number = frame_number(notebook)
    notebook.locator(".gl-action").first.click()
    wait_for_frame(notebook, number + 1)
    notebook.keyboard.press("0")
    wait_for_frame(notebook, number + 2)


def test_a_slider_keeps_its_own_arrow_keys(notebook):
    number = frame_number(notebook)
    handle = notebook.locator(".gl-sliders .noUi-handle").first
    handle.focus()
    before = handle.get_attribute("aria-valuenow")
    notebook.keyboard.press("ArrowRight")
    notebook.wait_for_function(
        "before => document.querySelector('.gl-sliders .noUi-handle').getAttribute('aria-valuenow') !== before",
        arg=before,
    )
    assert frame_number(notebook) == number


def test_a_drawing_becomes_the_prompt(notebook):
    before = notebook.evaluate(PIXELS)
    open_panel(notebook, "drawing")
    canvas = notebook.locator(".gl-canvas").first
    canvas.scroll_into_view_if_needed()
    notebook.locator(".gl-swatch[title='coin']").first.click()
    box = canvas.bounding_box()
    notebook.mouse.move(box["x"] + 20, box["y"] + box["height"] * 0.7)
    notebook.mouse.down()
    notebook.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] * 0.7, steps=8)
    notebook.mouse.up()
    notebook.locator(".gl-draw button", has_text="Use as prompt").first.click()
    wait_for_change(notebook, before)
    wait_for_frame(notebook, 0)
    assert "Playing from your drawing" in notebook.locator(".gl-message").first.inner_text()
    notebook.locator(".gl-preview img.gl-seen:visible").first.wait_for()


def picture(colour) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((320, 240)).save(buffer, "PNG")
    image = Image.open(buffer)
    image.paste(colour, (100, 60, 220, 180))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def choose_file(page, name: str, content: bytes) -> None:
    open_panel(page, "own picture")
    with page.expect_file_chooser() as chooser:
        page.locator(".widget-upload:visible").first.click()
    chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})


def test_an_uploaded_picture_becomes_the_prompt_also_twice(notebook):
    for colour in ((200, 30, 40), (30, 200, 40)):
        before = notebook.evaluate(PIXELS)
        choose_file(notebook, "mine.png", picture(colour))
        wait_for_change(notebook, before)
        wait_for_frame(notebook, 0)


def test_a_broken_upload_is_said_and_the_old_frame_stays(notebook):
    notebook.locator(".gl-action").first.click()
    notebook.wait_for_function("() => !document.querySelector('.gl-player .gl-status').innerText.startsWith('frame 0')")
    before, number = notebook.evaluate(PIXELS), frame_number(notebook)
    choose_file(notebook, "broken.png", picture((9, 9, 9))[:400])
    message = notebook.locator(".gl-error").first
    message.wait_for()
    assert "broken.png" in message.inner_text() and "damaged" in message.inner_text()
    assert notebook.evaluate(PIXELS) == before and frame_number(notebook) == number


def test_auto_play_runs_beside_other_cells_and_stops(notebook):
    button = notebook.locator(".gl-player button", has_text="Auto-play").first
    number = frame_number(notebook)
    button.click()
    notebook.wait_for_function(
        "n => +document.querySelector('.gl-player .gl-status').innerText.match(/\\d+/)[0] > n + 3", arg=number
    )
    button.click()
    notebook.wait_for_selector(".gl-player .widget-toggle-button:not(.mod-active)")
    stopped = frame_number(notebook)
    notebook.locator(".gl-player button", has_text="Reset").first.click()  # served after everything before it
    wait_for_frame(notebook, 0)
    assert stopped > number
