"""The picture below the sliders of `course.explore`, which may be clicked (JavaScript in picture.js)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets


class Picture(anywidget.AnyWidget):
    """A PNG, `value`, with an alternative text, `words`.

    Where it is `clickable`, `clicked` becomes (x, y, count) at every click, in pixels of the picture from its top left.
    """

    _esm = traitlets.Unicode(Path(__file__).with_suffix(".js").read_text(encoding="utf-8")).tag(sync=True)
    value = traitlets.Bytes().tag(sync=True)
    words = traitlets.Unicode("").tag(sync=True)
    clickable = traitlets.Bool(False).tag(sync=True)
    clicked: Any = traitlets.List([0.0, 0.0, 0]).tag(sync=True)
