"""The player without a browser: its buttons are the contract."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeGenie, scenes
from PIL import Image

pytest.importorskip("ipywidgets")
import ipywidgets

import genie_lite.play
from genie_lite.play import PlaySession, PlayWidget, play
from genie_lite.play.controls import STATIC

ACTIONS = [{"dx": dx, "dy": dy, "share": 1 / 6} for dx, dy in [(3, 0), (0, -4), (-3, 0), (0, 3), (0, 0), (3, -3)]]


def elsewhere(function):
    """Call it in a thread of its own, where no event loop runs; the browser tests leave one running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@pytest.fixture
def player(tmp_path):
    widget = play(FakeGenie(), scenes(24), maskgit_steps=4, gif_folder=tmp_path)
    yield widget
    widget.close()


def shown(player: PlayWidget) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(player.screen.value)))


def upload(player: PlayWidget, name: str, content: bytes) -> None:
    file = {"name": name, "type": "image/png", "size": len(content), "content": memoryview(content)}
    player.upload.upload.set_trait("value", ({**file, "last_modified": datetime.now(UTC)},))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_each_action_has_a_button_that_plays_it_and_shows_the_frame(player):
    for action, button in enumerate(player.action_buttons):
        button.click()
        assert player.session.latent_actions[-1] == action
        np.testing.assert_array_equal(shown(player), player.session.frame)
        assert "gl-last" in button._dom_classes
    assert sum("gl-last" in button._dom_classes for button in player.action_buttons) == 1
    assert "frame 6" in player.status.value


def test_the_picture_is_one_widget_updated_in_place(player):
    screen = player.screen
    player.action_buttons[1].click()
    player.new_button.click()
    assert player.screen is screen and isinstance(screen, ipywidgets.Image)


def test_undo_reset_and_new_prompt(player):
    start = shown(player)
    assert player.undo_button.disabled
    player.action_buttons[2].click()
    player.action_buttons[2].click()
    player.undo_button.click()
    assert player.session.num_steps == 1
    player.undo_button.click()
    np.testing.assert_array_equal(shown(player), start)
    player.action_buttons[0].click()
    player.reset_button.click()
    np.testing.assert_array_equal(shown(player), start)
    player.new_button.click()
    assert (shown(player) != start).any() and player.session.num_steps == 0


def test_buttons_tell_what_their_action_does():
    player = play(FakeGenie(), scenes(), actions=ACTIONS)
    texts = [button.description for button in player.action_buttons]
    assert texts[0] == "→  3.0 px\nkey → or 0" and texts[4] == "•  still\nkey 4" and texts[5].startswith("↗")
    assert "17% of all transitions" in player.action_buttons[0].tooltip
    assert player.key_pad.commands["ArrowLeft"] == {"kind": "action", "action": 2}
    player.close()


def test_labels_come_from_the_worlds_card():
    world = FakeGenie()
    world.card["actions"] = ACTIONS
    player = play(world, scenes())
    assert player.labels is not None
    player.close()


def test_without_labels_buttons_show_plain_numbers(player):
    assert player.action_buttons[1].description == "action 1\nkey ↑ or 1"
    assert player.action_buttons[5].description == "action 5\nkey 5"


def test_many_actions_have_small_buttons(player, monkeypatch):
    assert _boxes(player, "gl-many") == [] and len(_boxes(player, "gl-actions")) == 1
    monkeypatch.setattr(FakeGenie, "num_latent_actions", 13)
    many = play(FakeGenie(), scenes())
    (holder,) = _boxes(many, "gl-many")
    assert holder.children[0].children == tuple(many.action_buttons) and len(many.action_buttons) == 13
    assert many.action_buttons[12].description == "action 12"  # beyond the number keys
    many.close()


def test_many_actions_stand_by_where_they_lead(monkeypatch):
    monkeypatch.setattr(FakeGenie, "num_latent_actions", 13)
    rest = [{"dx": dx, "dy": 0} for dx in (1, -5, 2, -1, 5, -2, 4)]
    player = play(FakeGenie(), scenes(), actions=[*ACTIONS, *rest])
    (holder,) = _boxes(player, "gl-many")
    rows = [[player.action_buttons.index(button) for button in row.children] for row in holder.children]
    assert rows == [[1, 5], [7, 2, 11, 9, 4, 6, 8, 0, 12, 10], [3]]  # up, level, down; each from left to right
    player.close()


def _boxes(player: PlayWidget, name: str) -> list:
    return [box for box in player.children[0].children[1].children if name in box._dom_classes]


def test_keys_play_through_the_buttons_and_each_is_answered(player, monkeypatch):
    answers = []
    monkeypatch.setattr(player.key_pad, "send", lambda content, buffers=None: answers.append(content))
    player.key_pad._handle_custom_msg({"kind": "action", "action": 3, "id": "a-1"}, [])
    player.key_pad._handle_custom_msg({"kind": "undo", "id": "a-2"}, [])
    assert player.session.num_steps == 0
    with pytest.raises(IndexError):
        player.key_pad._on_command({"kind": "action", "action": 99})
    assert answers == [{"kind": "done", "id": "a-1"}, {"kind": "done", "id": "a-2"}]


def test_an_answer_comes_even_when_a_step_fails(player, monkeypatch):
    answers = []
    monkeypatch.setattr(player.key_pad, "send", lambda content, buffers=None: answers.append(content["id"]))
    monkeypatch.setattr(player.session, "step", lambda action: 1 / 0)
    player.key_pad._handle_custom_msg({"kind": "action", "action": 3, "id": "a-1"}, [])
    assert answers == ["a-1"] and "division by zero" in player.message.value


def test_the_filmstrip_shows_the_last_frames_newest_at_the_right(player):
    for action in (0, 1, 2):
        player.action_buttons[action].click()
    strip = np.asarray(Image.open(io.BytesIO(player.strip.value)))
    assert strip.shape == (64, 8 * 64 + 7 * 4, 4)
    np.testing.assert_array_equal(strip[:, -64:, :3], player.session.frame)
    assert not strip[:, :64, 3].any()
    assert player.captions.value.count("<span>") == 8 and "start" in player.captions.value
    for _ in range(9):
        player.action_buttons[5].click()
    assert "start" not in player.captions.value


def test_fewer_maskgit_steps_reach_the_session(player):
    player.maskgit_steps.value = 2
    assert player.session.maskgit_steps == 2


def test_gif_is_saved_under_the_next_free_name_with_a_link(player, tmp_path):
    player.action_buttons[0].click()
    player.gif_button.click()
    player.gif_button.click()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["play-001.gif", "play-002.gif"]
    assert "download='play-002.gif'" in player.message.value and "2 frames" in player.message.value


def test_a_gif_that_cannot_be_saved_is_said(player, tmp_path):
    (tmp_path / "file").write_text("")
    player.gif_folder = tmp_path / "file"
    player.gif_button.click()
    assert "could not be saved" in player.message.value and "role='alert'" in player.message.value


def test_an_uploaded_picture_becomes_the_prompt_and_is_shown_as_the_world_sees_it(player):
    upload(player, "red.png", png(Image.new("RGB", (300, 200), (200, 30, 40))))
    assert (shown(player) == (200, 30, 40)).all() and player.session.num_steps == 0
    seen = np.asarray(Image.open(io.BytesIO(player.upload.preview.seen.value)))
    np.testing.assert_array_equal(seen, player.session.frame)
    assert "Cropped to the centre" in player.upload.preview.notes.value
    assert player.upload.upload.value == (), "so that the same file may be chosen again"


def test_a_broken_upload_is_said_and_the_game_goes_on(player):
    player.action_buttons[1].click()
    before = shown(player)
    upload(player, "<b>broken</b>.png", b"\x89PNG\r\n\x1a\nnothing")
    np.testing.assert_array_equal(shown(player), before)
    assert player.session.num_steps == 1
    assert "gl-error" in player.message.value and "&lt;b&gt;broken" in player.message.value


def test_a_drawing_becomes_the_prompt(player):
    drawing = Image.new("RGB", (256, 256), (0, 0, 0))
    drawing.paste((251, 204, 18), (0, 128, 256, 256))
    player.draw.canvas._received(None, {"kind": "drawing"}, [memoryview(png(drawing))])
    assert (shown(player)[32:] == (251, 204, 18)).all() and not shown(player)[:32].any()


def test_the_frame_now_can_be_copied_to_the_canvas(player, monkeypatch):
    sent = []
    monkeypatch.setattr(player.draw.canvas, "send", lambda content, buffers=None: sent.append((content, buffers)))
    player.draw.canvas._received(None, {"kind": "copy"}, [])
    (content, (data,)) = sent[0]
    assert content == {"kind": "frame"} and data == player.screen.value


def test_the_gallery_starts_from_the_frame_clicked(player):
    tile = np.asarray(Image.open(io.BytesIO(player.gallery._images[2].value)))
    player.gallery.buttons[2].click()
    np.testing.assert_array_equal(shown(player), tile)
    first = bytes(player.gallery._images[0].value)
    player.gallery.more.click()
    assert bytes(player.gallery._images[0].value) != first


@pytest.mark.parametrize("choice", ["last", "random", 3])
def test_auto_play_plays_until_it_is_switched_off_and_leaves_the_loop_free(player, choice):
    async def watch():
        player.auto.choice.value = choice
        player.action_buttons[2].click()
        player.auto.button.value = True
        turns = 0
        while player.session.num_steps < 6:
            await asyncio.sleep(0)
            turns += 1
        player.auto.button.value = False
        await player.auto.task
        return turns

    assert elsewhere(lambda: asyncio.run(watch())) > 5
    np.testing.assert_array_equal(shown(player), player.session.frame)
    played = player.session.latent_actions[1:]
    if choice != "random":
        assert set(played) == {2 if choice == "last" else 3}


def test_auto_play_rests_and_says_when_it_fails(player, monkeypatch):
    monkeypatch.setattr("genie_lite.play.autoplay.AUTO_LIMIT", 3)

    async def watch():
        player.auto.button.value = True
        await player.auto.task

    elsewhere(lambda: asyncio.run(watch()))
    assert player.session.num_steps == 3 and not player.auto.button.value and "rests" in player.message.value
    monkeypatch.setattr(player.session, "step", lambda action: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        elsewhere(lambda: asyncio.run(watch()))
    assert "auto-play stopped" in player.message.value and not player.auto.button.value


def test_auto_play_without_an_event_loop_says_so(player):
    elsewhere(lambda: setattr(player.auto.button, "value", True))
    assert not player.auto.button.value and "event loop" in player.message.value


def test_a_session_may_be_shown_and_played_from_elsewhere():
    session = PlaySession(FakeGenie(), scenes()[4])
    player = PlayWidget(session, scenes())
    np.testing.assert_array_equal(shown(player), scenes()[4])
    session.step(2)
    player.refresh()
    np.testing.assert_array_equal(shown(player), session.frame)
    player.close()


def test_where_no_widgets_run_the_picture_is_shown(player):
    bundle = player._repr_mimebundle_()
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))))
    np.testing.assert_array_equal(still[::5, ::5], player.session.frame)
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_closing_takes_every_part_away(player):
    def parts(widget):
        return [widget, *(part for child in getattr(widget, "children", ()) for part in parts(child))]

    everything = parts(player)
    assert len(everything) > 40 and all(part.comm is not None for part in everything)
    player.close()
    assert all(part.comm is None for part in everything)


def test_javascript_and_css_ship_in_the_package_and_need_no_network():
    files = sorted(path.name for path in Path(STATIC).iterdir())
    assert files == ["canvas.js", "keys.js", "player.css"]
    for path in Path(STATIC).iterdir():
        text = path.read_text()
        assert "http:" not in text and "https:" not in text and "import(" not in text and "\nimport " not in text


def test_sessions_need_no_jupyter_and_no_gymnasium():
    code = (
        "import sys, genie_lite.play as p; p.PlaySession; "
        "bad = {'ipywidgets', 'anywidget', 'IPython', 'gymnasium'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    root = Path(genie_lite.play.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
