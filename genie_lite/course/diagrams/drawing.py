"""Drawing diagrams as SVG: boxes, arrows, frames, tokens and codebooks, with the paper's notation in their labels.

Every colour is written twice: as an attribute, for light pages, and in a style sheet for readers who prefer dark ones.
A diagram has a background of its own, so that it is legible wherever it is shown.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

Point = tuple[float, float]

# name: colour on a light page, on a dark one
COLOURS = {
    "paper": ("#ffffff", "#161b22"), "line": ("#d0d7de", "#3d444d"), "ink": ("#1f2328", "#e6edf3"),
    "dim": ("#57606a", "#9da7b3"), "model": ("#eef1f4", "#262c36"), "frame": ("#ddf4ff", "#12324f"),
    "frame-line": ("#0969da", "#58a6ff"), "token": ("#fff1e5", "#43260f"), "token-line": ("#bc4c00", "#f0883e"),
    "action": ("#dafbe1", "#12351d"), "action-line": ("#1a7f37", "#3fb950"), "masked": ("#b6bec8", "#565e69"),
    "loss": ("#fbefff", "#33214f"), "loss-line": ("#8250df", "#bc8cff"), "stop": ("#cf222e", "#ff7b72"),
}  # fmt: skip
LINES = {"model": "dim", "frame": "frame-line", "token": "token-line", "action": "action-line", "loss": "loss-line"}
SANS = "'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
SERIF = "'Cambria Math', 'Times New Roman', 'DejaVu Serif', serif"


class Drawing:
    """A picture under construction; `svg` returns it. `title` and `words` are what a screen reader says of it."""

    def __init__(self, width: int, height: int, title: str, words: str) -> None:
        self.width, self.height, self.title, self.words = width, height, title, " ".join(words.split())
        self._parts: list[str] = []
        self._shape("rect", "paper", "line", x=1, y=1, width=width - 2, height=height - 2, rx=10)

    def svg(self) -> str:
        """The picture as a document of its own."""
        used = sorted(set(re.findall(r"gd-([fs])-([a-z-]+)", "".join(self._parts))))
        what = {"f": "fill", "s": "stroke"}
        dark = "".join(f".gd-{kind}-{name}{{{what[kind]}:{COLOURS[name][1]}}}" for kind, name in used)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" role="img" font-family="{SANS}">\n'
            f"<title>{html.escape(self.title)}</title>\n<desc>{html.escape(self.words)}</desc>\n"
            f"<style>@media (prefers-color-scheme: dark){{{dark}}}</style>\n"
        )
        return head + "\n".join(self._parts) + "\n</svg>\n"

    def text(
        self, x: float, y: float, words: str, size: float = 13, anchor: str = "middle", colour: str = "ink",
        bold: bool = False,
    ) -> None:  # fmt: skip
        """Words on the baseline y; what stands between dollar signs is set as a formula, with _{} for indices."""
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}"{weight} {_paint("fill", colour)}>'
            f"{_markup(words, size)}</text>"
        )

    def box(
        self, x: float, y: float, width: float, height: float, words: str, kind: str = "model", *, bold: bool = True
    ) -> Box:
        """A rounded box with lines of words in its middle, the first of them larger and, unless told not to, bold."""
        self._shape("rect", kind, LINES[kind], x=x, y=y, width=width, height=height, rx=7, stroke_width=1.5)
        lines = words.split("\n")
        for number, line in enumerate(lines):
            size = 13 if number == 0 else 11.5
            down = y + height / 2 + 5 + 17 * (number - (len(lines) - 1) / 2)
            self.text(x + width / 2, down, line, size, bold=bold and number == 0)
        return Box(x, y, width, height)

    def arrow(self, *points: Point, colour: str = "dim", dashed: bool = False) -> None:
        """A line through points with a head at the last."""
        (x0, y0), (x1, y1) = points[-2:]
        length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-9)
        along = ((x1 - x0) / length, (y1 - y0) / length)
        back = (x1 - 8 * along[0], y1 - 8 * along[1])
        self.line(*points[:-1], back, colour=colour, dashed=dashed)
        head = [(x1, y1), *((back[0] - s * 4 * along[1], back[1] + s * 4 * along[0]) for s in (1, -1))]
        self._parts.append(f'<polygon points="{_points(head)}" {_paint("fill", colour)}/>')

    def line(self, *points: Point, colour: str = "dim", dashed: bool = False) -> None:
        """A line through points."""
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<polyline points="{_points(points)}" fill="none" stroke-width="1.6"{dashes} {_paint("stroke", colour)}/>'
        )

    def frames(self, x: float, y: float, side: float = 46, count: int = 3, step: float = 9) -> Box:
        """A video: `count` frames, one behind the other, each with a hero on the ground."""
        for number in reversed(range(count)):
            left, top = x + number * step, y - number * step + (count - 1) * step
            self._shape("rect", "frame", "frame-line", x=left, y=top, width=side, height=side, rx=3, stroke_width=1.4)
        ground, middle = top + 0.78 * side, left + side / 2
        step_at = left + 0.68 * side
        steps = ((left + 2, ground), (step_at, ground), (step_at, ground - 9), (left + side - 2, ground - 9))
        self.line(*steps, colour="frame-line")
        self._shape(
            "rect", "frame-line", "frame-line", x=middle - 9, y=ground - 15, width=8, height=14, rx=3, stroke_width=0
        )
        return Box(x, y, side + (count - 1) * step, side + (count - 1) * step)

    def grid(self, x: float, y: float, fills: Sequence[str], columns: int, cell: float = 13, gap: float = 2) -> Box:
        """Cells row by row, each in the colour that `fills` names: the tokens of a frame, or the codes of a book."""
        rows = -(-len(fills) // columns)
        for fill in dict.fromkeys(fills):  # one path for all cells of a colour: files stay small
            places = [divmod(place, columns) for place, name in enumerate(fills) if name == fill]
            corners = [(x + column * (cell + gap), y + row * (cell + gap)) for row, column in places]
            cells = "".join(f"M{left:g} {top:g}h{cell:g}v{cell:g}h-{cell:g}z" for left, top in corners)
            self._shape("path", fill, LINES.get(fill, "dim"), d=cells, stroke_width=1)
        return Box(x, y, columns * (cell + gap) - gap, rows * (cell + gap) - gap)

    def ring(self, x: float, y: float, words: str, colour: str = "ink", radius: float = 11) -> Box:
        """A small circle with a sign in it: + where two things are added, sg where no gradient passes."""
        self._shape("circle", "paper", colour, cx=x, cy=y, r=radius, stroke_width=1.5)
        self.text(x, y + 4.5, words, 12.5, colour=colour, bold=True)
        return Box(x - radius, y - radius, 2 * radius, 2 * radius)

    def mark(self, x: float, y: float, side: float, colour: str = "stop") -> None:
        """A thick border around one cell."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" rx="2" fill="none" stroke-width="3" '
            f"{_paint('stroke', colour)}/>"
        )

    def outline(self, x: float, y: float, width: float, height: float, colour: str = "dim") -> None:
        """A dashed frame around things that belong together."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="10" fill="none" stroke-width="1.4" '
            f'stroke-dasharray="5 4" {_paint("stroke", colour)}/>'
        )

    def _shape(self, name: str, fill: str, line: str, **places: float | str) -> None:
        values = {key: value if isinstance(value, str) else f"{value:g}" for key, value in places.items()}
        sizes = " ".join(f'{key.replace("_", "-")}="{value}"' for key, value in values.items())
        colours = f'class="gd-f-{fill} gd-s-{line}" fill="{COLOURS[fill][0]}" stroke="{COLOURS[line][0]}"'
        self._parts.append(f"<{name} {sizes} {colours}/>")


class Box:
    """Where something was drawn, and the middles of its sides, for arrows."""

    def __init__(self, x: float, y: float, width: float, height: float) -> None:
        self.left: Point = (x, y + height / 2)
        self.right: Point = (x + width, y + height / 2)
        self.top: Point = (x + width / 2, y)
        self.bottom: Point = (x + width / 2, y + height)


def _paint(what: str, colour: str) -> str:
    return f'class="gd-{what[0]}-{colour}" {what}="{COLOURS[colour][0]}"'


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _markup(words: str, size: float) -> str:
    """Words with formulas between dollar signs, as the inside of an SVG text."""
    parts = []
    for number, part in enumerate(words.split("$")):
        parts.append(_formula(part, size) if number % 2 else html.escape(part))
    return "".join(parts)


def _formula(text: str, size: float) -> str:
    """Letters in italics; an index _{...} smaller and lower."""
    spans, down = [], round(0.28 * size, 1)
    for number, part in enumerate(re.split(r"_\{([^}]*)\}", text)):
        if part and number % 2:
            spans.append(f'<tspan font-size="{0.75 * size:g}" dy="{down:g}">{html.escape(part)}</tspan>')
        elif part:
            back = f' dy="{-down:g}"' if number else ""
            spans.append(f'<tspan font-size="{1.12 * size:g}"{back}>{html.escape(part)}</tspan>')
    if text.endswith("}"):
        spans.append(f'<tspan dy="{-down:g}">\u200b</tspan>')  # what follows stands on the line again
    return f'<tspan font-family="{SERIF}" font-style="italic">{"".join(spans)}</tspan>'
