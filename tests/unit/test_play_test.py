"""The play test: a world that is the real game passes it, worlds that do not obey or dissolve fail it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from genie_lite.config import load_config
from genie_lite.data import procgen_available, sample_dataset
from genie_lite.evaluation import EvaluationError, Interval, PlayTest, play_test, real_game
from genie_lite.evaluation.key_scripts import ENV_ACTIONS, SCRIPTS, SEQUENCES, env_actions
from genie_lite.evaluation.motion import Motion
from genie_lite.evaluation.play_measures import (
    differences_between,
    distance,
    gradient_energy,
    jumps,
    moves,
    one_surface,
    pair_mean,
    recognised,
    structure,
)
from genie_lite.evaluation.real_game import GameStates, RealGame

needs_procgen = pytest.mark.skipif(not procgen_available(), reason="procgen has no wheel here")


def motion(dx: Sequence[float], dy: Sequence[float], sure: bool = True) -> Motion:
    rows = [np.array([row], float) for row in (dx, dy)]
    return Motion(*rows, *[np.full_like(rows[0], sure, dtype=bool)] * 2)


# ---------------------------------------------------------------------------------------------- measures


def test_a_jump_counts_only_when_it_goes_up_and_comes_down_again() -> None:
    arc = [-20, -10, 0, 10, 20, 0, 0, 0]
    took_off, landed = jumps(motion([0] * 8, arc))
    assert took_off.tolist() == [True]
    assert landed.tolist() == [5], "on the ground in the frame that the fifth press leads to"
    for speeds in ([0] * 8, [-20, -10, 0, 0, 0, 0, 0, 0], [-20, -10, 10, 20, 20, 20, 20, 20]):
        assert jumps(motion([0] * 8, speeds))[1].tolist() == [-1], "never left, hangs in the air, or falls for ever"
    assert jumps(motion([0] * 8, arc, sure=False))[0].tolist() == [False]


def test_motion_that_is_not_sure_moves_nowhere() -> None:
    assert moves(motion([3, -3, 0.2], [0, 0, 0]), 1).tolist() == [[True, False, False]]
    assert moves(motion([3, -3, 0.2], [0, 0, 0]), -1).tolist() == [[False, True, False]]
    assert not moves(motion([3, 3, 3], [0, 0, 0], sure=False), 1).any()


def test_steps_back_count_against_a_distance_and_unsure_motion_is_none() -> None:
    assert distance(motion([3, -1, 0.2], [0, 0, 0]), 1).tolist() == pytest.approx([2.2])
    assert distance(motion([3, -1, 0.2], [0, 0, 0]), -1).tolist() == pytest.approx([-2.2])
    assert distance(motion([3, 3, 3], [0, 0, 0], sure=False), 1).tolist() == [0]


def test_the_inside_of_a_wall_is_one_surface_and_hardly_a_real_frame_is() -> None:
    bricks = np.full((2, 64, 64, 3), 150, np.uint8)
    bricks[:, ::4] = bricks[:, :, ::4] = 120
    bricks[:, 26:38, 28:36] = 255  # the hero
    half = bricks.copy()
    half[1, :32] = 40
    frames = sample_dataset("test").read_clips(np.arange(0, 900, 90), 4)
    assert one_surface(bricks).tolist() == [True, True] and one_surface(half).tolist() == [True, False]
    assert one_surface(frames).shape == (10, 4) and not one_surface(frames).any()


def test_structure_ignores_the_hero_and_stripes_and_noise_has_energy() -> None:
    blank = np.zeros((64, 64, 3), np.uint8)
    hero, stripes = blank.copy(), blank.copy()
    hero[26:38, 28:36] = 255
    stripes[::4] = 200
    frames = sample_dataset("test").read_clips(np.array([0, 500, 900]), 4).reshape(-1, 64, 64, 3)
    assert structure(hero) == structure(stripes) == 0
    assert structure(frames).min() > 1
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    assert gradient_energy(noise) > gradient_energy(frames).max()


def test_worlds_that_look_alike_differ_less_and_are_not_recognised() -> None:
    prompts = np.stack([np.full((8, 8, 3), 40 * i, np.uint8) for i in range(6)])
    loyal, stock = np.repeat(prompts[:, None], 4, axis=1), np.repeat(prompts[:1, None], 4, axis=1).repeat(6, axis=0)
    groups, once = np.array([0, 0, 0, 3, 3, 3]), np.ones((1, 6), np.int64)
    assert pair_mean(*differences_between(loyal[:, -1], groups), once)[0] == pytest.approx((40 + 40 + 80) / 3)
    assert pair_mean(*differences_between(stock[:, -1], groups), once)[0] == 0
    assert recognised(loyal, prompts).mean() > recognised(stock, prompts).mean() == pytest.approx(0.5, abs=0.05)


# ------------------------------------------------------------------------------------------------- scripts


def test_every_script_presses_known_keys_for_as_long_as_asked() -> None:
    for script in SCRIPTS.values():
        rows = script.table(range(SEQUENCES), 60)
        assert {len(row) for row in rows} == {script.length(60)}
        assert env_actions(rows).shape == (SEQUENCES, script.length(60))
    mashed = SCRIPTS["mashed keys"].table(range(SEQUENCES), 60)
    assert len({tuple(row) for row in mashed}) == SEQUENCES
    assert set(ENV_ACTIONS) == {key for row in mashed for key in row}
    with pytest.raises(EvaluationError, match="jump-left"):
        env_actions([["jump-left"]])


# ------------------------------------------------------------------------------------------ the real game


@pytest.fixture(scope="module")
def game() -> Iterator[RealGame]:
    game = RealGame(load_config("laptop").data)
    yield game
    game.close()


@needs_procgen
def test_the_real_game_returns_to_a_moment_and_its_levels_are_held_out(game: RealGame) -> None:
    moments = next(game.states(4))[np.arange(16)]
    keys = env_actions(SCRIPTS["mashed keys"].table(range(len(moments)), 10))
    first, _ = game.replay(moments, keys)
    again, _ = game.replay(moments, keys)
    assert (first == again).all(), "the same keys from the same moment give the same frames"
    other, _ = game.replay(moments, env_actions([["none"] * 10] * len(moments)))
    assert (first != other).any()
    levels = {info["level_seed"] for info in game._games.get_info()}
    start, count = game.data.test_levels
    assert levels <= set(range(start, start + count))


# --------------------------------------------------------------------------------------- the whole play test


class KeysAreActions:
    """A controller for worlds whose latent actions are the game's own."""

    def latent_actions(self, frames: np.ndarray, keys: Sequence[str]) -> np.ndarray:
        return np.array([ENV_ACTIONS[key] for key in keys])

    def autoplay(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(list(ENV_ACTIONS.values()), size=len(frames))


class Frozen:
    """A world in which nothing ever moves."""

    num_latent_actions, context_frames, frame_size = 15, 16, (64, 64)

    def __init__(self) -> None:
        self.config = SimpleNamespace(
            data=load_config("laptop").data, sampling=SimpleNamespace(maskgit_steps=1, temperature=1.0, min_p=0.0)
        )

    def encode(self, frames: np.ndarray) -> np.ndarray:
        return frames

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        return tokens

    def rollout(self, prompts: np.ndarray, **options: Any) -> Any:
        return SimpleNamespace(step=lambda actions: prompts[:, -1])


class TheGame(Frozen):
    """A world that is the real game: it knows the saved state of every prompt."""

    def __init__(self, saved: dict[bytes, bytes]) -> None:
        super().__init__()
        self.saved, self.game = saved, RealGame(self.config.data)

    def rollout(self, prompts: np.ndarray, **options: Any) -> Any:
        states = [self.saved[prompt.tobytes()] for prompt in prompts]
        self.game._games.set_state([*states, *states[:1] * (self.game.games - len(states))])

        def step(actions: np.ndarray) -> np.ndarray:
            held = np.full(self.game.games, ENV_ACTIONS["none"])
            held[: len(actions)] = actions
            return self.game.press(held)[0][: len(actions)]

        return SimpleNamespace(step=step)


@pytest.fixture(scope="module")
def tested() -> dict[str, PlayTest]:
    """Play tests of the frozen world, and of a world that is the real game."""
    saved: dict[bytes, bytes] = {}
    original = RealGame.states

    def remembered(self: RealGame, history: int = 1) -> Iterator[GameStates]:
        for moments in original(self, history):
            saved.update(
                {frames.tobytes(): state for frames, state in zip(moments.frames, moments.states, strict=True)}
            )
            yield moments

    options: dict[str, Any] = {"prompts": 8, "frames": 16, "progress": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RealGame, "states", remembered)
        patch.setattr(real_game, "GAMES_AT_ONCE", 16)
        perfect = play_test(TheGame(saved), KeysAreActions(), **options)
        return {"game": perfect, "frozen": play_test(Frozen(), KeysAreActions(), **options)}


@needs_procgen
def test_a_world_that_is_the_game_has_no_gap_to_it(tested: dict[str, PlayTest]) -> None:
    for name, row in tested["game"].table.items():
        if "world over" in name:
            assert row["world"].value == pytest.approx(1), name
        elif "largest gap" in name or "distance from" in name:
            assert row["world"].value == 0, name
        elif "as the game does" in name:
            assert row["world"].value == 1 > row["standing still"].value, name
        elif "game" in row:
            assert row["world"] == row["game"], name
    for curve in tested["game"].curves.values():
        assert curve["world"] == curve["game"]
        assert [share.value for share in curve["game"][1:4]] == [1, 1, 1], "the game moves freely at first"
        assert min(share.value for share in curve["game"]) < 0.9, "and then meets a wall"


@needs_procgen
def test_a_frozen_world_fails_where_it_should(tested: dict[str, PlayTest]) -> None:
    table = tested["frozen"].table
    assert table["hold right: largest gap"]["world"].value == 1
    for side in ("right", "left"):
        covered, apart = (
            table[f"hold {side}: {what}"] for what in ("distance, pixels", "distance from where the game ends")
        )
        assert covered["world"].value == pytest.approx(0, abs=0.01) and covered["game"].value > 10
        still = apart["standing still"].value
        assert apart["world"].value == pytest.approx(still, abs=0.01), "as far off as a world in which nobody moves"
        alike = table[f"hold {side}: presses that move him as the game does"]
        assert alike["world"] == alike["standing still"], "a frozen hero is right only where the game's stands"
    assert table["jump: share that takes off"]["world"].value == 0
    assert np.isnan(table["jump: of these, back on the ground in time"]["world"].value)
    assert table["stand still: share still, presses 5 to 12"]["world"].value == 1
    distances = table["mashed keys: late videos, distance"]
    assert distances["world"].value == pytest.approx(distances["frozen prompts"].value)
    assert distances["world"].value > 2 * distances["game"].value


@needs_procgen
def test_a_play_test_is_written_and_read_whole(tested: dict[str, PlayTest], tmp_path: Path) -> None:
    report = tested["game"]
    again = PlayTest.from_json(report.to_json(tmp_path / "play.json"))
    assert again.table == report.table
    assert again.curves == report.curves
    assert again.settings == report.settings
    paths = report.save_filmstrips(tmp_path)
    assert {path.stem for path in paths} == {name.replace(" ", "-") for name in SCRIPTS}
    assert "largest gap" in repr(report)
    assert isinstance(report["jump: share that takes off"]["game"], Interval)
    with pytest.raises(EvaluationError, match="no such"):
        report["no such"]
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(EvaluationError, match="not a play test"):
        PlayTest.from_json(tmp_path / "other.json")


@needs_procgen
def test_the_figure_shows_both_held_keys_and_how_far_late_frames_are(tested: dict[str, PlayTest]) -> None:
    axes = tested["frozen"].figure().axes
    assert [axis.get_title() for axis in axes] == [
        "hold right: share that moves",
        "hold left: share that moves",
        "mashed keys: late frames, distance",
    ]
    world = next(line for line in axes[0].lines if line.get_label() == "world")
    assert world.get_ydata().tolist() == [0] * 12, "nobody moves in a frozen world"
    bars = {
        label.get_text(): bar.get_width() for label, bar in zip(axes[2].get_yticklabels(), axes[2].patches, strict=True)
    }
    assert bars["world"] == tested["frozen"]["mashed keys: late frames, distance"]["world"].value


def test_unknown_scripts_and_too_few_prompts_are_refused() -> None:
    with pytest.raises(EvaluationError, match="moonwalk"):
        play_test(Frozen(), KeysAreActions(), scripts=["moonwalk"])
    with pytest.raises(EvaluationError, match="prompts"):
        play_test(Frozen(), KeysAreActions(), prompts=2)


def test_a_world_whose_game_is_not_of_procgen_is_refused_in_words() -> None:
    robot: Any = SimpleNamespace(config=load_config("robot"), frame_size=(64, 64))
    with pytest.raises(EvaluationError, match=r"'robot', wanted one of Procgen's .*coinrun.*--data FOLDER"):
        play_test(robot, KeysAreActions())
