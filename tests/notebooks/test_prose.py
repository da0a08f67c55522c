"""Which numbers in a text are watched, and what vouches for them (tests/prose.py)."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from prose import claims, unvouched

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def test_the_numbers_that_are_watched_are_many() -> None:
    """A pattern that matches nothing would pass every notebook."""
    cells = [cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells]
    watched = [claim for cell in cells if cell.cell_type == "markdown" for claim in claims(cell.source)]
    assert len(watched) >= 330 and sum(bool(claim.unit) for claim in watched) >= 40


@pytest.mark.parametrize(
    ("text", "unvouched_numbers"),
    [
        ("Three of 8 codes, as figure 17 and exercise 05.1 say; frames of 64 × 64.", 0),  # preset and names
        ("The paper reports 61.4.", 0),
        ("| | FVD |\n|---|---|\n| ViT | 114.5 |", 1),
        ("Table 3 of the paper:\n\n| | FVD |\n|---|---|\n| ViT | 114.5 |", 0),
        ("The paper says so.\n\nOurs reaches 61.4.", 1),
        ("It gains 3.7 dB (docs/experiments.md).", 0),
        ("A correlation of 0.86, or `0.87`, or $0.88$.", 1),
        ("It is -0.32 or −0.33.", 2),
        ("The learning rate is 2e-3, not 7e-3.", 1),
    ],
)
def test_numbers_that_nothing_vouches_for(text: str, unvouched_numbers: int) -> None:
    assert len(unvouched(new_notebook(cells=[new_markdown_cell(text)]))) == unvouched_numbers
