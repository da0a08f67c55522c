"""Numbers in the text of a notebook that no output of it shows."""

from __future__ import annotations

import re

from nbformat import NotebookNode

NUMBER = r"[-+−]?\d[\d,]*(?:\.\d+)?"
MEASURED = re.compile(rf"(?<![\w.,/])(?:({NUMBER})\s+(?:to|and|or|in place of|instead of)\s+)?({NUMBER})\s?(dB|%|nats)")
CODE = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)", re.DOTALL)

# A cell that names its source is taken at its word: the log and the README are kept with their runs.
SOURCES = ("docs/experiments.md", "README")
DEFINED = {
    "80 %": "the toy of notebook 04: a setting of its own code",
    "10 dB": "ten decibels more are a tenth of the squared error, by definition",
    "100 %": "all of something",
    "95 %": "the confidence level of every interval",
}
QUOTED = {
    "23 %": "MAGI, arXiv 2501.12389",
    "60 %": "a claim of somebody else, to be doubted (notebook 01)",
}


def unvouched(notebook: NotebookNode) -> list[str]:
    """Measured numbers (dB, %, nats) in markdown cells that no output of the notebook shows, each with its context."""
    known = shown_numbers(notebook)
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and not any(source in cell.source for source in SOURCES):
            for number, unit, context in measured_numbers(cell.source):
                known_elsewhere = f"{number} {unit}" in {**DEFINED, **QUOTED}
                if not known_elsewhere and not vouched(number, unit, known):
                    found.append(f"{number} {unit}: ...{context}...")
    return found


def measured_numbers(markdown: str) -> list[tuple[str, str, str]]:
    """Number, unit and context of each measured number in a text, formulas and code left out."""
    text = CODE.sub(" ", markdown)
    return [
        (number, match[3], text[max(0, match.start() - 40) : match.end() + 20])
        for match in MEASURED.finditer(text)
        for number in match.group(1, 2)
        if number
    ]


def shown_numbers(notebook: NotebookNode) -> set[float]:
    """Every number in the text outputs of a notebook."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = [output.get("text", "") for output in outputs]
    for output in outputs:
        texts += [text for kind, text in output.get("data", {}).items() if kind in ("text/plain", "text/markdown")]
    return {value(number) for text in texts for number in re.findall(NUMBER, text)}


def vouched(number: str, unit: str, known: set[float]) -> bool:
    """Whether some known number, rounded as the text rounds, is this one."""
    digits = len(number.partition(".")[2])
    wanted = abs(value(number))
    scales = (1, 100) if unit == "%" else (1,)
    return any(abs(round(scale * abs(x), digits) - wanted) < 1e-9 for x in known for scale in scales)


def value(number: str) -> float:
    """A number as it is written in text: 1,024 or −0.32."""
    return float(number.replace(",", "").replace("−", "-").strip("+"))
