"""The JavaScript of the controls alone in a page, against a model that only takes notes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import genie_lite.play

pytestmark = pytest.mark.browser

STATIC = Path(genie_lite.play.__file__).parent / "static"
MODEL = """
window.notes = [];
window.model = {
  values: VALUES,
  heard: {},
  get(name) { return this.values[name]; },
  on(name, handler) { (this.heard[name] ??= []).push(handler); },
  off(name, handler) { this.heard[name] = (this.heard[name] ?? []).filter((h) => h !== handler); },
  send(message, callbacks, buffers) { window.notes.push([message, buffers?.[0]?.byteLength ?? 0]); },
  tell(message) { for (const handler of this.heard["msg:custom"] ?? []) handler(message, []); },
};
const source = new Blob([SOURCE], { type: "text/javascript" });
const { default: control } = await import(URL.createObjectURL(source));
window.remove = control.render({ model: window.model, el: document.querySelector("#control") });
"""
PAGE = """<style>CSS</style><div style="height: 3000px"><div class="gl-player"><img class="gl-screen">
<input id="text"><div id="control"></div></div></div>"""
PRESS = """([key, repeat, ctrl, where]) => !document.querySelector(where).dispatchEvent(new KeyboardEvent("keydown",
  { key, repeat, ctrlKey: ctrl, bubbles: true, cancelable: true }))"""


def load(browser, name: str, values: dict):
    page = browser.new_context(has_touch=True, viewport={"width": 600, "height": 700}).new_page()
    page.set_content(PAGE.replace("CSS", (STATIC / "player.css").read_text()))
    script = MODEL.replace("VALUES", json.dumps(values)).replace("SOURCE", json.dumps((STATIC / name).read_text()))
    page.evaluate(f"async () => {{ {script} }}")
    return page


@pytest.fixture
def keys(browser):
    commands = {"ArrowLeft": {"kind": "action", "action": 0}, "ArrowRight": {"kind": "action", "action": 1}}
    page = load(browser, "keys.js", {"commands": {**commands, "ArrowUp": {"kind": "nothing"}}, "hint": "Play!"})
    page.wait_for_selector(".gl-player[data-lm-suppress-shortcuts='true'][tabindex='0']")
    yield page
    page.context.close()


def press(page, key: str, repeat=False, ctrl=False, where=".gl-player") -> bool:
    """Send one keydown; True when the player kept it from the page."""
    return page.evaluate(PRESS, [key, repeat, ctrl, where])


def let_go(page) -> None:
    page.evaluate("() => document.querySelector('.gl-player').dispatchEvent(new KeyboardEvent('keyup'))")


def sent(page) -> list[int]:
    return page.evaluate("() => notes.map(([message]) => message.action)")


def answer(page) -> None:
    page.evaluate("() => model.tell({ kind: 'done', id: notes.at(-1)[0].id })")


def test_only_one_command_is_under_way_and_one_waits(keys):
    for key in ("ArrowLeft", "ArrowRight", "ArrowLeft", "ArrowRight"):
        press(keys, key)
    assert sent(keys) == [0]
    answer(keys)
    assert sent(keys) == [0, 1], "the last one pressed is the one that waited"
    answer(keys)
    assert sent(keys) == [0, 1]


def test_a_held_key_goes_on_at_the_worlds_speed_and_leaves_no_backlog(keys):
    press(keys, "ArrowRight")
    for _ in range(50):
        press(keys, "ArrowRight", repeat=True)
    assert sent(keys) == [1]
    for _ in range(3):
        answer(keys)
    assert sent(keys) == [1, 1, 1, 1]
    let_go(keys)
    answer(keys)
    assert sent(keys) == [1, 1, 1, 1]


def test_an_answer_to_another_view_frees_nothing(keys):
    press(keys, "ArrowLeft")
    keys.evaluate("() => model.tell({ kind: 'done', id: 'somebody-else' })")
    press(keys, "ArrowRight")
    assert sent(keys) == [0]


def test_only_handled_keys_are_kept_from_the_page(keys):
    assert press(keys, "ArrowLeft") and press(keys, "ArrowUp")
    assert not any(press(keys, key) for key in ("Tab", "a", "Escape", "PageDown", "F5"))
    assert not press(keys, "ArrowLeft", ctrl=True)
    assert not press(keys, "ArrowLeft", where="#text")
    assert sent(keys) == [0]


def test_real_arrow_keys_do_not_scroll_the_page_and_focus_is_seen(keys):
    keys.locator(".gl-player").focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowRight"):
        keys.keyboard.press(key)
    assert keys.evaluate("() => scrollY") == 0
    ring = "() => getComputedStyle(document.querySelector('.gl-screen')).outlineStyle"
    assert keys.evaluate(ring) == "solid"
    keys.locator("#text").focus()
    assert keys.evaluate(ring) == "none"


def test_a_removed_view_listens_no_more(keys):
    keys.evaluate("() => remove()")
    assert not press(keys, "ArrowLeft") and sent(keys) == []
    assert keys.evaluate("() => Object.values(model.heard).flat().length") == 0


@pytest.fixture
def canvas(browser):
    palette = [["sky", "#000000"], ["ground", "#bbcbcc"], ["coin", "#fbcc12"]]
    page = load(browser, "canvas.js", {"frame_size": [64, 64], "detail": 4, "palette": palette})
    yield page
    page.context.close()


def colour(page, x: int, y: int) -> list[int]:
    return page.evaluate(
        "([x, y]) => [...document.querySelector('.gl-canvas').getContext('2d').getImageData(x, y, 1, 1).data]", [x, y]
    )


SKY, GROUND, COIN = [0, 0, 0, 255], [187, 203, 204, 255], [251, 204, 18, 255]


def test_a_finger_draws(canvas):
    box = canvas.locator(".gl-canvas").bounding_box()
    canvas.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert colour(canvas, 128, 128) == GROUND and colour(canvas, 10, 10) == SKY


def test_colours_eraser_undo_and_clear(canvas):
    surface = canvas.locator(".gl-canvas")
    middle = {"x": 160, "y": 160}
    canvas.locator("button[title='coin']").click()
    surface.click(position=middle)
    assert colour(canvas, 128, 128) == COIN
    canvas.locator("button", has_text="⌫").click()
    surface.click(position=middle)
    assert colour(canvas, 128, 128) == SKY
    canvas.locator("button", has_text="Undo").click()
    assert colour(canvas, 128, 128) == COIN
    canvas.locator("button", has_text="Clear").click()
    assert colour(canvas, 128, 128) == SKY
    canvas.locator("button", has_text="Undo").click()
    assert colour(canvas, 128, 128) == COIN


def test_the_drawing_is_sent_whole(canvas):
    canvas.locator("button", has_text="Use as prompt").click()
    canvas.wait_for_function("() => notes.length === 1")
    (message, size) = canvas.evaluate("() => notes[0]")
    assert message == {"kind": "drawing"} and size > 100
