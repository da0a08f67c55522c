"""A learner who writes the solutions into a notebook trains with them, to the numbers of one who writes nothing."""

from __future__ import annotations

import ast
import inspect
import logging
import re
import runpy
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from torch import nn

from genie_lite import course
from genie_lite.course.cards import cards
from genie_lite.course.checking import get_solution

SOLVE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "course.py"))["solve"]
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"

# The cells that training needs besides those of the exercises, by a text that they alone contain.
NEEDED = {
    "02_space_and_time": ["this = course.start", "course.use(", "class NextFrame", "def train_next_frame"],
    "03_video_tokenizer": ["lesson = course.start", "course.use(", "train_tokenizer("],
    "04_latent_actions": ["lesson = course.start", "course.use(", 'parts=("latent_action",), prepare'],
    "05_dynamics_model": ["this = course.start", "yours = course.use(", "train_genie("],
}
TRAINED = {
    "02_space_and_time": lambda names: nn.ModuleList(names["models"].values()),
    "03_video_tokenizer": lambda names: names["genie"],
    "04_latent_actions": lambda names: names["genie"],
    "05_dynamics_model": lambda names: names["genie"],
}


def stub(source: str) -> ast.FunctionDef:
    """The function that a learner is asked to write in a cell."""
    return next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


def run(name: str, run_dir: Path, *, solved: bool) -> dict[str, Any]:
    """What the variables of a notebook are after its training at preset tiny, by a learner who solved it or did not."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells if cell.cell_type == "code"]
    used = re.findall(r'"(\d\d\.\d)": ', next(source for source in cells if "course.use(" in source))
    names: dict[str, Any] = {"preset": "tiny", "seed": 0, "run_dir": str(run_dir)}
    for source in cells:
        exercise = re.search(r'^course\.check\("(\d\d\.\d)"', source, re.MULTILINE)
        if any(text in source for text in NEEDED[name]):
            exec(source, names)
        elif exercise and exercise[1] in used:
            exec(source, names)
            if solved:
                names[stub(source).name] = get_solution(exercise[1]).answer
    return names


@pytest.mark.parametrize("name", NEEDED)
def test_solutions_train_the_numbers_of_the_package(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(NOTEBOOKS)
    with caplog.at_level(logging.INFO, logger="genie_lite.course"):
        solved, unsolved = (run(name, tmp_path / str(answer), solved=answer) for answer in (True, False))
    used = [line for line in caplog.messages if line.startswith("Used here")]
    assert "the package's" not in used[0] and "· yours" not in used[1]
    folders = [{path.name for path in (tmp_path / str(answer) / "tiny-seed0").iterdir()} for answer in (True, False)]
    assert {folder + solved["yours"].suffix for folder in folders[1]} == folders[0] != folders[1]
    first, second = (TRAINED[name](names).state_dict() for names in (solved, unsolved))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_a_learner_writes_is_called_as_the_solution_is(path: Path) -> None:
    """The function in the notebook and the packaged solution have the same arguments, by number."""
    for cell in nbformat.read(path, 4).cells:
        exercise = re.search(r'^course\.check\("(\d\d\.\d)", (\w+)\)', cell.source, re.MULTILINE)
        answer = get_solution(exercise[1]).answer if exercise else None
        if inspect.isfunction(answer):
            asked = stub(cell.source)
            assert asked.name == exercise[2]
            assert len(asked.args.args) == len(inspect.signature(answer).parameters), exercise[1]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("0[1-8]*.ipynb")), ids=lambda path: path.stem)
def test_make_course_can_be_run_as_a_learner_who_solved_everything(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`tools/course.py run --solved` puts the solution into every exercise, and each passes."""
    notebook = nbformat.read(path, 4)
    SOLVE(notebook)
    exercises = [cell.source for cell in notebook.cells if "\ncourse.check(" in cell.source]
    names: dict[str, Any] = {"course": course, "np": np, "torch": torch, "N": 0, "T": 0}
    with caplog.at_level(logging.INFO, logger="genie_lite.course"):
        for source in exercises:
            exec(source, names)
    told = [line for line in caplog.messages if re.match(r"\d\d\.\d ", line)]
    assert len(told) == len([name for name in cards() if name[:2] == path.stem[:2]])
    assert all("✓ right" in line for line in told), told
