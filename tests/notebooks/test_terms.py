"""Read in order, the notebooks define a term or a letter in the cell in which it first occurs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
TERMS = {  # what stands for the term, and what its definition contains
    "PSNR": (r"PSNR|\bdB\b|[Dd]ecibel", r"\*\*PSNR\*\* .*decibels(.|\n)*\\log_\{10\}"),
    "FVD": (r"\bFVD\b|Fréchet", r"\*\*FVD\*\*, the Fréchet video distance(.|\n)*\\mathrm\{Tr\}"),
    "perplexity": (r"[Pp]erplexity", r"\*\*perplexity\*\*(.|\n)*\\exp"),
    "ΔtPSNR": (r"ΔtPSNR|Δ<sub>t|Delta_t", r"Delta_t\\mathrm\{PSNR\} = \\mathrm\{PSNR\}\(x_t, \\hat x_t\)"),
    "mutual information": (r"[Mm]utual information", r"\*\*mutual information\*\*(.|\n)*\\log"),
    "balanced accuracy": (r"[Bb]alanced\*? accuracy", r"\\frac\{1\}\{C\}"),
    "stop-gradient": (r"\\mathrm\{sg\}|\*sg\*|[Ss]top-gradient", r"no gradient"),
    "the paper's letters": (r"\\tilde a|\\hat x|\bx_\{1:T\}|\bz_t\b", r"x_\{1:T\}.*z_t.*\\tilde a_t.*\\hat x"),
    "the masking rate": (r"\\rho\b", r"\\rho \\sim U"),
    "temperature": (r"\\tau\b", r"\*\*temperature\*\* \$\\tau\$"),
}  # fmt: skip


def cells() -> Iterator[tuple[str, str, str]]:
    """Notebook, cell id and text of each cell in reading order; not the titles with what a notebook is about."""
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells[1:]:
            shown = [output.get("text", "") for output in cell.get("outputs", [])]
            shown += [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
            yield path.stem[:2], cell.id, "\n".join([cell.source, *shown])


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_defined_where_it_first_occurs(term: str) -> None:
    used, defined = (re.compile(pattern) for pattern in TERMS[term])
    for notebook, cell, text in cells():
        if used.search(text):
            assert defined.search(text), f"{term} first occurs in cell {cell} of notebook {notebook}, not defined there"
            return
    pytest.fail(f"{term} occurs nowhere")
