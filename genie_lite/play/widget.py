"""The player: a play session in a notebook, with keys, latent actions and prompts (anywidget; see static/)."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets
from IPython.display import display

from genie_lite.play.actions import card_labels, read_labels
from genie_lite.play.autoplay import AutoPlay
from genie_lite.play.fitting import PromptError, fit
from genie_lite.play.keys import controller_for
from genie_lite.play.page import SCRIPT, STYLE, action_loops, caption, setup
from genie_lite.play.pictures import to_png
from genie_lite.play.prompts import Prompts
from genie_lite.play.session import PlaySession
from genie_lite.play.still import still_output

if TYPE_CHECKING:
    from genie_lite.api import Genie

STRIP = 8  # frames in the strip under the picture
GALLERY = 8
PREVIEWS_AT_ONCE = 4
SLOW = 0.2  # seconds a frame from which on the browser is told that the kernel has begun with it
GIF_FRAMES = 1_000  # at most in a GIF saved by the player
DOWNLOAD_BYTES = 1_500_000  # a larger GIF is only named: the server drops messages that are too large
log = logging.getLogger(__name__)


def play(genie: Genie | PlaySession, dataset: Any = None, **options: Any) -> PlayWidget:
    """The player for a world; as the last line of a notebook cell it shows itself. Options as for PlayWidget."""
    return PlayWidget(genie, dataset, **options)


class PlayWidget(anywidget.AnyWidget):
    """A world to play with keys, with its latent actions one by one, from prompts of all kinds.

    genie: a world, or a PlaySession to go on with. dataset: where new prompts come from; None takes the shipped
    sample. actions: what `describe_actions` returned, or its JSON file; None looks in the world's card, and without
    any the latent actions are plain numbers. scale: screen pixels per frame pixel at most.
    gif_folder: where "Save GIF" writes.
    Further options (prompt, controller, maskgit_steps, temperature, seed) go to PlaySession.

    `press("right")`, `act(3)`, `undo()` and the other methods do what the browser's controls do.
    """

    _esm = traitlets.Unicode(SCRIPT).tag(sync=True)
    _css = traitlets.Unicode(STYLE).tag(sync=True)
    setup: Any = traitlets.Dict().tag(sync=True)  # what never changes
    state: Any = traitlets.Dict().tag(sync=True)  # what every step changes
    previews: Any = traitlets.List().tag(sync=True)  # GIF bytes for each latent action
    gallery: Any = traitlets.List().tag(sync=True)  # PNG bytes of prompts to choose from
    fitted: Any = traitlets.Dict().tag(sync=True)  # the newest picture of the learner's own, before and after
    unseen = traitlets.Bool(True).tag(sync=True)  # until a browser has shown it and given it the keyboard

    def __init__(
        self,
        genie: Genie | PlaySession,
        dataset: Any = None,
        *,
        actions: Any = None,
        scale: int = 8,
        gif_folder: str | Path = ".",
        **options: Any,
    ) -> None:
        world = genie.genie if isinstance(genie, PlaySession) else genie
        self.labels = card_labels(world) if actions is None else read_labels(actions, world.num_latent_actions)
        self.prompts = Prompts.of_sample(world) if dataset is None else Prompts(world, dataset)
        if isinstance(genie, PlaySession):
            self.session = genie
        else:
            options.setdefault("prompt", self.prompts.next())
            options.setdefault("controller", controller_for(world, actions))
            self.session = PlaySession(genie, **options)
        self.session.warm_up()
        self.gif_folder = Path(gif_folder)
        self.auto = AutoPlay(self.session, self._auto_drawn, self.say, self.session.seed)
        self._seconds: deque[float] = deque(maxlen=10)
        self._keys: list[str | None] = []  # the key pressed for each step; None for a latent action chosen directly
        self._last: dict[str, Any] = {"key": None, "action": None}
        self._message: dict[str, Any] = {"text": "", "error": False}
        self._answered: str | None = None
        self._shown: list[np.ndarray] = []  # the prompts of the gallery
        self._lock = threading.RLock()  # the browser's commands may run beside a cell, in a thread of their own
        self._previewing: asyncio.Task[None] | None = None
        self._png: tuple[np.ndarray | None, bytes] = (None, b"")
        super().__init__(
            setup=setup(self.session, self.labels, self.auto.choices, scale), previews=[b""] * world.num_latent_actions
        )
        self.on_msg(self._received)
        self.refresh()

    # ------------------------------------------------------------------------------------------ playing

    def press(self, key: str) -> None:
        """Play one frame with a key, such as "right", and show it."""
        self._step(lambda: self.session.press(key), key)

    def act(self, latent_action: int) -> None:
        """Play one frame with a latent action and show it."""
        self._step(lambda: self.session.step(latent_action), None)

    def _step(self, play: Any, key: str | None) -> None:
        began = time.perf_counter()
        try:
            play()
            self._seconds.append(time.perf_counter() - began)
            self._keys = [*self._keys[: self.session.num_steps - 1], key]
            self._message = {"text": "", "error": False}
        finally:  # also after an interrupt, which comes when the step is done
            self.refresh()

    def undo(self) -> None:
        """Take back the last step."""
        self.session.undo()
        self.say("")

    def reset(self) -> None:
        """Start again from the same prompt."""
        self.session.reset()
        self.say("")

    def new_prompt(self) -> None:
        """Start from the next frame of the dataset."""
        self.start(self.prompts.next())

    def start(self, prompt: Any) -> None:
        """Start from a prompt. PromptError for one that cannot be used; play then goes on as it was."""
        self.session.reset(prompt)
        self.say("")

    def take(self, content: bytes, name: str, source: str = "upload") -> None:
        """Start from the bytes of an image file, and show what the model sees of it."""
        size, channels = self.session.genie.frame_size, self.session.genie.config.model.channels
        try:
            fitted = fit(content, size, channels)
        except PromptError as error:
            raise PromptError(f"{name}: {str(error).removeprefix('picture: ')}") from error
        small = fitted.original.copy()
        small.thumbnail((256, 256))
        self.fitted = {
            "source": source, "original": to_png(small), "frame": to_png(fitted.frame), "notes": fitted.summary,
        }  # fmt: skip
        self.start(fitted.frame)
        self.say(f"Playing from {name}.")

    def save_gif(self) -> None:
        """Save what was played, the newest frames at most, under the next free name play-001.gif."""
        number = 1
        while (path := self.gif_folder / f"play-{number:03}.gif").exists():
            number += 1
        try:
            self.session.save_gif(path, last=GIF_FRAMES, fps=10)
        except OSError as error:
            self.say(f"{path}: could not be saved ({error}); free some space or pass another gif_folder", True)
            return
        frames, size = self.session.num_steps + 1, path.stat().st_size
        what = f"{frames:,} frames" if frames <= GIF_FRAMES else f"the last {GIF_FRAMES:,} of {frames:,} frames"
        self.say(f"Saved {path}: {what}, {size / 1e6:.1f} MB.")
        if size <= DOWNLOAD_BYTES:
            self.send({"kind": "file", "name": path.name}, buffers=[path.read_bytes()])

    # ------------------------------------------------------------------------------------ what is shown

    def say(self, text: str, error: bool = False) -> None:
        """Show a message under the controls, or none for an empty text; an error stands out."""
        self._message = {"text": text, "error": error}
        self.refresh()

    def refresh(self) -> None:
        """Show the session as it is now, also after it was played from another cell."""
        with self._lock:
            self.state = self._state()

    def _state(self) -> dict[str, Any]:
        number = self.session.num_steps
        frame = self.session.frame
        if frame is not self._png[0]:
            self._png = (frame, to_png(frame))
        _, actions = self.session.recent(2)
        action, key = actions[-1] if actions else None, self._key(number)
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

    def _key(self, number: int) -> str | None:
        """The key that led to frame `number`; None where there was none."""
        return self._keys[number - 1] if 0 < number <= len(self._keys) else None

    def _history(self) -> None:
        """Send the frames of the strip to a browser that has just opened the player."""
        frames, actions = self.session.recent(STRIP)
        first = self.session.num_steps - len(frames) + 1
        items = [
            {"number": number, "caption": caption(number, self._key(number), action)}
            for number, action in enumerate([None, *actions], start=first)
        ]
        self.send({"kind": "history", "frames": items}, buffers=[to_png(frame) for frame in frames])

    def turn_gallery(self) -> None:
        """Show other frames of the dataset to start from."""
        self._shown = [self.prompts.next() for _ in range(GALLERY)]
        self.gallery = [to_png(prompt[-1]) for prompt in self._shown]

    def preview(self) -> None:
        """Show what each latent action does from the current frame, a few at a time while the kernel stays free.

        Without an event loop, as in a script, all of them are made before this returns.
        """
        prompt = self.session.known(4)
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

    def _auto_drawn(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self.refresh()

    # ------------------------------------------------------------------------------------ from the browser

    def _received(self, _widget: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        """Obey a command; each that has an id is answered in `state`, whatever becomes of it."""
        if (number := content.get("id")) is not None:
            if not self._seconds or max(self._seconds) > SLOW:
                self.send({"kind": "begun", "id": number})
            self._answered = number
        try:
            self._obey(content, buffers)
        except (ValueError, OSError) as error:  # what the learner can put right
            self.say(str(error), True)
        except Exception as error:
            self.say(f"{type(error).__name__}: {error}", True)
            raise
        finally:
            self.refresh()

    def _obey(self, content: dict[str, Any], buffers: list[Any]) -> None:
        match content:
            case {"kind": "press", "key": key}:
                self.press(key)
            case {"kind": "act", "action": action}:
                self.act(action)
            case {"kind": "undo"}:
                self.undo()
            case {"kind": "reset"}:
                self.reset()
            case {"kind": "new"}:
                self.new_prompt()
            case {"kind": "choose", "index": index}:
                self.start(self._shown[index])
            case {"kind": "upload", "name": name}:
                self.take(bytes(buffers[0]), name)
            case {"kind": "drawing"}:
                self.take(bytes(buffers[0]), "your drawing", "drawing")
            case {"kind": "gif"}:
                self.save_gif()
            case {"kind": "steps", "value": value}:
                self.session.maskgit_steps = value
                self._seconds.clear()
            case {"kind": "speed", "value": value}:
                self.auto.speed = float(value)
            case {"kind": "auto", **rest}:
                self.auto.choice = rest.get("choice", self.auto.choice)
                self.auto.on = rest.get("on", self.auto.on)
            case {"kind": "previews"}:
                self.preview()
            case {"kind": "gallery"}:
                self.turn_gallery()
            case {"kind": "history"}:
                self._history()
            case _:
                log.warning("the player was sent an unknown command: %s", content)

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
