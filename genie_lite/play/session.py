"""A play session: one world, one prompt, one latent action after another. No user interface in here."""

from __future__ import annotations

import dataclasses
import operator
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_lite.play.pictures import write_gif
from genie_lite.play.prompts import Prompts, prompt_frames

if TYPE_CHECKING:
    from genie_lite.api import Genie


class ActionError(ValueError):
    """A latent action that this world does not have (the message names the range), or no step left to undo."""


class PlaySession:
    """Plays a world frame by frame (section 2.2 of the paper, figure 2).

    prompt: where play starts: frames uint8 [H, W, C] or [T, H, W, C] of the world's size, or any picture that
    `fit_image` takes (it is fitted); None takes a frame of the shipped sample.
    maskgit_steps, temperature: as in `genie.generate`; None takes the world's own settings.
    seed: with the prompt and the latent actions it decides every frame.
    Raises PromptError for a prompt that cannot be used. Sessions may be shared by threads: calls take turns.
    """

    def __init__(
        self,
        genie: Genie,
        prompt: Any = None,
        *,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
    ) -> None:
        sampling = genie.config.sampling
        self.genie = genie
        self.seed = seed
        self._maskgit_steps = sampling.maskgit_steps if maskgit_steps is None else maskgit_steps
        self._temperature = sampling.temperature if temperature is None else temperature
        self._lock = threading.RLock()
        self.prompt: np.ndarray  # uint8 [T, H, W, C], the frames play started from
        self.reset(Prompts.of_sample(genie).next() if prompt is None else prompt)

    # ------------------------------------------------------------------------------------------- playing

    def step(self, latent_action: int) -> np.ndarray:
        """Take one latent action in 0 .. A-1 and return the frame it leads to, uint8 [H, W, C].

        Raises ActionError for anything else; the session stays as it was.
        """
        action = self._checked(latent_action)
        with self._lock:
            frame = np.asarray(self._rollout.step(np.array([action])))[0]
            self._frames.append(frame)
            self._actions.append(action)
            return frame

    def undo(self) -> np.ndarray:
        """Take back the last step and return the frame before it.

        The random numbers go back too: the same latent action again gives the same frame again.
        Raises ActionError at the prompt, and further back than a rollout remembers; the session stays as it was.
        """
        with self._lock:
            try:
                self._rollout.undo()
            except IndexError as error:
                found = f"the last {len(self._actions)} steps are final" if self._actions else "play starts here"
                raise ActionError(f"undo: no step left to take back, {found}; reset() starts again") from error
            self._frames.pop()
            self._actions.pop()
            return self.frame

    def reset(self, prompt: Any = None, *, seed: int | None = None) -> np.ndarray:
        """Start again, from a new prompt if one is given, and return the frame play starts from.

        With the same prompt and seed the same latent actions give the same frames again.
        Raises PromptError for a prompt that cannot be used; the session stays as it was.
        """
        frames = self.prompt if prompt is None else prompt_frames(prompt, self.genie)
        with self._lock:
            self.seed = self.seed if seed is None else seed
            self._rollout = self.genie.rollout(
                frames[None], maskgit_steps=self._maskgit_steps, temperature=self._temperature, seed=self.seed
            )
            self.prompt = frames
            self._frames = [frames[-1]]
            self._actions: list[int] = []
            return self.frame

    # ------------------------------------------------------------------------------------ what was played

    @property
    def frame(self) -> np.ndarray:
        """The frame now, uint8 [H, W, C]."""
        return self._frames[-1]

    @property
    def frames(self) -> np.ndarray:
        """Every frame since play started, uint8 [T, H, W, C]; the first is the last frame of the prompt."""
        with self._lock:
            return np.stack(self._frames)

    @property
    def latent_actions(self) -> np.ndarray:
        """The latent actions taken, int64 [T-1]; entry t leads from frame t to frame t+1."""
        with self._lock:
            return np.array(self._actions, dtype=np.int64)

    @property
    def num_steps(self) -> int:
        """Steps played since the prompt, those undone not counted."""
        return len(self._actions)

    @property
    def num_latent_actions(self) -> int:
        """A: latent actions are 0 .. A-1."""
        return self.genie.num_latent_actions

    def recent(self, count: int) -> tuple[np.ndarray, list[int]]:
        """The last frames, uint8 [T, H, W, C] with T <= count, and the latent actions between them."""
        with self._lock:
            frames = np.stack(self._frames[-count:])
            return frames, self._actions[len(self._actions) - len(frames) + 1 :]

    def save_gif(self, path: str | Path, scale: int = 4, fps: float = 8.0) -> Path:
        """Write everything played so far as a looping GIF, each pixel `scale` pixels wide, and return its path.

        The file appears complete or not at all; OSError (for instance a full disk) leaves nothing behind.
        """
        return write_gif(self.frames, path, scale=scale, fps=fps)

    # ---------------------------------------------------------------------------------------------- speed

    @property
    def maskgit_steps(self) -> int:
        """MaskGIT steps for each frame, 1 or more: fewer is faster, more is finer. May change during play."""
        return self._maskgit_steps

    @maskgit_steps.setter
    def maskgit_steps(self, steps: int) -> None:
        if steps < 1:
            raise ValueError(f"maskgit_steps: found {steps}, wanted 1 or more")
        with self._lock:
            self._maskgit_steps = int(steps)
            self._rollout.sampling = dataclasses.replace(self._rollout.sampling, maskgit_steps=self._maskgit_steps)

    @property
    def temperature(self) -> float:
        """Sampling temperature, 0 (greedy) or more."""
        return self._temperature

    def _checked(self, latent_action: Any) -> int:
        count = self.num_latent_actions
        try:
            action = operator.index(latent_action)
        except TypeError:
            raise ActionError(
                f"latent action: found {latent_action!r}, wanted a whole number from 0 to {count - 1}"
            ) from None
        if not 0 <= action < count:
            raise ActionError(
                f"latent action: found {action}, wanted 0 to {count - 1} (this world has {count} latent actions)"
            )
        return action

    def __repr__(self) -> str:
        return (
            f"PlaySession({self.num_steps} steps played, {self.num_latent_actions} latent actions, "
            f"maskgit_steps={self.maskgit_steps}, temperature={self.temperature}, seed={self.seed})"
        )
