"""Text in a notebook: lines of Markdown, source code of the package, numbers beside their expected range."""

from __future__ import annotations

import inspect
import logging
import textwrap
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2]
logger = logging.getLogger("genie_lite.course")


def display(bundle: dict[str, Any]) -> None:
    """Show one output in several formats ("text/plain" among them); outside a notebook its plain text is logged."""
    try:
        from IPython import get_ipython
        from IPython.display import display as show
    except ImportError:
        logger.info("%s", bundle["text/plain"])
        return
    if get_ipython() is None:
        logger.info("%s", bundle["text/plain"])
    else:
        show(bundle, raw=True)


def display_again(bundle: dict[str, Any], shown: Any = None) -> Any:
    """Show one output in place of `shown`, which the call before this one returned; in a notebook alone."""
    from IPython import get_ipython
    from IPython.display import display as show

    if get_ipython() is None:
        return None
    if shown is None:
        return show(bundle, raw=True, display_id=True)
    shown.update(bundle, raw=True)
    return shown


def say(markdown: str, plain: str | None = None) -> None:
    """Show one line of Markdown."""
    display({"text/plain": plain or markdown, "text/markdown": markdown})


def expect(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Show a measured number beside the range it had in runs at preset laptop. Never raises, since learners experiment.

    A test reads the committed notebooks and fails where a number they show lies outside its range.
    """
    inside = low <= value <= high
    unit = f" {unit}" if unit else ""
    verdict = "as expected" if inside else "outside: another preset, machine or seed, or something worth a closer look"
    say(
        f"**{name}: {rounded(value)}{unit}** ({low:g} to {high:g}{unit} at preset laptop; {verdict})",
        f"{name}: {rounded(value)}{unit} ({low:g} to {high:g}{unit} at preset laptop; {verdict})",
    )


def rounded(value: float) -> str:
    """A number with three significant digits, or with all those before the point: 0.0123, 32.2, 1023."""
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:.3g}"


def show_source(obj: Any, *, start: str | int | None = None, end: str | int | None = None) -> None:
    """Show the source of a class, function or method of the package, highlighted.

    `start` and `end` select part of it, both included: line numbers counted from 1 within the definition, or texts,
    which stand for the first line that contains `start` and the first from there on that contains `end`. Raises
    ValueError when no line contains a text.
    """
    code, where = source_of(obj, start=start, end=end)
    display({"text/plain": code, "text/markdown": f"*{where}*\n```python\n{code}\n```"})


def source_of(obj: Any, *, start: str | int | None = None, end: str | int | None = None) -> tuple[str, str]:
    """The lines that `show_source` shows, without their common indentation, and their file and line numbers."""
    obj = getattr(obj, "fget", None) or inspect.unwrap(obj)
    lines, first = inspect.getsourcelines(obj)
    lines = [line.rstrip("\n") for line in lines]
    top = _line(lines, start, 0) if start is not None else 0
    bottom = _line(lines, end, top) if end is not None else len(lines) - 1
    path = Path(inspect.getsourcefile(obj) or "")
    name = path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name
    first = max(first, 1) + top
    return textwrap.dedent("\n".join(lines[top : bottom + 1])), f"{name}, lines {first}–{first + bottom - top}"


def _line(lines: list[str], mark: str | int, after: int) -> int:
    """Index of the line that `mark` stands for."""
    if isinstance(mark, int):
        if not 1 <= mark <= len(lines):
            raise ValueError(f"show_source: found line {mark}, expected 1 to {len(lines)}")
        return mark - 1
    for index in range(after, len(lines)):
        if mark in lines[index]:
            return index
    raise ValueError(f"show_source: no line contains {mark!r}; use a text from {lines[0].strip()!r} or a line below it")
