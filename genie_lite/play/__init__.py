"""Playing a learned world: a session without user interface, a notebook widget, prompts, a Gymnasium environment.

In a notebook, `play(genie)` as the last line of a cell shows the player. The session and the prompts need neither
Jupyter nor Gymnasium: whatever does is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genie_lite.play.actions import ActionLabel, read_labels
from genie_lite.play.controller import Controller
from genie_lite.play.fitting import FittedImage, PromptError, fit, fit_image
from genie_lite.play.prompts import Prompts
from genie_lite.play.session import ActionError, PlaySession

if TYPE_CHECKING:
    from genie_lite.play.environment import GenieEnv
    from genie_lite.play.widget import PlayWidget, play

__all__ = [
    "ActionError",
    "ActionLabel",
    "Controller",
    "FittedImage",
    "GenieEnv",
    "PlaySession",
    "PlayWidget",
    "PromptError",
    "Prompts",
    "fit",
    "fit_image",
    "play",
    "read_labels",
]

_LATE = {"GenieEnv": "environment", "PlayWidget": "widget", "play": "widget"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
