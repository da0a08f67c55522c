"""Numbers in the text of a notebook that nothing above them vouches for.

A measured number (dB, %, nats) must be shown by the output of a cell above it. Any other number must be shown by such
an output or by that of the cell it announces, be set by their code or by the preset, or stand in a paragraph that names
its source: the paper, a publication, README or the log. Names (figure 8, the year of a paper) are no claims.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, NamedTuple

from nbformat import NotebookNode

from genie_lite.config import load_config

NUMBER = r"[-+−]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
MEASURED = re.compile(rf"(?<![\w.,/])(?:({NUMBER})\s+(?:to|and|or|in place of|instead of)\s+)?({NUMBER})\s?(dB|%|nats)")
ANY = re.compile(r"(?<![\w.,/–-])[-+−]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:e-?\d+)?(?![\w])")
CODE = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>", re.DOTALL)
NAMES = re.compile(
    r"^\s*(?:#+.*|\d+\.)|\[\d\d\b"  # headings, numbers of a list, links to notebooks
    r"|(?:[Ff]igures?|[Tt]ables?|[Ss]ections?|[Nn]otebooks?|[Ee]xercises?|[Cc]hapter|[Ss]teps?|[Cc]olumn|[Ee]ntry"
    r"|[Aa]ctions?|[Cc]odes?|[Ff]rames?|[Tt]oken|arXiv|seeds?|Genie|ICML|CVPR|CUDA)"
    r"[\s|]\d[\d.]*(?:(?:,| and| or| to|–|-)\s?\d[\d.]*)*(?=[\s.,:;)?!”\"*|]|$)"
    r"|\b(?:19|20)\d\d\b|\| \d \||· \d+ minutes",  # years, rows of a table, the minutes of a card
    re.MULTILINE,
)
CITED = re.compile(r"[Pp]aper|et al\.|arXiv|authors|[Ss]ections? \d|[Ff]igures? \d|[Aa]ppendix")
SOURCES = ("docs/experiments.md", "README")
MACHINE = "*Time and memory at preset"  # measured by `make course`, which prints them
DEFINED = {
    "80 %": "the toy of notebook 04: a setting of its own code",
    "10 dB": "ten decibels more are a tenth of the squared error, by definition",
    "100 %": "all of something",
    "95 %": "the confidence level of every interval",
    "12,288": "64 × 64 × 3",
    "24": "bits of a colour, 3 × 8",
    "255": "the largest value of uint8",
    "300": "a limit that tests/notebooks/test_one_page.py keeps",
    "1,000,000": "where the course's test levels begin, a setting of the data",
    "0.25": "β of the VQ-VAE paper",
}
QUOTED = {
    "23 %": "MAGI, arXiv 2501.12389",
    "60 %": "a claim of somebody else, to be doubted (notebook 01)",
}


class Claim(NamedTuple):
    """A number in a text: how it is written, its unit (dB, %, nats or none), its surroundings, its paragraph."""

    number: str
    unit: str
    context: str
    paragraph: str

    @property
    def written(self) -> str:
        return f"{self.number} {self.unit}".strip()


def claims(markdown: str) -> Iterator[Claim]:
    """Each number of a text that says something; code, formulas, links and names are left out."""
    source = ""
    for block in re.split(r"\n\s*\n", markdown):
        if block.startswith(MACHINE):
            continue
        table_or_list = block.lstrip().startswith(("|", "-", ">", "1."))
        source = source + block if table_or_list else block  # a table belongs to the paragraph before it
        text = CODE.sub(" ", block)
        for match in MEASURED.finditer(text):
            around = text[max(0, match.start() - 40) : match.end() + 20]
            yield from (Claim(number, match[3], around, source) for number in match.group(1, 2) if number)
        text = MEASURED.sub(" ", NAMES.sub(" ", text))
        for match in ANY.finditer(text):
            yield Claim(match[0], "", text[max(0, match.start() - 40) : match.end() + 20], source)


def unvouched(notebook: NotebookNode) -> list[str]:
    """Claims of markdown cells that nothing above vouches for, each with its context."""
    shown: set[float] = set()
    given = set(settings())
    found = []
    for cell, below in zip(notebook.cells, [*notebook.cells[1:], NotebookNode(cell_type="none")], strict=True):
        if cell.cell_type == "code":
            shown |= shown_numbers(cell)
            given |= shown_numbers(cell) | numbers_in(cell.source)
        elif cell.cell_type == "markdown":
            announced = numbers_in(below.source) | shown_numbers(below) if below.cell_type == "code" else set()
            for claim in claims(cell.source):
                if not vouched(claim, shown, given | announced):
                    found.append(f"{claim.written}: ...{' '.join(claim.context.split())}...")
    return found


def vouched(claim: Claim, shown: set[float], given: set[float]) -> bool:
    """Whether outputs, settings or a named source stand behind a claim."""
    if claim.written in DEFINED or claim.written in QUOTED or any(name in claim.paragraph for name in SOURCES):
        return True
    if among(claim, shown):
        return True
    return not claim.unit and (among(claim, given) or CITED.search(claim.paragraph) is not None)


def among(claim: Claim, known: set[float]) -> bool:
    """Whether some known number, rounded as the text rounds, is the one that is claimed."""
    wanted = abs(value(claim.number))
    if "e" in claim.number:
        return any(math.isclose(abs(x), wanted) for x in known)
    digits = len(claim.number.partition(".")[2])
    scales = (1, 100) if claim.unit == "%" else (1,)
    return any(abs(round(scale * abs(x), digits) - wanted) < 1e-9 for x in known for scale in scales)


def shown_numbers(cell: NotebookNode) -> set[float]:
    """Every number in the text outputs of a cell."""
    texts = [str(output.get("text", "")) for output in cell.outputs]
    for output in cell.outputs:
        texts += [text for kind, text in output.get("data", {}).items() if kind in ("text/plain", "text/markdown")]
    return {number for text in texts for number in numbers_in(text)}


def numbers_in(text: str) -> set[float]:
    return {value(number) for number in re.findall(NUMBER, text)}


@functools.cache
def settings() -> frozenset[float]:
    """Every number that preset laptop sets."""

    def leaves(part: Any) -> Iterator[float]:
        if isinstance(part, dict):
            for entry in part.values():
                yield from leaves(entry)
        elif isinstance(part, (list, tuple)):
            for entry in part:
                yield from leaves(entry)
        elif isinstance(part, (int, float)) and not isinstance(part, bool):
            yield float(part)

    return frozenset(leaves(asdict(load_config("laptop"))))


def value(number: str) -> float:
    """A number as it is written in text: 1,024 or −0.32."""
    return float(number.replace(",", "").replace("−", "-").strip("+"))
