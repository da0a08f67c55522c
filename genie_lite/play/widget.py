"""The player: a play session in a notebook, with buttons and keys."""

from __future__ import annotations

import base64
import html
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from genie_lite.play.actions import by_direction, card_labels, read_labels
from genie_lite.play.autoplay import AutoPlay
from genie_lite.play.controls import KeyPad
from genie_lite.play.keys import arrow_keys
from genie_lite.play.panels import DrawPanel, GalleryPanel, UploadPanel, picture
from genie_lite.play.pictures import enlarge, filmstrip, to_png
from genie_lite.play.prompts import Prompts
from genie_lite.play.session import ActionError, PlaySession

if TYPE_CHECKING:
    from genie_lite.api import Genie

KEY_GLYPHS = {"left": "←", "up": "↑", "right": "→", "down": "↓"}
STRIP = 8  # frames in the video strip
MANY = 12  # latent actions beyond which their buttons are smaller and stand by direction


def play(genie: Genie | PlaySession, dataset: Any = None, **options: Any) -> PlayWidget:
    """The player for a world; as the last line of a notebook cell it shows itself. Options as for PlayWidget."""
    return PlayWidget(genie, dataset, **options)


class PlayWidget(ipywidgets.VBox):
    """A world with buttons, keys, prompts and a video strip.

    genie: a world, or a PlaySession to go on with. dataset: where new prompts come from; None takes the shipped
    sample. actions: what `describe_actions` returned, or its JSON file; None looks in the world's card, and without
    any the buttons show plain numbers. scale: screen pixels per frame pixel; None takes 5, fewer for wide frames.
    gif_folder: where "Save GIF" writes.
    Further options (prompt, maskgit_steps, temperature, seed) go to PlaySession.

    `action_buttons[a].click()` plays latent action a also where there is no browser.
    """

    def __init__(
        self,
        genie: Genie | PlaySession,
        dataset: Any = None,
        *,
        actions: Any = None,
        scale: int | None = None,
        gif_folder: str | Path = ".",
        **options: Any,
    ) -> None:
        world = genie.genie if isinstance(genie, PlaySession) else genie
        self.prompts = Prompts.of_sample(world) if dataset is None else Prompts(world, dataset)
        if isinstance(genie, PlaySession):
            self.session = genie
        else:
            options.setdefault("prompt", self.prompts.next())
            self.session = PlaySession(genie, **options)
        self.labels = card_labels(world) if actions is None else read_labels(actions, world.num_latent_actions)
        self.arrow_keys = arrow_keys(self.labels, world.num_latent_actions)
        self.gif_folder = Path(gif_folder)
        self.scale = scale or max(1, min(5, 400 // self.session.frame.shape[1]))
        self._seconds: deque[float] = deque(maxlen=10)
        self._marked: int | None = None
        super().__init__(self._build())
        self.add_class("gl-player")
        self.refresh()

    # ------------------------------------------------------------------------------------------ how it looks

    def _build(self) -> list[ipywidgets.Widget]:
        height, width = self.session.frame.shape[:2]
        self.screen = picture(b"", "gl-screen")
        self.screen.layout.width = f"{width * self.scale}px"
        self.strip = picture(b"", "gl-strip")
        self.captions = ipywidgets.HTML()
        self.status = ipywidgets.HTML()
        self.message = ipywidgets.HTML()
        self.action_buttons = [self._action_button(action) for action in range(self.session.num_latent_actions)]
        self.undo_button = self._button("Undo", "undo", "Take back the last step (Backspace)", self.undo)
        self.reset_button = self._button("Reset", "step-backward", "Start again from the same prompt", self.reset)
        self.new_button = self._button("New prompt", "random", "Start from another frame of the data", self.new_prompt)
        self.gif_button = self._button("Save GIF", "video", "Save everything played so far as a GIF", self.save_gif)
        self.auto = AutoPlay(self.session, self._auto_drawn, self.say, self.session.seed)
        steps = self.session.maskgit_steps
        self.maskgit_steps = ipywidgets.IntSlider(
            value=steps, min=1, max=max(25, steps), description="MaskGIT steps", tooltip="Fewer is faster"
        )
        self.maskgit_steps.observe(self._steps_changed, names="value")
        self.key_pad = KeyPad(self._commanded, commands=self._keys(), hint=self._hint())
        self.gallery = GalleryPanel(self.prompts, self.start)
        size, channels = (height, width), self.session.frame.shape[-1]
        self.upload = UploadPanel(size, channels, self.start, self.say)
        self.draw = DrawPanel(size, channels, self.start, self.say, lambda: to_png(self.session.frame))
        panels = ipywidgets.Accordion(
            [self.gallery, self.upload, self.draw],
            titles=("Start from a frame of the data", "Start from your own picture", "Start from a drawing"),
        )
        panels.add_class("gl-panels")
        auto = _box([self.auto.button, self.auto.choice], "gl-row")
        tools = _box([self.undo_button, self.reset_button, self.new_button, self.gif_button], "gl-row")
        sliders = _box([self.maskgit_steps, self.auto.pause], "gl-sliders")
        left = _box([self.screen, self.strip, self.captions, self.status], "gl-left")
        left.layout.width = self.screen.layout.width
        right = _box([self.key_pad, self._arranged(), tools, auto, sliders, self.message], "gl-right")
        return [_box([left, right], "gl-main"), panels]

    def _arranged(self) -> ipywidgets.Box:
        """The action buttons: in the order of their codes, or, if there are many, by where they lead."""
        if len(self.action_buttons) <= MANY:
            return _box(self.action_buttons, "gl-actions")
        rows = by_direction(self.labels) if self.labels else [range(len(self.action_buttons))]
        grids = [_box([self.action_buttons[action] for action in row], "gl-actions") for row in rows]
        return _box(grids, "gl-many")

    @staticmethod
    def _button(label: str, icon: str, tooltip: str, work: Any) -> ipywidgets.Button:
        button = ipywidgets.Button(description=label, icon=icon, tooltip=tooltip)
        button.on_click(lambda _: work())
        return button

    def _action_button(self, action: int) -> ipywidgets.Button:
        keys = [KEY_GLYPHS[key] for key, chosen in self.arrow_keys.items() if chosen == action]
        keys += [str(action)] if action <= 9 else []
        known = self.labels[action] if self.labels else None
        first = f"{known.glyph}  {known.text}" if known else f"action {action}"
        what = f": {known.sentence}" if known else ""
        button = self._button(
            f"{first}\nkey {' or '.join(keys)}" if keys else first,
            "",
            f"Latent action {action}{what}",
            lambda: self.act(action),
        )
        button.add_class("gl-action")
        return button

    def _keys(self) -> dict[str, dict[str, Any]]:
        keys: dict[str, dict[str, Any]] = {f"Arrow{name.title()}": {"kind": "nothing"} for name in KEY_GLYPHS}
        for name, action in self.arrow_keys.items():
            keys[f"Arrow{name.title()}"] = {"kind": "action", "action": action}
        for action in range(min(10, self.session.num_latent_actions)):
            keys[str(action)] = {"kind": "action", "action": action}
        return {**keys, "Backspace": {"kind": "undo"}}

    def _hint(self) -> str:
        last = min(9, self.session.num_latent_actions - 1)
        return f"Click the picture, then play with the arrow keys or 0 to {last}; Backspace takes a step back."

    # ------------------------------------------------------------------------------------------ what it does

    def act(self, action: int) -> None:
        """Play one latent action and show the frame."""
        began = time.perf_counter()
        try:
            self.session.step(action)
        except Exception as error:  # a button's callback fails silently: say it where the learner looks
            self.say(f"action {action}: {error}", True)
            raise
        self.refresh()
        self._seconds.append(time.perf_counter() - began)
        self.say("")

    def undo(self) -> None:
        """Take back the last step."""
        try:
            self.session.undo()
            self.say("")
        except ActionError as error:
            self.say(str(error), True)
        self.refresh()

    def reset(self) -> None:
        """Start again from the same prompt."""
        self.session.reset()
        self.say("")
        self.refresh()

    def new_prompt(self) -> None:
        """Start from the next frame of the dataset."""
        self.start(self.prompts.next())

    def start(self, prompt: np.ndarray) -> None:
        """Start from a prompt."""
        self.session.reset(prompt)
        self.say("")
        self.refresh()

    def save_gif(self) -> None:
        """Save everything played so far under the next free name play-001.gif, and offer it for download."""
        number = 1
        while (path := self.gif_folder / f"play-{number:03}.gif").exists():
            number += 1
        try:
            self.session.save_gif(path)
        except OSError as error:
            self.say(f"{path}: could not be saved ({error}); free some space or pass another gif_folder", True)
            return
        data = base64.b64encode(path.read_bytes()).decode()
        self.message.value = (
            f"<div class='gl-message' role='status'>Saved <code>{html.escape(str(path))}</code>, "
            f"{self.session.num_steps + 1} frames. <a download='{html.escape(path.name)}' "
            f"href='data:image/gif;base64,{data}'>Download</a></div>"
        )

    def say(self, text: str, error: bool = False) -> None:
        """Show a message under the buttons; an error stands out. Nothing for an empty text."""
        kind, role = ("gl-error", "alert") if error else ("", "status")
        self.message.value = f"<div class='gl-message {kind}' role='{role}'>{html.escape(text)}</div>" if text else ""

    def refresh(self) -> None:
        """Show the session as it is now, also after it was played from another cell."""
        frames, actions = self.session.recent(STRIP)
        self.screen.value = to_png(frames[-1])
        self.strip.value = filmstrip(frames, STRIP)
        self.captions.value = self._captions(len(frames), actions)
        self.status.value = f"<div class='gl-status'>{' · '.join(self._facts())}</div>"
        self.undo_button.disabled = self.session.num_steps == 0
        self._mark(actions[-1] if actions else None)

    def _mark(self, action: int | None) -> None:
        if action != self._marked:
            for number, change in ((self._marked, "remove_class"), (action, "add_class")):
                if number is not None:
                    getattr(self.action_buttons[number], change)("gl-last")
            self._marked = action

    def _captions(self, count: int, actions: list[int]) -> str:
        texts = [""] * (STRIP - count) + ["start" if count > self.session.num_steps else ""]
        texts += [f"{self.labels[a].glyph if self.labels else a}" for a in actions]
        return f"<div class='gl-captions'>{''.join(f'<span>{text}</span>' for text in texts)}</div>"

    def _facts(self) -> list[str]:
        facts = [f"frame {self.session.num_steps}"]
        if self._seconds:
            seconds = sum(self._seconds) / len(self._seconds)
            facts += [f"<b>{1 / seconds:.1f}</b> frames/s", f"{1000 * seconds:.0f} ms a frame"]
        return facts

    def _commanded(self, command: dict[str, Any]) -> None:
        if command.get("kind") == "undo":
            self.undo_button.click()
        elif command.get("kind") == "action":
            self.action_buttons[command["action"]].click()

    def _auto_drawn(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self.refresh()

    def _steps_changed(self, change: dict[str, Any]) -> None:
        self.session.maskgit_steps = change["new"]
        self._seconds.clear()

    def close(self) -> None:
        """Stop auto-play and take the player and all its parts out of the notebook."""
        self.auto.stop()
        for child in _parts(self):
            child.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any] | None:
        """Besides the live player, its picture: what readers see where no widgets run, such as on the web."""
        bundle = super()._repr_mimebundle_(**kwargs)
        still = to_png(enlarge(self.session.frame, self.scale))
        return bundle and {**bundle, "image/png": base64.b64encode(still).decode()}


def _box(children: list[ipywidgets.Widget], name: str) -> ipywidgets.Box:
    box = ipywidgets.Box(children)
    box.add_class(name)
    return box


def _parts(widget: ipywidgets.Box) -> list[ipywidgets.Widget]:
    found = []
    for child in widget.children:
        found += [*_parts(child), child] if hasattr(child, "children") else [child]
    return found
