"""genie-lite: learn how a generative interactive environment works by building one (Genie, arXiv 2402.15391)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genie_lite.config import Config, ConfigError, load_config, presets

if TYPE_CHECKING:
    from genie_lite.api import Genie

__version__ = "0.1.0"
__all__ = ["Config", "ConfigError", "doctor", "load", "load_config", "presets"]


def load(name_or_path: str | Path, device: str | None = None) -> Genie:
    """A trained Genie, by the name of a shipped one ("laptop") or by its checkpoint folder.

    `device` is "cpu" or "cuda"; None takes a GPU where there is one. Raises CheckpointError when it cannot be used.
    """
    import torch

    from genie_lite.api import CheckpointError, Genie
    from genie_lite.data import data_folder

    folder = Path(name_or_path)
    shipped = data_folder() / "checkpoints"
    if not folder.is_dir() and (shipped / name_or_path).is_dir():
        folder = shipped / name_or_path
    elif not folder.is_dir() and folder.name == str(name_or_path):
        names = ", ".join(sorted(p.name for p in shipped.glob("*") if p.is_dir())) or "none found"
        raise CheckpointError(
            f"checkpoint {str(name_or_path)!r}: neither a folder nor a shipped name ({names}); give one of those"
        )
    return Genie.load(folder, device or ("cuda" if torch.cuda.is_available() else "cpu"))


def doctor() -> Any:
    """What is installed, what is missing, what this machine can do, and what that means for run times."""
    from genie_lite.diagnostics import examine

    return examine()
