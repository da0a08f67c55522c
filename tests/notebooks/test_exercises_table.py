"""The tables of CONTRIBUTING on what a learner writes, where it is used and how long it takes are true."""

from __future__ import annotations

import importlib
import re
import runpy
from pathlib import Path

import nbformat
import pytest

from genie_lite.course.cards import cards
from genie_lite.course.yours import _parts

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "exercises.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_the_tables_of_contributing_are_what_the_tool_prints() -> None:
    """To the letter, but for estimates of reading, which may be three minutes off when a text has changed a little."""
    _, shown, _ = TOOL["split"]((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    (written, times), (now, new_times) = (text.split("\n\n") for text in (shown, TOOL["tables"]()))
    assert written == now, "run `python tools/exercises.py table --write`"
    rows, new_rows = (
        re.findall(r"^\| (\d\d) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M) for text in (times, new_times)
    )
    assert len(rows) == len(NOTEBOOKS)
    for (name, reading, *others, together), (new_name, new_reading, *new_others, _) in zip(rows, new_rows, strict=True):
        assert (name, others) == (new_name, new_others), f"{name}: run `python tools/exercises.py table --write`"
        assert int(together) == int(reading) + sum(map(int, others))
        assert abs(int(reading) - int(new_reading)) <= 3, f"{name}: run `python tools/exercises.py table --write`"


def test_what_a_card_calls_used_is_a_part_and_is_used_in_its_notebook() -> None:
    for number in (*range(2, 8), 10, 11):
        importlib.import_module(f"genie_lite.course.parts.nb{number:02}")
    used = {name for name, card in cards().items() if card.used}
    assert used == {name for name in _parts if name in cards()}
    for path in NOTEBOOKS:
        sources = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        plugged = {
            name for source in sources if "course.use(" in source for name in re.findall(r'"(\d\d\.\d)": ', source)
        }
        assert plugged == {name for name in used if name[:2] == path.stem[:2]}, path.stem


def test_the_hearts_of_stages_play_and_measures_are_written_by_the_learner() -> None:
    used = [name[:2] for name, card in cards().items() if card.used]
    assert set(used) == {"02", "03", "04", "05", "06", "07", "10", "11"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_takes_two_hours(path: Path) -> None:
    reading, writing = TOOL["minutes"](path)
    running = TOOL["runs"](path)
    assert reading + writing + running <= 120
    assert reading >= 5 and running >= 1, "an estimate that counts no words or no training would pass"


def test_what_is_taught_where_names_sections_and_quizzes_that_exist() -> None:
    """Ten topics; a section is a heading, or begins a paragraph in bold; each topic is asked about somewhere."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("## What is taught where")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (\d)\. [^|]+\| ([^|]+) \| ([\d, ]+) \|$", table, re.MULTILINE)
    assert [int(topic) for topic, _, _ in rows] == list(range(10))
    texts = {path.stem[:2]: nbformat.read(path, as_version=4).cells for path in NOTEBOOKS}
    for topic, taught, asked in rows:
        number = ""
        for found in re.finditer(r'\b(\d\d)\b|"([^"]+)"', taught):
            number = found[1] or number
            section = re.compile(rf"^(?:#+ |\*\*){re.escape(found[2] or '')}", re.MULTILINE)
            cells = [cell.source for cell in texts[number] if cell.cell_type == "markdown"]
            assert any(section.search(text) for text in cells), f"topic {topic}: notebook {number} has no {found[2]!r}"
        assert all((ROOT / f"genie_lite/course/quizzes/nb{name.strip()}.yaml").is_file() for name in asked.split(","))


def test_lines_are_counted_without_head_docstring_and_comments() -> None:
    assert [TOOL["lines"](name) for name in ("05.2", "02.4")] == [3, 3]
