"""The shell's commands do what the package does, and what cannot be done ends in one line and exit status 2."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genie_lite
from genie_lite import cli, config, data, evaluation, training
from genie_lite.api import Genie
from genie_lite.play import Controller


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained tiny Genie's checkpoint."""
    return Genie(config.load_config("tiny")).save(tmp_path_factory.mktemp("world") / "checkpoint")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with train.zarr and test.zarr: 3 episodes of 40 frames of noise."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        episodes = [rng.integers(0, 256, (40, 64, 64, 3), dtype=np.uint8) for _ in range(3)]
        data.write_dataset(tmp_path / "videos" / f"{split}.zarr", episodes)
    return tmp_path / "videos"


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail and return its error, which is one line."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("genie-lite: ") and captured.err.count("\n") == 1, captured.err
    return captured.err


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must succeed and return what it printed."""
    assert cli.main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


# ------------------------------------------------------------------------------------------------- what works


def test_presets_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "presets").split() == genie_lite.presets()


def test_params_counts_what_a_real_model_has_without_making_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines = dict(line.split() for line in said(capsys, "params", "tiny").splitlines())
    genie = Genie(config.load_config("tiny"))
    assert int(lines["dynamics"].replace(",", "")) == sum(p.numel() for p in genie.dynamics.parameters())
    together = sum(int(lines[name].replace(",", "")) for name in ("tokenizer", "latent_action", "dynamics"))
    assert int(lines["together"].replace(",", "")) == together


def test_params_of_a_huge_preset_needs_no_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert int(said(capsys, "params", "paper").split()[-1].replace(",", "")) > 1e6


def test_set_changes_settings(capsys: pytest.CaptureFixture[str]) -> None:
    def dynamics(*options: str) -> int:
        return int(said(capsys, "params", "tiny", *options).splitlines()[2].split()[1].replace(",", ""))

    assert dynamics("--set", "model.dynamics.transformer.num_layers=9") > dynamics()


def test_collect_passes_everything_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, videos: Path, tmp_path: Path
) -> None:
    asked = []

    def collect(settings: config.DataConfig, path: Path, split: str, frames: int | None) -> data.FrameDataset:
        asked.append((settings.num_envs, path.name, split, frames))
        return data.open_dataset(videos / f"{split}.zarr")

    monkeypatch.setattr(data, "collect", collect)
    out = said(capsys, "collect", "--preset", "tiny", "--out", tmp_path, "--frames", 70, "--set", "data.num_envs=3")
    assert asked == [(3, "train.zarr", "train", 70), (3, "test.zarr", "test", 70)]
    assert "120 frames of 64 x 64 in 3 episodes" in out
    said(capsys, "collect", "--preset", "tiny", "--out", tmp_path, "--split", "test")
    assert [call[2] for call in asked[2:]] == ["test"]


def test_data_check_tells_sound_from_damaged(capsys: pytest.CaptureFixture[str], videos: Path) -> None:
    assert "no problems" in said(capsys, "data", "check", videos / "train.zarr")
    chunk = next(path for path in sorted((videos / "train.zarr" / "frames").rglob("*")) if path.name[0].isdigit())
    chunk.write_bytes(chunk.read_bytes()[:20])
    assert cli.main(["data", "check", str(videos / "train.zarr")]) == 1
    assert "1 problem found" in capsys.readouterr().out


def test_data_sample_shows_and_copies(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, videos: Path, tmp_path: Path
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "coinrun").symlink_to(videos)
    monkeypatch.setenv("GENIE_LITE_DATA", str(shipped))
    assert said(capsys, "data", "sample").count("120 frames") == 2
    said(capsys, "data", "sample", "--out", tmp_path / "copy")
    assert data.open_dataset(tmp_path / "copy" / "test.zarr").num_frames == 120
    assert "exists already" in refused(capsys, "data", "sample", "--out", tmp_path / "copy")


def test_stages_follow_each_other_in_one_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, videos: Path, tmp_path: Path
) -> None:
    """Training itself has tests of its own; here: who is called with what, and what is refused."""
    calls = []

    def trained(run_dir: Path, *rest: object) -> None:
        calls.append((run_dir.relative_to(tmp_path).as_posix(), *rest))
        Genie(config.load_config("tiny")).save(run_dir / "checkpoint")
        (run_dir / "state").mkdir(exist_ok=True)

    def tokenizer(
        settings: config.Config, videos: data.FrameDataset, run_dir: Path, *, start: Genie | None, tensorboard: bool
    ) -> None:
        trained(run_dir, settings.training.tokenizer.steps, videos.num_frames, tensorboard)

    def genie(
        settings: config.Config, videos: data.FrameDataset, run_dir: Path, *, tokenizer: Genie, parts: tuple[str, ...],
        start: Genie | None, tensorboard: bool,
    ) -> None:  # fmt: skip
        assert isinstance(tokenizer, Genie)
        trained(run_dir, parts, *([type(start)] if start else []))

    monkeypatch.setattr(training, "train_tokenizer", tokenizer)
    monkeypatch.setattr(training, "train_genie", genie)
    common = ("--preset", "tiny", "--data", videos, "--run", tmp_path / "run")
    assert "train tokenizer with this --run first" in refused(capsys, "train", "genie", *common)
    assert "run/tokenizer/checkpoint" in said(
        capsys, "train", "tokenizer", *common, "--set", "training.tokenizer.steps=7", "--tensorboard"
    )
    assert "--resume" in refused(capsys, "train", "tokenizer", *common)
    said(capsys, "train", "tokenizer", *common, "--resume")
    said(capsys, "train", "genie", *common)
    assert "train latent_action with this --run first" in refused(capsys, "train", "dynamics", *common)
    said(capsys, "train", "latent_action", *common)
    world = tmp_path / "run" / "genie" / "checkpoint"
    said(capsys, "train", "dynamics", *common, "--base", world, "--start", world)
    assert calls[0] == ("run/tokenizer", 7, 120, True)
    assert calls[2:] == [
        ("run/genie", ("latent_action", "dynamics")),
        ("run/latent_action", ("latent_action",)),
        ("run/dynamics", ("dynamics",), Genie),
    ]


def test_evaluate_writes_a_table_and_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, world: Path, videos: Path, tmp_path: Path
) -> None:
    asked = {}

    def evaluate(genie: Genie, dataset: data.FrameDataset, **options: int) -> evaluation.Report:
        asked.update(options, path=Path(dataset.path).name)
        return evaluation.Report({"psnr": evaluation.Interval(20.0, 19.0, 21.0)})

    monkeypatch.setattr(evaluation, "evaluate_genie", evaluate)
    file = tmp_path / "report.json"
    out = said(capsys, "evaluate", world, "--data", videos, "--clips", 5, "--frames", 9, "--stride", 2, "--json", file)
    assert asked == {"clips": 5, "frames": 9, "stride": 2, "maskgit_steps": None, "path": "test.zarr"}
    assert "20.0" in out
    assert json.loads(file.read_text())["metrics"]["psnr"]["value"] == 20.0
    said(capsys, "evaluate", world, "--data", videos, "--fvd-weights", "i3d.pt", "--fvd-sha256", "ab12")
    assert (asked["fvd_weights"], asked["fvd_sha256"]) == ("i3d.pt", "ab12")


def test_evaluate_can_test_play_instead(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    asked = {}

    def play_test(genie: Genie, controller: Controller, **options: object) -> evaluation.PlayTest:
        asked.update(options)
        row = {"world": evaluation.Interval(0.5, 0.4, 0.6)}
        return evaluation.PlayTest({"gap": row}, strips={"jump": np.zeros((2, 4, 8, 8, 3), np.uint8)})

    monkeypatch.setattr(evaluation, "play_test", play_test)
    genie = genie_lite.load(world)
    genie.card["actions"] = [{"dx": 0.0, "dy": 0.0, "share": 1.0}] * genie.num_latent_actions
    genie.save(tmp_path / "described")
    options = (
        "--play",
        "--quick",
        "--frames",
        20,
        "--json",
        tmp_path / "play.json",
        "--filmstrips",
        tmp_path / "strips",
        "--maskgit-steps",
        3,
    )
    assert "0.50 [0.40, 0.60]" in said(capsys, "evaluate", tmp_path / "described", *options)
    assert asked == {"frames": 20, "quick": True, "maskgit_steps": 3}
    assert json.loads((tmp_path / "play.json").read_text())["table"]["gap"]["world"] == [0.5, 0.4, 0.6]
    assert (tmp_path / "strips" / "jump.png").is_file()
    assert "--data" in refused(capsys, "evaluate", world)


def test_play_saves_one_frame_an_action_after_the_prompt(
    capsys: pytest.CaptureFixture[str], world: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (80, 60, 3), dtype=np.uint8)).save(tmp_path / "prompt.png")
    out = tmp_path / "world.gif"
    said(capsys, "play", world, "--actions", "0,0,1", "--out", out, "--prompt", tmp_path / "prompt.png",
         "--maskgit-steps", 2)  # fmt: skip
    with Image.open(out) as video:
        assert video.n_frames == 4


# --------------------------------------------------------------------------------------------- what is refused


def test_errors_are_one_clean_line(
    capsys: pytest.CaptureFixture[str], world: Path, videos: Path, tmp_path: Path
) -> None:
    assert "'laptob'" in refused(capsys, "params", "laptob")
    assert "training.speed" in refused(capsys, "params", "tiny", "--set", "training.speed=3")
    assert "'no-such-world'" in refused(capsys, "play", "no-such-world", "--actions", 0)
    assert "99" in refused(capsys, "play", world, "--actions", "99", "--prompt", picture(tmp_path))
    assert "no-videos" in refused(capsys, "evaluate", world, "--data", tmp_path / "no-videos")


def picture(folder: Path) -> Path:
    Image.new("RGB", (64, 64), "teal").save(folder / "teal.png")
    return folder / "teal.png"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], "{doctor, presets, params"),
        (["fly"], "fly"),
        (["train", "everything", "--data", "x", "--run", "y"], "'everything'"),
        (["collect", "--out", "x", "--frames", "many"], "--frames"),
        (["collect", "--out", "x", "--frames", "0"], "frames: found 0, wanted 1 or more"),
        (["play", "laptop", "--actions", "0", "--seed", "-1"], "seed: found -1, wanted 0 or more"),
        (["train", "tokenizer", "--data", "x"], "--run"),
        (["train", "tokenizer", "--data", "x", "--run", "y", "--sppeed", "3"], "--sppeed"),
    ],
)
def test_unknown_commands_and_options_are_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["params", "tiny", "--set", "steps"], "wanted key=value"),
        (["params", "tiny", "--set", "data.seed={"], "data.seed: found '{', wanted a YAML value"),
        (["params", "tiny", "--set", "data.seed=0", "--set", "data.num_envs=0"], "data.num_envs: found 0, wanted 1 or"),
        (["play", "laptop", "--actions", "left"], "wanted latent actions"),
    ],
)
def test_values_that_do_not_fit_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: str
) -> None:
    assert wanted in refused(capsys, *arguments)


def test_help_says_what_every_option_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["params"], ["collect"], ["data", "check"], ["data", "sample"], ["train"], ["evaluate"], ["play"]):
        with pytest.raises(SystemExit) as stopped:
            cli.main([*words, "--help"])
        assert stopped.value.code == 0
        text = capsys.readouterr().out.replace("│", " ")
        bare = re.findall(r"^ *(--[\w-]+)(?: \S+)?\s*\((?:default|required)", text, re.MULTILINE)
        assert not bare, f"{words}: no help for {bare}"


def test_traceback_shows_where_an_error_arose() -> None:
    with pytest.raises(config.ConfigError):
        cli.main(["--traceback", "params", "laptob"])


def test_a_bug_is_not_dressed_up_as_a_mistake_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise TypeError("a bug")

    monkeypatch.setattr(cli, "presets", broken)
    with pytest.raises(TypeError):
        cli.main(["presets"])


@pytest.mark.parametrize("command", ["collect", "train"])
def test_ctrl_c_tells_what_was_saved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, videos: Path, tmp_path: Path, command: str
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "collect", interrupted)
    monkeypatch.setattr(training, "train_tokenizer", interrupted)
    place = tmp_path / "here"
    said_to_it = {
        "collect": ["collect", "--preset", "tiny", "--out", str(place)],
        "train": ["train", "tokenizer", "--preset", "tiny", "--data", str(videos), "--run", str(place)],
    }[command]
    assert cli.main(said_to_it) == 130
    error = capsys.readouterr().err
    assert str(place) in error and "continues from there" in error


def test_doctor_ends_in_1_when_something_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GENIE_LITE_DATA", str(tmp_path))
    assert cli.main(["doctor"]) == 1
    assert "Missing: sample, checkpoint" in capsys.readouterr().out


def test_help_and_presets_import_neither_torch_nor_zarr() -> None:
    """The shell answers at once: heavy packages are imported by the commands that need them."""
    program = (
        "import sys; from genie_lite import cli; cli.main(['presets']); print({'torch', 'zarr'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    assert out.splitlines()[-1] == "set()"
