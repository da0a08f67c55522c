"""tools/seeds.py trains, measures, and goes on where it was."""

import runpy
from pathlib import Path

import pytest

from genie_lite.evaluation import Interval, Report

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "seeds.py"))


def test_two_seeds_of_tiny_are_trained_once_and_measured(tmp_path, capsys, monkeypatch):
    command = ["--preset", "tiny", "--seeds", "0", "1", "--clips", "4", "--out", str(tmp_path)]
    command += ["--set", "training.tokenizer.steps=2", "--set", "training.latent_action.steps=2"]
    assert TOOL["main"]([*command, "--set", "training.dynamics.steps=2"]) == 0
    first = capsys.readouterr().out
    rows = [line for line in first.splitlines() if line.startswith(("| 0 |", "| 1 |", "| minimum |"))]
    assert len(rows) == 3 and rows[0] != rows[1].replace("| 1 |", "| 0 |")
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert TOOL["main"]([*command, "--set", "training.dynamics.steps=2"]) == 0
    assert capsys.readouterr().out == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == written


@pytest.mark.parametrize("delta, verdict", [(3.0, "Every seed meets"), (1.0, "Below the requirement: ΔtPSNR, dB.")])
def test_the_table_names_what_is_short(tmp_path, delta, verdict):
    metrics = {
        "action_least_share": 0.05,
        "motion_left_right_accuracy": 0.7,
        "motion_up_down_accuracy": 0.8,
        "motion_both_information": 0.9,
        "env_motion_both_information": 0.5,
        "delta_psnr": delta,
    }
    curve = [Interval(x, x, x) for x in (0.0, *[2.5] * 7, 0.0)]  # t = 1 and t = 9 do not count
    report = Report({k: Interval(v, v, v) for k, v in metrics.items()}, curves={"rollout over copying": curve})
    for stage in TOOL["COURSE_STAGES"]:
        (tmp_path / "seed-3" / stage).mkdir(parents=True)
        (tmp_path / "seed-3" / stage / "log.csv").write_text("step,minutes\n10,1.5\n")
    text = TOOL["table"]({3: report}, tmp_path)
    assert verdict in text
    assert "1.5 + 1.5 + 1.5" in text
