"""Words in a lesson: lines of text, sources of the package, numbers beside the range they should lie in."""

from __future__ import annotations

import inspect
import logging
import textwrap
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2]
logger = logging.getLogger("genie_lite.course")


def display(bundle: dict[str, Any]) -> None:
    """Show a bundle of one thing in several forms ("text/plain" among them); outside a notebook its text is logged."""
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


def say(markdown: str, plain: str | None = None) -> None:
    """Show one line of Markdown."""
    display({"text/plain": plain or markdown, "text/markdown": markdown})


def expect(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Show a measured number beside the range it had in runs at preset laptop. Never raises."""
    inside = low <= value <= high
    unit = f" {unit}" if unit else ""
    verdict = "as expected" if inside else "outside: another preset, machine or seed, or something worth a look"
    say(
        f"**{name}: {value:.3g}{unit}** ({low:g} to {high:g}{unit} at preset laptop; {verdict})",
        f"{name}: {value:.3g}{unit} ({low:g} to {high:g}{unit} at preset laptop; {verdict})",
    )


def show_source(obj: Any, *, start: str | int | None = None, end: str | int | None = None) -> None:
    """Show the lines of the package that define a class, function or method, highlighted.

    `start` and `end` cut a piece out of them: line numbers from 1 within the definition, or texts, of which the first
    line that has `start` and the first one from there that has `end` count; both are shown. ValueError when a text is
    in no line.
    """
    code, where = source_of(obj, start=start, end=end)
    display({"text/plain": code, "text/markdown": f"*{where}*\n```python\n{code}\n```"})


def source_of(obj: Any, *, start: str | int | None = None, end: str | int | None = None) -> tuple[str, str]:
    """The lines that `show_source` shows, without their common indent, and the file and lines where they stand."""
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
    """Index of the line meant by `mark`."""
    if isinstance(mark, int):
        if not 1 <= mark <= len(lines):
            raise ValueError(f"show_source: found line {mark}, wanted 1 to {len(lines)}")
        return mark - 1
    for index in range(after, len(lines)):
        if mark in lines[index]:
            return index
    raise ValueError(f"show_source: no line has {mark!r}; take a text from {lines[0].strip()!r} and below")
