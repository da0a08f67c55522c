"""A run whose codebook dies says so, once for each fall, with what was found, what was wanted and what to do."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from genie_lite import load_config
from genie_lite.api import Genie
from genie_lite.config import CodebookConfig, StageConfig
from genie_lite.data import FrameDataset, sample_dataset
from genie_lite.nn import VectorQuantizer
from genie_lite.training import train_genie
from genie_lite.training.codebook_monitor import GRACE, CollapseWatch, shortage


class Run:
    """A quantizer of six codes in training, whose choices a test makes; `look` as the loop does, after each batch."""

    def __init__(self, restart_after: int = 0) -> None:
        config = CodebookConfig(num_codes=6, latent_dim=8, decay=0.9, restart_after=restart_after)
        self.book = VectorQuantizer(config).train()
        (self.watch,) = CollapseWatch.over(torch.nn.ModuleDict({"q": self.book}), "latent action", StageConfig())
        self.step = GRACE

    def choose(self, *codes: int, count: int = 600) -> str | None:
        with torch.no_grad():
            self.book(self.book.codebook[torch.tensor(codes).repeat(-(-count // len(codes)))])
        self.step += 10
        return self.watch.look(self.step)


def test_a_collapse_is_told_once_and_again_only_after_a_recovery() -> None:
    run = Run()
    assert run.choose(0, 1, 2, 3, 4, 5) is None
    told = run.choose(3)
    assert told is not None
    for words in ("latent action, step 120", "1.0 of 6", "wanted 1.5 or more", "restart_after to 20", "max_lr (found"):
        assert words in told
    assert run.choose(3) is None and run.choose(3) is None
    assert run.choose(0, 1, 2, 3, 4, 5) is None
    assert run.choose(3) is not None


def test_hovering_at_the_edge_is_one_fall() -> None:
    run = Run()
    assert run.choose(0) is not None
    assert run.choose(*[0] * 5, 1) is None  # 1.57 codes: more than was wanted, and no recovery
    assert run.choose(0) is None


def test_a_single_dead_code_of_a_small_codebook_is_missed() -> None:
    told = Run().choose(0, 1, 2, 3, 5)
    assert told is not None and "code 4 chosen in 0.0% of cases, wanted 0.8% or more" in told


def test_a_large_codebook_may_have_dead_codes() -> None:
    shares = torch.zeros(1024).double()
    shares[:300] = 1 / 300
    assert shortage(shares) is None
    assert "found 200.0 of 1024" in str(shortage(torch.cat([torch.full((200,), 1 / 200), torch.zeros(824)]).double()))


def test_the_beginning_and_few_choices_are_not_judged() -> None:
    run = Run()
    run.step = GRACE - 20
    assert run.choose(0) is None
    assert run.choose(0, count=200) is None, "200 choices are too few for six codes"
    assert run.choose(0, count=200) is not None


def test_what_is_not_training_is_not_counted() -> None:
    run = Run()
    run.book.eval()
    assert run.choose(0) is None
    run.book.train()
    run.watch.close()
    assert run.choose(0) is None


def test_codes_that_restart_again_and_again_do_not_look_alive() -> None:
    """All latents alike: restarts put every code on the same point, where one is chosen; `usage` is misled by them."""
    run, found = Run(restart_after=1), []
    for _ in range(20):
        with torch.no_grad():
            run.book(torch.ones(600, 8))
        run.step += 10
        found.append(run.watch.look(run.step))
    assert run.book.perplexity() > 3
    assert [told is not None for told in found].index(True) < 5
    assert "restart sooner (found codebook.restart_after 1)" in str(next(told for told in found if told))


def test_a_codebook_of_one_has_nothing_to_lose() -> None:
    assert (
        CollapseWatch.over(VectorQuantizer(CodebookConfig(num_codes=1, latent_dim=8)), "latent action", StageConfig())
        == []
    )


# ------------------------------------------------------------------------------------------------- in real runs


@pytest.fixture(scope="module")
def dataset() -> FrameDataset:
    return sample_dataset("train")


LONGER = {"training.latent_action.steps": 150, "training.latent_action.sample_every": 0}
PLAIN = {
    "model.latent_action.codebook.restart_after": 0,
    "model.latent_action.residual_output": False,
    "model.latent_action.difference_input": False,
}


def warnings_of(overrides: dict, dataset: FrameDataset, folder: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    config = load_config("tiny", {**LONGER, **overrides})
    with caplog.at_level(logging.WARNING, logger="genie_lite.training"):
        train_genie(config, dataset, folder, tokenizer=Genie(config), parts=("latent_action",), progress=False)
    return [record.getMessage() for record in caplog.records]


def test_a_run_that_collapses_says_so(dataset, tmp_path, caplog) -> None:
    told = warnings_of(PLAIN, dataset, tmp_path, caplog)
    assert len(told) == 1
    assert "latent action, step 1" in told[0] and "codebook.restart_after" in told[0]


def test_a_run_that_keeps_its_codes_says_nothing(dataset, tmp_path, caplog) -> None:
    assert warnings_of({}, dataset, tmp_path, caplog) == []
