"""Prints what the course asks of a learner: `table` what is written and where it is used, `answers` what checks say.

`table --write` puts the two tables into CONTRIBUTING.md, between the lines that mark them.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import math
import re
import sys
import textwrap
import warnings
from pathlib import Path

import nbformat
import numpy as np

from genie_lite.course import verdict
from genie_lite.course.cards import card, cards
from genie_lite.course.checking import get_solution

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- tools/exercises.py table -->\n", "<!-- end of table -->\n"
WORDS, LINES = 200, 20  # read in a minute: words of text and quiz, lines of code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", help="what a learner writes, where it is used, how long it takes")
    table.add_argument("--write", action="store_true", help="into CONTRIBUTING.md")
    commands.add_parser("answers", help="what checks say to the answers of tests/answers")
    options = parser.parse_args()
    if options.command == "answers":
        return judge_answers()
    if options.write:
        before, _, after = split(PAGE.read_text(encoding="utf-8"))
        PAGE.write_text(before + BEGIN + tables() + END + after, encoding="utf-8")
    else:
        print(tables())
    return 0


def split(page: str) -> tuple[str, str, str]:
    """What stands before the tables, the tables, and what stands after them."""
    before, _, rest = page.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE.name}: found no line {BEGIN.strip()!r} and {END.strip()!r} after it")
    return before, inside, after


def tables() -> str:
    """Both tables, in Markdown."""
    rows = ["| notebook | the learner writes | lines | where it is used |", "|---|---|---|---|"]
    for name, found in cards().items():
        used = found.used or "checked only"
        rows.append(f"| {name[:2]} | {found.title} ({name}) | {lines(name)} | {used} |")
    rows += ["", "| notebook | reading | writing | running | minutes in all |", "|---|---|---|---|---|"]
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        reading, writing = minutes(path)
        running = runs(path)
        rows.append(f"| {path.stem[:2]} | {reading} | {writing} | {running} | {reading + writing + running} |")
    return "\n".join(rows) + "\n"


def lines(name: str) -> int:
    """Lines of code in the packaged solution, without its head and docstring."""
    source = textwrap.dedent(inspect.getsource(get_solution(name).answer))
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    body = [part for part in function.body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
    text = source.splitlines()[body[0].lineno - 1 : function.end_lineno]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text)


def minutes(path: Path) -> tuple[int, int]:
    """Minutes of reading a notebook, and of writing its exercises as their cards say."""
    words = code = 0
    for cell in nbformat.read(path, as_version=4).cells:
        shown = "\n".join(str(output.get("data", {}).get("text/plain", "")) for output in cell.get("outputs", []))
        if cell.cell_type == "markdown":
            words += len(re.findall(r"\S*\w\S*", cell.source))
        elif "course.quiz(" in cell.source:
            words += len(shown.split())
        else:
            code += sum(bool(line.strip()) for line in cell.source.splitlines())
            code += len(shown.splitlines()) if "course.show_source(" in cell.source else 0
    writing = sum(found.minutes for name, found in cards().items() if name[:2] == path.stem[:2])
    return round(words / WORDS + code / LINES), writing


def runs(path: Path) -> int:
    """Minutes that a notebook computes at preset laptop, as its first cell says, rounded up."""
    said = re.search(r"\*Time and memory\D*([\d.]+) minutes", nbformat.read(path, as_version=4).cells[0].source)
    if said is None:
        raise SystemExit(f"{path.name}: found no '*Time and memory ... minutes' in its first cell")
    return math.ceil(float(said[1]))


def judge_answers() -> int:
    """One row for each exercise, then each answer and its message; 1 when some answer is misjudged."""
    sys.path.insert(0, str(ROOT / "tests"))
    from answers import RIGHT, WRONG

    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    wrong = {name: [verdict(name, answer) for answer in answers.values()] for name, answers in WRONG.items()}
    right = {name: [verdict(name, answer) for answer in answers.values()] for name, answers in RIGHT.items()}
    print("| exercise | | wrong answers refused | right answers accepted |\n|---|---|---|---|")
    for name in wrong:
        refused = sum(found.status == "wrong" for found in wrong[name])
        taken = sum(found.status == "right" for found in right[name])
        counts = f"{refused} of {len(wrong[name])} | {taken} of {len(right[name])}"
        print(f"| {name} | {card(name).title} | {counts} |")
    for name in wrong:
        print(f"\n{name} {card(name).title}")
        for found in wrong[name]:
            print(f"  {found.status:5}  {found.message}")
        for style, found in zip(RIGHT[name], right[name], strict=True):
            print(f"  {found.status:5}  ({style}) {found.message}")
    refused, taken = (sum(verdicts.values(), []) for verdicts in (wrong, right))
    print(f"\n{len(refused)} wrong answers, {len(taken)} right ones")
    return int(any(found.status != "wrong" for found in refused) or any(found.status != "right" for found in taken))


if __name__ == "__main__":
    sys.exit(main())
