"""The two controls that a notebook lacks: a keyboard and a drawing canvas (anywidget; JavaScript in static/)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

STATIC = Path(__file__).parent / "static"

# Colours of plain CoinRun as its frames show them; the first is the paper, and so the eraser.
COINRUN_COLOURS = [
    ["sky", "#000000"],
    ["ground", "#bbcbcc"],
    ["turf", "#ca7c44"],
    ["crate", "#a5713b"],
    ["player", "#f1ead2"],
    ["coin", "#fbcc12"],
    ["lava", "#f26419"],
    ["saw", "#8f9da0"],
]


class KeyPad(anywidget.AnyWidget):
    """Listens to the keyboard wherever the focus is inside the player that contains it.

    commands: from a key's name in the browser to a command such as {"kind": "action", "action": 2}; "nothing" swallows
    the key. Each command is answered when `on_command` returns, and only then does the browser send the next.
    """

    _esm = STATIC / "keys.js"
    _css = STATIC / "player.css"
    commands = traitlets.Dict().tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)

    def __init__(self, on_command: Callable[[dict[str, Any]], None], **traits: Any) -> None:
        super().__init__(**traits)
        self._on_command = on_command
        self.on_msg(self._received)

    def _received(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        try:
            self._on_command(content)
        finally:
            self.send({"kind": "done", "id": content.get("id")})


class DrawingCanvas(anywidget.AnyWidget):
    """A canvas of the frame's shape with brushes, eraser, undo and clear; `on_drawing` gets PNG bytes.

    detail: canvas pixels per frame pixel. current_frame: gives the PNG that "Copy frame" puts on the canvas.
    """

    _esm = STATIC / "canvas.js"
    frame_size = traitlets.List(traitlets.Int()).tag(sync=True)
    detail = traitlets.Int(4).tag(sync=True)
    palette: Any = traitlets.List().tag(sync=True)

    def __init__(self, on_drawing: Callable[[bytes], None], current_frame: Callable[[], bytes], **traits: Any) -> None:
        super().__init__(**{"palette": COINRUN_COLOURS, **traits})
        self._on_drawing, self._current_frame = on_drawing, current_frame
        self.on_msg(self._received)

    def _received(self, _widget: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        if content.get("kind") == "copy":
            self.send({"kind": "frame"}, buffers=[self._current_frame()])
        elif content.get("kind") == "drawing":
            self._on_drawing(bytes(buffers[0]))
