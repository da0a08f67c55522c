"""The Gymnasium environment over a play session."""

from __future__ import annotations

import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from fakes import MOTIONS, FakeGenie, scenes
from gymnasium.utils.env_checker import check_env

import genie_lite
from genie_lite.play import ActionError, PromptError
from genie_lite.play.environment import ENV_ID, GenieEnv


def make(**options) -> gymnasium.Env:
    return gymnasium.make(ENV_ID, world=FakeGenie(), dataset=scenes(), **options)


def test_gymnasiums_own_checker_has_nothing_to_say():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(render_mode="rgb_array").unwrapped)


def test_a_shipped_world_is_made_by_name():
    """In a process of its own, where nothing but `from genie_lite.play import GenieEnv` can have registered it."""
    code = (
        "import gymnasium; before = 'genie_lite/World-v0' in gymnasium.registry\n"
        "from genie_lite.play import GenieEnv\n"
        "env = gymnasium.make('genie_lite/World-v0', world='laptop', maskgit_steps=1)\n"
        "frame, _ = env.reset(seed=0)\n"
        "moved, reward, terminated, truncated, _ = env.step(env.action_space.sample())\n"
        "assert not before and isinstance(env.unwrapped, GenieEnv)\n"
        "assert all(picture in env.observation_space for picture in (frame, moved))\n"
        "assert (reward, terminated, truncated) == (0, False, False)"
    )
    root = Path(genie_lite.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_gymnasium_imports_the_module_named_before_the_colon():
    env = gymnasium.make(f"genie_lite.play.environment:{ENV_ID}", world=FakeGenie(), dataset=scenes())
    assert isinstance(env.unwrapped, GenieEnv)


def test_a_seed_decides_the_whole_episode():
    videos = []
    for seed in (5, 5, 6):
        env = GenieEnv(FakeGenie(), scenes())
        videos.append(np.stack([env.reset(seed=seed)[0], *(env.step(a)[0] for a in (0, 1, 2, 3))]))
    np.testing.assert_array_equal(videos[0], videos[1])
    assert (videos[0] != videos[2]).any()


def test_episodes_differ_within_one_seed():
    env = GenieEnv(FakeGenie(), scenes())
    starts = [env.reset(seed=1)[0], *(env.reset()[0] for _ in range(6))]
    assert len({start.tobytes() for start in starts}) > 1


def test_a_prompt_may_be_given_and_an_observation_may_be_written_to():
    env = GenieEnv(FakeGenie(), scenes())
    frame, _ = env.reset(seed=0, options={"prompt": scenes()[3]})
    np.testing.assert_array_equal(frame, scenes()[3])
    frame[:] = 0
    assert env.session.frame.any()
    assert GenieEnv(FakeGenie(), prompt=scenes()[2]).reset()[0].tobytes() == scenes()[2].tobytes()


def test_wrong_use_is_named():
    env = GenieEnv(FakeGenie(), scenes())
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(0)
    for options in ({"level": 3}, 3, 1.5, "prompt", [["prompt"]], [{}]):
        with pytest.raises(ValueError, match=r"options: found .*, wanted \{'prompt': ...\} or None"):
            env.reset(options=options)
    with pytest.raises(PromptError):
        env.reset(options={"prompt": b"junk"})
    env.reset()
    with pytest.raises(ActionError, match="0 to 5"):
        env.step(6)
    for wrong in (1.5, "0", None):
        with pytest.raises(ActionError, match="whole number"):
            env.step(wrong)
    with pytest.raises(ValueError, match="rgb_array"):
        GenieEnv(FakeGenie(), render_mode="human")


def test_a_time_limit_ends_episodes():
    env = make(max_episode_steps=3)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


# ------------------------------------------------------------------------------------ tools/outside_agent.py


@pytest.fixture(scope="module")
def tool() -> dict:
    return runpy.run_path(str(Path(genie_lite.__file__).parents[1] / "tools" / "outside_agent.py"))


def test_an_agent_that_knows_gymnasium_alone_learns_to_go_right(tool):
    env = tool["make"](FakeGenie(), dataset=scenes())
    rng = np.random.default_rng(0)
    learned = tool["bandit"](env, 60, seed=0)
    rewards = [tool["mean_reward"](env, player, 2, seed=9) for player in (learned, lambda frame: rng.integers(6))]
    assert learned(None) == MOTIONS.index((-2, 0)), "the picture moves to the left when the hero goes right"
    assert rewards[0] == pytest.approx(2, abs=0.3) and rewards[1] < 1


def test_stable_baselines_learns_in_a_world(tool):
    pytest.importorskip("stable_baselines3", reason="the extra agents is not installed: pip install -e '.[agents]'")
    env = tool["make"](FakeGenie(), dataset=scenes())
    learned = tool["ppo"](env, 32, seed=0)
    frame, _ = env.reset(seed=1)
    assert learned(frame) in range(6) and np.isfinite(tool["mean_reward"](env, learned, 1, seed=1))


def test_parallel_environments_play():
    envs = gymnasium.vector.SyncVectorEnv([lambda: GenieEnv(FakeGenie(), scenes())] * 2)
    envs.reset(seed=0)
    assert envs.step(np.array([0, 2]))[0].shape == (2, 64, 64, 3)
