"""Play over a real, untrained Genie: what the fake world of the other tests cannot promise."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fakes import scenes
from gymnasium.utils.env_checker import check_env

from genie_lite.api import Genie
from genie_lite.config import load_config
from genie_lite.inference import rollout
from genie_lite.play import ActionError, PlaySession, play
from genie_lite.play.environment import GenieEnv


@pytest.fixture(scope="module")
def genie() -> Genie:
    return Genie(load_config("tiny"))


@pytest.fixture
def prompt(genie) -> np.ndarray:
    return scenes(1, genie.frame_size)[0]


def test_undo_goes_back_exactly_also_after_the_window_has_slid(genie, prompt):
    session = PlaySession(genie, prompt, maskgit_steps=2)
    actions = [t % genie.num_latent_actions for t in range(genie.context_frames + 5)]
    videos = [session.step(a) for a in actions]
    for t in range(len(actions) - 2, len(actions) - 8, -1):
        np.testing.assert_array_equal(session.undo(), videos[t])
    for t in range(len(actions) - 6, len(actions)):
        np.testing.assert_array_equal(session.step(actions[t]), videos[t])


@pytest.mark.parametrize("stage", ["sample_frame", "remember", "decode_frame"])
@pytest.mark.parametrize("steps", [1, 20])  # 20: the window has slid, and old frames are being overwritten
def test_a_step_that_fails_half_way_did_not_happen(genie, prompt, monkeypatch, stage, steps):
    actions = [t % genie.num_latent_actions for t in range(steps)]
    session, untouched = (PlaySession(genie, prompt, maskgit_steps=2) for _ in range(2))
    for action in actions:
        session.step(action)
        untouched.step(action)
    work = getattr(rollout, stage)

    def failing(*arguments, **options):
        work(*arguments, **options)
        raise MemoryError

    monkeypatch.setattr(rollout, stage, failing)
    for action in (0, 1):
        with pytest.raises(MemoryError):
            session.step(action)
    monkeypatch.undo()
    np.testing.assert_array_equal(session.frames, untouched.frames)
    np.testing.assert_array_equal(session.undo(), untouched.undo())
    for action in (1, 0, 2):
        np.testing.assert_array_equal(session.step(action), untouched.step(action))


def test_worlds_of_one_seed_draw_their_own_random_numbers(genie):
    """Otherwise every prompt drifts to the same picture. An untrained world samples from its random numbers alone."""
    first, second = scenes(2, genie.frame_size)
    again = first.copy()
    videos = [PlaySession(genie, frame, maskgit_steps=1, temperature=1.0, seed=4) for frame in (first, again, second)]
    for video in videos:
        video.step(0)
    drawn = [video._rollout.tokens for video in videos]
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] == drawn[2]).float().mean() < 0.5


def test_play_is_what_generate_says(genie, prompt):
    session = PlaySession(genie, prompt, maskgit_steps=2, seed=7)
    actions = [0, 1, 1, 0]
    for action in actions:
        session.step(action)
    np.testing.assert_array_equal(session.frames[1:], genie.generate(prompt, actions, maskgit_steps=2, seed=7))


def test_prompts_of_several_frames_play_and_wrong_actions_do_not(genie):
    session = PlaySession(genie, scenes(3, genie.frame_size), maskgit_steps=1)
    assert session.step(0).shape == (*genie.frame_size, 3)
    with pytest.raises(ActionError, match=f"0 to {genie.num_latent_actions - 1}"):
        session.step(genie.num_latent_actions)


def test_steps_are_counted_as_asked(genie, prompt):
    session = PlaySession(genie, prompt, maskgit_steps=1)
    session.maskgit_steps = 3
    session.step(0)
    assert len(session._rollout.decoding) == 3


def test_undo_beyond_what_a_rollout_keeps_says_so(genie, prompt):
    session = PlaySession(genie, prompt, maskgit_steps=1)
    for _ in range(66):
        session.step(0)
    for _ in range(64):
        session.undo()
    with pytest.raises(ActionError, match="last 2 steps are final"):
        session.undo()
    assert session.num_steps == 2 and session.step(1) is session.frame


def test_the_player_and_the_environment_play_it(genie):
    frames = scenes(8, genie.frame_size)
    player = play(genie, frames, maskgit_steps=1)
    before = player.session.frame
    player.act(1)
    assert player.session.num_steps == 1 and player.session.frame.shape == before.shape
    player.close()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not having a spec.*")
        check_env(GenieEnv(genie, frames, maskgit_steps=1))
