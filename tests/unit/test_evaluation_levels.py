"""Levels solved: every game plays its share, deaths are no successes, and all players get the same levels."""

from __future__ import annotations

import dataclasses
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from pretend_games import PretendGames

from genie_lite.config import DataConfig
from genie_lite.data import procgen_available
from genie_lite.data.policies import StickyPolicy, UniformPolicy
from genie_lite.evaluation import EvaluationError, play_levels, watch_level, wilson

DATA = DataConfig(num_envs=4, action_repeat=4)


class Presses:
    """Presses one key in every game, and remembers what it was told."""

    def __init__(self, key: int, games: int = 4) -> None:
        self.key, self.games = key, games
        self.pictures: list[np.ndarray] = []
        self.ended: list[np.ndarray] = []

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        self.pictures.append(pictures[:, 0, :5, 0].astype(int))
        return np.full(self.games, self.key)

    def restart(self, games: np.ndarray) -> None:
        self.ended.append(games)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", SimpleNamespace(ProcgenGym3Env=PretendGames, __spec__=True))
    monkeypatch.setattr(PretendGames, "plays", 0)
    monkeypatch.setattr(PretendGames, "stop_after", None)


def test_only_levels_that_end_at_the_coin_count(pretend: None) -> None:
    right, still = Presses(7), Presses(4)
    solved = play_levels(DATA, right, (500, 40), 20, games=4)
    unsolved = play_levels(DATA, still, (500, 40), 20, games=4)
    assert (solved.levels, solved.solved, len(solved.frames)) == (20, 20, 20)
    assert (unsolved.solved, unsolved.frames) == (0, [])
    assert solved.level_seeds == unsolved.level_seeds and len(solved.level_seeds) == 20
    assert set(solved.level_seeds) <= set(range(500, 540)) and len(set(solved.level_seeds)) > 5
    assert solved.outcomes == [True] * 20 and unsolved.outcomes == [False] * 20
    assert all(1 <= frames <= 10 for frames in solved.frames)  # pretend episodes last 3 to 40 game steps


def test_frames_and_game_steps_are_those_of_the_levels(pretend: None) -> None:
    played = play_levels(dataclasses.replace(DATA, action_repeat=1), Presses(7), (500, 40), 20, games=4)
    assert sorted(played.frames) == sorted(lengths()) and played.steps == sum(lengths())


def test_outcomes_are_those_of_the_levels_beside_them(pretend: None) -> None:
    """A player that goes right on even levels alone solves those, and no others."""

    class EvenLevels(Presses):
        def choose(self, pictures: np.ndarray) -> np.ndarray:
            super().choose(pictures)
            return np.where(self.pictures[-1][:, 0] % 2 == 0, 7, 4)  # the first of the numbers in a picture: its level

    played = play_levels(DATA, EvenLevels(0), (0, 40), 40, games=4)
    assert played.outcomes == [seed % 2 == 0 for seed in played.level_seeds]
    assert 0 < played.solved == sum(played.outcomes) < 40


@pytest.mark.parametrize("key", [7, 4])
def test_a_watched_level_is_shown_whole(pretend: None, key: int) -> None:
    player = Presses(key, games=1)
    frames, solved = watch_level(DATA, player, (500, 40), seed=3)
    told = frames[:, 0, :5, 0].astype(int)
    assert solved == (key == 7) and len(set(told[:, 0])) == 1
    assert told[:, 3].tolist() == list(range(0, 4 * len(frames), 4))  # one frame for each key, from the first
    assert [games.tolist() for games in player.ended] == [[0]]


def lengths() -> list[int]:
    """Game steps of the first five episodes of each game, by another way: the pretend games' own random numbers."""
    found = []
    for game in range(4):
        rng = np.random.default_rng([0, game])
        for _ in range(5):
            rng.integers(40)
            found.append(int(rng.integers(3, 41)))
    return found


def test_a_key_is_held_for_the_repeat_and_not_into_the_next_episode(pretend: None) -> None:
    player = Presses(7)
    play_levels(DATA, player, (500, 40), 20, games=4)
    told = np.stack(player.pictures)  # [choices, games, (level, level, episode, step, last key)]
    same = np.diff(told[:, :, 2], axis=0) == 0
    assert (np.diff(told[:, :, 3], axis=0)[same] == 4).all()
    begun = told[1:][~same]
    assert set(begun[begun[:, 3] > 0][:, 4]) == {4}  # nothing was pressed in the rest of a hold
    assert [games.tolist() for games in player.ended] == [np.flatnonzero(~row).tolist() for row in same] + [
        player.ended[-1].tolist()
    ]


def test_levels_that_cannot_be_shared_evenly_are_refused(pretend: None) -> None:
    for levels in (0, 10):
        with pytest.raises(EvaluationError, match=f"levels: found {levels}, wanted a multiple of 4"):
            play_levels(DATA, Presses(7), (500, 40), levels, games=4)


def test_wilson_interval() -> None:
    # Newcombe (1998), table I: 81 of 263 and 15 of 148.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20)[0] == pytest.approx(0, abs=1e-9) and wilson(0, 20)[1] == pytest.approx(0.1611, abs=1e-4)


@pytest.mark.skipif(not procgen_available(), reason="procgen has no wheel for this Python or platform")
def test_in_the_real_game_a_player_who_goes_right_solves_more_than_one_who_does_not() -> None:
    data = DataConfig(num_envs=8)
    sticky = play_levels(data, StickyPolicy(data, np.random.default_rng(0)), (0, 1_000), 40, games=8)
    uniform = play_levels(data, UniformPolicy(data, np.random.default_rng(0)), (0, 1_000), 40, games=8)
    assert sticky.level_seeds == uniform.level_seeds and max(sticky.level_seeds) < 1_000
    still = play_levels(data, Presses(4, games=8), (0, 1_000), 8, games=8)
    assert still.solved == 0 < uniform.solved  # nobody gets to the coin by standing still
    assert 8 <= sticky.solved <= 32  # half of the levels, on average
