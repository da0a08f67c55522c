"""The player without a browser: its methods, what it tells the browser, and what it does when the browser asks."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import subprocess
import sys
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeGenie, scenes
from PIL import Image

pytest.importorskip("anywidget")

import genie_lite.play
from genie_lite.config import load_config
from genie_lite.play import ActionError, PlaySession, PlayWidget, PromptError, play
from genie_lite.play.page import SCRIPT, STATIC, STYLE

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


@pytest.fixture
def sent(player, monkeypatch) -> list:
    """The messages that the player sends to the browser besides its state."""
    messages: list = []
    monkeypatch.setattr(player, "send", lambda content, buffers=(): messages.append((content, buffers)))
    return messages


def ask(player: PlayWidget, kind: str, *buffers: bytes, **content) -> None:
    """A command from the browser."""
    player._handle_custom_msg({"kind": kind, **content}, [memoryview(data) for data in buffers])


def image(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def shown(player: PlayWidget) -> np.ndarray:
    return image(player.state["png"])


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------- playing


def test_each_latent_action_plays_a_frame_and_shows_it(player):
    for action in range(6):
        player.act(action)
        assert player.session.latent_actions[-1] == action == player.state["last"]["action"]
        np.testing.assert_array_equal(shown(player), player.session.frame)
    assert player.state["number"] == 6 and player.state["caption"] == "5"


def test_keys_play_what_the_worlds_controller_chooses():
    player = play(FakeGenie(), scenes(), actions=ACTIONS)
    assert {"left", "up", "right", "none", "up-right"} <= set(player.setup["keys"])
    for key, action in (("left", 2), ("none", 4), ("up-right", 5)):
        player.press(key)
        assert player.session.latent_actions[-1] == action and player.state["last"] == {"key": key, "action": action}
    assert player.state["caption"] == "↗ 5"
    player.close()


def test_undo_reset_and_new_prompt(player):
    start = shown(player)
    player.act(2)
    player.press("left")
    player.undo()
    assert player.state["number"] == 1 and player.state["caption"] == "2"
    player.undo()
    np.testing.assert_array_equal(shown(player), start)
    with pytest.raises(ActionError, match="play starts here"):
        player.undo()
    player.act(0)
    player.reset()
    np.testing.assert_array_equal(shown(player), start)
    player.new_prompt()
    assert (shown(player) != start).any() and player.state["number"] == 0


def test_latent_actions_say_what_they_do():
    player = play(FakeGenie(), scenes(), actions=ACTIONS)
    labels = [action["label"] for action in player.setup["actions"]]
    assert labels == ["0 →", "1 ↑", "2 ←", "3 ↓", "4 •", "5 ↗"]
    assert "17% of all transitions" in player.setup["actions"][0]["title"]
    player.close()
    world = FakeGenie()
    world.card["actions"] = ACTIONS
    player = play(world, scenes())
    assert [action["label"] for action in player.setup["actions"]] == labels
    player.close()


def test_words_and_colours_are_of_the_world_that_is_played():
    world = FakeGenie()
    platform = play(world, scenes(), actions=ACTIONS)
    world.config = load_config("robot")
    robot = play(world, scenes(), actions=ACTIONS)
    for player, jumps, who, colour in ((platform, True, "hero", "lava"), (robot, False, "arm", "wrist")):
        assert player.setup["jumps"] == jumps
        assert f"the {who} typically moves" in player.setup["actions"][0]["title"]
        assert colour in dict(player.setup["palette"])
        player.close()
    assert not play(world, scenes()).setup["jumps"], "keys that stand for numbers"


def test_without_labels_latent_actions_are_plain_numbers(player):
    assert [action["label"] for action in player.setup["actions"]] == ["0", "1", "2", "3", "4", "5"]


def test_the_first_key_finds_everything_warm_and_the_game_at_its_start(monkeypatch):
    steps = []
    step = PlaySession.warm_up
    monkeypatch.setattr(PlaySession, "warm_up", lambda session: steps.append(step(session)))
    player = play(FakeGenie(), scenes(), seed=1)
    fresh = PlaySession(FakeGenie(), scenes()[0], seed=1)
    player.session.reset(scenes()[0])
    assert len(steps) == 1
    fresh.warm_up()
    np.testing.assert_array_equal(player.session.step(2), fresh.step(2))
    assert fresh.num_steps == 1
    player.close()


def test_a_session_may_be_shown_and_played_from_elsewhere():
    session = PlaySession(FakeGenie(), scenes()[4])
    player = PlayWidget(session, scenes())
    np.testing.assert_array_equal(shown(player), scenes()[4])
    player.press("right")
    session.step(2)
    player.refresh()
    np.testing.assert_array_equal(shown(player), session.frame)
    assert player.state["caption"] == "2", "no key was pressed for this one"
    player.close()


# ------------------------------------------------------------------------------------ what the browser asks


def test_every_command_is_answered_and_slow_ones_are_announced(player, sent, monkeypatch):
    monkeypatch.setattr("genie_lite.play.widget.SLOW", -1)
    ask(player, "press", key="right", id="a-1")
    assert player.state["answered"] == "a-1" and player.session.num_steps == 1
    ask(player, "act", action=3, id="a-2")
    ask(player, "undo", id="a-3")
    assert player.state["answered"] == "a-3" and player.session.num_steps == 1
    ask(player, "reset", id="a-4")
    ask(player, "new", id="a-5")
    assert player.session.num_steps == 0
    assert [content for content, _ in sent] == [{"kind": "begun", "id": f"a-{n}"} for n in range(1, 6)]


def test_a_step_is_one_message(player, monkeypatch):
    states = []
    player.observe(lambda change: states.append(change.new), names="state")
    ask(player, "press", key="right", id="a-1")
    assert len(states) == 1 and states[0]["answered"] == "a-1" and states[0]["number"] == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ({"kind": "press", "key": "jump"}, "wanted one of left"),
        ({"kind": "press", "key": None}, "wanted one of left"),
        ({"kind": "act", "action": 99}, "wanted 0 to 5"),
        ({"kind": "act", "action": "x"}, "whole number"),
        ({"kind": "undo"}, "play starts here"),
        ({"kind": "steps", "value": 0}, "maskgit_steps"),
    ],
)
def test_a_command_that_cannot_be_obeyed_is_said_and_answered(player, command, words):
    ask(player, **command, id="a-1")
    assert player.state["message"]["error"] and words in player.state["message"]["text"]
    assert player.state["answered"] == "a-1" and player.session.num_steps == 0


def test_an_answer_comes_even_when_a_step_fails(player, monkeypatch):
    monkeypatch.setattr(player.session, "step", lambda action: 1 / 0)
    ask(player, "act", action=3, id="a-1")
    assert player.state["answered"] == "a-1" and "division by zero" in player.state["message"]["text"]


def test_the_strip_of_a_newly_opened_page(player, sent):
    for action in range(3):
        player.act(action)
    player.press("right")
    ask(player, "history")
    (content, buffers) = sent[-1]
    captions = [(frame["number"], frame["caption"]) for frame in content["frames"]]
    assert captions == [(0, "start"), (1, "0"), (2, "1"), (3, "2"), (4, "→ 2")]
    np.testing.assert_array_equal([image(data) for data in buffers], player.session.frames)
    for _ in range(9):
        player.act(5)
    ask(player, "history")
    assert [frame["number"] for frame in sent[-1][0]["frames"]] == list(range(6, 14))


def test_fewer_maskgit_steps_reach_the_session(player):
    ask(player, "steps", value=2)
    assert player.session.maskgit_steps == 2 == player.state["steps"]


def test_the_gallery_starts_from_the_frame_clicked(player):
    assert player.gallery == []
    ask(player, "gallery")
    assert len(player.gallery) == 8 and len(set(player.gallery)) == 8
    ask(player, "choose", index=2)
    np.testing.assert_array_equal(shown(player), image(player.gallery[2]))
    first = player.gallery[0]
    ask(player, "gallery")
    assert player.gallery[0] != first


def test_each_latent_action_has_a_loop_of_what_it_does_from_the_current_frame(player):
    assert player.previews == [b""] * 6
    player.act(2)
    before = player.session.frames
    elsewhere(lambda: ask(player, "previews"))
    for action, (dx, dy) in ((0, (-2, 0)), (3, (0, 2))):
        with Image.open(io.BytesIO(player.previews[action])) as gif:
            assert gif.n_frames == 7 and gif.info["loop"] == 0
            gif.seek(6)
            last = np.asarray(gif.convert("RGB")).astype(int)
        moved = np.roll(before[-1], (6 * dy, 6 * dx), axis=(0, 1))
        assert (np.abs(last - moved).max(-1) > 16).mean() < 0.02, "all but a few repainted pixels have moved"
    np.testing.assert_array_equal(player.session.frames, before)


def test_previews_come_a_few_at_a_time_and_leave_the_loop_free(player):
    async def watch():
        player.preview()
        seen, turns = set(), 0
        while not all(player.previews):
            await asyncio.sleep(0)
            seen.add(sum(map(bool, player.previews)))
            turns += 1
        return seen, turns

    seen, turns = elsewhere(lambda: asyncio.run(watch()))
    assert {0, 4, 6} <= seen and turns > 5


# ------------------------------------------------------------------------------------ pictures of one's own


def test_an_uploaded_picture_becomes_the_prompt_and_is_shown_as_the_model_sees_it(player):
    ask(player, "upload", png(Image.new("RGB", (300, 200), (200, 30, 40))), name="red.png")
    assert (shown(player) == (200, 30, 40)).all() and player.session.num_steps == 0
    np.testing.assert_array_equal(image(player.fitted["frame"]), player.session.frame)
    assert player.fitted["source"] == "upload" and "Cropped to the centre" in player.fitted["notes"]
    assert player.state["message"]["text"] == "Playing from red.png."


def test_a_broken_upload_is_said_and_the_game_goes_on(player):
    player.act(1)
    before = shown(player)
    ask(player, "upload", b"\x89PNG\r\n\x1a\nnothing", name="<b>broken</b>.png")
    np.testing.assert_array_equal(shown(player), before)
    assert player.session.num_steps == 1 and player.fitted == {}
    assert player.state["message"]["error"] and "<b>broken</b>.png: " in player.state["message"]["text"]
    with pytest.raises(PromptError, match="broken"):
        player.take(b"", "broken")


def test_a_drawing_becomes_the_prompt(player):
    drawing = Image.new("RGB", (256, 256), (0, 0, 0))
    drawing.paste((251, 204, 18), (0, 128, 256, 256))
    ask(player, "drawing", png(drawing))
    assert (shown(player)[32:] == (251, 204, 18)).all() and not shown(player)[:32].any()


# ------------------------------------------------------------------------------------ GIFs


def test_a_gif_is_saved_under_the_next_free_name_and_offered_once(player, sent, tmp_path):
    player.act(0)
    ask(player, "gif")
    ask(player, "gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["play-001.gif", "play-002.gif"]
    assert "play-002.gif: 2 frames" in player.state["message"]["text"]
    (content, (data,)) = sent[-1]
    assert content == {"kind": "file", "name": "play-002.gif"} and data == (tmp_path / "play-002.gif").read_bytes()


def test_a_long_game_is_saved_in_part_and_not_put_into_the_notebook(player, sent, monkeypatch):
    monkeypatch.setattr("genie_lite.play.widget.GIF_FRAMES", 20)
    monkeypatch.setattr("genie_lite.play.widget.DOWNLOAD_BYTES", 1000)
    for _ in range(30):
        player.session.step(2)
    player.save_gif()
    with Image.open(player.gif_folder / "play-001.gif") as gif:
        assert gif.n_frames == 20
    assert "the last 20 of 31 frames" in player.state["message"]["text"] and sent == []


def test_a_gif_that_cannot_be_saved_is_said(player, tmp_path):
    (tmp_path / "file").write_text("")
    player.gif_folder = tmp_path / "file"
    player.save_gif()
    assert "could not be saved" in player.state["message"]["text"] and player.state["message"]["error"]
    assert (tmp_path / "file").exists()


def test_a_gif_that_does_not_fit_on_the_disk_is_said_and_takes_no_name(player, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("genie_lite.play.session.write_gif", full)
        player.save_gif()
    message = player.state["message"]
    assert message["error"] and "play-001.gif: could not be saved (No space left on device)" in message["text"]
    assert not list(tmp_path.iterdir())
    player.save_gif()
    assert [path.name for path in tmp_path.iterdir()] == ["play-001.gif"]


# ------------------------------------------------------------------------------------ auto-play


@pytest.mark.parametrize("choice", ["last", "random", "3"])
def test_auto_play_plays_until_it_is_switched_off_and_leaves_the_loop_free(player, choice):
    async def watch():
        player.act(2)
        ask(player, "auto", on=True, choice=choice)
        player.auto.speed = 1e6
        turns = 0
        while player.session.num_steps < 6:
            await asyncio.sleep(0)
            turns += 1
        assert player.state["auto"]
        ask(player, "auto", on=False)
        await player.auto.task
        return turns

    assert elsewhere(lambda: asyncio.run(watch())) > 5
    np.testing.assert_array_equal(shown(player), player.session.frame)
    assert not player.state["auto"]
    played = player.session.latent_actions[1:]
    if choice != "random":
        assert set(played) == {2 if choice == "last" else 3}


class WithPrior:
    """A controller whose world always wants latent action 5."""

    keys, prior = ("left",), object()

    def latent_actions(self, frames, keys):
        return np.zeros(len(frames), int)

    def autoplay(self, frames, rng):
        assert frames.shape[0] == 1 and frames.ndim == 5 and isinstance(rng, np.random.Generator)
        return np.array([5])


def test_the_world_plays_itself_where_it_has_an_action_prior():
    player = play(FakeGenie(), scenes(), controller=WithPrior())
    assert player.setup["choices"][0] == ("prior", "the world plays itself") and player.auto.choice == "prior"
    assert player.auto.next_action() == 5
    player.close()


def test_auto_play_stops_by_itself_and_says_when_it_fails(player, monkeypatch):
    monkeypatch.setattr("genie_lite.play.autoplay.AUTO_LIMIT", 3)
    player.auto.speed = 1e6

    async def watch():
        player.auto.on = True
        await player.auto.task

    elsewhere(lambda: asyncio.run(watch()))
    assert player.session.num_steps == 3 and not player.auto.on and not player.state["auto"]
    assert "stops after 3 frames" in player.state["message"]["text"]
    monkeypatch.setattr(player.session, "step", lambda action: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        elsewhere(lambda: asyncio.run(watch()))
    assert "auto-play stopped" in player.state["message"]["text"] and not player.auto.on


def test_auto_play_without_an_event_loop_says_so(player):
    elsewhere(lambda: ask(player, "auto", on=True))
    assert not player.auto.on and "event loop" in player.state["message"]["text"]


# ------------------------------------------------------------------------------------ in the notebook's file


def outputs(player, monkeypatch) -> list[dict]:
    seen: list[dict] = []
    monkeypatch.setattr("genie_lite.play.view.display", lambda data, raw, metadata=None: seen.append(data))
    player._ipython_display_()
    return seen


def test_after_the_player_comes_a_still_picture_that_says_how_to_play(player, monkeypatch):
    live, still = outputs(player, monkeypatch)
    assert "application/vnd.jupyter.widget-view+json" in live
    picture = image(base64.b64decode(still["image/png"]))
    np.testing.assert_array_equal(picture[16 : 16 + 256 : 4, 16 : 16 + 256 : 4], player.session.frame)
    assert "run this cell" in still["text/plain"] and still["image/png"] in still["text/html"]
    assert f'data-player="{player.setup["player"]}"' in still["text/html"]
    assert sum(len(value) for value in still.values()) < 100_000


# ------------------------------------------------------------------------------------ memory


def test_closed_players_are_freed_with_everything_they_played():
    def played() -> tuple[weakref.ref, weakref.ref]:
        player = play(FakeGenie(), scenes(4), maskgit_steps=1)
        for action in (0, 1, 2):
            player.act(action)
        player.close()
        return weakref.ref(player), weakref.ref(player.session)

    played()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    left = [played() for _ in range(50)]
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert not any(reference() for pair in left for reference in pair)
    assert grown < 1_000_000


@pytest.mark.parametrize(
    "wrong", [{"actions": [1]}, {"prompt": b"no picture"}, {"maskgit_steps": 0}, {"seed": -1}, {"colour": 3}]
)
def test_a_player_that_cannot_be_made_raises_once(wrong, monkeypatch):
    ignored: list = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    with pytest.raises((ValueError, TypeError)):
        play(FakeGenie(), scenes(), **wrong)
    gc.collect()
    assert ignored == []


# ------------------------------------------------------------------------------------ what ships


def test_javascript_and_css_ship_in_the_package_and_need_no_network():
    files = {path.name: path.read_text() for path in Path(STATIC).iterdir()}
    assert all(text in SCRIPT or text in STYLE for text in files.values()), "a file that no player uses"
    for text in (SCRIPT, STYLE):
        assert "http:" not in text and "https:" not in text and "import(" not in text and "\nimport " not in text


def test_sessions_need_no_jupyter_and_no_gymnasium():
    code = (
        "import sys, genie_lite.play as p; p.PlaySession; "
        "bad = {'ipywidgets', 'anywidget', 'IPython', 'gymnasium'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    root = Path(genie_lite.play.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
