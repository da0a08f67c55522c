"""The quiz at the end of a notebook: click an option to see whether it is right, and why.

Questions are data, quizzes/nb05.yaml for notebook 05. They are shown as HTML `<details>`, which open and close in
JupyterLab, in a notebook without a kernel, and on the web.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from genie_lite.course import notes
from genie_lite.course.checking import CourseError

FOLDER = Path(__file__).parent / "quizzes"


@dataclass(frozen=True)
class Option:
    """One possible answer and the reason why it is right or wrong."""

    text: str
    why: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with its options, of which exactly one is right."""

    text: str
    options: tuple[Option, ...]


def quiz(notebook: str) -> None:
    """Show the quiz of a notebook, such as "05"."""
    questions = load_quiz(notebook)
    notes.display({"text/plain": as_text(questions), "text/html": as_html(questions)})


def load_quiz(notebook: str) -> tuple[Question, ...]:
    """The questions of a notebook's quiz; CourseError when it has none."""
    path = FOLDER / f"nb{notebook}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem[2:] for file in FOLDER.glob("nb*.yaml")))
        raise CourseError(f"quiz {notebook!r}: no such quiz; expected one of {known}")
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(
        Question(entry["question"], tuple(Option(**option) for option in entry["options"])) for entry in entries
    )


def as_html(questions: tuple[Question, ...]) -> str:
    """Questions as HTML: each option opens to its reason."""
    parts = []
    for number, question in enumerate(questions, start=1):
        parts.append(f"<p><b>{number}. {_inline(question.text)}</b></p>")
        for option in question.options:
            mark = "✓ Right." if option.right else "✗ No."
            parts.append(
                f"<details><summary>{_inline(option.text)}</summary>"
                f"<blockquote><b>{mark}</b> {_inline(option.why)}</blockquote></details>"
            )
    return "\n".join(parts)


def as_text(questions: tuple[Question, ...]) -> str:
    """Questions and options as plain text, without the answers."""
    lines = []
    for number, question in enumerate(questions, start=1):
        lines.append(f"{number}. {question.text}")
        lines += [f"   {letter}) {option.text}" for letter, option in zip("abcdef", question.options, strict=False)]
    return "\n".join(lines)


def _inline(text: str) -> str:
    """Escaped text with `code` and *emphasis*."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
    return re.sub(r"\*([^*]+)\*", r"<i>\1</i>", text)
