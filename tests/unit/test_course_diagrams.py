"""Diagrams: the committed files are those that the code draws, labels fit, and all of it is legible, light and dark."""

from __future__ import annotations

import base64
import re
import runpy
import xml.etree.ElementTree as ET

import pytest
from matplotlib import font_manager
from PIL import ImageFont

from genie_lite.course import CourseError, diagram, notes
from genie_lite.course.diagrams import DIAGRAMS
from genie_lite.course.diagrams.drawing import COLOURS, LINES, Drawing

SVG = "{http://www.w3.org/2000/svg}"


def test_the_committed_files_are_those_that_the_tool_makes(repository) -> None:
    folder = repository / "docs" / "diagrams"
    made = {f"{name}.svg": drawing().svg() for name, drawing in DIAGRAMS.items()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert kept == made, "run `python tools/diagrams.py`"
    assert runpy.run_path(str(repository / "tools" / "diagrams.py"))["FOLDER"] == folder


@pytest.mark.parametrize("name", DIAGRAMS)
def test_each_says_in_words_what_it_shows(name: str) -> None:
    root = ET.fromstring(DIAGRAMS[name]().svg())
    title, words = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img" and title is not None and words is not None
    assert title.text and words.text and len(words.text) > 200 and "$" not in words.text


@pytest.mark.parametrize("name", DIAGRAMS)
def test_labels_fit_into_their_boxes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured in DejaVu Sans, which is wider than the fonts that are preferred to it."""
    boxes: list[tuple[float, float, list[str], bool]] = []
    box = Drawing.box

    def spy(self, x, y, width, height, words, *rest, bold=True):
        boxes.append((width, height, words.split("\n"), bold))
        return box(self, x, y, width, height, words, *rest, bold=bold)

    monkeypatch.setattr(Drawing, "box", spy)
    DIAGRAMS[name]()
    assert boxes
    for width, height, lines, bold in boxes:
        assert 17 * len(lines) <= height, lines
        for number, line in enumerate(lines):
            face = "DejaVu Sans:bold" if bold and number == 0 else "DejaVu Sans"
            font = ImageFont.truetype(font_manager.findfont(face), 130 if number == 0 else 115)
            assert font.getlength(re.sub(r"[${}_]", "", line)) / 10 <= width - 4, line


@pytest.mark.parametrize("name", DIAGRAMS)
def test_every_colour_has_a_dark_one(name: str) -> None:
    svg = DIAGRAMS[name]().svg()
    rules = set(re.findall(r"\.gd-([fs]-[a-z-]+)\{", svg))
    used = set(re.findall(r"gd-([fs]-[a-z-]+)", svg[svg.index("</style>") :]))
    assert used and used == rules
    for element in ET.fromstring(svg).iter():
        for attribute, kind in (("fill", "f"), ("stroke", "s")):
            colour = element.get(attribute)
            if colour not in (None, "none"):
                [known] = [name for name in element.get("class", "").split() if name.startswith(f"gd-{kind}-")]
                assert COLOURS[known[5:]][0] == colour


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme: int) -> None:
    """The contrast that WCAG 2 asks of text, 4.5, and of graphics, 3."""
    for text in ("ink", "dim", "stop", "token-line", "loss-line"):
        assert contrast(COLOURS[text][scheme], COLOURS["paper"][scheme]) >= 4.5, text
    for kind in LINES:
        assert contrast(COLOURS["ink"][scheme], COLOURS[kind][scheme]) >= 4.5, kind
    for line in LINES.values():
        assert contrast(COLOURS[line][scheme], COLOURS["paper"][scheme]) >= 3, line


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours #rrggbb, from 1 to 21, as WCAG 2 defines it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_formulas_are_set_as_formulas() -> None:
    drawing = Drawing(100, 50, "t", "w")
    drawing.text(10, 20, "past $x_{1:t}$ & more")
    [text] = ET.fromstring(drawing.svg()).iter(f"{SVG}text")
    assert "".join(text.itertext()).replace("\u200b", "") == "past x1:t & more"
    x, index, back = list(text)[0]
    assert list(text)[0].get("font-style") == "italic" and (x.text, index.text) == ("x", "1:t")
    assert float(index.get("dy")) > 0 and float(index.get("dy")) == -float(back.get("dy"))


def test_it_is_shown_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict] = []
    monkeypatch.setattr(notes, "display", shown.append)
    diagram("tokenizer")
    drawing = DIAGRAMS["tokenizer"]()
    assert shown[0]["text/plain"] == f"The video tokenizer. {drawing.words}"
    [source] = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', shown[0]["text/html"])
    assert base64.b64decode(source).decode() == drawing.svg()
    assert f'alt="The video tokenizer. {drawing.words}"' in shown[0]["text/html"]
    with pytest.raises(CourseError, match="diagram 'tokeniser': no such diagram; expected one of genie, st_block, tok"):
        diagram("tokeniser")
