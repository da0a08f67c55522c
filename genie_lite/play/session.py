"""A play session: one world, one prompt, one latent action after another. It needs no user interface."""

from __future__ import annotations

import dataclasses
import functools
import operator
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from genie_lite.interrupts import interrupts_postponed
from genie_lite.play.keys import KeyController, controller_for
from genie_lite.play.pictures import write_gif
from genie_lite.play.prompts import Prompts, prompt_frames

if TYPE_CHECKING:
    from genie_lite.api import Genie

MAX_SEED = 2**32 - 1


class ActionError(ValueError):
    """A latent action or key that this world does not have (the message says which it has), or no step left to undo."""


class PlaySession:
    """Plays a world frame by frame (section 2.2 of the paper, figure 2).

    prompt: where play starts: frames uint8 [H, W, C] or [T, H, W, C] of the world's size, or any picture that
    `fit_image` takes (it is fitted); None takes a frame of the shipped sample.
    controller: turns keys into latent actions for `press`; None takes the world's own.
    maskgit_steps, temperature, min_p: as in `genie.generate`; None takes the world's own settings.
    seed: 0 or more; it decides every frame, together with the prompt and the latent actions.
    Raises PromptError for a prompt that cannot be used. Threads may share a session: calls take turns. An interrupt
    (Ctrl-C) takes effect between calls, never inside one.
    """

    def __init__(
        self,
        genie: Genie,
        prompt: Any = None,
        *,
        controller: KeyController | None = None,
        maskgit_steps: int | None = None,
        temperature: float | None = None,
        min_p: float | None = None,
        seed: int = 0,
    ) -> None:
        sampling = genie.config.sampling
        self.genie = genie
        self.seed = _whole("seed", seed, 0, MAX_SEED)
        steps = sampling.maskgit_steps if maskgit_steps is None else maskgit_steps
        self._maskgit_steps = _whole("maskgit_steps", steps, 1)
        self._temperature = sampling.temperature if temperature is None else temperature
        self._min_p = sampling.min_p if min_p is None else min_p
        self._lock = threading.RLock()
        if controller is not None:
            self.controller = controller
        self.prompt: np.ndarray  # uint8 [T, H, W, C], the frames play started from
        self.reset(Prompts.of_sample(genie).next() if prompt is None else prompt)

    # ------------------------------------------------------------------------------------------- playing

    def step(self, latent_action: SupportsIndex) -> np.ndarray:
        """Take one latent action in 0 .. A-1 and return the frame it leads to, uint8 [H, W, C].

        Raises ActionError for anything else; the session stays as it was.
        """
        action = self._checked(latent_action)
        with self._lock, interrupts_postponed():
            frame = np.asarray(self._rollout.step(np.array([action])))[0]
            self._frames.append(frame)
            self._actions.append(action)
            self._keys.append(None)
            return frame

    def press(self, key: str) -> np.ndarray:
        """Press a key of the controller, such as "right", for one frame and return that frame, uint8 [H, W, C].

        Raises ActionError for a key that the controller does not know; the session stays as it was.
        """
        with self._lock, interrupts_postponed():
            frame = self.step(self.latent_action(key))
            self._keys[-1] = key
            return frame

    def latent_action(self, key: str) -> int:
        """The latent action that the controller chooses for a key now, in 0 .. A-1. ActionError for an unknown key."""
        if not isinstance(key, str) or key not in self.controller.keys:
            raise ActionError(f"key: found {key!r}, wanted one of {', '.join(self.controller.keys)}")
        with self._lock:
            past = self.known(self.genie.context_frames)
            known = self.at_hand()
            if known:
                known["before"] = [self._keys[-self.genie.context_frames :]]
            return int(self.controller.latent_actions(past[None], [key], **known)[0])

    def at_hand(self) -> dict[str, Any]:
        """The rollout, for a controller that reads from it what the world already knows."""
        return {"rollout": self._rollout} if getattr(self.controller, "reads_rollout", False) else {}

    @functools.cached_property
    def controller(self) -> KeyController:
        """What turns keys into latent actions; `controller.keys` lists the keys."""
        return controller_for(self.genie)

    def undo(self) -> np.ndarray:
        """Take back the last step and return the frame before it.

        The random numbers go back too: the same latent action gives the same frame again.
        Raises ActionError at the prompt, and beyond the steps that a rollout remembers; the session stays as it was.
        """
        with self._lock, interrupts_postponed():
            try:
                self._rollout.undo()
            except IndexError as error:
                found = f"the last {len(self._actions)} steps are final" if self._actions else "play starts here"
                raise ActionError(f"undo: no step left to take back, {found}; reset() starts again") from error
            self._frames.pop()
            self._actions.pop()
            self._keys.pop()
            return self.frame

    def reset(self, prompt: Any = None, *, seed: int | None = None) -> np.ndarray:
        """Start again, from a new prompt if one is given, and return the frame play starts from.

        With the same prompt and seed the same latent actions give the same frames again.
        Raises PromptError for a prompt that cannot be used; the session stays as it was.
        """
        frames = self.prompt if prompt is None else prompt_frames(prompt, self.genie)
        seed = self.seed if seed is None else _whole("seed", seed, 0, MAX_SEED)
        with self._lock:
            rollout = self.genie.rollout(
                frames[None],
                maskgit_steps=self._maskgit_steps,
                temperature=self._temperature,
                min_p=self._min_p,
                seed=seed,
            )
            with interrupts_postponed():
                self._rollout, self.seed, self.prompt = rollout, seed, frames
                self._frames = [frames[-1]]
                self._actions: list[int] = []
                self._keys: list[str | None] = []  # that led to each frame, None for a latent action by itself
            return self.frame

    def warm_up(self) -> None:
        """Play one step and take it back, so that the first real step is as fast as the others."""
        with self._lock, interrupts_postponed():
            self._rollout.step(np.array([0]))
            self._rollout.undo()

    # ------------------------------------------------------------------------------------ what was played

    @property
    def frame(self) -> np.ndarray:
        """The current frame, uint8 [H, W, C]."""
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
        """Steps played since the prompt, not counting those undone."""
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

    def known(self, count: int) -> np.ndarray:
        """The last frames, those of the prompt included, uint8 [T, H, W, C] with T <= count."""
        with self._lock:
            return np.concatenate([self.prompt[:-1], np.stack(self._frames[-count:])])[-count:]

    def save_gif(self, path: str | Path, scale: int = 4, fps: float = 8.0, *, last: int | None = None) -> Path:
        """Write what was played as a looping GIF, each pixel `scale` pixels wide, and return its path.

        last: only that many frames, the newest ones; None writes all. The file appears complete or not at all.
        Raises ValueError for a number out of range and OSError when writing fails, for instance on a full disk.
        """
        count = 0 if last is None else _whole("last", last, 1)
        with self._lock:
            frames = self._frames[-count:]
        return write_gif(frames, path, scale=scale, fps=fps)

    # ---------------------------------------------------------------------------------------------- speed

    @property
    def maskgit_steps(self) -> int:
        """MaskGIT steps for each frame, 1 or more: fewer is faster, more is finer. May change during play."""
        return self._maskgit_steps

    @maskgit_steps.setter
    def maskgit_steps(self, steps: int) -> None:
        steps = _whole("maskgit_steps", steps, 1)
        with self._lock, interrupts_postponed():
            self._rollout.sampling = dataclasses.replace(self._rollout.sampling, maskgit_steps=steps)
            self._maskgit_steps = steps

    @property
    def temperature(self) -> float:
        """Sampling temperature, 0 (greedy) or more."""
        return self._temperature

    @property
    def min_p(self) -> float:
        """Codes less likely than this share of the likeliest one are never drawn, 0 (none left out) to 1."""
        return self._min_p

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


def _whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """A setting as a whole number; ValueError says what was found and which numbers are allowed."""
    wanted = f"{least} or more" if most is None else f"{least} to {most}"
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}: found {value!r}, wanted a whole number, {wanted}") from None
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name}: found {number}, wanted {wanted}")
    return number
