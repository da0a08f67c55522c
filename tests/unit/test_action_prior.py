"""The action prior: causal, learnable from frames alone, and stored with its world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import genie_lite
from genie_lite.api import Genie
from genie_lite.config import load_config
from genie_lite.data import sample_dataset
from genie_lite.evaluation.action_choice import action_choice
from genie_lite.models import ActionPriorNetwork
from genie_lite.models.action_prior import FRAMES
from genie_lite.training import train_action_prior
from genie_lite.training.action_prior import STAGE


@pytest.fixture
def genie() -> Genie:
    return Genie(load_config("tiny")).eval()


def test_a_prediction_sees_the_last_frames_and_no_later_one() -> None:
    prior = ActionPriorNetwork(load_config("tiny").model).eval()
    height, width = load_config("tiny").model.frame_size
    frames = torch.rand(2, 12, height, width, 3)
    with torch.no_grad():
        logits = prior(frames)
        changed = frames.clone()
        changed[:, 6] = torch.rand(2, height, width, 3)
        moved = (prior(changed) - logits).abs().amax((0, 2)) > 1e-6
        assert moved.nonzero().flatten().tolist() == list(range(6, 6 + FRAMES + 1))


def test_what_the_past_tells_is_learned_and_the_world_stays_as_it_was(genie: Genie, tmp_path: Path) -> None:
    dataset = sample_dataset("train", genie.frame_size)
    before = {name: tensor.clone() for name, tensor in genie.state_dict().items()}

    def still_or_not(frames: torch.Tensor) -> torch.Tensor:
        """Latent action 1 after frames that changed much, 0 after others: known from the past."""
        moved = torch.nn.functional.pad(frames.diff(dim=1).abs().mean((2, 3, 4)) > 0.04, (1, 0))
        return moved[:, :-1].long()

    genie.latent_action.encode = still_or_not  # type: ignore[method-assign]
    stage = replace(STAGE, steps=150, clips=8, frames=8)
    trained = train_action_prior(genie, dataset, tmp_path / "run", stage=stage, progress=False)
    assert trained is genie
    found = action_choice(genie, sample_dataset("test", genie.frame_size), clips=20)
    assert found["given_past"].value < 0.5 * found["entropy"].value
    assert found["choice"].high < 0.8
    for name, tensor in before.items():
        assert torch.equal(genie.state_dict()[name], tensor), name


def test_a_checkpoint_keeps_the_prior_and_may_lack_one(genie: Genie, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(256, size=(2, 7, *genie.frame_size, 3), dtype=np.uint8)
    genie.save(tmp_path / "without")
    assert not (tmp_path / "without" / "action_prior.safetensors").exists()
    without = Genie.load(tmp_path / "without")
    assert without.action_prior is None
    with pytest.raises(ValueError, match="train_action_prior"):
        action_choice(without, sample_dataset("test", genie.frame_size))

    genie.action_prior_network = ActionPriorNetwork(genie.config.model).eval()
    genie.save(tmp_path / "with", dtype=torch.bfloat16)
    again = Genie.load(tmp_path / "with")
    assert genie.action_prior is not None and again.action_prior is not None
    logs = genie.action_prior.after_each(frames)
    assert logs.shape == (2, 7, genie.num_latent_actions)
    assert np.exp(logs).sum(-1) == pytest.approx(1, abs=1e-3)
    assert genie.action_prior.log_probabilities(frames) == pytest.approx(logs[:, -1], abs=1e-2)
    assert again.action_prior.after_each(frames) == pytest.approx(logs, abs=0.05)


def test_shipped_worlds_load() -> None:
    for name in ("laptop", "coinrun"):
        genie_lite.load(name)
