"""What tests of several folders share; all can import `fakes` beside this file (see pythonpath in pyproject.toml)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genie_lite import machine


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the clone."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright's `executable_path`; without one the test is skipped, or fails when CI=true."""
    path = machine.find_chromium()
    if path is not None:
        return path
    reason = f"no browser on PATH ({', '.join(machine.CHROMIUM_NAMES)}); on Debian: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Models made without a seed of their own are the same in every run, whatever ran before."""
    import torch

    torch.manual_seed(0)
