"""tools/games.py measures a world on other games, adapts it, and goes on where it was."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genie_lite.api import Genie
from genie_lite.config import load_config
from genie_lite.data import data_folder, procgen_available
from genie_lite.data.procgen_games import GAMES
from genie_lite.evaluation import measure_motion, probe

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "games.py"))
needs_procgen = pytest.mark.skipif(not procgen_available(), reason="procgen has no wheel for this Python or platform")


class Scroll:
    """Videos of noise that scrolls sideways, as a dataset; the true shift can be read from the first pixel."""

    def __init__(self, clips: int) -> None:
        rng = np.random.default_rng(0)
        scene = rng.integers(0, 256, (64, 400, 3), dtype=np.uint8)
        self.steps = rng.choice([-3, 0, 3], (clips, TOOL["LENGTH"] - 1))
        places = 200 + np.cumsum(np.pad(self.steps, ((0, 0), (1, 0))), axis=1)
        self.videos = np.stack([[scene[:, x : x + 64] for x in row] for row in places])
        self.path, self.attributes = "scroll", {}

    def clip_starts(self, length: int, stride: int = 1) -> np.ndarray:
        return np.arange(len(self.videos)) * 100  # far apart

    def read_clips(self, starts: np.ndarray, length: int, stride: int = 1) -> np.ndarray:
        return self.videos[np.asarray(starts) // 100]


class Renaming:
    """Codes that tell the motion sideways exactly, under names of its own."""

    num_latent_actions = 3

    def __init__(self, names: list[int]) -> None:
        self.names = np.array(names)

    def infer_actions(self, frames: np.ndarray) -> np.ndarray:
        return self.names[measure_motion(frames).left_right()]


def test_meanings_that_carry_over_are_told_from_meanings_that_do_not() -> None:
    videos = {"coinrun": Scroll(24), "ninja": Scroll(24)}
    meanings = {"left_right": [0, 1, 2], "up_down": [1, 1, 1]}
    same = TOOL["transferred"](Renaming([0, 1, 2]), videos, meanings, 24)
    other = TOOL["transferred"](Renaming([2, 1, 0]), videos, meanings, 24)
    assert same["ninja"]["left_right"] == [1, 1, 1]
    assert other["ninja"]["left_right"][2] < 0.5
    assert "up_down" not in same["ninja"], "nothing moves up or down, so there is nothing to tell"


def test_an_axis_along_which_nothing_varies_has_no_score() -> None:
    rng = np.random.default_rng(0)
    codes, classes = rng.integers(3, size=(40, 8)), rng.integers(3, size=(40, 8))
    assert {"information", "accuracy"} <= set(TOOL["plain"](probe(codes, classes, num_codes=3, num_classes=3)))
    still = TOOL["plain"](probe(codes, np.where(classes == 0, 1, 1), num_codes=3, num_classes=3))
    assert still["class_shares"] == [0, 1, 0] and "accuracy" not in still


@needs_procgen
def test_the_study_runs_at_tiny_sizes_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    Genie(load_config("tiny")).save(tmp_path / "world")
    arguments = ["--world", str(tmp_path / "world"), "--preset", "tiny", "--out", str(tmp_path / "out")]
    arguments += ["--clips", "6", "--train-frames", "320", "--test-frames", "320", "--no-progress"]
    arguments += ["--arms", "adapted", "scratch", "several"]
    arguments += ["--tokenizer-steps", "2", "--latent-action-steps", "2", "--dynamics-steps", "2"]
    arguments += ["--several-steps", "2"]
    assert TOOL["main"](arguments) == 0
    first = capsys.readouterr().out
    assert "| lam_gain | several " in first and "| delta_psnr | adapted " in first
    results: dict[str, Any] = json.loads((tmp_path / "out" / "games.json").read_text())["results"]
    assert set(results["shipped"]) == set(results["several"]) == set(GAMES)
    assert set(results["adapted"]) == set(results["scratch"]) == {"ninja"}
    difference = results["adapted"]["ninja"]["delta_psnr"][0] - results["scratch"]["ninja"]["delta_psnr"][0]
    assert results["adapted_minus_scratch"]["delta_psnr"][0] == pytest.approx(difference)
    assert all(results["minutes"][name] > 0 for name in ("adapted dynamics", "several latent_action"))
    assert (tmp_path / "out" / "held.png").is_file() and (tmp_path / "out" / "rollouts.png").is_file()

    def again(*arguments: Any, **named: Any) -> None:
        raise AssertionError("trained or measured again")

    for name in ("train_genie", "train_tokenizer", "measure"):
        monkeypatch.setitem(TOOL["main"].__globals__, name, again)
    assert TOOL["main"](arguments) == 0
    assert capsys.readouterr().out == first


def test_the_results_that_ship_are_those_of_all_games() -> None:
    study = json.loads((data_folder() / "games" / "never_seen.json").read_text())
    assert set(study["results"]["shipped"]) == set(GAMES)
    for arm in ("shipped", "adapted", "scratch"):
        for name in ("tokenizer_psnr", "delta_psnr", "rollout_gain", "lam_gain"):
            value, low, high = study["results"][arm]["ninja"][name]
            assert low <= value <= high
