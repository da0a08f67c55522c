"""Headless Chromium, and in it a JupyterLab with notebooks that show the player."""

from __future__ import annotations

import os
import shutil
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
genie.card["actions"] = [{"dx": dx, "dy": dy} for dx, dy in [(-3, 0), (3, 0), (0, -4), (0, 0), (3, -3), (0, 4)]]
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
    """A JupyterLab with notebook 00 and two copies of a minimal notebook; its address, token and folder."""
    folder = tmp_path_factory.mktemp("lab")
    work = folder / "work"
    work.mkdir()
    cells = [nbformat.v4.new_markdown_cell("# A world"), nbformat.v4.new_code_cell(MINIMAL.strip())]
    cells += [nbformat.v4.new_markdown_cell(f"Paragraph {n}, so that there is something to scroll.") for n in range(30)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for name in ("minimal", "reopened"):
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), work / f"{name}.ipynb")
    for path in (ROOT / "notebooks").glob("00_*.ipynb"):
        shutil.copy(path, work / "notebook_00.ipynb")
    with jupyter_lab(folder) as (address, token):
        yield address, token, work


def open_notebook(browser: Any, server: tuple[str, str, Path], name: str) -> Any:
    """A page with this notebook open in JupyterLab and a kernel ready; close its context when done.

    Each notebook has a workspace of its own: in a shared one, a reloaded page also opens what another page has open.
    """
    address, token, _ = server
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{address}/lab/workspaces/{name.partition('.')[0]}/tree/{name}?token={token}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    kernel_choice = page.locator(".jp-Dialog button", has_text="Select")  # asked when the kernel is slow to start
    page.add_locator_handler(kernel_choice, lambda button: button.click())
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    return page


def run_to_player(page: Any) -> None:
    """Run cell after cell with Shift+Enter, as a learner does, up to the first one that shows a player."""
    page.locator(".jp-Notebook .jp-Cell").first.click()
    cells = page.locator(".jp-Notebook .jp-Cell")
    for place in range(cells.count()):
        page.keyboard.press("Shift+Enter")
        if "play(" in cells.nth(place).inner_text():
            break
    page.wait_for_selector(".gl-stage[style*='width']")
    page.wait_for_function("() => document.activeElement.className === 'gl-stage'")


@pytest.fixture(scope="module", params=["minimal.ipynb", "notebook_00.ipynb"])
def notebook(request: pytest.FixtureRequest, browser: Any, server: tuple[str, str, Path]) -> Iterator[Any]:
    """A page with this notebook run as far as its player, ready to play."""
    if not (server[2] / request.param).exists():
        pytest.skip("notebooks/00_*.ipynb is not there yet")
    page = open_notebook(browser, server, request.param)
    run_to_player(page)
    yield page
    page.context.close()
