"""Auto-play: the session plays by itself while the kernel stays free for other cells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from genie_lite.play.session import PlaySession

AUTO_LIMIT = 1_000  # frames after which auto-play stops, so that a forgotten notebook does not play all night


class AutoPlay:
    """Plays a session step by step in a thread of its own.

    choice: "prior", the world plays itself (offered where its controller has an action prior); "last", the last latent
    action again; "random"; or the number of a latent action. speed: frames per second at most.
    drawn: called after each step with the seconds that it took. say: shows a message; True: it is an error.
    """

    def __init__(
        self, session: PlaySession, drawn: Callable[[float], None], say: Callable[[str, bool], None], seed: int = 0
    ) -> None:
        self.session, self.speed = session, 20.0
        self._drawn, self._say = drawn, say
        self._rng = np.random.default_rng(seed)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="genie-lite-play")
        self._on = False
        self.task: asyncio.Task[None] | None = None
        self.choice: str = self.choices[0][0]

    @property
    def choices(self) -> list[tuple[str, str]]:
        """What `choice` may be, each with words for it."""
        prior = [("prior", "the world plays itself")] if self._prior else []
        actions = [(str(action), f"latent action {action}") for action in range(self.session.num_latent_actions)]
        return [*prior, ("last", "last action again"), ("random", "random actions"), *actions]

    @property
    def on(self) -> bool:
        """Whether it plays; setting it starts or stops. RuntimeError where no event loop is running."""
        return self._on

    @on.setter
    def on(self, on: bool) -> None:
        if on and (self.task is None or self.task.done()):
            loop = asyncio.get_running_loop()
            self._on = True
            self.task = loop.create_task(self._play())
        self._on = on

    def next_action(self) -> int:
        """The latent action that auto-play takes next; without a last action a random one."""
        count = self.session.num_latent_actions
        if self.choice == "prior" and self._prior:
            past = self.session.known(self.session.genie.context_frames)
            return int(self._prior(past[None], self._rng, **self.session.at_hand())[0])
        if self.choice == "last" and self.session.num_steps:
            return self.session.recent(2)[1][-1]
        return int(self.choice) if self.choice.isdecimal() else int(self._rng.integers(count))

    @property
    def _prior(self) -> Any:
        """Draws a latent action [B] as the world itself would, from frames [B, T, H, W, C]; None where none can."""
        controller = self.session.controller
        return getattr(controller, "autoplay", None) if getattr(controller, "prior", None) is not None else None

    async def run(self, work: Callable[[], Any]) -> Any:
        """Do something else in the thread that plays, after what it is doing."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _play(self) -> None:
        """Step in the thread, so that the kernel stays free, and draw between steps."""
        try:
            for _ in range(AUTO_LIMIT):
                if not self._on:
                    return
                began = time.perf_counter()
                await self.run(lambda: self.session.step(self.next_action()))
                took = time.perf_counter() - began
                self._drawn(took)
                await asyncio.sleep(max(1 / self.speed - took, 0.005))
            self._on = False
            self._say(f"Auto-play stops after {AUTO_LIMIT:,} frames.", False)
        except Exception as error:  # nobody awaits this task: say it where the learner looks
            self._on = False
            self._say(f"auto-play stopped: {error}", True)
            raise

    def stop(self) -> None:
        """Stop for good; a step under way still ends."""
        self._on = False
        self._thread.shutdown(wait=False)
