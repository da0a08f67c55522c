"""genie-lite: learn how a generative interactive environment works by building one (Genie, arXiv 2402.15391)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genie_lite.config import Config, ConfigError, load_config, presets

if TYPE_CHECKING:
    from genie_lite.api import Genie
    from genie_lite.diagnostics import Report

__version__ = "0.1.0"
__all__ = ["Config", "ConfigError", "doctor", "load", "load_config", "presets"]


def load(name_or_path: str | Path, device: str | None = None) -> Genie:
    """A trained world, by the name of a shipped one ("laptop") or by its checkpoint folder.

    `device` is "cpu" or "cuda"; None takes a GPU where there is one. Raises CheckpointError for an unknown name, and
    for a checkpoint that cannot be used.
    """
    from genie_lite import api  # here, so that importing genie_lite does not import torch

    return api.load(name_or_path, device)


def doctor() -> Report:
    """What is installed, what is missing, what this machine can do, and what that means for run times."""
    from genie_lite.diagnostics import examine

    return examine()
