"""Writes the diagrams of genie_lite/course/diagrams to docs/diagrams, one SVG file each."""

from __future__ import annotations

from pathlib import Path

from genie_lite.course.diagrams import DIAGRAMS

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "diagrams"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.svg"):
        path.unlink()
    for name, drawing in DIAGRAMS.items():
        (FOLDER / f"{name}.svg").write_text(drawing().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
