"""The expert that walks: in what it keeps, every jump is there for an obstacle."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from genie_lite.config import DataConfig
from genie_lite.data import walking_expert
from genie_lite.data.policies import ExpertPolicy
from genie_lite.data.procgen_games import NUM_ENV_ACTIONS
from genie_lite.data.walking_expert import BACK, JUMP, LIMIT, WALK, WalkingExpert

FLIGHT = 12  # game steps of a jump
START = {"x": 0, "air": 0, "level": 0, "first": True, "solved": False}


class Track:
    """One line: the hero walks a cell per game step, dies in pits, stops at walls, and flies over both in a jump."""

    def __init__(self, walls: tuple[int, ...], pits: tuple[range, ...], length: int) -> None:
        self.walls, self.pits, self.length = walls, pits, length
        self.state: dict[str, Any] = dict(START)
        self.background = np.random.default_rng(0).integers(0, 256, (64, 1_200, 3), dtype=np.uint8)

    def act(self, env_actions: np.ndarray) -> None:
        key, s = int(env_actions[0]), self.state
        assert 0 <= key < NUM_ENV_ACTIONS
        s["first"] = False
        if key == JUMP and not s["air"]:
            s["air"] = FLIGHT
        step = {WALK: 1, JUMP: 1, 1: -1, 2: -1}.get(key, 0)
        if s["air"] or s["x"] + step not in self.walls:
            s["x"] = max(0, s["x"] + step)
        s["air"] = max(0, s["air"] - 1)
        s["age"] = s.get("age", 0) + 1
        dead = not s["air"] and any(s["x"] in pit for pit in self.pits)
        if dead or s["x"] >= self.length or s["age"] == 1_000:
            self.state = START | {"level": s["level"] + 1, "solved": s["x"] >= self.length}

    def observe(self) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        x = self.state["x"]
        picture = self.background[:, x : x + 64].copy()
        picture[0, 0, 0] = self.state["air"]
        return np.zeros(1), {"rgb": picture[None]}, np.array([self.state["first"]])

    def get_info(self) -> list[dict[str, int]]:
        return [{"level_seed": self.state["level"], "prev_level_complete": int(self.state["solved"])}]

    def get_state(self) -> list[dict[str, Any]]:
        return [copy.copy(self.state)]

    def set_state(self, states: list[dict[str, Any]]) -> None:
        self.state = copy.copy(states[0])


def place(track: Track, frame: np.ndarray) -> int:
    """Where the hero is in a picture."""
    return next(x for x in range(1_000) if (track.background[:, x : x + 64] == frame)[1:].all())


@pytest.fixture
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking_expert, "DISTURBED", 0)


@pytest.fixture
def disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking_expert, "DISTURBED", 1)


def walking(track: Track, repeat: int = 4) -> WalkingExpert:
    return WalkingExpert(DataConfig(policy="expert", action_repeat=repeat), track, np.random.default_rng(0))


@pytest.mark.parametrize("repeat", [1, 4])
def test_it_jumps_where_walking_fails_and_nowhere_else(undisturbed: None, repeat: int) -> None:
    obstacles = (60, 130, 200)
    track = Track(walls=(60,), pits=(range(130, 134), range(200, 206)), length=300)
    episode = walking(track, repeat).play_level()
    assert episode is not None and set(episode.env_actions) == {WALK, JUMP}
    track.state = dict(START)
    jumped = []
    for frame, key in zip(episode.frames, episode.env_actions, strict=True):
        np.testing.assert_array_equal(track.observe()[1]["rgb"][0], frame)  # nothing discarded is left
        if key == JUMP and not track.state["air"]:
            jumped.append(track.state["x"])
        for _ in range(repeat):
            track.act(np.array([key], np.int32))
    assert track.state["solved"] and track.state["level"] == 1
    near = [next((o for o in obstacles if 0 < o - x <= BACK), None) for x in jumped]
    assert set(near) == set(obstacles)  # one for each, none elsewhere


def test_it_jumps_twice_where_one_jump_lands_before_the_next_pit(undisturbed: None) -> None:
    track = Track(walls=(), pits=(range(80, 88), range(93, 101)), length=150)
    episode = walking(track).play_level()
    assert episode is not None and (episode.env_actions == JUMP).sum() == 2


@pytest.mark.parametrize("track", [Track((), (range(60, 100),), 200), Track((), (), 2_000)])
def test_what_nobody_can_pass_is_given_up_and_the_next_level_begins(track: Track) -> None:
    player = walking(track)
    assert player.play_level() is None
    assert player.steps < LIMIT + 2_000
    info, state = track.get_info()[0], track.get_state()[0]
    assert info["level_seed"] == 1 and state["x"] == 0 and not info["prev_level_complete"]


def test_after_a_disturbance_every_recorded_key_is_the_experts_and_leads_to_the_goal(disturbed: None) -> None:
    track = Track(walls=(60,), pits=(range(130, 134),), length=300)
    player, begun = walking(track), []
    for level in range(8):
        episode = player.play_level()
        assert episode is not None and episode.level_seed == level and track.state["level"] == level + 1
        # Where it begins, by its first picture; after that, what the keys do.
        begun.append(place(track, episode.frames[0]))
        after = track.state
        track.state = START | {"x": begun[-1], "air": int(episode.frames[0][0, 0, 0])}
        for frame, key in zip(episode.frames, episode.env_actions, strict=True):
            np.testing.assert_array_equal(track.observe()[1]["rgb"][0], frame)
            for _ in range(4):
                track.act(np.array([key], np.int32))
        assert track.state["solved"]
        track.state = after
    assert len(set(begun)) > 4 and max(begun) > 20


def test_a_level_that_the_disturbance_ends_is_played_from_its_start(
    disturbed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random keys never stop before the pit; the expert jumps over it."""
    monkeypatch.setattr(ExpertPolicy, "KEYS", dict.fromkeys(ExpertPolicy.KEYS, WALK))
    track = Track(walls=(), pits=(range(30, 34),), length=100)
    player = walking(track)
    episodes = [player.play_level() for _ in range(8)]
    begun = [place(track, episode.frames[0]) for episode in episodes if episode is not None]
    assert len(begun) == 8 and 0 in begun and any(0 < x < 30 for x in begun)
