"""Every notebook runs alone, from top to bottom, at preset tiny in an empty run folder, as `make course` runs it.

One execution serves both tools: papermill runs a copy of the notebook, and nbval compares the cells marked
`NBVAL_CHECK_OUTPUT` with the committed outputs. `pytest --nbval-lax notebooks` does the same cell by cell.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval.plugin import IPyNbFile, coalesce_streams

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def files(*folders: Path) -> dict[Path, float]:
    """Every file in `folders` and when it was last written."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime for path in paths if ".ipynb_checkpoints" not in path.parts}


def differences(session: pytest.Session, path: Path, executed: NotebookNode) -> Iterator[str]:
    """What nbval reports of the marked cells of the notebook at `path` when they print what `executed` has."""
    committed = IPyNbFile.from_parent(session, path=path)
    printed = [cell.outputs for cell in executed.cells if "injected-parameters" not in cell.metadata.get("tags", [])
               and cell.cell_type == "code"]  # fmt: skip
    for cell, outputs in zip(committed.collect(), printed, strict=True):
        marked = "NBVAL_CHECK_OUTPUT" in cell.cell.source
        if marked and not cell.compare_outputs(coalesce_streams(outputs), coalesce_streams(cell.cell.outputs)):
            yield f"cell {cell.cell_num}, {cell.cell.source.splitlines()[1]!r}:\n" + "\n".join(
                cell.comparison_traceback
            )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_alone_and_prints_what_is_committed(
    path: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    default = path.parent / ast.literal_eval(papermill.inspect_notebook(path)["run_dir"]["default"])
    elsewhere = (path.parent, default)
    before = files(*elsewhere)
    executed = papermill.execute_notebook(
        path,
        tmp_path / path.name,
        parameters={"preset": "tiny", "run_dir": str(tmp_path / "run")},
        kernel_name="python3",
        cwd=str(path.parent),
        progress_bar=False,
    )
    assert files(*elsewhere) == before, "the notebook wrote outside its run_dir"
    found = list(differences(request.session, path, executed))
    assert not found, "outputs differ from the committed ones:\n" + "\n".join(found)


def test_a_marked_cell_that_prints_something_else_is_found(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    def notebook(marked: str, unmarked: str) -> NotebookNode:
        outputs = [[new_output("stream", name="stdout", text=text)] for text in (marked, unmarked)]
        sources = ("#NBVAL_CHECK_OUTPUT\nprint(1)", "print(2)")
        return new_notebook(
            cells=[
                new_code_cell(source, outputs=printed, execution_count=1)
                for source, printed in zip(sources, outputs, strict=True)
            ]
        )

    path = tmp_path / "some.ipynb"
    nbformat.write(notebook("1\n", "2\n"), path)
    assert not list(differences(request.session, path, notebook("1\n", "other\n")))
    assert len(list(differences(request.session, path, notebook("other\n", "2\n")))) == 1


def test_nbval_runs_notebooks_at_preset_tiny(tmp_path: Path) -> None:
    """`pytest --nbval-lax notebooks`, on a notebook that costs nothing; conftest.py adds the parameters."""
    root = Path(__file__).resolve().parents[2]
    (tmp_path / "conftest.py").write_text((root / "conftest.py").read_text())
    parameters = new_code_cell('preset = "laptop"\nrun_dir = "../runs/course"', execution_count=1)
    parameters.metadata["tags"] = ["parameters"]
    shown = [new_output("stream", name="stdout", text="tiny False\n")]
    source = '#NBVAL_CHECK_OUTPUT\nprint(preset, run_dir == "../runs/course")'
    notebook = new_notebook(cells=[parameters, new_code_cell(source, outputs=shown, execution_count=2)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "some.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "some.ipynb"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and "2 passed" in result.stdout, result.stdout + result.stderr
