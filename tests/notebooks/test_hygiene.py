"""What every committed notebook keeps to, so that it reads well on the web, runs anywhere, and runs by papermill."""

from __future__ import annotations

import ast
import itertools
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from prose import unvouched

from genie_lite.course.cards import cards

COURSE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "course.py"))
NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
MAX_BYTES = 1_500_000
MAX_LINES = 25
WIDGET = "application/vnd.jupyter.widget-view+json"
MACHINE_PATH = re.compile(r"(?<![\w.:/])(/(?:home|root|Users|tmp|work|opt|mnt|private|var|usr)/[\w.-]+|[A-Z]:\\\\?\w+)")


def is_valid(notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    assert notebook.metadata.get("kernelspec", {}).get("name") == "python3"


def asks_a_question(notebook: NotebookNode) -> None:
    """The title, a heading of the first cell, ends with a question mark."""
    first = notebook.cells[0]
    assert first.cell_type == "markdown", f"the first cell is {first.cell_type}, wanted the title"
    title = first.source.splitlines()[0]
    assert title.startswith("# ") and title.rstrip().endswith("?"), f"title {title!r}, wanted '# ...?'"


def has_headings_in_order(notebook: NotebookNode) -> None:
    """One title, and no heading more than one level below the one before it."""
    texts = [re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL) for cell in markdown(notebook)]
    headings = re.findall(r"^(#+) (.*)$", "\n".join(texts), re.MULTILINE)
    levels = [len(marks) for marks, _ in headings]
    assert levels.count(1) == 1, f"titles {[text for marks, text in headings if marks == '#']}, wanted one"
    jumps = [after for before, after in itertools.pairwise(headings) if len(after[0]) > len(before[0]) + 1]
    assert not jumps, f"headings more than one level below the one before them: {jumps}"


def was_run_in_order(notebook: NotebookNode) -> None:
    counts = [cell.execution_count for cell in code(notebook) if "skip-execution" not in tags(cell)]
    assert counts == list(range(1, len(counts) + 1)), f"execution counts {counts}, wanted 1 to {len(counts)}"


def has_no_errors(notebook: NotebookNode) -> None:
    errors = [output.ename for output in outputs(notebook) if output.output_type == "error"]
    assert not errors, f"cells ended in {errors}"


def has_no_widget_state(notebook: NotebookNode) -> None:
    """A stored widget shows as an error wherever its kernel is not running."""
    assert "widgets" not in notebook.metadata, "metadata.widgets is there; `make notebooks` writes none"
    assert not [output for output in outputs(notebook) if WIDGET in output.get("data", {})], "a stored live widget"


def has_parameters(notebook: NotebookNode) -> None:
    """One tagged cell assigns preset, seed and run_dir, each a plain value, for papermill and nbval to change."""
    cells = [cell for cell in notebook.cells if "parameters" in tags(cell)]
    assert len(cells) == 1, f"{len(cells)} cells tagged `parameters`, wanted 1"
    assigned = {}
    for statement in ast.parse(cells[0].source).body:
        assert isinstance(statement, ast.Assign), f"line {statement.lineno} of the parameters is no assignment"
        assigned[ast.unparse(statement.targets[0])] = ast.literal_eval(statement.value)
    assert set(assigned) == {"preset", "seed", "run_dir"}, f"parameters are {sorted(assigned)}"
    assert assigned["preset"] == "laptop", f"preset {assigned['preset']!r}: committed outputs are of a laptop run"
    assert not Path(assigned["run_dir"]).is_absolute(), f"run_dir {assigned['run_dir']!r} is a place on one machine"


def has_short_cells(notebook: NotebookNode) -> None:
    long = {
        number: lines
        for number, cell in enumerate(code(notebook))
        if (lines := len(cell.source.splitlines())) > MAX_LINES
    }
    assert not long, f"code cells and their lines {long}, wanted at most {MAX_LINES}: move code into the package"


def names_no_machine_path(notebook: NotebookNode) -> None:
    found = [match for text in texts(notebook) for match in MACHINE_PATH.findall(text)]
    assert not found, f"paths of one machine: {found[:5]}"


def installs_nothing(notebook: NotebookNode) -> None:
    found = [
        line for cell in code(notebook) for line in cell.source.splitlines() if re.match(r"\s*[!%].*\binstall\b", line)
    ]
    assert not found, f"a lesson installs: {found}"


def keeps_its_expectations(notebook: NotebookNode) -> None:
    """Each number beside which `course.expect` shows a range lies within that range in the committed outputs."""
    outside = [line for text in texts(notebook) for line in text.splitlines() if "preset laptop; outside" in line]
    assert not outside, f"numbers outside their expected range: {outside}"


def vouches_for_its_numbers(notebook: NotebookNode) -> None:
    """Behind every number of the text stands an output above it, a setting or a named source; see tests/prose.py."""
    found = unvouched(notebook)
    assert not found, f"numbers in the text that nothing vouches for: {found}; compute them above, or name a source"


def speaks_of_videos(notebook: NotebookNode) -> None:
    found = [word for text in texts(notebook) for word in re.findall(r"\b[Ff]ilms?\b", text)]
    assert not found, f"found {found}; the course says video, clip or episode"


def has_a_checked_cell(notebook: NotebookNode) -> None:
    """Some stable output is compared each time the tests run the notebook."""
    assert any("#NBVAL_CHECK_OUTPUT" in cell.source.replace("# ", "#") for cell in code(notebook))


RULES = [
    is_valid,
    asks_a_question,
    has_headings_in_order,
    was_run_in_order,
    has_no_errors,
    has_no_widget_state,
    has_parameters,
    has_short_cells,
    names_no_machine_path,
    installs_nothing,
    keeps_its_expectations,
    vouches_for_its_numbers,
    speaks_of_videos,
    has_a_checked_cell,
]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_notebook(path: Path, rule: Callable[[NotebookNode], None]) -> None:
    rule(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_small_enough_to_show_on_the_web(path: Path) -> None:
    assert path.stat().st_size < MAX_BYTES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_lines_shown_are_those_of_the_package(path: Path) -> None:
    """What is shown must follow the package; `python tools/course.py sources` renews source code, quizzes, diagrams."""
    for cell, shown in COURSE["sources"](nbformat.read(path, as_version=4)):
        kept = [dict(output.data) for output in cell.outputs]
        assert kept == shown, f"{cell.source}: what is shown is not what it is now"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_exercises_show_their_cards_and_point_to_hint_and_solution(path: Path) -> None:
    """Each exercise stands in the text as its card says, followed by the cell that checks it."""
    notebook = nbformat.read(path, as_version=4)
    checked = {}
    for before, cell in itertools.pairwise(notebook.cells):
        name = re.search(r'^course\.check\("(\d\d\.\d)"', cell.source, re.MULTILINE)
        if cell.cell_type == "code" and name:
            checked[name[1]] = (before, cell)
    assert list(checked) == [name for name in cards() if name.startswith(path.stem[:2])]
    for name, (before, cell) in checked.items():
        card = cards()[name]
        for part in (f"Exercise {name} · {card.title}", card.dots, f"{card.minutes} minutes", card.why):
            assert part in before.source.replace("\n> ", "\n"), f"{name}: the text before it lacks {part!r}"
        assert f'# course.hint("{name}")\n# course.show_solution("{name}")' in cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_ends_with_its_quiz(path: Path) -> None:
    *_, last = code(nbformat.read(path, as_version=4))
    assert last.source == f'course.quiz("{path.stem[:2]}")'


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_the_time_and_memory_that_the_readme_says(path: Path) -> None:
    beginning = nbformat.read(path, as_version=4).cells[0].source
    said = re.search(r"([\d.]+) minutes and ([\d.]+) GB", beginning.partition("*Time and memory")[2])
    readme = (path.parents[1] / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| \[{path.stem[:2]}\].*\| ([\d.]+)(?: \S)? \| ([\d.]+) GB \|$", readme, re.MULTILINE)
    assert said and row and said.groups() == row.groups()


# ------------------------------------------------------------------------------------ the rules themselves


def clean() -> NotebookNode:
    parameters = new_code_cell('preset = "laptop"\nseed = 0\nrun_dir = "../runs/x"', metadata={"tags": ["parameters"]})
    answer = new_code_cell("#NBVAL_CHECK_OUTPUT\nprint(preset)", outputs=[new_output("stream", text="laptop\n")])
    parameters.execution_count, answer.execution_count = 1, 2
    notebook = new_notebook(cells=[new_markdown_cell("# What is in a video?\n"), parameters, answer])
    notebook.metadata = NotebookNode(kernelspec={"name": "python3", "display_name": "Python 3"})
    return notebook


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_clean_notebook_passes(rule: Callable[[NotebookNode], None]) -> None:
    rule(clean())


def spoil_kernel(notebook: NotebookNode) -> None:
    notebook.metadata.kernelspec["name"] = "my-env"


def spoil_title(notebook: NotebookNode) -> None:
    notebook.cells[0].source = "# Videos"


def spoil_second_title(notebook: NotebookNode) -> None:
    notebook.cells.append(new_markdown_cell("# Another title"))


def spoil_heading(notebook: NotebookNode) -> None:
    notebook.cells.append(new_markdown_cell("### Two levels down"))


def spoil_order(notebook: NotebookNode) -> None:
    notebook.cells[1].execution_count = 7


def spoil_error(notebook: NotebookNode) -> None:
    notebook.cells[2].outputs.append(new_output("error", ename="ValueError", evalue="", traceback=[]))


def spoil_state(notebook: NotebookNode) -> None:
    notebook.metadata["widgets"] = {}


def spoil_widget(notebook: NotebookNode) -> None:
    notebook.cells[2].outputs.append(new_output("display_data", data={"text/plain": "HBox()", WIDGET: {}}))


def spoil_parameters(notebook: NotebookNode) -> None:
    notebook.cells[1].source += "\nsteps = 3"


def spoil_preset(notebook: NotebookNode) -> None:
    notebook.cells[1].source = notebook.cells[1].source.replace("laptop", "tiny")


def spoil_tag(notebook: NotebookNode) -> None:
    notebook.cells[2].metadata["tags"] = ["parameters"]


def spoil_length(notebook: NotebookNode) -> None:
    notebook.cells[2].source += "\npass" * MAX_LINES


def spoil_path(notebook: NotebookNode) -> None:
    notebook.cells[2].outputs[0].text = "saved in /home/someone/genie-lite/runs\n"


def spoil_install(notebook: NotebookNode) -> None:
    notebook.cells[2].source += "\n%pip install einops"


def spoil_expectation(notebook: NotebookNode) -> None:
    notebook.cells[2].outputs[0].text = "gain: 9 dB (1 to 3 dB at preset laptop; outside: another preset)\n"


def spoil_number(notebook: NotebookNode) -> None:
    notebook.cells[0].source += "\nThe model gains 3.7 dB."


def spoil_count(notebook: NotebookNode) -> None:
    notebook.cells[0].source += "\nIt finds 37 kinds of motion."


def spoil_later(notebook: NotebookNode) -> None:
    """The number is shown, but below the text."""
    notebook.cells[0].source += "\nThe model gains 3.7 dB."
    notebook.cells[2].outputs[0].text = "gain: 3.7 dB\n"


def spoil_word(notebook: NotebookNode) -> None:
    notebook.cells[0].source += "\nLook at the film."


def spoil_check(notebook: NotebookNode) -> None:
    notebook.cells[2].source = "print(preset)"


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (spoil_kernel, is_valid),
        (spoil_title, asks_a_question),
        (spoil_second_title, has_headings_in_order),
        (spoil_heading, has_headings_in_order),
        (spoil_order, was_run_in_order),
        (spoil_error, has_no_errors),
        (spoil_state, has_no_widget_state),
        (spoil_widget, has_no_widget_state),
        (spoil_parameters, has_parameters),
        (spoil_preset, has_parameters),
        (spoil_tag, has_parameters),
        (spoil_length, has_short_cells),
        (spoil_path, names_no_machine_path),
        (spoil_install, installs_nothing),
        (spoil_expectation, keeps_its_expectations),
        (spoil_number, vouches_for_its_numbers),
        (spoil_count, vouches_for_its_numbers),
        (spoil_later, vouches_for_its_numbers),
        (spoil_word, speaks_of_videos),
        (spoil_check, has_a_checked_cell),
    ],
    ids=lambda function: function.__name__,
)
def test_a_spoilt_notebook_fails(spoil: Callable[[NotebookNode], None], rule: Callable[[NotebookNode], None]) -> None:
    notebook = clean()
    spoil(notebook)
    with pytest.raises(AssertionError):
        rule(notebook)


# ------------------------------------------------------------------------------------------------- reading cells


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in code(notebook) for output in cell.outputs]


def texts(notebook: NotebookNode) -> Iterator[str]:
    """Every text a reader sees: sources, printed lines, text forms of results."""
    for cell in notebook.cells:
        yield cell.source
    for output in outputs(notebook):
        yield output.get("text", "")
        yield from (text for kind, text in output.get("data", {}).items() if kind.startswith("text/"))
