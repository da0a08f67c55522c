"""What a learner wrote is trained if it passes its check, and packaged solutions train the numbers of the package."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import genie_lite
from genie_lite import course, load_config
from genie_lite.api import Genie
from genie_lite.config import TransformerConfig
from genie_lite.course.checking import get_solution
from genie_lite.course.parts.nb07 import Measures
from genie_lite.course.yours import Yours, replace_method
from genie_lite.data import sample_dataset
from genie_lite.nn import STTransformer
from genie_lite.training import train_genie, train_tokenizer

TOKENIZER = ("03.2", "03.3", "03.4")


def solutions(*names: str) -> dict[str, Callable]:
    return {name: get_solution(name).answer for name in names}


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def counted(yours: Yours) -> tuple[Yours, dict[str, int]]:
    """The same answers, and how often each has been called."""
    calls = dict.fromkeys(yours.answers, 0)

    def count(name: str, answer: Callable) -> Callable:
        def run(*arguments: object) -> object:
            calls[name] += 1
            return answer(*arguments)

        return run

    return Yours({name: count(name, answer) for name, answer in yours.answers.items()}), calls


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines that a notebook would show."""
    lines: list[str] = []
    monkeypatch.setattr("genie_lite.course.yours.say", lambda markdown, plain: lines.append(plain))
    return lines


def tokenizer(folder: Path, yours: Yours) -> Genie:
    """A tokenizer trained for some steps, in which codes restart."""
    changes = {"training.tokenizer.steps": 12, "model.tokenizer.codebook.restart_after": 2}
    return train_tokenizer(load_config("tiny", changes), sample_dataset("train"), folder, prepare=yours, progress=False)


def test_the_solutions_of_notebook_03_train_the_numbers_of_the_package(tmp_path: Path, told: list[str]) -> None:
    package = tokenizer(tmp_path / "package", course.use(dict.fromkeys(TOKENIZER)))
    yours, called = counted(course.use(solutions(*TOKENIZER)))
    own = tokenizer(tmp_path / "own", yours)
    assert same_weights(package, own)
    assert called["03.2"] >= 12 and called["03.3"] >= 12 and called["03.4"] == 12
    assert own.tokenizer.quantizer.idle_steps.max() <= 2, "codes have restarted, all of them alike"
    assert "· yours:" not in told[0] and "the package's" not in told[1]


@pytest.mark.parametrize("window", [1, 3, 16])
def test_the_solutions_of_notebook_02_compute_what_the_package_does(window: int) -> None:
    config = TransformerConfig(num_layers=2, d_model=16, num_heads=2, qk_size=6, v_size=4)
    package = STTransformer(config, window)
    for weight in package.parameters():
        nn.init.normal_(weight, std=0.3)
    own = copy.deepcopy(package)
    yours, called = counted(Yours(solutions("02.2", "02.3", "02.4")))
    yours(own)
    x = torch.randn(2, 7, 5, 16)
    for model in (package, own):
        model(x).square().mean().backward()
    assert torch.equal(package(x), own(x))
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(package.parameters(), own.parameters(), strict=True))
    assert called == {"02.2": 4, "02.3": 4, "02.4": 4}


@pytest.mark.parametrize("kind", ["paper", "extended", "complete"])
def test_the_solutions_of_notebook_05_train_the_numbers_of_the_package(kind: str, tmp_path: Path) -> None:
    """In the dynamics model of the paper and in both variants, which count other tokens."""
    changes = {"paper": {}, "extended": {"loss_share": 0.5}, "complete": {"past": "complete"}}[kind]
    config = load_config("tiny", {f"model.dynamics.{name}": value for name, value in changes.items()})
    base, dataset = Genie(config), sample_dataset("train")
    yours, called = counted(Yours(solutions("05.1", "05.2")))
    trained = [
        train_genie(config, dataset, tmp_path / name, tokenizer=base, parts=("dynamics",), prepare=part, progress=False)
        for name, part in (("package", None), ("own", yours))
    ]
    assert same_weights(*trained)
    assert called == {"05.1": 8, "05.2": 8}


@pytest.mark.parametrize("kind", ["paper", "extended", "shift"])
def test_the_solution_of_notebook_04_trains_the_numbers_of_the_package(kind: str, tmp_path: Path) -> None:
    changes = {
        "paper": {"difference_input": False, "residual_output": False},
        "extended": {},
        "shift": {"shift": 16, "motion_input": True},
    }[kind]
    config = load_config("tiny", {f"model.latent_action.{name}": value for name, value in changes.items()})
    base, dataset = Genie(config), sample_dataset("train")
    yours, called = counted(Yours(solutions("04.1")))
    trained = [
        train_genie(
            config, dataset, tmp_path / name, tokenizer=base, parts=("latent_action",), prepare=part, progress=False
        )
        for name, part in (("package", None), ("own", yours))
    ]
    assert same_weights(*trained)
    assert called["04.1"] >= 8


@pytest.mark.parametrize("ordering", ["random", "confidence"])
@pytest.mark.parametrize(("temperature", "min_p"), [(0.0, 0.0), (1.0, 0.0), (1.0, 0.2)])
def test_the_step_of_notebook_05_plays_the_frames_of_the_package(
    ordering: str, temperature: float, min_p: float
) -> None:
    genie = genie_lite.load("laptop", device="cpu")
    genie.precision = "float32"
    sampling = dataclasses.replace(genie.config.sampling, ordering=ordering, temperature=temperature, min_p=min_p)
    genie.config = dataclasses.replace(genie.config, sampling=sampling)
    dataset = sample_dataset("test")
    prompt = dataset.read_clips(dataset.clip_starts(2)[[0, 50]], 2)
    yours, called = counted(Yours(solutions("05.3")))
    package = genie.generate(prompt, [[0, 3], [2, 1]], maskgit_steps=6)
    yours(genie)
    assert np.array_equal(genie.generate(prompt, [[0, 3], [2, 1]], maskgit_steps=6), package)
    assert called == {"05.3": 6 * 2 * 2}


def test_the_loop_of_notebook_06_plays_the_frames_of_the_package_within_the_window() -> None:
    genie = genie_lite.load("laptop", device="cpu")
    genie.precision = "float32"
    dataset = sample_dataset("test")
    prompt = dataset.read_clips(dataset.clip_starts(2)[[0, 50]], 2)
    actions, settings = np.array([[0, 3, 6], [2, 1, 4]]), {"maskgit_steps": 3, "seed": 4}
    package = genie.generate(prompt, actions, **settings), genie.generate(prompt[0, 0], actions[0], **settings)
    yours, called = counted(Yours(solutions("06.1")))
    yours(genie)
    assert np.array_equal(genie.generate(prompt, actions, **settings), package[0])
    assert np.array_equal(genie.generate(prompt[0, 0], actions[0], **settings), package[1])
    assert called == {"06.1": 2}


def test_the_loop_of_notebook_06_plays_on_beyond_the_window() -> None:
    torch.manual_seed(0)
    genie = Genie(load_config("tiny", {"model.context_frames": 4}))
    torch.nn.init.normal_(genie.dynamics.to_logits.weight, std=0.3)  # it starts at zero: all tokens alike
    prompt = np.zeros((1, 1, 64, 64, 3), np.uint8)
    seen: list[tuple[int, ...]] = []

    def watched(tokens: torch.Tensor, codes: torch.Tensor, actions: torch.Tensor, window: int, imagine: Callable):
        def look(past: torch.Tensor, leading: torch.Tensor) -> torch.Tensor:
            seen.append((past.shape[1], leading.shape[1]))
            return imagine(past, leading)

        return get_solution("06.1").answer(tokens, codes, actions, window, look)

    Yours({"06.1": watched})(genie.eval())
    video = genie.generate(prompt, [[0, 1, 2, 3, 0, 1]], maskgit_steps=2)
    assert video.shape == (1, 6, 64, 64, 3)
    assert seen == [(1, 1), (2, 2), (3, 3), (3, 3), (3, 3), (3, 3)]
    assert len({frame.tobytes() for frame in video[0]}) == 6, "random numbers differ from frame to frame"


def test_worlds_are_measured_with_what_passes() -> None:
    package, measures = Measures(), Measures()

    def decibels(real: np.ndarray, made: np.ndarray) -> np.ndarray:
        return 10 * np.log10(255**2 / np.square(real.astype(float) - made).mean((-3, -2, -1)))

    course.use({"07.1": decibels, "07.2": lambda *_: 12.0, "07.3": lambda *_: None})(measures)
    assert measures.psnr is decibels
    assert (measures.delta_psnr, measures.probe) == (package.delta_psnr, package.probe)


def test_an_answer_that_trains_differently_leaves_other_weights(tmp_path: Path) -> None:
    def slower(*arguments: object) -> object:
        return get_solution("03.4").answer(*arguments[:6], 0.999, arguments[7])

    package, other = tokenizer(tmp_path / "a", Yours({})), tokenizer(tmp_path / "b", Yours({"03.4": slower}))
    assert not same_weights(package, other)


def test_what_is_wrong_or_missing_is_left_to_the_package(told: list[str]) -> None:
    right = solutions("03.2")["03.2"]
    yours = course.use({"03.2": right, "03.3": lambda z, e: (z, z.sum(), z.sum()), "03.4": lambda *_: None})
    assert dict(yours.answers) == {"03.2": right}
    assert told == [
        "Used here · yours: the nearest code (03.2) · the package's, since yours has not passed its check: straight "
        "through and two losses (03.3) · the package's, since yours is not written yet: the codebook learns (03.4)"
    ]


def test_titles_begin_small_within_a_sentence_but_abbreviations_keep_their_capitals(told: list[str]) -> None:
    course.use({"07.1": None, "07.2": None, "07.3": None})
    (line,) = told
    assert line.endswith("PSNR per frame (07.1), ΔtPSNR of a world (07.2), a probe (07.3)")


def test_an_exercise_that_is_no_part_of_a_stage_is_named() -> None:
    with pytest.raises(course.CourseError, match="03.1"):
        course.use({"03.1": print})
    with pytest.raises(course.CourseError, match="no such exercise"):
        course.use({"03.9": print})


def test_a_copy_of_a_model_uses_its_own_weights() -> None:
    layer = nn.Linear(2, 2)
    replace_method(layer, "forward", lambda self, x: x @ self.weight)
    other = copy.deepcopy(layer)
    nn.init.zeros_(other.weight)
    assert layer(torch.ones(2)).any() and not other(torch.ones(2)).any()
    with pytest.raises(TypeError, match="Linear.weight"):
        replace_method(layer, "weight", print)


def test_a_stage_trained_with_your_code_has_its_own_folder_and_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr("genie_lite.course.lesson.say", lines.append)
    lesson = course.start("tiny", run_dir=tmp_path)
    yours = Yours(solutions("03.2", "03.4"))
    assert lesson.checkpoint("tokenizer") is None
    assert lesson.folder("tokenizer", Yours({})) == lesson.folder("tokenizer")
    for folder, said in (
        (lesson.folder("tokenizer"), "seed 0."),
        (lesson.folder("tokenizer", yours), "seed 0 and your 03.2, 03.4."),
        (lesson.folder("tokenizer"), "seed 0."),
    ):
        own = Genie(load_config("tiny"))
        own.save(folder / "checkpoint")
        assert lesson.checkpoint("tokenizer") == folder / "checkpoint"
        assert same_weights(lesson.stage("tokenizer"), own)
        assert lines[-1].endswith(said)
    assert lesson.checkpoint("latent_action") is None
