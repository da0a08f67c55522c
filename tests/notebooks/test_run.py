"""Every notebook runs alone, from top to bottom, at preset tiny in an empty run folder, as `make course` runs it."""

from __future__ import annotations

import ast
from pathlib import Path

import papermill
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def files(*folders: Path) -> dict[Path, float]:
    """Every file in `folders` and when it was last written."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime for path in paths if ".ipynb_checkpoints" not in path.parts}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_alone_and_writes_only_to_its_run_dir(path: Path, tmp_path: Path) -> None:
    default = path.parent / ast.literal_eval(papermill.inspect_notebook(path)["run_dir"]["default"])
    elsewhere = (path.parent, default)
    before = files(*elsewhere)
    papermill.execute_notebook(
        path,
        tmp_path / path.name,
        parameters={"preset": "tiny", "run_dir": str(tmp_path / "run")},
        kernel_name="python3",
        cwd=str(path.parent),
        progress_bar=False,
    )
    assert files(*elsewhere) == before, "the notebook wrote outside its run_dir"
