"""A learned world as a Gymnasium environment: latent actions in, frames out, and no reward.

Importing this module registers ``genie_lite/World-v0``; so does ``from genie_lite.play import GenieEnv``::

    gymnasium.make("genie_lite/World-v0", world="laptop", max_episode_steps=100)

Gymnasium imports the module itself when it is named before a colon:
``gymnasium.make("genie_lite.play.environment:genie_lite/World-v0", world="laptop")``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from genie_lite.api import Genie, load
from genie_lite.play.prompts import Prompts
from genie_lite.play.session import PlaySession

ENV_ID = "genie_lite/World-v0"


class GenieEnv(gymnasium.Env[np.ndarray, np.int64]):
    """A play session with Gymnasium's API.

    Actions: Discrete(A), the latent actions. Observations: Box uint8 [H, W, C], the frames. The reward is always 0 and
    no episode ends by itself: a world has no goal. Give `max_episode_steps` to `gymnasium.make`, or wrap it.

    world: a trained Genie, a shipped name, or a checkpoint folder. dataset: where `reset` draws prompts from; None
    takes the shipped sample. prompt: start every episode from this one instead.
    maskgit_steps, temperature, min_p: as in `genie.generate`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 8}

    def __init__(
        self,
        world: Genie | str | Path,
        dataset: Any = None,
        *,
        prompt: Any = None,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        min_p: float | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode: found {render_mode!r}, wanted 'rgb_array' or None")
        genie = load(world) if isinstance(world, (str, Path)) else world
        self.genie = genie
        self.render_mode = render_mode
        self._prompt, self._dataset = prompt, dataset
        self._sampling = {"maskgit_steps": maskgit_steps, "temperature": temperature, "min_p": min_p}
        self._prompts: Prompts | None = None
        self.session: PlaySession | None = None
        shape = (*genie.frame_size, genie.config.model.channels)
        self.action_space = gymnasium.spaces.Discrete(genie.num_latent_actions)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode and return its first frame.

        seed: decides the prompt and every random number from here on. options: {"prompt": ...} starts from that
        prompt, which may be anything that `PlaySession` takes. Raises PromptError for a prompt that cannot be used.
        """
        if not isinstance(options, Mapping | None) or set(options or {}) - {"prompt"}:
            raise ValueError(f"options: found {reprlib.repr(options)}, wanted {{'prompt': ...}} or None")
        super().reset(seed=seed)
        prompt = (options or {}).get("prompt", self._prompt)
        if prompt is None:
            prompt = self._draw_prompt()
        played = int(self.np_random.integers(2**31))
        if self.session is None:
            self.session = PlaySession(self.genie, prompt, seed=played, **self._sampling)  # type: ignore[arg-type]
        else:
            self.session.reset(prompt, seed=played)
        return self.session.frame.copy(), {}

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take a latent action and return frame, reward 0, terminated False, truncated False and no info.

        Raises ActionError for anything but a whole number that is a latent action of this world, and gymnasium's
        ResetNeeded before the first `reset`.
        """
        return self._started().step(action).copy(), 0.0, False, False, {}

    def render(self) -> np.ndarray | None:
        """The current frame, uint8 [H, W, 3], in render mode rgb_array; otherwise None."""
        if self.render_mode is None:
            return None
        frame = self._started().frame
        return np.broadcast_to(frame, (*frame.shape[:2], 3)).copy()

    def _draw_prompt(self) -> np.ndarray:
        if self._prompts is None:
            self._prompts = (
                Prompts.of_sample(self.genie) if self._dataset is None else Prompts(self.genie, self._dataset)
            )
        return self._prompts[int(self.np_random.integers(len(self._prompts)))]

    def _started(self) -> PlaySession:
        if self.session is None:
            raise gymnasium.error.ResetNeeded("GenieEnv: no episode has begun; call reset() first")
        return self.session


if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point=f"{__name__}:GenieEnv")
