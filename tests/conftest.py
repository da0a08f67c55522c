"""What tests of several folders share; all can import `fakes` beside this file (see pythonpath in pyproject.toml)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# One thread a process, inherited by kernels and subprocesses, unless the caller says otherwise: models this small run
# as fast on one, and two threads that wait for a busy core by spinning are many times slower. Must precede torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from genie_lite import machine  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """GENIE_LITE_TEST_PRECISION (see precision.py beside this file) forces what `precision: auto` means."""
    if "GENIE_LITE_TEST_PRECISION" in os.environ:
        from precision import force_precision

        force_precision()


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


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard() -> None:
    """A shell that starts the tests in the background switches Ctrl-C off for them, which many of them press."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let pytest-xdist keep a file in one process, for its module fixtures, but share the notebooks out one by one."""
    for item in items:
        alone = item.path.name == "test_run.py"
        item.add_marker(pytest.mark.xdist_group(item.nodeid if alone else str(item.path)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Models made without a seed of their own are the same in every run, whatever ran before."""
    import torch

    torch.manual_seed(0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many test functions there were: parametrised cases make the number below look larger."""
    reports = [r for status in ("passed", "failed") for r in terminalreporter.getreports(status) if r.when == "call"]
    functions = {report.nodeid.partition("[")[0].partition("@")[0] for report in reports}
    terminalreporter.write_line(f"{len(functions)} test functions in {len(reports)} cases")
