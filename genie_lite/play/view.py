"""What the player shows in the browser: the part of `PlayWidget` that knows traits and messages, and no commands."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import anywidget
import numpy as np
import traitlets
from IPython.display import display

from genie_lite.play.actions import ActionLabel
from genie_lite.play.autoplay import AutoPlay
from genie_lite.play.page import SCRIPT, STYLE, action_loops, caption, setup
from genie_lite.play.pictures import to_png
from genie_lite.play.session import PlaySession
from genie_lite.play.still import still_output

STRIP = 8  # frames in the strip under the picture
KEYS_KEPT = 64
PREVIEWS_AT_ONCE = 4
PREVIEW_PAST = 4  # frames of the past that a preview starts from


class PlayerView(anywidget.AnyWidget):
    """Shows a play session, the messages about it, and what its latent actions would do.

    labels: of the latent actions, if known. scale: screen pixels per frame pixel at most.
    """

    _esm = traitlets.Unicode(SCRIPT).tag(sync=True)
    _css = traitlets.Unicode(STYLE).tag(sync=True)
    setup: Any = traitlets.Dict().tag(sync=True)  # what never changes
    state: Any = traitlets.Dict().tag(sync=True)  # what every step changes
    previews: Any = traitlets.List().tag(sync=True)  # GIF bytes for each latent action
    gallery: Any = traitlets.List().tag(sync=True)  # PNG bytes of prompts to choose from
    fitted: Any = traitlets.Dict().tag(sync=True)  # the newest picture of the learner's own, before and after
    unseen = traitlets.Bool(True).tag(sync=True)  # until a browser has shown it and given it the keyboard

    def __init__(self, session: PlaySession, labels: list[ActionLabel] | None, scale: int) -> None:
        self.session, self.labels = session, labels
        self.auto = AutoPlay(session, self._auto_drawn, self.say, session.seed)
        self._seconds: deque[float] = deque(maxlen=10)  # of the last steps
        self._keys: dict[int, str] = {}  # the keys that led to frames, by their numbers
        self._message: dict[str, Any] = {"text": "", "error": False}
        self._answered: str | None = None  # the browser's newest command
        self._png: tuple[np.ndarray | None, bytes] = (None, b"")
        self._lock = threading.RLock()  # the browser's commands may run beside a cell, in a thread of their own
        self._previewing: asyncio.Task[None] | None = None
        super().__init__(
            setup=setup(session, labels, self.auto.choices, scale), previews=[b""] * session.num_latent_actions
        )
        self.refresh()

    def say(self, text: str, error: bool = False) -> None:
        """Show a message under the controls, or none for an empty text; an error stands out."""
        self._message = {"text": text, "error": error}
        self.refresh()

    def refresh(self) -> None:
        """Show the session as it is now, also after it was played from another cell."""
        with self._lock:
            number = self.session.num_steps
            self._keys = {n: key for n, key in self._keys.items() if number - KEYS_KEPT < n <= number}
            self.state = self._state(number)

    def _state(self, number: int) -> dict[str, Any]:
        frame = self.session.frame
        if frame is not self._png[0]:
            self._png = (frame, to_png(frame))
        actions = self.session.recent(2)[1]
        action, key = actions[-1] if actions else None, self._keys.get(number)
        return {
            "png": self._png[1],
            "number": number,
            "caption": caption(number, key, action),
            "ms": 1000 * sum(self._seconds) / len(self._seconds) if self._seconds else None,
            "last": {"key": key, "action": action},
            "message": self._message,
            "steps": self.session.maskgit_steps,
            "speed": self.auto.speed,
            "auto": self.auto.on,
            "choice": self.auto.choice,
            "answered": self._answered,
        }

    def _step(self, play: Callable[[], Any], key: str | None = None) -> None:
        """Play one frame and show it, with how long it took and the key that led to it."""
        began = time.perf_counter()
        try:
            play()
            self._seconds.append(time.perf_counter() - began)
            self._keys.pop(self.session.num_steps, None)
            if key is not None:
                self._keys[self.session.num_steps] = key
            self._message = {"text": "", "error": False}
        finally:  # also after an interrupt, which takes effect when the step is done
            self.refresh()

    def _auto_drawn(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self.refresh()

    def _send_history(self) -> None:
        """Send the frames of the strip to a browser that has just opened the player."""
        frames, actions = self.session.recent(STRIP)
        first = self.session.num_steps - len(frames) + 1
        items = [
            {"number": number, "caption": caption(number, self._keys.get(number), action)}
            for number, action in enumerate([None, *actions], start=first)
        ]
        self.send({"kind": "history", "frames": items}, buffers=[to_png(frame) for frame in frames])

    def preview(self) -> None:
        """Show what each latent action does from the current frame, a few at a time while the kernel stays free.

        Without an event loop, as in a script, all of them are made before this returns.
        """
        prompt = self.session.known(PREVIEW_PAST)
        if self._previewing is not None:
            self._previewing.cancel()
        count = self.session.num_latent_actions
        parts = [range(at, min(at + PREVIEWS_AT_ONCE, count)) for at in range(0, count, PREVIEWS_AT_ONCE)]
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            for part in parts:
                self._show_previews(part, action_loops(self.session, prompt, part))
            return

        async def all_parts() -> None:
            for part in parts:
                loops = functools.partial(action_loops, self.session, prompt, part)
                self._show_previews(part, await self.auto.run(loops))

        self._previewing = loop.create_task(all_parts())

    def _show_previews(self, actions: range, gifs: list[bytes]) -> None:
        self.previews = [*self.previews[: actions.start], *gifs, *self.previews[actions.stop :]]

    def close(self) -> None:
        """Stop auto-play and take the player out of the notebook; its memory is then free."""
        if (auto := getattr(self, "auto", None)) is not None:  # a player that could not be made is closed too
            auto.stop()
            if self._previewing is not None:
                self._previewing.cancel()
            self.layout.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        return bundle and ({**bundle[0], "text/plain": "The player: run this cell to play."}, bundle[1])

    def _ipython_display_(self) -> None:
        """Show the player and, hidden behind it, a still picture for where no player runs (see still.py)."""
        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)
        display(still_output(self.session.frame, self.session.controller.keys, self.setup["player"]), raw=True)
