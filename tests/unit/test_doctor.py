"""doctor names whatever is missing, says what follows, and never raises."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

import genie_lite
from genie_lite import machine
from genie_lite.diagnostics import Report, examine


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No timing, and a data folder with everything in it; the tests take things away."""
    monkeypatch.setattr(machine, "teraflops", lambda dtype, device: {"float32": 0.1, "bfloat16": 0.4}[dtype])
    for split in ("train", "test"):
        (tmp_path / "coinrun" / f"{split}.zarr").mkdir(parents=True)
    (tmp_path / "checkpoints" / "laptop").mkdir(parents=True)
    (tmp_path / "checkpoints" / "laptop" / "config.json").write_text("{}")
    monkeypatch.setenv("GENIE_LITE_DATA", str(tmp_path))
    return tmp_path


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> Report:
    """The report of an environment without some modules or packages."""
    installed, version = machine.installed, machine.version
    monkeypatch.setattr(machine, "installed", lambda module: module not in names and installed(module))
    monkeypatch.setattr(machine, "version", lambda package: None if package in names else version(package))
    return examine()


def on(monkeypatch: pytest.MonkeyPatch, python: tuple[int, int], system: str, architecture: str) -> None:
    monkeypatch.setattr(sys, "version_info", (*python, 0))
    monkeypatch.setattr(platform, "python_version", lambda: f"{python[0]}.{python[1]}.0")
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: architecture)


def test_doctor_may_be_asked_again_and_again() -> None:
    # The function and the module share a name; importing the module must not take the function's place.
    assert isinstance(genie_lite.doctor(), Report)
    assert isinstance(genie_lite.doctor(), Report)


def test_a_complete_machine_is_ok_and_every_line_says_what_it_means() -> None:
    report = examine()
    assert report.ok, report
    assert all(finding.found and finding.meaning for finding in report.findings)
    for finding in report.findings:
        assert finding.name in repr(report)


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("torch", "torch"),
        ("av", "videos"),
        ("zarr", "sample"),
        ("numcodecs", "sample"),
        ("jupyterlab", "jupyterlab"),
        ("ipywidgets", "ipywidgets"),
        ("anywidget", "anywidget"),
    ],
)
def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, package: str, line: str) -> None:
    report = without(monkeypatch, package)
    assert not report.ok
    assert report[line].status == "missing"
    assert "pip install" in report[line].meaning
    assert line in repr(report).splitlines()[-1]


def test_an_old_torch_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "version", lambda package: "2.8.1+cpu")
    assert examine()["torch"].status == "missing"


@pytest.mark.parametrize("python", [(3, 10), (3, 15)])
def test_an_unsupported_python_is_missing(monkeypatch: pytest.MonkeyPatch, python: tuple[int, int]) -> None:
    on(monkeypatch, python, "Linux", "x86_64")
    assert examine()["Python"].status == "missing"


@pytest.mark.parametrize(
    ("python", "system", "architecture", "distribution"),
    [
        ((3, 12), "Darwin", "arm64", None),
        ((3, 11), "Linux", "x86_64", "procgen-mirror"),
        ((3, 12), "Linux", "x86_64", "procgen-mirror"),
        ((3, 11), "Windows", "AMD64", None),
        ((3, 12), "Linux", "aarch64", None),
        ((3, 13), "Linux", "x86_64", "procgen-gym"),
        ((3, 13), "Windows", "AMD64", None),
        ((3, 14), "Linux", "x86_64", None),
    ],
)
def test_no_procgen_is_a_note_that_tells_why_and_what_still_works(
    monkeypatch: pytest.MonkeyPatch, python: tuple[int, int], system: str, architecture: str, distribution: str | None
) -> None:
    on(monkeypatch, python, system, architecture)
    assert machine.procgen_distribution() == distribution
    finding = without(monkeypatch, "procgen", "procgen_gym")["procgen"]
    assert finding.status == "note"
    assert (distribution or architecture) in finding.found
    assert "videos that ship" in finding.meaning


def test_markers_of_the_dependencies_agree_with_doctor(repository: Path) -> None:
    """pyproject.toml installs procgen exactly where doctor says that there is a wheel."""
    requirements = pytest.importorskip("packaging.requirements")
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    wanted = [requirements.Requirement(text) for text in project["dependencies"]]
    platforms = {"linux": ("Linux", ("x86_64", "aarch64")), "win32": ("Windows", ("AMD64", "ARM64")),
                 "darwin": ("Darwin", ("x86_64", "arm64"))}  # fmt: skip
    for minor in (11, 12, 13, 14):
        for sys_platform, (system, architectures) in platforms.items():
            for architecture in architectures:
                here = {"python_version": f"3.{minor}", "sys_platform": sys_platform, "platform_machine": architecture}
                chosen = {r.name for r in wanted if r.marker and r.marker.evaluate(here)}
                with pytest.MonkeyPatch.context() as patch:
                    on(patch, (3, minor), system, architecture)
                    distribution = machine.procgen_distribution()
                companions = {"numpy"} if distribution == "procgen-mirror" else set()
                assert chosen == ({distribution, *companions} if distribution else set()), (here, chosen)


def test_missing_videos_and_checkpoint_are_named(quick: Path) -> None:
    (quick / "coinrun" / "test.zarr").rmdir()
    (quick / "checkpoints" / "laptop" / "config.json").unlink()
    report = examine()
    assert report["sample"].status == "missing" and report["sample"].found.startswith("test ")
    assert report["checkpoint"].status == "missing"
    assert "GENIE_LITE_DATA" in report["sample"].meaning and "GENIE_LITE_DATA" in report["checkpoint"].meaning


def test_no_native_bfloat16_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genie_lite.nn.precision.native_bfloat16", lambda device: False)
    finding = examine()["bfloat16"]
    assert finding.status == "note" and "float32" in finding.meaning


def test_native_bfloat16_tells_how_much_faster_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genie_lite.nn.precision.native_bfloat16", lambda device: True)
    finding = examine()["bfloat16"]
    assert finding.status == "ok" and "4.0 times" in finding.found


def test_no_gpu_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert examine()["GPU"].status == "note"


def test_few_cores_and_little_memory_are_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 1)
    monkeypatch.setattr(machine, "memory_gigabytes", lambda: 2.0)
    report = examine()
    assert report["cores"].status == report["memory"].status == "note"
    monkeypatch.setattr(machine, "memory_gigabytes", lambda: None)
    assert examine()["memory"].found == "unknown"


def test_a_container_limit_counts_as_the_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "CONTAINER_MEMORY", limit)
    limit.write_text(f"{2**28}\n")
    assert machine.memory_gigabytes() == 0.25
    limit.write_text("max\n")
    assert machine.memory_gigabytes() > 0.25


def test_no_chromium_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.find_chromium() is None
    assert examine()["Chromium"].status == "note"
    browser = tmp_path / "google-chrome"
    browser.touch(mode=0o755)
    assert machine.find_chromium() == str(browser)


def test_a_package_that_is_not_there_has_no_version() -> None:
    assert machine.version("numpy") == metadata.version("numpy")
    assert machine.version("no-such-package-of-genie-lite") is None
    assert not machine.installed("no_such_module_of_genie_lite")


def test_an_unknown_line_is_a_clear_key_error() -> None:
    with pytest.raises(KeyError, match="'ffmpeg': not in the report, which has Python"):
        examine()["ffmpeg"]
