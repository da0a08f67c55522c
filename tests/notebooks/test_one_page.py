"""Notebook 09 is Genie in at most 300 lines, and the plain reference of the benchmarks is that very code."""

from __future__ import annotations

import ast
import io
import runpy
import tokenize
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "one_page.py"))
MAX_LINES = 300
BLANK = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(TOOL["NOTEBOOK"], as_version=4)


def lines_of_code(source: str) -> int:
    """Lines that hold code: no blank lines, no lines of comments or docstrings alone."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in BLANK:
            held.update(range(token.start[0], token.end[0] + 1))
    return len(held - docstrings)


def test_genie_from_pixels_to_play_takes_300_lines_at_most(notebook: nbformat.NotebookNode) -> None:
    """Every code cell counts, imports and figures too, up to the one that plays; those after it measure."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    last = max(number for number, source in enumerate(code) if "button.click()" in source)
    lines = sum(lines_of_code(source) for source in code[: last + 1])
    assert 200 < lines <= MAX_LINES


def test_lines_are_counted_without_blanks_comments_and_docstrings() -> None:
    function = 'def f():\n    """Two\n    lines."""\n    return """a\n    b"""\n'
    source = '"""Doc."""\n\n# a comment\nx = [\n    1,  # one\n]\n\n\n' + function
    assert lines_of_code(source) == 3 + 1 + 2


def test_the_reference_is_the_code_that_learners_read(notebook: nbformat.NotebookNode) -> None:
    """After a change of the notebook, `python tools/one_page.py` writes the module again."""
    assert TOOL["MODULE"].read_text(encoding="utf-8") == TOOL["page"](notebook)


def test_the_page_needs_no_model_of_the_package(notebook: nbformat.NotebookNode) -> None:
    imported = [
        node.module
        for node in ast.walk(ast.parse(TOOL["page"](notebook)))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("genie_lite")
    ]
    assert imported == ["genie_lite.config"]  # sizes


def test_only_tagged_cells_make_the_module() -> None:
    first, last = (new_code_cell(source, metadata={"tags": ["page"]}) for source in ("x = 1", "z = 3"))
    module = TOOL["page"](new_notebook(cells=[first, new_code_cell("y = 2"), last]))
    assert module.endswith('"""\n\nx = 1\n\n\nz = 3\n')
