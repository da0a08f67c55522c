"""The JavaScript of the player alone in a page, against a model that only takes notes."""

from __future__ import annotations

import base64
import io
import json

import pytest
from PIL import Image

from genie_lite.play.page import COINRUN_COLOURS, SCRIPT, STYLE

pytestmark = pytest.mark.browser

MODEL = """
window.notes = [];
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
window.model = {
  values: VALUES,
  heard: {},
  get(name) { return this.values[name]; },
  set(name, value) { this.values[name] = value; },
  save_changes() {},
  on(name, handler) { (this.heard[name] ??= []).push(handler); },
  off(name, handler) { this.heard[name] = (this.heard[name] ?? []).filter((h) => h !== handler); },
  send(message, callbacks, buffers) { window.notes.push([message, buffers?.[0]?.byteLength ?? 0]); },
  hear(name, ...values) { for (const handler of this.heard[name] ?? []) handler(...values); },
  show(changes) {
    this.values.state = { ...this.values.state, ...changes };
    this.hear("change:state");
  },
};
model.values.state.png = bytes(model.values.state.png);
model.values.previews = model.values.previews.map(bytes);
const source = new Blob([SOURCE], { type: "text/javascript" });
const { default: control } = await import(URL.createObjectURL(source));
window.remove = control.render({ model: window.model, el: document.querySelector("#control") });
"""
PAGE = """<style>CSS</style><input id="outside"><div id="control"></div><div style="height: 3000px"></div>"""
KEYS = ["left", "up", "right", "none", "up-right"]


def png(colour=(40, 120, 60)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def load(browser, width: int = 900, typing: bool = False, **setup):
    state = {
        "png": png(), "number": 0, "caption": "start", "ms": None, "last": {"key": None, "action": None},
        "message": {"text": "", "error": False}, "steps": 8, "speed": 30, "auto": False, "choice": "last",
        "answered": None,
    }  # fmt: skip
    values = {
        "setup": {
            "player": "abc", "frame_size": [64, 64], "scale": 8, "keys": KEYS, "jumps": True, "most_steps": 25,
            "actions": [{"label": f"{a}", "title": f"Latent action {a}"} for a in range(6)],
            "choices": [["last", "last action again"], ["random", "random actions"]], "palette": COINRUN_COLOURS,
            **setup,
        },
        "state": state, "previews": [""] * 6, "gallery": [], "fitted": {}, "unseen": True,
    }  # fmt: skip
    page = browser.new_context(has_touch=True, viewport={"width": width, "height": 700}).new_page()
    page.set_content(PAGE.replace("CSS", STYLE))
    if typing:
        page.locator("#outside").focus()
    script = MODEL.replace("VALUES", json.dumps(values)).replace("SOURCE", json.dumps(SCRIPT))
    page.evaluate(f"async () => {{ {script} }}")
    page.wait_for_selector(".gl-stage[style*='width']")
    page.evaluate("() => notes.splice(0)")  # the page asks for the strip's past frames
    return page


@pytest.fixture
def page(browser):
    page = load(browser)
    page.locator(".gl-stage").focus()
    yield page
    page.context.close()


def sent(page) -> list:
    """What was asked for: keys by name, latent actions by number, the rest by its kind."""
    return page.evaluate("() => notes.map(([message]) => message.key ?? message.action ?? message.kind)")


def begin(page) -> None:
    page.evaluate("() => model.hear('msg:custom', { kind: 'begun', id: notes.at(-1)[0].id })")


def answer(page, **changes) -> None:
    page.evaluate("changes => model.show({ ...changes, answered: notes.at(-1)[0].id })", changes)


def wait_for_sent(page, expected: list) -> None:
    page.wait_for_function(
        """expected => JSON.stringify(notes.map(([m]) => m.key ?? m.action ?? m.kind)) === JSON.stringify(expected)""",
        arg=expected,
    )


# ------------------------------------------------------------------------------------------- keys


def test_arrows_letters_space_digits_and_backspace_play(page):
    for key, name in (
        ("ArrowRight", "right"), ("d", "right"), ("a", "left"), ("w", "up"), (" ", "up"), (".", "none"), ("3", 3),
        ("Backspace", "undo"),
    ):  # fmt: skip
        before = len(sent(page))
        page.keyboard.press(key)
        page.wait_for_function("n => notes.length === n + 1", arg=before)
        assert sent(page)[-1] == name
        answer(page)


def test_two_keys_make_a_diagonal_where_the_world_knows_it(page):
    page.keyboard.down("ArrowRight")
    wait_for_sent(page, ["right"])
    page.keyboard.down("ArrowUp")
    answer(page)
    wait_for_sent(page, ["right", "up-right"])
    page.keyboard.up("ArrowRight")
    page.keyboard.down("ArrowLeft")  # up and left: not known, so the newer key counts
    answer(page)
    wait_for_sent(page, ["right", "up-right", "left"])


def test_a_key_that_the_world_does_not_know_is_said_and_plays_nothing(browser):
    page = load(browser, keys=["left", "up", "right", "none", "down-right"], jumps=False)
    page.locator(".gl-stage").focus()
    assert "jump" not in page.locator(".gl-player").inner_text()
    assert page.locator(".gl-key[data-key=up]").get_attribute("title") == "up"
    assert page.locator(".gl-key[data-key=up] kbd").inner_text() == "W"
    page.keyboard.down("ArrowDown")
    page.get_by_text("This world does not know that key").wait_for()
    assert sent(page) == []
    page.keyboard.down("ArrowRight")  # but down and right it does
    wait_for_sent(page, ["down-right"])
    answer(page)
    page.locator(".gl-message").wait_for(state="hidden")
    page.context.close()


def test_only_one_command_is_under_way_and_one_waits(page):
    for key in ("a", "d", "a", "d"):
        page.keyboard.press(key)
    assert sent(page) == ["left"]
    answer(page)
    wait_for_sent(page, ["left", "right"])
    answer(page)
    page.wait_for_timeout(100)
    assert sent(page) == ["left", "right"], "the newest one waited, the others are forgotten"


def test_a_held_key_goes_on_as_fast_as_it_is_answered_and_leaves_nothing_behind(page):
    page.keyboard.down("ArrowRight")
    for count in range(1, 5):
        page.wait_for_function("n => notes.length === n", arg=count)
        assert page.locator(".gl-key[data-key=right].gl-held").count() == 1
        answer(page)
    page.wait_for_function("() => notes.length === 5")
    page.keyboard.up("ArrowRight")
    assert page.locator(".gl-held").count() == 0
    answer(page)
    page.wait_for_timeout(100)
    assert sent(page) == ["right"] * 5


def test_in_a_quick_world_a_held_key_is_sent_one_ahead_and_never_more(page):
    page.evaluate("() => model.show({ ms: 30 })")
    page.keyboard.down("ArrowRight")
    for count in range(2, 6):
        page.wait_for_function("n => notes.length === n", arg=count)
        page.wait_for_timeout(60)
        assert len(sent(page)) == count
        page.evaluate("id => model.show({ answered: id })", page.evaluate("n => notes[n - 2][0].id", count))
    page.wait_for_function("() => notes.length === 6")
    page.keyboard.up("ArrowRight")
    page.evaluate("() => model.show({ answered: notes.at(-1)[0].id })")  # answers the one before it, too
    page.wait_for_timeout(100)
    assert sent(page) == ["right"] * 6
    page.keyboard.press("ArrowLeft")
    assert sent(page)[-1] == "left"


def test_a_short_tap_plays_one_frame(page):
    page.keyboard.press("ArrowRight")
    answer(page)
    page.wait_for_timeout(300)
    assert sent(page) == ["right"]


def test_an_answer_to_another_page_frees_nothing(page):
    page.keyboard.press("a")
    page.evaluate("() => model.show({ answered: 'somebody-else' })")
    page.keyboard.press("d")
    assert sent(page) == ["left"]


def test_a_key_held_while_the_focus_goes_is_let_go(page):
    page.keyboard.down("ArrowRight")
    wait_for_sent(page, ["right"])
    page.locator("#outside").focus()
    answer(page)
    page.wait_for_timeout(300)
    assert sent(page) == ["right"] and page.locator(".gl-held").count() == 0


def test_in_real_time_the_world_goes_on_without_a_key_while_the_player_has_the_focus(page):
    page.locator(".gl-check input").check()
    page.locator(".gl-stage").focus()
    for count in range(1, 4):
        page.wait_for_function("n => notes.length === n", arg=count)
        answer(page)
    page.locator("#outside").focus()
    seen = len(sent(page))
    answer(page)
    page.wait_for_timeout(150)
    assert set(sent(page)) == {"none"} and len(sent(page)) <= seen + 1


def test_no_key_scrolls_the_page_while_the_player_has_the_focus(page):
    for key in ("ArrowDown", "ArrowUp", " ", "PageDown", "End", "Home"):
        page.keyboard.press(key)
        page.wait_for_timeout(60)
        assert page.evaluate("() => scrollY") == 0, key
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("PageDown")
    page.wait_for_function("() => scrollY > 0")


def test_the_notebook_sees_combinations_and_no_plain_key(page):
    page.evaluate(
        """() => {
          window.seen = [];
          const note = (event) => {
            const hidden = event.target.closest("[data-lm-suppress-shortcuts]") !== null;
            seen.push([event.key, event.eventPhase === Event.CAPTURING_PHASE ? hidden : "bubbled"]);
          };
          document.addEventListener("keydown", note, true);
          document.addEventListener("keydown", note);
        }"""
    )
    for key in ("x", "Enter", "Shift+Enter", "Control+s"):
        page.keyboard.press(key)
    seen = [note for note in page.evaluate("() => seen") if note[0] not in ("Shift", "Control")]
    assert seen == [
        ["x", True],
        ["Enter", True],
        ["Enter", False],
        ["Enter", "bubbled"],
        ["s", False],
        ["s", "bubbled"],
    ]
    page.locator(".gl-player[data-lm-suppress-shortcuts]").wait_for()  # it comes back in a task of its own
    assert sent(page) == []


def test_controls_that_use_keys_keep_them(page):
    slider = page.get_by_label("MaskGIT steps")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("() => notes.map(([m]) => m.value)") == [9, 10]
    page.get_by_role("button", name="New prompt").focus()
    page.keyboard.press(" ")
    assert sent(page)[-1] == "new"
    answer(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => notes.at(-1)[0].key === 'left'")


def test_after_a_click_with_the_mouse_space_jumps_again(page):
    page.get_by_role("button", name="Reset").click()
    answer(page)
    page.keyboard.press(" ")
    wait_for_sent(page, ["reset", "up"])


def test_the_pad_can_be_held_with_a_finger_and_with_the_mouse(page):
    pad = page.locator(".gl-key")
    assert sorted(pad.evaluate_all("keys => keys.map((key) => key.dataset.key)")) == sorted(KEYS)
    box = page.locator(".gl-key[data-key=right]").bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    for count in (1, 2, 3):
        page.wait_for_function("n => notes.length === n", arg=count)
        answer(page)
    page.mouse.up()
    page.wait_for_timeout(250)
    seen = sent(page)
    assert set(seen) == {"right"} and len(seen) in (3, 4)
    answer(page)
    page.locator(".gl-key[data-key=left]").tap()
    page.wait_for_function("() => notes.at(-1)[0].key === 'left'")
    answer(page)
    page.locator(".gl-key[data-key=up]").dispatch_event("click", {"detail": 0})  # as a screen reader does
    page.wait_for_function("() => notes.at(-1)[0].key === 'up'")


@pytest.mark.parametrize("typing", [False, True])
def test_the_player_takes_the_keyboard_when_shown_unless_somebody_is_typing(browser, typing):
    page = load(browser, typing=typing)
    page.wait_for_timeout(200)
    assert page.evaluate("() => document.activeElement.className") == ("" if typing else "gl-stage")
    assert page.evaluate("() => model.get('unseen')") is typing
    page.context.close()


# ------------------------------------------------------------------------------------ what is shown


def test_waiting_says_what_it_waits_for(page):
    overlay = page.locator(".gl-overlay").first
    page.keyboard.press("a")
    page.wait_for_function("() => document.querySelector('.gl-overlay').textContent.includes('Waiting')")
    begin(page)
    page.wait_for_function("() => document.querySelector('.gl-overlay').textContent.includes('Computing')")
    answer(page)
    overlay.wait_for(state="hidden")


def test_a_kernel_that_is_gone_is_said(page):
    page.evaluate("() => { model.send = () => { throw new Error('Cannot send'); }; }")
    page.keyboard.press("a")
    page.get_by_text("Run this cell again to play.").wait_for()


def test_the_picture_is_a_whole_multiple_of_the_frame_at_every_width(browser):
    for width in (1400, 900, 700, 420):
        page = load(browser, width)
        box = page.locator(".gl-screen").bounding_box()
        assert box["width"] == box["height"] and box["width"] % 64 == 0, width
        assert box["width"] >= (320 if width < 500 else 384), width
        overflow = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0, width
        page.context.close()


def test_the_strip_keeps_the_last_frames_and_follows_undo(page):
    captions = "() => [...document.querySelectorAll('.gl-captions span')].map((span) => span.textContent)"
    for number in range(1, 10):
        page.evaluate("n => model.show({ number: n, caption: `→ ${n}` })", number)
        page.wait_for_function(
            "n => document.querySelector('.gl-status').textContent.startsWith(`frame ${n}`)", arg=number
        )
    assert page.evaluate(captions) == [f"→ {n}" for n in range(2, 10)]
    page.evaluate("() => model.show({ number: 4, caption: '→ 4' })")
    page.wait_for_function("() => document.querySelector('.gl-status').textContent.startsWith('frame 4')")
    assert page.evaluate(captions) == [""] * 5 + ["→ 2", "→ 3", "→ 4"]


def test_messages_are_text_and_errors_interrupt(page):
    page.evaluate("() => model.show({ message: { text: '<b>no</b>', error: true } })")
    message = page.locator(".gl-message")
    assert message.inner_text() == "<b>no</b>" and message.get_attribute("role") == "alert"


def test_opening_the_fold_asks_for_previews_once(page):
    fold = page.locator(".gl-latent summary")
    fold.click()
    wait_for_sent(page, ["previews"])
    answer(page)
    page.locator(".gl-actions .gl-tile").nth(2).click()
    wait_for_sent(page, ["previews", 2])


def test_everything_has_a_name_and_a_sensible_place_in_the_tab_order(page):
    names = []
    for _ in range(14):
        names.append(
            page.evaluate(
                """() => {
                  const e = document.activeElement;
                  return e.getAttribute("aria-label") ?? e.labels?.[0]?.innerText ?? e.innerText;
                }"""
            )
        )
        page.keyboard.press("Tab")
    assert names[0].startswith("The player.")
    wanted = ["Reset", "New prompt", "Save GIF", "Auto-play", "What auto-play does", "Real time", "MaskGIT steps"]
    assert names[1:8] == wanted  # Undo is disabled at the start
    assert names[8] == "Speed limit" and names[9].startswith("The latent actions themselves (6)")
    assert [name.split()[0] for name in names[10:13]] == ["Start"] * 3
    nameless = page.evaluate(
        """() => [...document.querySelectorAll(".gl-player :is(button, input, select, summary, img, canvas[role])")]
          .filter((e) => !(e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim()
            || (e.localName === "img" && e.hasAttribute("alt"))))
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []


CONTRAST = """() => {
  const channels = (text) => {
    const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    probe.fillStyle = text;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(".gl-player *")].filter((e) => e.offsetWidth
    && !e.disabled && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .map((e) => {
      const [a, b] = [light(channels(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.className, e.textContent.slice(0, 30)];
    }).filter(([contrast]) => contrast < 4.5);
}"""
THEMES = {
    "light": {
        "--jp-layout-color1": "#ffffff",
        "--jp-ui-font-color1": "rgba(0, 0, 0, 0.87)",
        "--jp-brand-color1": "#1976d2",
    },
    "dark": {
        "--jp-layout-color1": "#111111",
        "--jp-ui-font-color1": "rgba(255, 255, 255, 1)",
        "--jp-brand-color1": "#2196f3",
    },
}


@pytest.mark.parametrize("theme", THEMES)
def test_all_text_stands_out_from_its_ground(page, theme):
    page.evaluate(
        """theme => { for (const [name, value] of Object.entries(theme)) document.body.style.setProperty(name, value);
        document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
        model.show({ number: 3, caption: "→ 2", auto: true, ms: 40, message: { text: "Saved", error: true } }); }""",
        THEMES[theme],
    )
    page.keyboard.down("ArrowRight")
    page.wait_for_selector(".gl-held")
    assert page.evaluate(CONTRAST) == []


def test_a_removed_page_listens_no_more(page):
    page.evaluate("() => remove()")
    page.keyboard.press("a")
    assert sent(page) == []
    assert page.evaluate("() => Object.values(model.heard).flat().length") == 0


# ------------------------------------------------------------------------------------ drawing


@pytest.fixture
def canvas(page):
    page.locator(".gl-drawing summary").click()
    page.locator(".gl-canvas").scroll_into_view_if_needed()
    return page


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
    tools = canvas.locator(".gl-draw")
    tools.locator("button", has_text="Undo").click()
    assert colour(canvas, 128, 128) == COIN
    tools.locator("button", has_text="Clear").click()
    assert colour(canvas, 128, 128) == SKY
    tools.locator("button", has_text="Undo").click()
    assert colour(canvas, 128, 128) == COIN


def test_the_current_frame_can_be_copied_and_the_drawing_is_sent_whole(canvas):
    canvas.locator("button", has_text="Copy frame").click()
    canvas.wait_for_function(
        "() => document.querySelector('.gl-canvas').getContext('2d').getImageData(9, 9, 1, 1).data[1] === 120"
    )
    canvas.locator("button", has_text="Use as prompt").click()
    canvas.wait_for_function("() => notes.length === 1")
    (message, size) = canvas.evaluate("() => notes[0]")
    assert message["kind"] == "drawing" and size > 100
