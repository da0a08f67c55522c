"""The player in a real JupyterLab in a real browser, in a minimal notebook and in notebook 00."""

from __future__ import annotations

import io
import re

import pytest
from browser.conftest import PATIENCE, open_notebook, run_to_player
from PIL import Image

pytestmark = pytest.mark.browser

PIXELS = "() => document.querySelector('.gl-player .gl-screen').toDataURL()"
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
SCROLLED_UP = """() => {
  const panel = document.querySelector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer");
  panel.scrollTop = 0;
  return panel.scrollTop === 0;
}"""
STYLES = """(element) => {
  const seen = [];
  for (let e = element; e; e = e.parentElement) {
    const { display, visibility } = getComputedStyle(e);
    seen.push([e.className, display, visibility, e.getBoundingClientRect().height]);
  }
  return JSON.stringify(seen);
}"""
ARROWS = {"left": "ArrowLeft", "up": "ArrowUp", "right": "ArrowRight", "down": "ArrowDown"}


def frame_number(page) -> int:
    return int(re.search(r"frame (\d+)", page.locator(".gl-status").first.inner_text()).group(1))


def wait_for_frame(page, number: int) -> None:
    page.wait_for_function(
        "n => +document.querySelector('.gl-player .gl-status').innerText.match(/\\d+/)?.[0] === n", arg=number
    )


def wait_for_change(page, before: str) -> str:
    page.wait_for_function(f"before => ({PIXELS})() !== before", arg=before)
    return page.evaluate(PIXELS)


def open_fold(page, name: str) -> None:
    fold = page.locator(f".gl-fold.{name}").first
    if fold.get_attribute("open") is None:
        fold.locator("summary").click()


def test_it_has_the_keyboard_as_soon_as_it_is_shown_and_shift_enter_goes_on(notebook):
    number, place = frame_number(notebook), notebook.evaluate(PLACE)
    notebook.keyboard.press("ArrowRight")
    wait_for_frame(notebook, number + 1)
    assert notebook.evaluate(PLACE) == place
    run = ".jp-CodeCell:has(.gl-player) .jp-InputPrompt"
    before = notebook.locator(run).first.text_content()  # which a cell keeps when it is scrolled out of sight
    notebook.keyboard.press("Shift+Enter")
    notebook.wait_for_function(f"before => ({PLACE})() !== before", arg=place)
    assert notebook.locator(run).first.text_content() == before, "not the player's cell again, but the next one"


def test_keys_play_and_the_notebook_stays_where_it_is(notebook):
    notebook.locator(".gl-stage").first.click()
    start, number, place = notebook.evaluate(PIXELS), frame_number(notebook), notebook.evaluate(PLACE)
    known = notebook.locator(".gl-key").evaluate_all("keys => keys.map((key) => key.dataset.key)")
    pressed = [ARROWS[key] for key in known if key in ARROWS]
    assert "ArrowLeft" in pressed and "ArrowRight" in pressed
    for key in [*pressed, "1", *(["w", "Space"] if "up" in known else [])]:
        number += 1
        notebook.keyboard.press(key)
        wait_for_frame(notebook, number)
    wait_for_change(notebook, start)
    for key in ("PageDown", "PageUp", "Home", "End", "x", "b", "Enter"):
        notebook.keyboard.press(key)
    assert notebook.evaluate(PLACE) == place


def test_a_held_key_plays_on_and_stops_when_let_go(notebook):
    notebook.locator(".gl-stage").first.click()
    number = frame_number(notebook)
    notebook.keyboard.down("ArrowRight")
    notebook.wait_for_function(
        "n => +document.querySelector('.gl-player .gl-status').innerText.match(/\\d+/)[0] > n + 3", arg=number
    )
    assert notebook.locator(".gl-key.gl-held").first.get_attribute("data-key") == "right"
    notebook.keyboard.up("ArrowRight")
    notebook.keyboard.press("Backspace")  # answered after every frame that was under way
    seen = [frame_number(notebook)]
    while len(seen) < 2 or seen[-1] != seen[-2]:  # on a busy machine frames under way come late
        assert len(seen) < 20, f"a key that was let go plays on: {seen}"
        notebook.wait_for_timeout(1_000)
        seen.append(frame_number(notebook))


def test_backspace_takes_back(notebook):
    notebook.locator(".gl-stage").first.click()
    before, number = notebook.evaluate(PIXELS), frame_number(notebook)
    notebook.keyboard.press("1")
    wait_for_frame(notebook, number + 1)
    notebook.keyboard.press("Backspace")
    wait_for_frame(notebook, number)
    notebook.wait_for_function(f"before => ({PIXELS})() === before", arg=before)


def test_latent_actions_have_moving_previews_and_play(notebook):
    open_fold(notebook, "gl-latent")
    notebook.wait_for_function("() => document.querySelector('.gl-actions img').naturalWidth > 0")
    number = frame_number(notebook)
    notebook.locator(".gl-actions .gl-tile").first.click()
    wait_for_frame(notebook, number + 1)
    notebook.keyboard.press("0")  # the keyboard is the player's again
    wait_for_frame(notebook, number + 2)


def test_a_drawing_becomes_the_prompt(notebook):
    before = notebook.evaluate(PIXELS)
    open_fold(notebook, "gl-drawing")
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
    notebook.locator(".gl-message", has_text="Playing from your drawing").first.wait_for()
    notebook.locator("img.gl-seen:visible").first.wait_for()


def picture(colour, size=(320, 240)) -> bytes:
    image = Image.linear_gradient("L").convert("RGB").resize(size)
    image.paste(colour, (100, 60, 220, 180))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def choose_file(page, name: str, content: bytes) -> None:
    open_fold(page, "gl-upload")
    page.locator(".gl-file").first.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})


def test_an_uploaded_picture_becomes_the_prompt_also_twice(notebook):
    for colour in ((200, 30, 40), (30, 200, 40)):
        before = notebook.evaluate(PIXELS)
        choose_file(notebook, "mine.png", picture(colour))
        wait_for_change(notebook, before)
        wait_for_frame(notebook, 0)


def test_a_broken_upload_is_said_and_the_old_frame_stays(notebook):
    number = frame_number(notebook)
    notebook.locator(".gl-stage").first.click()
    notebook.keyboard.press("0")
    wait_for_frame(notebook, number + 1)
    before = notebook.evaluate(PIXELS)
    choose_file(notebook, "broken.png", picture((9, 9, 9))[:400])
    message = notebook.locator(".gl-error").first
    message.wait_for()
    assert "broken.png" in message.inner_text() and "damaged" in message.inner_text()
    assert notebook.evaluate(PIXELS) == before and frame_number(notebook) == number + 1


def test_auto_play_runs_beside_other_cells_and_stops(notebook):
    button = notebook.locator(".gl-auto").first
    number = frame_number(notebook)
    button.click()
    notebook.wait_for_function(
        "n => +document.querySelector('.gl-player .gl-status').innerText.match(/\\d+/)[0] > n + 3", arg=number
    )
    button.click()
    notebook.wait_for_selector(".gl-auto[aria-pressed='false']")
    notebook.locator(".gl-player button", has_text="Reset").first.click()  # served after everything before it
    wait_for_frame(notebook, 0)


def restart_kernel(page) -> None:
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_text("Restart Kernel…", exact=True).click()
    page.locator(".jp-Dialog button", has_text="Restart").click()
    page.locator("#jp-main-statusbar").get_by_text("Restarting").wait_for()
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()


def test_a_reopened_notebook_plays_while_its_kernel_runs_and_otherwise_says_what_to_do(browser, server):
    page = open_notebook(browser, server, "reopened.ipynb")
    run_to_player(page)
    still = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .gl-still").first
    assert not still.is_visible()
    page.keyboard.press("ArrowRight")
    wait_for_frame(page, 1)
    page.keyboard.press("Control+s")
    page.wait_for_selector(".jp-DirListing-item[title*='reopened'], .jp-DirListing-item")
    page.wait_for_timeout(1000)

    page.reload()
    page.wait_for_selector(".gl-stage[style*='width']")
    page.locator(".gl-stage").click()
    page.keyboard.press("ArrowRight")
    wait_for_frame(page, 2)
    assert page.locator(".gl-captions span").last.inner_text().startswith("→")

    restart_kernel(page)
    page.locator(".gl-stage").click()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Run this cell again to play.").wait_for()

    page.reload()
    still.wait_for(state="attached")
    page.wait_for_function(SCROLLED_UP)
    for _ in range(PATIENCE // 4000):
        if still.is_visible():
            break
        page.wait_for_timeout(1000)
    assert still.is_visible(), f"the still picture stays hidden: {still.evaluate(STYLES)}"
    assert "run this cell" in still.locator("img").get_attribute("alt")
    assert page.get_by_text("Error displaying widget").first.is_hidden()
    page.context.close()
