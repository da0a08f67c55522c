"""A play session: what it promises to learners, widgets and environments."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from fakes import FakeGenie, scenes
from PIL import Image

from genie_lite import load_config, storage
from genie_lite.data import sample_dataset
from genie_lite.play import ActionError, ActionLabel, PlaySession, PromptError, Prompts, read_labels
from genie_lite.play.keys import controller_for
from genie_lite.play.pictures import write_gif
from genie_lite.play.prompts import open_places


@pytest.fixture
def session() -> PlaySession:
    return PlaySession(FakeGenie(), scenes()[0], maskgit_steps=5, seed=3)


def test_step_gives_the_next_frame_and_keeps_history(session):
    start = session.frame
    frames = [session.step(a) for a in (2, 2, 1)]
    assert session.frames.shape == (4, 64, 64, 3) and session.frames.dtype == np.uint8
    np.testing.assert_array_equal(session.frames, np.stack([start, *frames]))
    np.testing.assert_array_equal(session.latent_actions, [2, 2, 1])
    assert session.frame is frames[-1] and session.num_steps == 3


def test_undo_and_redo_give_the_very_same_frames(session):
    played = [session.step(a) for a in (0, 5, 2, 2)]
    for back in (2, 1, 0):
        np.testing.assert_array_equal(session.undo(), played[back])
    np.testing.assert_array_equal(session.latent_actions, [0])
    for forth, action in enumerate((5, 2, 2), start=1):
        np.testing.assert_array_equal(session.step(action), played[forth])


def test_undo_at_the_prompt_says_so_and_changes_nothing(session):
    before = session.frame
    with pytest.raises(ActionError, match="play starts here"):
        session.undo()
    np.testing.assert_array_equal(session.frame, before)


def test_reset_repeats_the_game_and_another_seed_does_not(session):
    first = [session.step(a) for a in (0, 1, 2)]
    session.reset()
    assert session.num_steps == 0
    np.testing.assert_array_equal([session.step(a) for a in (0, 1, 2)], first)
    session.reset(seed=4)
    assert (np.array([session.step(a) for a in (0, 1, 2)]) != np.array(first)).any()


def test_reset_takes_a_new_prompt_and_keeps_it(session):
    other = scenes()[1]
    np.testing.assert_array_equal(session.reset(other), other)
    session.step(0)
    np.testing.assert_array_equal(session.reset(), other)


@pytest.mark.parametrize("action", [-1, 6, 99, np.int64(6)])
def test_an_action_out_of_range_names_the_range_and_changes_nothing(session, action):
    with pytest.raises(ActionError, match=rf"found {int(action)}, wanted 0 to 5"):
        session.step(action)
    assert session.num_steps == 0


@pytest.mark.parametrize("action", [1.0, 1.5, "left", "0", None, np.array([1, 2])])
def test_an_action_that_is_no_whole_number_is_refused(session, action):
    with pytest.raises(ActionError, match="whole number from 0 to 5"):
        session.step(action)


def test_maskgit_steps_may_change_during_play(session):
    session.maskgit_steps = 1
    before = session.frame
    moved = np.roll(before, (0, 2), axis=(0, 1))
    assert (session.step(2) != moved).any(axis=-1).sum() <= 1, "the fake world repaints one pixel for each step"
    with pytest.raises(ValueError, match="wanted 1 or more"):
        session.maskgit_steps = 0


def test_a_prompt_may_be_any_picture_and_a_bad_one_leaves_the_session_alone(session):
    session.step(1)
    with pytest.raises(PromptError):
        session.reset(b"not a picture")
    with pytest.raises(PromptError, match=r"wanted uint8 \[T, 64, 64, 3\]"):
        session.reset(np.zeros((2, 32, 32, 3), np.uint8))
    assert session.num_steps == 1
    assert session.reset(Image.new("L", (300, 200), 77)).shape == (64, 64, 3)
    assert (session.frame == 77).all()
    session.reset(scenes(3))
    assert session.prompt.shape == (3, 64, 64, 3)
    np.testing.assert_array_equal(session.frame, scenes(3)[-1])


def test_threads_take_turns(session):
    threads = [threading.Thread(target=lambda: [session.step(2) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(session.frames) == 81 and len(session.latent_actions) == 80


def test_gif_has_every_frame_enlarged(session, tmp_path):
    for action in (2, 1, 0):
        session.step(action)
    path = session.save_gif(tmp_path / "new" / "video.gif", scale=3, fps=10)
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"], gif.info["loop"]) == (4, (192, 192), 100, 0)
        first = np.asarray(gif.convert("RGB"))[1::3, 1::3].astype(int)
    assert np.abs(first - session.frames[0]).max() <= 16
    assert [p.name for p in path.parent.iterdir()] == ["video.gif"]


def test_a_failed_gif_leaves_the_old_one_and_nothing_else(session, tmp_path, monkeypatch):
    path = session.save_gif(tmp_path / "video.gif")
    old = path.read_bytes()
    session.step(2)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        session.save_gif(path)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 0},
        {"scale": 1.5},
        {"scale": 10**6},
        {"fps": 0},
        {"fps": 0.001},
        {"fps": 90},
        {"fps": float("nan")},
        {"fps": "8"},
        {"last": 0},
        {"last": -1},
        {"last": 1.5},
        {"last": "3"},
        {"last": [3]},
    ],
)
def test_gif_settings_are_checked(session, tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        session.save_gif(tmp_path / "video.gif", **wrong)
    assert not list(tmp_path.iterdir())


def test_a_gif_may_hold_only_the_newest_frames(session, tmp_path):
    for action in (2, 1, 0, 0):
        session.step(action)
    with Image.open(session.save_gif(tmp_path / "video.gif", scale=1, last=3)) as gif:
        assert gif.n_frames == 3
        first = np.asarray(gif.convert("RGB")).astype(int)
    assert np.abs(first - session.frames[-3]).max() <= 16


def test_a_gif_of_one_channel_is_exact(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 1), np.uint8)
    with Image.open(write_gif(frames, tmp_path / "grey.gif", scale=1)) as gif:
        for number, frame in enumerate(frames):
            gif.seek(number)
            np.testing.assert_array_equal(np.asarray(gif.convert("L")), frame[..., 0])


def test_a_gif_is_written_frame_by_frame(tmp_path):
    rng = np.random.default_rng(0)
    noise = (rng.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(400))
    tracemalloc.start()
    path = write_gif(noise, tmp_path / "long.gif", scale=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 4


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 1.5}, {"maskgit_steps": 0}, {"maskgit_steps": "8"}])
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PlaySession(FakeGenie(), scenes()[0], **wrong)


def test_an_interrupt_never_lands_inside_a_call(session):
    """A signal at every line that a call executes: the session is as before the call or as after it."""
    session.step(2)
    calls = {
        "step": (lambda: session.step(1), session.undo),
        "undo": (session.undo, lambda: session.step(2)),
    }
    for name, (call, back) in calls.items():
        before = session.frames
        call()
        after = session.frames
        back()
        for line in itertools.count():
            fired = interrupt_at(line, call)
            assert any(np.array_equal(session.frames, frames) for frames in (before, after)), (name, line)
            assert len(session.latent_actions) == len(session.frames) - 1
            np.testing.assert_array_equal(session.step(0), expected_after(session.latent_actions[:-1]))
            session.undo()
            if len(session.frames) == len(after):
                back()
            if not fired:
                break
        assert line > 10, "the signal must have landed at many places"


def expected_after(actions) -> np.ndarray:
    """The frame that latent action 0 leads to after these, in a session that nobody interrupted."""
    fresh = PlaySession(FakeGenie(), scenes()[0], maskgit_steps=5, seed=3)
    for action in actions:
        fresh.step(action)
    return fresh.step(0)


def interrupt_at(line: int, call) -> bool:
    """Send this process Ctrl-C when `call` executes its line number `line`; False when it has fewer."""
    passed = itertools.count()

    def trace(frame, event, argument):
        if event == "line" and next(passed) == line:
            signal.raise_signal(signal.SIGINT)
        return trace

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.settrace(trace)
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
        signal.signal(signal.SIGINT, before)
    return False


# ------------------------------------------------------------------------------------------- keys


class Always:
    """A controller that knows two keys and notes what it was shown."""

    keys = ("left", "none")

    def __init__(self):
        self.seen = []

    def latent_actions(self, frames, keys):
        self.seen.append(frames)
        return np.array([{"left": 0, "none": 4}[key] for key in keys])


def test_a_key_takes_the_latent_action_that_the_controller_chooses_from_the_known_past():
    controller = Always()
    session = PlaySession(FakeGenie(), scenes(3), controller=controller)
    session.press("left")
    session.press("none")
    np.testing.assert_array_equal(session.latent_actions, [0, 4])
    assert [frames.shape for frames in controller.seen] == [(1, 3, 64, 64, 3), (1, 4, 64, 64, 3)]
    np.testing.assert_array_equal(controller.seen[1][0], np.concatenate([scenes(3), session.frames[1:2]]))
    for _ in range(20):
        session.press("left")
    assert controller.seen[-1].shape[1] == FakeGenie.context_frames
    np.testing.assert_array_equal(controller.seen[-1][0, -1], session.frames[-2])


def test_a_key_that_the_world_does_not_know_is_named(session):
    with pytest.raises(ActionError, match=r"found 'jump', wanted one of left, up, right, down"):
        session.press("jump")
    with pytest.raises(ActionError, match="found 0, wanted one of"):
        session.press(0)
    assert session.num_steps == 0


# ------------------------------------------------------------------------------------------- prompts of a dataset


class VideoFake:
    """Two episodes of 5 frames, with the face of FrameDataset that prompts need."""

    frames = scenes(10)

    def clip_starts(self, length, stride=1):
        return np.array([s for s in range(10) if s // 5 == (s + (length - 1) * stride) // 5])

    def read_clips(self, starts, length, stride=1):
        return np.stack([self.frames[s : s + length * stride : stride] for s in starts])


def test_prompts_visit_every_start_once_in_an_order_the_seed_decides():
    prompts = Prompts(FakeGenie(), VideoFake(), length=2, seed=1)
    seen = [prompts.next() for _ in range(len(prompts))]
    assert len({p.tobytes() for p in seen}) == len(prompts) == 8
    np.testing.assert_array_equal(prompts.next(), seen[0])
    again = Prompts(FakeGenie(), VideoFake(), length=2, seed=1)
    np.testing.assert_array_equal([again.next() for _ in seen], seen)


def test_chosen_frames_come_first_and_end_their_prompts():
    prompts = Prompts(FakeGenie(), VideoFake(), length=2, first=[7, 1, 5])  # frame 5 begins an episode: no such prompt
    np.testing.assert_array_equal(prompts[0], VideoFake.frames[6:8])
    np.testing.assert_array_equal(prompts[1], VideoFake.frames[0:2])
    assert len({prompts[i].tobytes() for i in range(len(prompts))}) == len(prompts) == 8


@pytest.mark.parametrize("game", ["plain", "full"])
def test_prompts_of_the_sample_begin_with_open_places_in_different_episodes(game):
    dataset = sample_dataset("test", game=game)
    places = open_places(dataset)
    assert len(places) > 40
    episodes = np.searchsorted(dataset.episode_starts, places, side="right")
    assert len(set(episodes)) == len(places)
    genie = FakeGenie()
    genie.config = load_config("laptop" if game == "plain" else "coinrun")
    prompts = Prompts.of_sample(genie, length=2)
    np.testing.assert_array_equal(prompts.next()[-1], dataset.read_clips(np.array(places[:1]), 1)[0, 0])


def test_prompts_of_another_size_are_fitted_and_none_at_all_is_an_error():
    assert Prompts(FakeGenie(), scenes(3, (90, 120))).next().shape == (1, 64, 64, 3)
    with pytest.raises(PromptError, match="length=1"):
        Prompts(FakeGenie(), VideoFake(), length=6)


# ------------------------------------------------------------------------------------------- labels of the actions


@pytest.mark.parametrize(
    ("motion", "glyph"),
    [((3, 0), "→"), ((2, 2), "↘"), ((0, 3), "↓"), ((-2, 2), "↙"), ((-3, 0), "←"), ((-2, -2), "↖"), ((0, -3), "↑"),
     ((2, -2), "↗"), ((0.1, 0.1), "•")],
)  # fmt: skip
def test_an_arrow_points_where_the_motion_goes(motion, glyph):
    assert ActionLabel(*motion).glyph == glyph


def test_without_labels_arrow_keys_count_through_the_actions():
    assert controller_for(FakeGenie()).keys == ("left", "up", "right", "down")
    genie = FakeGenie()
    genie.num_latent_actions = 2
    keys = controller_for(genie)
    assert keys.keys == ("left", "up")
    np.testing.assert_array_equal(keys.latent_actions(None, ["up", "left"]), [1, 0])


def test_keys_follow_the_motions_in_the_card_or_those_given():
    genie, past = FakeGenie(), np.zeros((1, 1, 64, 64, 3), np.uint8)
    motions = [(-3, 0), (3, 0), (0, -4), (0, 0), (3, -3), (0, 4)]
    genie.card["actions"] = [{"dx": dx, "dy": dy} for dx, dy in motions]
    given = controller_for(genie, genie.card["actions"][::-1])
    for key, action in (("left", 0), ("right", 1), ("up", 2), ("none", 3)):
        assert controller_for(genie).latent_actions(past, [key])[0] == action
        assert given.latent_actions(past, [key])[0] == 5 - action


def test_labels_are_read_in_every_form(tmp_path):
    rows = [{"dx": 1.0, "dy": 2.0, "share": 0.5, "spread_dx": 3.0}, {"dx": 0.0, "dy": -1.0, "share": 0.5}]
    wanted = [ActionLabel(1, 2, 0.5), ActionLabel(0, -1, 0.5)]
    path = tmp_path / "actions.json"
    path.write_text('{"actions": {"dx": [1, 0], "dy": [2, -1], "share": [0.5, 0.5]}}')
    for source in (rows, {"actions": rows}, path, str(path), wanted):
        assert read_labels(source, 2) == wanted
    assert read_labels(None, 2) is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([{"dx": 1, "dy": 2}], "found 1, wanted 2"),
        ([{"dx": 1}, {"dx": 2}], "wanted dx and dy"),
        ("none.json", "cannot"),
    ],
)
def test_wrong_labels_are_named(source, message):
    with pytest.raises(ValueError, match=message):
        read_labels(source, 2)


def test_a_controller_is_told_which_keys_led_here():
    class Remembering:
        keys = ("left", "right")
        reads_rollout = True

        def latent_actions(self, frames, keys, *, rollout, before):
            self.before = list(before[0])
            return np.array([0])

    session = PlaySession(FakeGenie(), scenes()[0], controller=Remembering())
    session.press("left")
    session.step(1)
    session.press("right")
    session.press("right")
    session.undo()
    session.press("left")
    assert session.controller.before == ["left", None, "right"]
