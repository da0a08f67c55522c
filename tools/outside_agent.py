"""An agent from elsewhere learns inside a learned world, through Gymnasium alone: to go right.

A world has no reward, so one is made here: how many pixels the hero, or the robot's arm, is seen to move to the right
in a frame. `bandit` tries latent actions and keeps the best one, whatever it sees. `ppo` is that of Stable-Baselines3,
which looks at the frame: `pip install -c constraints.txt -e '.[agents]'`. Prints the mean reward of a frame, of random
latent actions and of the agent that has learned.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from genie_lite.evaluation import measure_marker
from genie_lite.evaluation.motion import measure_motion
from genie_lite.play.environment import ENV_ID

MOST = 8.0  # pixels a frame that count at most, to either side
EPISODE = 32  # frames
CURIOUS = 0.2  # fraction of frames in which the bandit tries any latent action
Player = Callable[[np.ndarray], int]  # frame uint8 [H, W, C] -> latent action


class ToTheRight(gymnasium.Wrapper[np.ndarray, np.int64, np.ndarray, np.int64]):
    """Rewards motion to the right, in pixels; a motion that cannot be measured counts as none."""

    def __init__(self, env: gymnasium.Env[np.ndarray, np.int64]) -> None:
        super().__init__(env)
        robot = env.unwrapped.genie.config.data.game == "robot"  # type: ignore[attr-defined]
        self._measure = measure_marker if robot else measure_motion

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self._frame, info = self.env.reset(**options)
        return self._frame, info

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        before = self._frame
        self._frame, _, terminated, truncated, info = self.env.step(action)
        motion = self._measure(np.stack([before, self._frame])[None])
        reward = float(np.clip(motion.dx[0, 0], -MOST, MOST)) if motion.sure_x[0, 0] else 0.0
        return self._frame, reward, terminated, truncated, info


def make(world: Any, **options: Any) -> ToTheRight:
    """The world as an environment with that reward; episodes of EPISODE frames."""
    return ToTheRight(gymnasium.make(ENV_ID, world=world, max_episode_steps=EPISODE, **options))


def bandit(env: ToTheRight, frames: int, seed: int) -> Player:
    """The latent action with the highest mean reward over `frames` frames."""
    rng, count = np.random.default_rng(seed), int(env.action_space.n)  # type: ignore[attr-defined]
    sums, tried, ended = np.zeros(count), np.zeros(count), True
    for frame in range(frames):
        if ended:
            env.reset(seed=seed if frame == 0 else None)
        means = np.where(tried > 0, sums / np.maximum(tried, 1), np.inf)  # each is tried once
        action = int(rng.integers(count)) if rng.random() < CURIOUS else int(means.argmax())
        _, reward, terminated, truncated, _ = env.step(np.int64(action))
        sums[action], tried[action] = sums[action] + reward, tried[action] + 1
        ended = terminated or truncated
    best = int(np.where(tried > 0, sums / np.maximum(tried, 1), -np.inf).argmax())
    return lambda frame: best


def ppo(env: ToTheRight, frames: int, seed: int) -> Player:
    """Proximal policy optimisation with a small convolutional network, for `frames` frames."""
    from stable_baselines3 import PPO

    steps = min(128, frames)
    model = PPO("CnnPolicy", env, n_steps=steps, batch_size=steps // 2, seed=seed, device="cpu")
    model.learn(frames)
    return lambda frame: int(model.predict(frame)[0])


def mean_reward(env: ToTheRight, choose: Player, episodes: int, seed: int) -> float:
    """Mean reward of a frame over whole episodes, from prompts that `seed` decides."""
    rewards = []
    for episode in range(episodes):
        frame, _ = env.reset(seed=seed + episode)
        ended = False
        while not ended:
            frame, reward, terminated, truncated, _ = env.step(np.int64(choose(frame)))
            rewards.append(reward)
            ended = terminated or truncated
    return float(np.mean(rewards))


AGENTS = {"bandit": bandit, "ppo": ppo}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", help="a shipped name, or a checkpoint folder")
    parser.add_argument("--agent", choices=AGENTS, default="ppo")
    parser.add_argument("--frames", type=int, default=2_048, help="frames to learn from")
    parser.add_argument("--episodes", type=int, default=8, help="of 32 frames each, to measure with")
    parser.add_argument("--maskgit-steps", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    env = make(options.world, maskgit_steps=options.maskgit_steps)
    rng = np.random.default_rng(options.seed)
    players = {
        "random latent actions": lambda frame: int(rng.integers(env.action_space.n)),
        f"{options.agent}, {options.frames} frames": AGENTS[options.agent](env, options.frames, options.seed),
    }
    print("| agent | pixels to the right in a frame |\n|---|---|")
    for name, choose in players.items():
        print(f"| {name} | {mean_reward(env, choose, options.episodes, 1_000 + options.seed):.2f} |", flush=True)


if __name__ == "__main__":
    main()
