"""Auto-play: the session plays by itself while the kernel stays free for other cells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ipywidgets
import numpy as np

from genie_lite.play.session import PlaySession

AUTO_LIMIT = 1_000  # frames after which auto-play rests, so that a forgotten notebook does not play all night


class AutoPlay:
    """A switch, a choice of what to play, and a pause between frames; placed in the player by their names.

    drawn: called after each step with the seconds since the one before. say: shows a message; True: it is an error.
    """

    def __init__(
        self, session: PlaySession, drawn: Callable[[float], None], say: Callable[[str, bool], None], seed: int = 0
    ) -> None:
        self.session, self._drawn, self._say = session, drawn, say
        self._rng = np.random.default_rng(seed)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="genie-lite-play")
        self.task: asyncio.Task[None] | None = None
        self.button = ipywidgets.ToggleButton(description="Auto-play", icon="play", tooltip="Play by itself")
        self.button.observe(self._toggled, names="value")
        choices: list[tuple[str, Any]] = [("last action", "last"), ("random actions", "random")]
        choices += [(f"action {action}", action) for action in range(session.num_latent_actions)]
        self.choice = ipywidgets.Dropdown(options=choices, value="last", tooltip="What auto-play does")
        self.pause = ipywidgets.FloatSlider(
            value=0.0,
            min=0.0,
            max=1.0,
            step=0.05,
            description="Pause (s)",
            tooltip="Seconds between frames of auto-play",
        )

    def _toggled(self, change: dict[str, Any]) -> None:
        self.button.icon = "pause" if change["new"] else "play"
        if not change["new"] or (self.task and not self.task.done()):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.button.value = False
            self._say("auto-play: no event loop is running here; it plays in a notebook", True)
            return
        self.task = loop.create_task(self._play())

    def next_action(self) -> int:
        """The latent action that auto-play takes next; without a last action a random one."""
        choice = self.choice.value
        if choice == "last" and self.session.num_steps:
            return self.session.recent(2)[1][-1]
        if choice in ("last", "random"):
            return int(self._rng.integers(self.session.num_latent_actions))
        return int(choice)

    async def _play(self) -> None:
        """Step in a thread of its own, so that the kernel stays free, and draw between steps."""
        loop = asyncio.get_running_loop()
        try:
            for _ in range(AUTO_LIMIT):
                if not self.button.value:
                    return
                began = time.perf_counter()
                await loop.run_in_executor(self._thread, self.session.step, self.next_action())
                await asyncio.sleep(max(self.pause.value, 0.005))
                self._drawn(time.perf_counter() - began)
            self._say(f"Auto-play rests after {AUTO_LIMIT} frames.", False)
        except Exception as error:  # nobody awaits this task: say it where the learner looks
            self._say(f"auto-play stopped: {error}", True)
            raise
        finally:
            self.button.value = False

    def stop(self) -> None:
        """Stop for good; a step under way still ends."""
        self.button.value = False
        self._thread.shutdown(wait=False)
