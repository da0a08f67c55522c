"""Measured motion: against shifts that are known exactly, and against the player's position inside the game."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from genie_lite.evaluation import EvaluationError, measure_motion

PIXELS_PER_TILE = 64 / 13  # CoinRun shows 13 tiles across 64 pixels
PLAYER_SIZE = struct.pack("<iI", 1056964608, 1058284975)  # half width and half height, as the game's state stores them


def videos(**options: bool | str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """The real game, step by step: frames [8, 64, 64, 3], first [8], env actions [8], positions in tiles (x, y up)."""
    procgen = pytest.importorskip("procgen")
    game = procgen.ProcgenGym3Env(num=8, env_name="coinrun", start_level=0, num_levels=500, rand_seed=5, **options)
    generator = np.random.default_rng(0)
    actions = np.full(8, 4)
    for step in range(400):
        if step % 4 == 0:
            fresh = np.where(generator.random(8) < 0.3, 7, generator.integers(0, 9, 8))
            actions = np.where(generator.random(8) < 0.5, actions, fresh)
        _, observation, first = game.observe()
        positions = []
        for state in game.callmethod("get_state"):
            at = state.index(PLAYER_SIZE) - 16
            positions.append(struct.unpack("<ff", state[at : at + 8]))
        yield observation["rgb"].copy(), first.copy(), actions.copy(), np.array(positions)
        game.act(actions.astype(np.int32))


EASY = {"distribution_mode": "easy", "use_backgrounds": False, "restrict_themes": True}
HARD = {"distribution_mode": "hard", "use_backgrounds": True, "restrict_themes": False}


@pytest.mark.parametrize("options", [EASY, HARD], ids=["plain", "backgrounds"])
def test_motion_is_that_of_the_player_inside_the_game(options: dict) -> None:
    frames, first, _, positions = (np.stack(part, axis=1) for part in zip(*videos(**options), strict=True))
    episode = np.cumsum(first, axis=1)
    same = episode[:, 4::4] == episode[:, :-4:4]
    pairs = np.stack([frames[:, :-4:4][same], frames[:, 4::4][same]], axis=1)
    moved = (positions[:, 4::4] - positions[:, :-4:4])[same] * PIXELS_PER_TILE * [1, -1]
    assert np.abs(moved).max() > 20  # jumps and falls of a third of the picture are among them
    found = measure_motion(pairs)
    for measured, sure, true in ((found.dx, found.sure_x, moved[:, 0]), (found.dy, found.sure_y, moved[:, 1])):
        wrong = np.abs(measured[:, 0] - true) > 1
        assert sure.mean() > 0.9
        assert wrong[sure[:, 0]].mean() < 0.01
    settled = np.abs(np.abs(moved) - 0.5).min(1) > 0.3  # half a pixel is neither still nor moving
    across, down = (1 + np.sign(np.where(np.abs(moved) < 0.5, 0, moved))).astype(int).T
    agrees = [found.left_right()[:, 0] == across, found.up_down()[:, 0] == down]
    assert agrees[0][settled & found.sure_x[:, 0]].mean() > 0.98
    assert agrees[1][settled & found.sure_y[:, 0]].mean() > 0.98


@pytest.fixture(scope="module")
def scenes() -> np.ndarray:
    """Pictures [8, 64, 64, 3] of the real game where it is installed, of a textured landscape elsewhere."""
    try:
        import procgen  # noqa: F401
    except ImportError:
        generator = np.random.default_rng(0)
        coarse = generator.integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
        return coarse.repeat(4, axis=1).repeat(4, axis=2)
    stepping = videos(**HARD)
    return [frames for _, (frames, *_rest) in zip(range(30), stepping, strict=False)][-1]


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (1, 0), (-3, 0), (0, 2), (0, -14), (7, 5), (-6, 11)])
def test_a_moved_window_is_found_exactly(scenes: np.ndarray, dx: int, dy: int) -> None:
    window = [
        scenes[:, 16 + y : 48 + y, 16 + x : 48 + x] for x, y in ((0, 0), (dx, dy))
    ]  # the camera moves with the player
    found = measure_motion(np.stack(window, axis=1))
    for measured, sure, true in ((found.dx, found.sure_x, dx), (found.dy, found.sure_y, dy)):
        assert sure.mean() > 0.5
        assert np.abs(measured[sure] - true).max() < 0.5


def test_fractions_of_a_pixel(scenes: np.ndarray) -> None:
    smooth = sum(np.roll(scenes.astype(float), s, axis=2) for s in range(-2, 3)) / 5
    quarter = 0.75 * smooth[:, :, 8:56] + 0.25 * smooth[:, :, 9:57]
    pairs = np.stack([smooth[:, :, 8:56], quarter], axis=1).round().astype(np.uint8)
    found = measure_motion(pairs)
    assert np.abs(found.dx[found.sure_x] - 0.25).mean() < 0.15


def test_flat_frames_are_unsure_and_stripes_along_one_axis_only() -> None:
    flat = np.full((2, 40, 40, 3), 90, np.uint8)
    found = measure_motion(flat)
    assert not found.sure_x.any() and not found.sure_y.any()
    stripes = np.random.default_rng(0).integers(0, 256, (1, 44, 3)).astype(np.uint8).repeat(40, axis=0)
    found = measure_motion(np.stack([stripes[:, :40], stripes[:, 3:43]]))
    assert found.sure_x.all() and not found.sure_y.any()
    assert found.dx[0] == pytest.approx(3, abs=0.5)


def test_shapes_signs_and_errors(scenes: np.ndarray) -> None:
    video = np.stack([scenes[0, :, x : x + 40] for x in (0, 2, 6, 5)])
    single, batch = measure_motion(video), measure_motion(video[None])
    assert single.dx.shape == (3,) and batch.dx.shape == (1, 3)
    np.testing.assert_allclose(single.dx, batch.dx[0])
    assert single.left_right().tolist() == [2, 2, 0]
    assert single.left_right(still=3).tolist() == [1, 2, 1]
    with pytest.raises(EvaluationError, match="2 or more frames"):
        measure_motion(video[:1])
    with pytest.raises(EvaluationError, match="max_shift"):
        measure_motion(video, max_shift=(64, 3))
