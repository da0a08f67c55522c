"""The player: a play session in a notebook, with keys, latent actions and prompts (JavaScript in static/)."""

from __future__ import annotations

import contextlib
import itertools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_lite.files import naming_failures, reason
from genie_lite.play.actions import card_labels, read_labels
from genie_lite.play.fitting import PromptError, fit
from genie_lite.play.keys import controller_for
from genie_lite.play.pictures import to_png
from genie_lite.play.prompts import Prompts
from genie_lite.play.session import PlaySession
from genie_lite.play.view import PlayerView

if TYPE_CHECKING:
    from genie_lite.api import Genie

GALLERY = 8
SLOW = 0.2  # seconds a frame from which on the browser is told that the kernel has begun with it
GIF_FRAMES, GIF_FPS = 1_000, 10  # of a GIF saved by the player, frames at most
DOWNLOAD_BYTES = 1_500_000  # a larger GIF is only named: the server drops messages that are too large
log = logging.getLogger(__name__)


def play(genie: Genie | PlaySession, dataset: Any = None, **options: Any) -> PlayWidget:
    """The player for a world; as the last line of a notebook cell it shows itself. Options as for PlayWidget."""
    return PlayWidget(genie, dataset, **options)


class PlayWidget(PlayerView):
    """A world to play with keys, with its latent actions one by one, from prompts of all kinds.

    genie: a world, or a PlaySession to go on with. dataset: where new prompts come from; None takes the shipped
    sample. actions: what `describe_actions` returned, or its JSON file; None looks in the world's card, and without
    any the latent actions are plain numbers. scale: screen pixels per frame pixel at most.
    gif_folder: where "Save GIF" writes.
    Further options (prompt, controller, maskgit_steps, temperature, min_p, seed) go to PlaySession.

    `press("right")`, `act(3)`, `undo()` and the other methods do what the controls in the browser do.
    """

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
        labels = card_labels(world) if actions is None else read_labels(actions, world.num_latent_actions)
        self.prompts = Prompts.of_sample(world) if dataset is None else Prompts(world, dataset)
        if isinstance(genie, PlaySession):
            session = genie
        else:
            options.setdefault("prompt", self.prompts.next())
            options.setdefault("controller", controller_for(world, actions))
            session = PlaySession(genie, **options)
        session.warm_up()
        self.gif_folder = Path(gif_folder)
        self._offered: list[np.ndarray] = []  # the prompts of the gallery
        super().__init__(session, labels, scale)
        self.on_msg(self._received)

    # ------------------------------------------------------------------------------------------ playing

    def press(self, key: str) -> None:
        """Play one frame with a key, such as "right", and show it. ActionError for a key this world does not know."""
        self._step(lambda: self.session.press(key), key)

    def act(self, latent_action: int) -> None:
        """Play one frame with a latent action and show it. ActionError for one that this world does not have."""
        self._step(lambda: self.session.step(latent_action))

    def undo(self) -> None:
        """Take back the last step. ActionError where there is none."""
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
        """Start from the bytes of an image file, and show what the model sees of it. PromptError as for `start`."""
        size, channels = self.session.genie.frame_size, self.session.genie.config.model.channels
        try:
            fitted = fit(content, size, channels)
        except PromptError as error:
            raise PromptError(f"{name}: {str(error).removeprefix('picture: ')}") from error
        small = fitted.original.copy()
        small.thumbnail((256, 256))
        before, after = to_png(small), to_png(fitted.frame)
        self.fitted = {"source": source, "original": before, "frame": after, "notes": fitted.summary}
        self.start(fitted.frame)
        self.say(f"Playing from {name}.")

    def turn_gallery(self) -> None:
        """Offer other frames of the dataset to start from."""
        self._offered = [self.prompts.next() for _ in range(GALLERY)]
        self.gallery = [to_png(prompt[-1]) for prompt in self._offered]

    def save_gif(self) -> None:
        """Save what was played, the newest frames at most, under the next free name play-001.gif."""
        path = self.gif_folder
        try:
            path = _free_name(self.gif_folder)
            self.session.save_gif(path, last=GIF_FRAMES, fps=GIF_FPS)
        except OSError as error:
            self.say(f"{path}: could not be saved ({reason(error)}); free some space or pass another gif_folder", True)
            if path.is_file() and path != self.gif_folder:
                path.unlink()
            return
        frames, size = self.session.num_steps + 1, path.stat().st_size
        what = f"{frames:,} frames" if frames <= GIF_FRAMES else f"the last {GIF_FRAMES:,} of {frames:,} frames"
        self.say(f"Saved {path}: {what}, {size / 1e6:.1f} MB.")
        if size <= DOWNLOAD_BYTES:
            self.send({"kind": "file", "name": path.name}, buffers=[path.read_bytes()])

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
                self.start(self._offered[index])
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
                self._send_history()
            case _:
                log.warning("the player was sent an unknown command: %s", content)


def _free_name(folder: Path) -> Path:
    """The first of play-001.gif, ... that is free, as an empty file, so that no other player takes it."""
    with naming_failures(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = folder / f"play-{number:03}.gif"
            with contextlib.suppress(FileExistsError), path.open("xb"):
                return path
    raise AssertionError("numbers do not end")
