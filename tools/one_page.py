"""Write benchmarks/one_page.py: the cells of notebook 09 that are tagged `page`, one after the other.

The notebook is the source, and what learners read. The benchmarks compare the package with the same code, so they need
it as a module; `make test` fails while the two differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "09_genie_on_one_page.ipynb"
MODULE = ROOT / "benchmarks" / "one_page.py"
HEAD = f'''"""Genie on one page: the cells tagged `page` of notebooks/{NOTEBOOK.name}.

Written by tools/one_page.py. Edit the notebook, not this file.
"""
'''


def page(notebook: nbformat.NotebookNode) -> str:
    """The module that the tagged cells make: imports first, two blank lines between the definitions of two cells."""
    cells = [cell.source for cell in notebook.cells if "page" in cell.metadata.get("tags", [])]
    return HEAD + "\n" + "\n\n\n".join(cells) + "\n"


if __name__ == "__main__":
    MODULE.write_text(page(nbformat.read(NOTEBOOK, as_version=4)), encoding="utf-8")
    print(f"wrote {MODULE.relative_to(ROOT)}")
    sys.exit(0)
