"""The robot arm: it goes where it is told, pushes objects, is collected like any game, and is measured from pixels."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

import genie_lite
from genie_lite.config import load_config
from genie_lite.data import (
    DatasetError,
    check_dataset,
    collect,
    course_dataset,
    open_dataset,
    robot_available,
    sample_dataset,
)
from genie_lite.data.pusher import NOTHING, Pusher
from genie_lite.data.robot_arm import FRAME_SHAPE, TRAY, Layout, RobotArm
from genie_lite.evaluation import EvaluationError, marker_places, measure_marker
from genie_lite.play import Controller

needs_pybullet = pytest.mark.skipif(not robot_available(), reason="PyBullet has no wheel for this Python or platform")

SMALL = dataclasses.replace(load_config("robot").data, num_envs=2, frames_per_level=8, action_repeat=2)
GREY = 120


def painted(column: int, row: int, colour: tuple[int, int, int], side: int = 5) -> np.ndarray:
    """A grey frame with a square whose middle is at (column, row)."""
    frame = np.full(FRAME_SHAPE, GREY, np.uint8)
    half = side // 2
    frame[row - half : row + half + 1, column - half : column + half + 1] = colour
    return frame


def pushed(level: int, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Frames of a level, the env actions, and where wrist and object really are on the screen, [T, 2] each."""
    arm, pusher = RobotArm(level), Pusher(0.4, np.random.default_rng(level))
    pictures, env_actions, wrist, thing = [], [], [], []
    for _ in range(frames):
        pictures.append(arm.picture())
        wrist.append(arm.on_screen(arm.tool, 0.25))
        thing.append(arm.on_screen(arm.object, 0.05))
        env_actions.append(pusher.choose(arm.tool, arm.object))
        for _ in range(4):
            arm.step(env_actions[-1])
    arm.close()
    return np.stack(pictures), np.array(env_actions), np.stack(wrist), np.stack(thing)


@pytest.mark.parametrize(("marker", "colour"), [("arm", (240, 105, 15)), ("object", (30, 80, 230))])
def test_a_marker_is_found_where_it_is_painted(marker, colour) -> None:
    frames = np.stack([painted(20, 30, colour), painted(24, 27, colour)])
    places, seen = marker_places(frames, marker)
    np.testing.assert_allclose(places, [[20, 30], [24, 27]])
    assert seen.all()
    motion = measure_marker(frames[None], marker)
    assert (motion.dx[0, 0], motion.dy[0, 0], motion.sure_x[0, 0]) == (4, -3, True)


def test_a_marker_that_is_cut_off_or_hidden_is_not_certain() -> None:
    blue, orange = (30, 80, 230), (240, 105, 15)
    frames = np.stack([painted(20, 30, blue), painted(20, 30, blue), painted(2, 30, blue)])
    frames[1, 28:30, 18:23] = orange  # the arm in front of it
    motion = measure_marker(frames, "object")
    assert not motion.sure_x.any()
    assert not marker_places(np.stack([painted(2, 30, orange)]), "arm")[1].any()
    assert not marker_places(frames[:1], "arm")[1].any()
    with pytest.raises(EvaluationError, match="wanted uint8"):
        marker_places(frames.astype(float), "arm")


def test_levels_are_what_their_number_says_and_differ() -> None:
    layouts = [Layout.of_level(level) for level in range(50)]
    again = Layout.of_level(7)
    np.testing.assert_array_equal(layouts[7].object, again.object)
    assert len({layout.colour for layout in layouts}) == 3 and {layout.box for layout in layouts} == {True, False}
    for layout in layouts:
        assert np.linalg.norm(layout.tool - layout.object) >= 0.12  # the rod does not begin inside the object
        assert (layout.object > np.array(TRAY)[:, 0]).all() and (layout.object < np.array(TRAY)[:, 1]).all()


def test_the_pusher_pushes_what_stands_before_it_and_keeps_its_directions() -> None:
    """A toy table, on which the tool moves 3 cm a frame and an object gives way."""
    rng = np.random.default_rng(0)
    pusher, tool, thing = Pusher(0.4, rng), np.array([0.5, -0.2]), np.array([0.55, 0.0])
    moved, chosen = 0, []
    for _ in range(600):
        key = pusher.choose(tool, thing)
        chosen.append(key)
        step = 0.03 * np.array([-(key % 3 - 1), key // 3 - 1])
        tool = np.clip(tool + step, [0.39, -0.26], [0.73, 0.26])
        away = thing - tool
        if np.linalg.norm(away) < 0.06:
            thing = np.clip(tool + 0.06 * away / np.linalg.norm(away), [0.46, -0.19], [0.66, 0.19])
            moved += 1
    shares = np.bincount(chosen, minlength=9) / len(chosen)
    assert moved > 60 and shares.min() > 0.03 and shares[NOTHING] < 0.4
    assert np.mean(np.diff(chosen) == 0) > 0.5


def test_without_pybullet_collecting_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pybullet", None)
    assert not robot_available()
    with pytest.raises(DatasetError, match=r"needs PyBullet, which is missing with Python 3.*sample_dataset"):
        collect(SMALL, tmp_path / "videos", frames=8, progress=False)
    assert not (tmp_path / "videos").exists()


@needs_pybullet
def test_the_arm_goes_where_it_is_told_and_pushes_what_is_in_its_way() -> None:
    for key, (across, down) in {1: (-1, 0), 7: (1, 0), 3: (0, 1), 5: (0, -1), 8: (1, -1), 4: (0, 0)}.items():
        arm = RobotArm(11)
        arm._goal[:] = (0.56, 0.0)  # the middle, where all directions are free
        for _ in range(16):
            arm.step(4)
        before = arm.on_screen(arm.tool, 0.25)
        for _ in range(8):
            arm.step(key)
        moved = arm.on_screen(arm.tool, 0.25) - before
        arm.close()
        np.testing.assert_array_equal(np.sign(np.where(np.abs(moved) > 2, moved, 0)), [across, down])
    moves = np.concatenate([np.linalg.norm(np.diff(pushed(level, 24)[3], axis=0), axis=1) for level in range(6)])
    assert 0.1 < (moves > 0.7).mean() < 0.7


@needs_pybullet
def test_motion_measured_from_pixels_is_that_of_the_simulation() -> None:
    for marker, true in (("arm", 2), ("object", 3)):
        errors = []
        for level in range(500, 505):
            found = pushed(level, 20)
            motion = measure_marker(found[0], marker)
            error = np.stack([motion.dx, motion.dy], -1) - np.diff(found[true], axis=0)
            errors.append(np.abs(error[motion.sure_x]).max(-1))
        assert len(np.concatenate(errors)) > 40
        assert (np.concatenate(errors) < 1).mean() > 0.97, marker


@needs_pybullet
def test_collecting_in_sittings_makes_the_same_videos_and_levels_are_disjoint(tmp_path: Path) -> None:
    for frames in (6, 21, 40):
        collect(SMALL, tmp_path / "sittings", frames=frames, progress=False)
    whole = collect(SMALL, tmp_path / "whole", frames=40, progress=False)
    parts = open_dataset(tmp_path / "sittings")
    np.testing.assert_array_equal(parts.read_chunk(0), whole.read_chunk(0))
    np.testing.assert_array_equal(parts.env_actions(), whole.env_actions())
    np.testing.assert_array_equal(whole.episode_starts, np.arange(0, 40, 8))
    test = collect(SMALL, tmp_path / "test", "test", frames=8, progress=False)
    assert not set(test.level_seeds()) & set(whole.level_seeds())
    assert check_dataset(tmp_path / "whole") == [] and whole.attributes["game"] == "robot"


def test_the_course_takes_the_sample_where_pybullet_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pybullet", None)
    with caplog.at_level(logging.WARNING):
        dataset = course_dataset(load_config("robot"), tmp_path, "test")
    assert "PyBullet is not installed" in caplog.text and dataset.attributes["game"] == "robot"


def test_keys_move_the_arm_of_the_shipped_world_their_way() -> None:
    """Its camera stands still: the shift of the scene would say the opposite of what the arm does."""
    genie = genie_lite.load("robot", device="cpu")
    dataset = sample_dataset("test", game="robot")
    prompts = dataset.read_clips(dataset.episode_starts[:4] + 8, 1)
    controller = Controller(genie)
    assert {"left", "right", "up", "none", "down-right"} <= set(controller.keys)
    assert "down" not in controller.keys, "no latent action goes straight down"
    across = {}
    for key in ("left", "right"):
        actions = controller.latent_actions(prompts, key)
        video = genie.generate(prompts, actions[:, None], maskgit_steps=4)
        motion = measure_marker(np.concatenate([prompts, video], axis=1))
        across[key] = motion.dx[motion.sure_x].mean()
    assert across["left"] < -1 and across["right"] > 1
