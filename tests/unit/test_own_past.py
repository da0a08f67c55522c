"""Dynamics models that learn to go on from frames of their own: how these are made, kept, and read."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import genie_lite
from genie_lite import storage
from genie_lite.api import Genie
from genie_lite.config import ConfigError, StageConfig, load_config
from genie_lite.data import FrameDataset, sample_dataset
from genie_lite.inference import rollout
from genie_lite.training import encoded, loop, train_genie
from genie_lite.training import own_past as making
from genie_lite.training.encoded import EncodedVideos, encode_clips, with_guesses
from genie_lite.training.losses import dynamics_losses
from genie_lite.training.own_past import draw_wanted, in_place, own_past, wanted_in_stage

CLIPS, FRAMES = 20, 6
RECIPE = {
    "model.latent_action.shift": 4,
    "model.dynamics.past": "complete",
    "model.dynamics.first_guess": True,
    "training.dynamics.steps": 6,
    "training.dynamics.clips": 2,
    "training.dynamics.frames": FRAMES,
    "training.dynamics.encoded_clips": CLIPS,
    "training.dynamics.own_past": 0.3,
    "sampling.maskgit_steps": 2,
}


@pytest.fixture(scope="module")
def config():
    return load_config("tiny", RECIPE)


@pytest.fixture(scope="module")
def world(config) -> Genie:
    torch.manual_seed(0)
    genie = Genie(config)
    for parameter in [*genie.dynamics.parameters(), *genie.latent_action.parameters()]:
        torch.nn.init.normal_(parameter, std=0.1)  # all weights have a say, also those that begin at zero
    return genie.eval()


@pytest.fixture(scope="module")
def clips(world):
    """Some clips, encoded: tokens and latent actions."""
    dataset = sample_dataset("train")
    frames = torch.from_numpy(dataset.read_clips(dataset.clip_starts(FRAMES)[:300:100], FRAMES)).float() / 255
    return encode_clips(world, frames)


@pytest.fixture
def wherever(monkeypatch):
    """Frames are kept wherever their scene lies: that of a world with random weights lies nowhere."""
    monkeypatch.setattr(making, "in_place", lambda tokenizer, tokens, true: torch.ones(len(true), dtype=torch.bool))


def train(config, folder, base, start):
    videos = sample_dataset("train")
    return train_genie(config, videos, folder, tokenizer=base, start=start, parts=("dynamics",), progress=False)


# ------------------------------------------------------------------------------------------------- making the past


def test_true_frames_come_after_a_few_that_are_the_worlds_own():
    wanted = draw_wanted(500, 9, 3, torch.Generator().manual_seed(0))
    assert not wanted[:, 0].any()
    runs = [{len(run) for run in "".join("01"[int(w)] for w in clip[1:]).split("0") if run} for clip in wanted]
    longest = [max(run) for run in runs]
    assert set(longest) == {1, 2, 3}
    assert {clip.tolist().index(False, 1) for clip in wanted} == {1, 2, 3, 4}, "the next true one comes at any time"


def test_so_many_clips_get_a_past_of_the_worlds_own():
    stage = StageConfig(encoded_clips=200, own_past=0.3)
    assert wanted_in_stage(stage, 200).any(dim=1).sum() == 60
    assert not wanted_in_stage(dataclasses.replace(stage, own_past=0.0), 200).any()
    assert wanted_in_stage(dataclasses.replace(stage, own_past=1.0), 200).any(dim=1).all()
    assert torch.equal(wanted_in_stage(stage, 200), wanted_in_stage(stage, 200))


def test_a_frame_of_its_own_follows_the_frame_before_by_the_clips_action(world, clips, monkeypatch):
    """A stand-in for MaskGIT counts up from the last frame, so that each token tells which true one it came from."""
    tokens, actions = clips.tokens % 50, clips.latent_actions
    vectors = world.latent_action.quantizer.lookup(actions)
    t = 0

    def sample_frame(model, action_vectors, cache, sampling, generator, past, guess, sampler):
        nonlocal t
        assert torch.equal(action_vectors[:, 0], vectors[:, t]) and sampling == world.config.sampling
        t += 1
        return [past[:, 0] + 1]

    monkeypatch.setattr(rollout, "sample_frame", sample_frame)
    monkeypatch.setattr(making, "in_place", lambda tokenizer, tokens, true: torch.tensor([t != 4, True, True]))
    wanted = torch.tensor([[0, 1, 1, 1, 1, 1], [0, 0, 1, 0, 1, 0], [0, 1, 1, 1, 1, 1]]).bool()
    past = own_past(world, tokens, actions, wanted)
    ages = torch.tensor([[0, 1, 2, 3, 0, 1], [0, 0, 1, 0, 1, 0], [0, 1, 2, 3, 4, 5]])  # of the last true frame
    since = torch.arange(FRAMES) - ages
    expected = tokens.gather(1, since[:, :, None].expand_as(tokens)) + ages[:, :, None]
    assert torch.equal(past, expected)


def test_the_past_is_what_play_would_show(world, clips, wherever):
    """Without true frames in between it is a rollout; the guesses are those of play, too."""
    tokens, actions = clips.tokens[:2], clips.latent_actions[:2]
    wanted = (torch.arange(FRAMES) > 0).expand(2, -1)
    past = own_past(world, tokens, actions, wanted, precision="float32")
    assert torch.equal(past, own_past(world, tokens, actions, wanted, precision="float32")), "the same once more"
    assert not torch.equal(past, own_past(world, tokens, actions, wanted, seed=1, precision="float32"))
    assert torch.equal(past[:, 0], tokens[:, 0]) and (past[:, 1:] != tokens[:, 1:]).any()
    shown = world.decode(past.numpy())[:, :-1]
    found = with_guesses(world, tokens, actions, past).guesses
    pixels = torch.from_numpy(shown).float() / 255
    with torch.no_grad():
        expected = world.latent_action.predict(pixels, world.latent_action.quantizer.lookup(actions)).clamp(0, 1)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
    assert (found - with_guesses(world, tokens, actions).guesses).abs().max() > 0.05


def test_clips_that_keep_their_past_cost_nothing(world, clips, monkeypatch):
    monkeypatch.setattr(rollout, "sample_frame", None)
    wanted = torch.zeros(clips.tokens.shape[:2], dtype=torch.bool)
    assert torch.equal(own_past(world, clips.tokens, clips.latent_actions, wanted), clips.tokens)


def test_a_scene_that_lies_a_pixel_elsewhere_is_noticed():
    """A few wrong tokens are not: of those the model should learn."""
    genie = genie_lite.load("coinrun", device="cpu")  # its codes are patches, which show single pixels
    dataset = sample_dataset("test", game="full")
    frames = dataset.read_clips(dataset.clip_starts(1)[::60][:8], 1)
    moved = np.roll(frames, 1, axis=3)
    moved[:, :, :, 0] = frames[:, :, :, 0]
    true, other = (torch.from_numpy(genie.encode(some))[:, 0] for some in (frames, moved))
    wrong = true.clone()
    wrong[:, ::16] = true.roll(1, dims=1)[:, ::16]
    with torch.no_grad():
        assert in_place(genie.tokenizer, true, true).all()
        assert in_place(genie.tokenizer, wrong, true).float().mean() >= 0.75
        assert in_place(genie.tokenizer, other, true).float().mean() <= 0.25


# -------------------------------------------------------------------------------------------------------- reading it


def test_the_past_is_read_and_the_true_tokens_are_predicted(world, clips, monkeypatch):
    model, seen = world.dynamics, {}
    real_streams, real_loss = model.two_streams, model.masked_loss

    def two_streams(past, present, *others):
        seen.update(past=past, present=present)
        return real_streams(past, present, *others)

    def masked_loss(features, tokens, masked):
        seen.update(targets=tokens, masked=masked)
        return real_loss(features, tokens, masked)

    monkeypatch.setattr(model, "two_streams", two_streams)
    monkeypatch.setattr(model, "masked_loss", masked_loss)
    past = (clips.tokens + 1) % model.num_tokens
    torch.manual_seed(0)
    other = dynamics_losses(world, clips._replace(past=past))["loss"]
    assert torch.equal(seen["past"], past[:, :-1])
    assert torch.equal(seen["targets"], clips.tokens[:, 1:])
    visible = seen["present"] != model.mask_token
    assert torch.equal(seen["present"][visible], clips.tokens[:, 1:][visible]) and not visible[seen["masked"]].any()
    torch.manual_seed(0)
    true = dynamics_losses(world, clips)["loss"]
    assert torch.equal(seen["past"], clips.tokens[:, :-1]) and true != other
    torch.manual_seed(0)
    assert dynamics_losses(world, clips._replace(past=clips.tokens))["loss"] == true


def test_kept_clips_have_a_past_only_where_it_is_asked_for(config, world, tmp_path, wherever):
    stage, dataset = config.training.dynamics, sample_dataset("train")
    own = EncodedVideos(world, dataset, stage, tmp_path / "own", progress=False)[torch.arange(CLIPS)]
    stage = dataclasses.replace(stage, own_past=0.0)
    plain = EncodedVideos(world, dataset, stage, tmp_path / "plain", progress=False)[torch.arange(CLIPS)]
    assert plain.past is None and set(storage.read_tensors(tmp_path / "plain")) == {
        "tokens", "latent_actions", "guesses"
    }  # fmt: skip
    assert torch.equal(own.tokens, plain.tokens) and torch.equal(own.latent_actions, plain.latent_actions)
    assert own.past is not None and own.guesses is not None and plain.guesses is not None
    differs = (own.past != own.tokens).flatten(1).any(dim=1)
    assert differs.sum() == 0.3 * CLIPS
    assert torch.equal(own.guesses[~differs], plain.guesses[~differs])
    assert (own.guesses[differs] != plain.guesses[differs]).flatten(1).any(dim=1).all()


def test_training_on_its_own_past_resumes_with_the_same_numbers_and_reads_no_env_actions(
    config, world, tmp_path, monkeypatch, wherever
):
    def refuse(*_):
        raise AssertionError("training read what it must not read")

    monkeypatch.setattr(FrameDataset, "env_actions", refuse)
    whole = train(config, tmp_path / "whole", world, world)
    real_progress, steps = loop.set_progress, []

    def stop_after_three(*arguments):
        steps.append(1)
        if len(steps) > 3:
            raise KeyboardInterrupt
        return real_progress(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "set_progress", stop_after_three)
        train(config, tmp_path / "stopped", world, world)
    monkeypatch.setattr(encoded, "own_past", refuse)
    resumed = train(config, tmp_path / "stopped", world, world)
    first, second, begun = whole.state_dict(), resumed.state_dict(), world.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], begun[name]) for name in first)


def test_its_own_past_is_made_with_the_weights_that_training_starts_from(config, world, tmp_path, monkeypatch):
    other = Genie(config)  # the base has another dynamics model
    other.tokenizer.load_state_dict(world.tokenizer.state_dict())
    other.latent_action.load_state_dict(world.latent_action.state_dict())
    found = []

    def made(model, tokens, actions, **_):
        found.append({name: tensor.clone() for name, tensor in model.dynamics.state_dict().items()})
        return tokens

    monkeypatch.setattr(encoded, "own_past", made)
    train(config, tmp_path / "run", other, world)
    assert all(torch.equal(found[0][name], tensor) for name, tensor in world.dynamics.state_dict().items())


# ----------------------------------------------------------------------------------------------------- what is refused


def test_an_untrained_world_has_no_frames_to_learn_from(config, world, tmp_path):
    with pytest.raises(ValueError, match=r"start: found None.*own_past is 0\.3.*train without own_past first"):
        train(config, tmp_path / "run", world, None)
    assert not (tmp_path / "run" / "encoded.safetensors").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training.dynamics.encoded_clips": 0}, r"training\.dynamics\.own_past: found 0\.3.*encoded_clips above 0"),
        (
            {"model.dynamics.past": "masked", "model.dynamics.first_guess": False},
            r"training\.dynamics\.own_past: found 0\.3, wanted 0, or model\.dynamics\.past: complete",
        ),
        ({"training.dynamics.own_past": 1.5}, r"training\.dynamics\.own_past: found 1\.5, wanted 1 or less"),
        ({"training.dynamics.own_past_frames": 0}, r"training\.dynamics\.own_past_frames: found 0, wanted 1 or more"),
    ],
)
def test_settings_that_cannot_be_had_together_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        load_config("tiny", RECIPE | settings)
