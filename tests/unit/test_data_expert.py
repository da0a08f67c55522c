"""The expert: what it keeps is a game in which every key led to the goal, and as often as not a solved level."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pretend_games import PretendGames

from genie_lite.config import DataConfig, load_config
from genie_lite.data import (
    DatasetError,
    check_dataset,
    collect,
    expert,
    open_dataset,
    procgen_available,
    rewinding,
    walking_expert,
)
from genie_lite.data.collector import collection_settings, settings_differ
from genie_lite.data.expert import make_expert
from genie_lite.data.policies import ExpertPolicy
from genie_lite.data.procgen_games import make_games

needs_procgen = pytest.mark.skipif(not procgen_available(), reason="procgen has no wheel for this Python or platform")

SMALL = DataConfig(policy="expert", game="jumper", num_envs=3, train_levels=(100, 50), test_levels=(300, 50))


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", SimpleNamespace(ProcgenGym3Env=PretendGames, __spec__=True))
    monkeypatch.setattr(PretendGames, "plays", 0)
    monkeypatch.setattr(PretendGames, "stop_after", None)


def told(path: Path) -> dict[str, np.ndarray]:
    """What the pictures of a pretend dataset tell, and what is stored beside them."""
    dataset = open_dataset(path)
    pixels = np.concatenate([dataset.read_chunk(i) for i in range(dataset.num_chunks)])[:, 0, :5, 0].astype(int)
    return {
        "level": pixels[:, 0] + 256 * pixels[:, 1],
        "step": pixels[:, 3],
        "key": pixels[:, 4],
        "env_action": dataset.env_actions().astype(int),
        "starts": dataset.episode_starts,
        "level_seeds": dataset.level_seeds(),
    }


@pytest.mark.parametrize("repeat", [1, 4])
def test_discarded_tries_are_cut_out_without_a_seam(tmp_path: Path, pretend: None, repeat: int) -> None:
    data = dataclasses.replace(SMALL, action_repeat=repeat)
    frames = 2_500
    collect(data, tmp_path / "videos", frames=frames, progress=False)
    assert check_dataset(tmp_path / "videos") == []
    seen = told(tmp_path / "videos")
    episode = np.cumsum(np.isin(np.arange(frames), seen["starts"])) - 1
    inside = np.diff(episode) == 0
    assert (np.diff(seen["step"])[inside] == repeat).all()  # no frame is missing, none is shown twice
    np.testing.assert_array_equal(seen["key"][1:][inside], seen["env_action"][:-1][inside])
    np.testing.assert_array_equal(seen["level"], seen["level_seeds"][episode])
    assert (seen["step"][seen["starts"]] == 0).all() and set(seen["level"]) <= set(range(100, 150))
    length = 1024 if repeat == 1 else 256
    last = np.append(seen["starts"][1:], frames) - 1
    whole = (last + 1) % length != 0  # all but those that the end of their stream cuts off
    whole[-1] = False
    assert set(seen["env_action"][last[whole]]) <= {7, 8}  # the keys that solve a level of the pretend game
    assert whole.sum() > 50 and set(seen["env_action"]) > {7, 8}


def test_expert_videos_can_be_stopped_resumed_and_extended(
    tmp_path: Path, pretend: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(SMALL, tmp_path / "whole", frames=2_000, progress=False)
    monkeypatch.setattr(PretendGames, "plays", 0)
    monkeypatch.setattr(PretendGames, "stop_after", 5_000)
    with pytest.raises(KeyboardInterrupt):
        collect(SMALL, tmp_path / "grown", frames=2_000, progress=False)
    monkeypatch.setattr(PretendGames, "stop_after", None)
    for frames in (300, 1_111, 2_000):
        collect(SMALL, tmp_path / "grown", frames=frames, progress=False)
    whole, grown = told(tmp_path / "whole"), told(tmp_path / "grown")
    for name in whole:
        np.testing.assert_array_equal(whole[name], grown[name])
    test = collect(SMALL, tmp_path / "test", "test", frames=400, progress=False)
    assert set(test.level_seeds()) <= set(range(300, 350))
    assert test.attributes["policy_odds"]["tries"] == expert.TRIES


def test_videos_of_another_expert_are_not_continued(
    tmp_path: Path, pretend: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(SMALL, tmp_path / "videos", frames=300, progress=False)
    before = told(tmp_path / "videos")
    monkeypatch.setattr(expert, "TRIES", expert.TRIES + 1)
    for frames in (200, 400):  # long enough already, or to be continued
        with pytest.raises(DatasetError, match=r"other settings \(policy_odds, 'tries': found 40, wanted 41\); delete"):
            collect(SMALL, tmp_path / "videos", frames=frames, progress=False)
    for name, values in told(tmp_path / "videos").items():
        np.testing.assert_array_equal(values, before[name])


def test_the_expert_that_walks_does_not_continue_the_one_that_pressed_random_keys() -> None:
    wanted = collection_settings(load_config("laptop", {"data.policy": "expert"}).data, "train")
    random = {**wanted, "policy_odds": ExpertPolicy.odds | {"tries": 40}}
    assert "policy_odds, 'steps to survive': found None, wanted 32" in settings_differ(random, wanted)
    assert "policy_odds, 'tries': found 40, wanted None" in settings_differ(random, wanted)


def test_levels_that_nobody_can_solve_end_the_collection(
    tmp_path: Path, pretend: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewinding, "HOPELESS", 3)
    monkeypatch.setattr(ExpertPolicy, "KEYS", dict.fromkeys(ExpertPolicy.KEYS, 4))
    with pytest.raises(DatasetError, match="gave up 3 levels of jumper in a row"):
        collect(SMALL, tmp_path / "videos", frames=100, progress=False)


@needs_procgen
@pytest.mark.parametrize("game", ["coinrun", "ninja", "climber", "jumper"])
def test_the_keys_of_an_episode_solve_its_level_in_the_real_game(game: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking_expert, "DISTURBED", 0)
    data = DataConfig(policy="expert", game=game)
    real = make_games(data, (0, 1_000), 1, seed=1)
    player = make_expert(data, real, np.random.default_rng(0))
    for _ in range(20):
        state, level = real.get_state(), real.get_info()[0]["level_seed"]
        episode = player.play_level()
        after = real.get_state()
        if episode is None:
            continue
        assert episode.level_seed == level and len(episode.frames) == len(episode.env_actions)
        real.set_state(state)
        for number, (frame, env_action) in enumerate(zip(episode.frames, episode.env_actions, strict=True)):
            np.testing.assert_array_equal(real.observe()[1]["rgb"][0], frame)
            ended = player.press(int(env_action))
            assert ended == (number == len(episode.frames) - 1)
        assert real.get_info()[0]["prev_level_complete"]
        real.set_state(after)
        break
    else:
        raise AssertionError("no level solved")


@needs_procgen
def test_the_expert_solves_nearly_every_level_of_coinrun() -> None:
    for mode in ("easy", "hard"):
        data = DataConfig(policy="expert", distribution_mode=mode)
        player = make_expert(data, make_games(data, (0, 100_000), 1, seed=0), np.random.default_rng(0))
        solved = sum(player.play_level() is not None for _ in range(40))
        assert solved >= 36  # sticky keys solve half
