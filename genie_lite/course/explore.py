"""Figures with controls: a picture for each setting, drawn again as soon as a control moves."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genie_lite.course import notes
from genie_lite.course.checking import CourseError

STILL = "A picture with controls. Run this cell to move them: click it, then press Shift and Enter."


def explore(
    draw: Callable[..., Any],
    start: Mapping[str, Any] | None = None,
    *,
    click: Callable[..., Mapping[str, Any]] | None = None,
    words: str = "",
    **choices: Sequence[Any],
) -> None:
    """Show what `draw` returns, a PIL image or a matplotlib figure, with a slider for each of its arguments.

    `choices` gives the values of each argument. At the start the first of each is shown, or that in `start`. `click`,
    if given, is called with x and y, pixels of the picture, and the arguments as they are, and returns those that
    change. `words` say what the picture shows. Without a kernel, on the web for instance, the first picture is left.
    CourseError for an argument without values.

    ::

        course.explore(lambda frame, sharp: picture(frame, sharp), frame=range(16), sharp=(False, True))
    """
    box = explorer(draw, start, click=click, words=words, **choices)
    still = base64.b64encode(box.children[-1].value).decode()
    text = f"{words} {STILL}" if words else STILL
    notes.display({**box._repr_mimebundle_(), "image/png": still, "text/plain": text})


def explorer(
    draw: Callable[..., Any],
    start: Mapping[str, Any] | None = None,
    *,
    click: Callable[..., Mapping[str, Any]] | None = None,
    words: str = "",
    **choices: Sequence[Any],
) -> Any:
    """The widget that `explore` shows: sliders, and below them the picture."""
    import ipywidgets

    from genie_lite.course.picture import Picture

    empty = [name for name, values in choices.items() if len(values) == 0]
    if empty or not choices:
        raise CourseError(f"explore: found {empty or 'no argument'}, expected one value or more for each argument")
    first = {name: values[0] for name, values in choices.items()} | dict(start or {})
    unknown = [name for name in first if name not in choices or first[name] not in choices[name]]
    if unknown:
        raise CourseError(f"explore: start has {unknown}, expected arguments that have values, and one of these values")
    sliders = {
        name: ipywidgets.SelectionSlider(options=list(values), value=first[name], description=name.replace("_", " "))
        for name, values in choices.items()
    }

    def now() -> dict[str, Any]:
        return {name: slider.value for name, slider in sliders.items()}

    screen = Picture(value=as_png(draw(**now())), words=words, clickable=click is not None)

    def redraw(_change: Any = None) -> None:
        screen.value = as_png(draw(**now()))

    def clicked(change: Any) -> None:
        x, y, _ = change["new"]
        changes = click(x, y, **now()) if click else {}
        for name, slider in sliders.items():
            slider.unobserve(redraw, "value")  # one picture for all changes
            slider.value = changes.get(name, slider.value)
            slider.observe(redraw, "value")
        redraw()

    for slider in sliders.values():
        slider.observe(redraw, "value")
    screen.observe(clicked, "clicked")
    return ipywidgets.VBox([ipywidgets.HBox(list(sliders.values())), screen])


def as_png(picture: Any) -> bytes:
    """A PIL image or a matplotlib figure (which is closed) as PNG bytes; CourseError for anything else."""
    buffer = io.BytesIO()
    if hasattr(picture, "savefig"):
        import matplotlib.pyplot as plt

        picture.savefig(buffer, format="png", dpi=80, facecolor="white")
        plt.close(picture)
    elif hasattr(picture, "convert"):
        picture.save(buffer, "PNG", optimize=True)
    else:
        raise CourseError(f"draw: found {type(picture).__name__}, expected a PIL image or a matplotlib figure")
    return buffer.getvalue()
