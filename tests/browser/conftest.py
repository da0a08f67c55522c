"""A page of headless Chromium, and in it a JupyterLab that has run a notebook with the player in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser.lab import FLAGS, ROOT, jupyter_lab

PATIENCE = 480_000  # milliseconds until something counts as never happening; a busy machine may be slow

MINIMAL = """
from fakes import scenes
from genie_lite import load_config
from genie_lite.api import Genie
from genie_lite.play import play

genie = Genie(load_config("tiny"))
play(genie, scenes(16, genie.frame_size), maskgit_steps=2)
"""


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A running Chromium; contexts and pages are made from it."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("playwright", reason="playwright is not installed (pip install 'genie-lite[test]')")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """A JupyterLab with notebook 00 at tiny and a minimal notebook; its address, token and folder."""
    folder = tmp_path_factory.mktemp("lab")
    work = folder / "work"
    work.mkdir()
    cells = [nbformat.v4.new_markdown_cell("# A world"), nbformat.v4.new_code_cell(MINIMAL.strip())]
    cells += [nbformat.v4.new_markdown_cell(f"Paragraph {n}, so that there is something to scroll.") for n in range(30)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), work / "minimal.ipynb")
    for path in (ROOT / "notebooks").glob("00_*.ipynb"):
        real = nbformat.read(path, as_version=4)
        for cell in real.cells:
            if "parameters" in cell.metadata.get("tags", []):  # the same world; only its measurements are shortened
                cell.source = cell.source.replace('"laptop"', '"tiny"')
        nbformat.write(real, work / "notebook_00.ipynb")
    with jupyter_lab(folder) as (address, token):
        yield address, token, work


def show_player(page: Any) -> None:
    """Scroll until the player is in view: JupyterLab runs to the last cell, and keeps only cells near the view."""
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")
    page.wait_for_function(
        """() => {
          const player = document.querySelector(".jp-Notebook .gl-player .gl-screen");
          const box = player?.getBoundingClientRect();
          if (box?.width && player.complete && box.top > 0 && box.bottom < innerHeight) return true;
          const scroller = document.querySelector(".jp-WindowedPanel-outer");
          if (box?.width) player.scrollIntoView({ block: "center" });
          else scroller.scrollTop = scroller.scrollTop > 100 ? scroller.scrollTop - 100 : 1e6;
          return false;
        }""",
        polling=200,
    )


@pytest.fixture(scope="module", params=["minimal.ipynb", "notebook_00.ipynb"])
def notebook(request: pytest.FixtureRequest, browser: Any, server: tuple[str, str, Path]) -> Iterator[Any]:
    """A page with this notebook opened and all its cells run, ready to play."""
    address, token, work = server
    if not (work / request.param).exists():
        pytest.skip("notebooks/00_*.ipynb is not there yet")
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{address}/lab/tree/{request.param}?token={token}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    kernel_choice = page.locator(".jp-Dialog button", has_text="Select")  # asked when the kernel is slow to start
    page.add_locator_handler(kernel_choice, lambda button: button.click())
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    show_player(page)
    page.wait_for_selector(".gl-player[data-lm-suppress-shortcuts='true']")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")
    yield page
    context.close()
