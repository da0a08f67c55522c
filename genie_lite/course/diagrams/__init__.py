"""Diagrams of Genie and its parts in the paper's notation, drawn by code: for notebooks, and as files in docs/diagrams.

::

    course.diagram("tokenizer")
"""

from __future__ import annotations

import base64
import html

from genie_lite.course import notes
from genie_lite.course.checking import CourseError
from genie_lite.course.diagrams.drawing import Drawing
from genie_lite.course.diagrams.models import dynamics, latent_action, st_block, tokenizer
from genie_lite.course.diagrams.whole import genie, maskgit, play

DIAGRAMS = {
    drawing.__name__: drawing for drawing in (genie, st_block, tokenizer, latent_action, dynamics, maskgit, play)
}


def diagram(name: str) -> None:
    """Show a diagram, such as "tokenizer"; CourseError for a name that has none.

    An HTML image of the SVG: unlike an SVG output it is shown in a notebook that is not trusted, and its alternative
    text says in words what is drawn.
    """
    drawing = draw(name)
    words = f"{drawing.title}. {drawing.words}"
    source = base64.b64encode(drawing.svg().encode()).decode()
    image = f'<img alt="{html.escape(words)}" src="data:image/svg+xml;base64,{source}" width="{drawing.width}">'
    notes.display({"text/plain": words, "text/html": image})


def draw(name: str) -> Drawing:
    """The drawing with this name."""
    if name not in DIAGRAMS:
        raise CourseError(f"diagram {name!r}: no such diagram; expected one of {', '.join(DIAGRAMS)}")
    return DIAGRAMS[name]()
