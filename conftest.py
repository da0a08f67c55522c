"""How pytest runs notebooks cell by cell (`pytest --nbval-lax notebooks`): the committed files, at preset tiny.

Committed notebooks say `preset = "laptop"`, which would train for an hour. As papermill does, the values of a run are
put after the defaults in the cell tagged `parameters`; everything else runs as it stands.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--notebook-preset", default="tiny", help="preset that nbval runs notebooks at (default: tiny)")


def pytest_configure(config: pytest.Config) -> None:
    # nbval's cells are no functions, so a fixture cannot reach them.
    folder = tempfile.TemporaryDirectory(prefix="genie-lite-nbval-")
    config.add_cleanup(folder.cleanup)
    config.stash[RUNS] = Path(folder.name)


RUNS = pytest.StashKey[Path]()


def pytest_itemcollected(item: pytest.Item) -> None:
    cell = getattr(item, "cell", None)
    if cell is not None and "parameters" in cell.metadata.get("tags", []):
        run_dir = item.config.stash[RUNS] / item.path.stem
        cell.source += f"\npreset = {item.config.getoption('--notebook-preset')!r}\nrun_dir = {str(run_dir)!r}\n"
