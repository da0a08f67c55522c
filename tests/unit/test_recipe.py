"""The variants that the shipped worlds use: a decoder that moves the frame, and dynamics whose past is complete."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from genie_lite import storage
from genie_lite.api import Genie
from genie_lite.config import PlayConfig, load_config
from genie_lite.data import FrameDataset, sample_dataset
from genie_lite.evaluation import describe_actions
from genie_lite.inference import KVCache
from genie_lite.inference.first_guess import FirstGuess
from genie_lite.inference.foresight import Foresight
from genie_lite.inference.one_frame import frame_features, remember
from genie_lite.models.build import build_dynamics, build_latent_action
from genie_lite.models.complete_past import CompletePastDynamicsModel
from genie_lite.models.guess_likeness import NEAREST, LikenessDynamicsModel, squared_distances
from genie_lite.models.shift_latent_action import ShiftLatentActionModel
from genie_lite.nn.displacement import match_displacements, shift_matrices
from genie_lite.nn.two_streams import two_stream_mask
from genie_lite.play.choice import choose_by_motion
from genie_lite.play.controller import Controller
from genie_lite.training import encoded, loop, read_log, train_genie
from genie_lite.training.encoded import EncodedVideos, NumberLoader, encode_clips
from genie_lite.training.starting import start_from, with_fresh_parts

FRAMES, CLIPS, REACH = 5, 2, 12


LIKENESS = {
    "model.dynamics.guess_likeness": True,
    "model.tokenizer.codes": "patches",
    "model.tokenizer.patch_size": 4,
    "model.tokenizer.codebook": {"num_codes": 64, "latent_dim": 48, "normalize": False, "update": "fixed"},
}
VARIANTS = {
    "tokens": {},
    "squares of tokens": {"model.dynamics.merge": 2},
    "likeness": LIKENESS,
    "squares and likeness": {"model.dynamics.merge": 2} | LIKENESS,
}
RECIPE = {
    "model.latent_action.shift": REACH,
    "model.latent_action.motion_input": True,
    "model.dynamics.past": "complete",
    "model.dynamics.first_guess": True,
}
SQUARES_AND_LIKENESS = RECIPE | VARIANTS["squares and likeness"]


@pytest.fixture(scope="module", params=list(VARIANTS))
def config(request):
    return load_config("tiny", RECIPE | VARIANTS[request.param]).model


@pytest.fixture
def latent_action(config) -> ShiftLatentActionModel:
    torch.manual_seed(0)
    model = build_latent_action(config)
    assert isinstance(model, ShiftLatentActionModel)
    return model.eval()


@pytest.fixture
def dynamics(config) -> CompletePastDynamicsModel:
    torch.manual_seed(0)
    model = build_dynamics(config)
    assert isinstance(model, CompletePastDynamicsModel)
    return with_codes(disturbed(model)).eval()


def with_codes(model: CompletePastDynamicsModel) -> CompletePastDynamicsModel:
    """Random patches as codes, where the model compares them with guesses."""
    if isinstance(model, LikenessDynamicsModel):
        model.to_logits.codes.copy_(torch.rand_like(model.to_logits.codes) - 0.5)
    return model


def disturbed(model: torch.nn.Module) -> torch.nn.Module:
    """Weights as after some training: fresh ones are zero where it matters."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def frames(config) -> torch.Tensor:
    """Windows of one wide random picture, each some pixels further on than the last."""
    height, width = config.frame_size
    picture = torch.from_numpy(np.random.default_rng(0).random((height + 40, width + 40, 3), np.float32))
    corners = [(20, 20), (17, 24), (17, 24), (25, 18), (20, 20)]
    return torch.stack([torch.stack([picture[y : y + height, x : x + width] for y, x in corners])] * CLIPS)


# ------------------------------------------------------------------------------------------ the latent action model


def test_before_training_the_prediction_is_nearly_the_last_frame(config, latent_action, frames):
    vectors = torch.randn(CLIPS, FRAMES - 1, config.latent_action.codebook.latent_dim)
    predicted = latent_action.predict(frames[:, :-1], vectors)
    assert (predicted - frames[:, :-1]).abs().mean() < 0.02
    assert (frames[:, 1:] - frames[:, :-1]).abs().mean() > 0.1


def test_a_certain_shift_moves_the_frame_by_whole_pixels(latent_action, frames):
    shifts = torch.zeros(CLIPS, FRAMES, 2, 2 * REACH + 1)
    shifts[:, :, 0, REACH - 3] = 1.0  # three pixels from further up
    shifts[:, :, 1, REACH + 4] = 1.0  # four from further right
    moved = latent_action._move(frames, shifts)
    torch.testing.assert_close(moved[:, 0, 3:, :-4], frames[:, 1, 3:, :-4])


def test_shift_matrices_repeat_the_edge():
    left = shift_matrices(4, 2)[4] @ torch.arange(4.0)
    assert left.tolist() == [2, 3, 3, 3]


def test_displacements_are_found(frames):
    found = match_displacements(frames, REACH).argmax(-1) - REACH
    assert found[0].tolist() == [[-3, 4], [0, 0], [8, -6], [-5, 2]]


def test_neither_side_sees_what_it_must_not(config, latent_action, frames):
    """The decoder does not see the frame it predicts, the encoder none after it."""
    disturbed(latent_action)
    vectors = torch.randn(CLIPS, FRAMES - 1, config.latent_action.codebook.latent_dim)
    changed = frames.clone()
    changed[:, 3:] = torch.rand_like(changed[:, 3:])
    with torch.no_grad():
        before, after = (latent_action.predict(video[:, :-1], vectors) for video in (frames, changed))
        torch.testing.assert_close(before[:, :3], after[:, :3])
        assert not torch.allclose(before[:, 3], after[:, 3])
        before, after = (latent_action.latents(video) for video in (frames, changed))
        torch.testing.assert_close(before[:, :2], after[:, :2])
        assert not torch.allclose(before[:, 2], after[:, 2])


def test_it_learns_a_scroll_that_its_code_names(latent_action, frames):
    optimizer = torch.optim.AdamW(latent_action.parameters(), 3e-3)
    latent_action.train()
    losses = []
    for _ in range(60):
        output = latent_action(frames)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(output.prediction_loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


# -------------------------------------------------------------------------------------------------- the dynamics model


def clip(config) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    tokens = torch.randint(config.tokenizer.codebook.num_codes, (CLIPS, FRAMES, config.tokens_per_frame))
    vectors = torch.randn(CLIPS, FRAMES - 1, config.latent_action.codebook.latent_dim)
    return tokens, vectors, torch.rand(CLIPS, FRAMES - 1, *config.frame_size, config.channels)


@pytest.mark.parametrize("window", [16, 3])
@torch.no_grad()
def test_two_streams_are_what_the_cache_computes_in_play(config, window):
    torch.manual_seed(0)
    config = dataclasses.replace(config, context_frames=window)
    dynamics = with_codes(disturbed(build_dynamics(config))).eval()
    tokens, vectors, guesses = clip(config)
    masked = tokens[:, 1:].masked_fill(torch.rand(tokens[:, 1:].shape) < 0.7, dynamics.mask_token)
    seen, features = dynamics.two_streams(tokens[:, :-1], masked, vectors, guesses)
    cache = KVCache(window)
    for t in range(FRAMES - 1):
        leading = vectors[:, max(t - 1, 0) : t]
        complete = frame_features(dynamics, tokens[:, t], dynamics.context(leading, 1), cache)
        remember(dynamics, tokens[:, t], leading, cache)
        cache.advance()
        context = dynamics.context(vectors[:, t : t + 1], 1, guesses=guesses[:, t : t + 1])
        present = frame_features(dynamics, masked[:, t], context, cache)
        torch.testing.assert_close(complete.view_as(seen[:, t]), seen[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(present.view_as(features[:, t]), features[:, t], atol=1e-5, rtol=1e-5)
        some = torch.tensor([5, 0, config.tokens_per_frame + 3])
        found = frame_features(dynamics, masked[:, t], context, cache, some)
        torch.testing.assert_close(found, present[some], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_no_frame_sees_the_future_or_another_masked_frame(config, dynamics):
    tokens, vectors, guesses = clip(config)
    masked = torch.full_like(tokens[:, 1:], dynamics.mask_token)
    seen, features = dynamics.two_streams(tokens[:, :-1], masked, vectors, guesses)
    past, present, actions, hints = tokens[:, :-1].clone(), masked.clone(), vectors.clone(), guesses.clone()
    past[:, 2:], present[:, 2], actions[:, 2:], hints[:, 2:] = 0, 0, 0.0, 0.0
    seen_then, then = dynamics.two_streams(past, present, actions, hints)
    torch.testing.assert_close(seen[:, :2], seen_then[:, :2])  # complete frames 0 and 1
    torch.testing.assert_close(features[:, :2], then[:, :2])  # masked frames 1 and 2
    assert not torch.allclose(features[:, 3], then[:, 3])


def test_the_mask_leaves_each_masked_frame_its_past_and_itself():
    allowed = ~two_stream_mask(3, 16, torch.device("cpu"))
    assert allowed.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 1, 0, 0, 1],
    ]


def test_the_prior_is_a_distribution_over_latent_actions(config, dynamics):
    tokens, vectors, _ = clip(config)
    _, prior = dynamics.losses(tokens, vectors)
    torch.testing.assert_close(prior.exp().sum(-1), torch.ones(CLIPS, FRAMES - 1))


def test_a_first_guess_changes_the_prediction_and_can_be_left_out(config, dynamics):
    tokens, vectors, guesses = clip(config)
    masked = torch.full_like(tokens[:, 1:], dynamics.mask_token)
    with torch.no_grad():
        without = dynamics.to_logits(dynamics.two_streams(tokens[:, :-1], masked, vectors)[1])
        given = dynamics.to_logits(dynamics.two_streams(tokens[:, :-1], masked, vectors, guesses)[1])
    assert not torch.allclose(without, given)


def test_training_reduces_the_loss(config, dynamics):
    torch.manual_seed(0)
    tokens, vectors, guesses = clip(config)
    optimizer = torch.optim.AdamW(dynamics.parameters(), 3e-3)
    losses = []
    for _ in range(80):
        loss = dynamics(tokens, vectors, guesses=guesses).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_merged_tokens_keep_their_places():
    """What a square of tokens makes of one of its tokens comes back at that token's place."""
    dynamics = build_dynamics(load_config("tiny", {"model.dynamics.past": "complete", "model.dynamics.merge": 2}).model)
    with torch.no_grad():
        dynamics.token_embedding.weight.copy_(torch.randn_like(dynamics.token_embedding.weight))
        dynamics.join_tokens.weight.zero_()
        dynamics.split_tokens.weight.zero_()
        width = dynamics.join_tokens.out_features
        for corner in range(4):  # a quarter of the width for each token of the square
            own = torch.arange(width // 4)
            dynamics.join_tokens.weight[corner * width // 4 + own, corner * width + own] = 1.0
            dynamics.split_tokens.weight[corner * width + own, corner * width // 4 + own] = 1.0
        tokens = torch.randint(dynamics.num_tokens, (2, 3, dynamics.tokens_per_frame))
        found = dynamics.by_token(dynamics.embed(tokens, torch.zeros(()))).argmax(-1)
        expected = dynamics.token_embedding(tokens)[..., : width // 4].argmax(-1)
    assert torch.equal(found, expected)


def sharpened(world: Genie) -> Genie:
    """The same weights in a world whose first guess is sharp."""
    dynamics = dataclasses.replace(world.config.model.dynamics, sharp_guess=True)
    config = dataclasses.replace(world.config, model=dataclasses.replace(world.config.model, dynamics=dynamics))
    sharp = Genie(config)
    sharp.load_state_dict(world.state_dict())
    return sharp.eval()


@torch.inference_mode()
def test_a_sharp_guess_moves_the_frame_as_far_as_the_true_one_moved():
    torch.manual_seed(0)
    model = build_latent_action(load_config("tiny", RECIPE).model).eval()
    with torch.no_grad():
        model.to_shift.bias.zero_()  # any displacement is as likely as any other
        model.to_patch.bias.view(-1, 4)[:, 3] = -100.0  # nothing stays in place
    scene = torch.rand(2, 80, 80, 3)
    corners = [(8, 8), (8, 13), (2, 13), (2, 13)]
    frames = torch.stack([scene[:, y : y + 64, x : x + 64] for y, x in corners], dim=1)
    vectors = torch.zeros(2, 3, model.quantizer.codebook.shape[1])
    sharp = model.predict_sharply(frames[:, :-1], vectors, frames[:, 1:])
    blurred = model.predict(frames[:, :-1], vectors)
    inside = (slice(None), slice(None), slice(12, -12), slice(12, -12))
    torch.testing.assert_close(sharp[inside], frames[:, 1:][inside])
    assert (blurred - frames[:, 1:])[inside].abs().mean() > 0.1


@torch.inference_mode()
def test_a_sharp_guess_follows_the_code_where_pictures_leave_it_open(monkeypatch):
    torch.manual_seed(0)
    model = build_latent_action(load_config("tiny", RECIPE).model).eval()
    with torch.no_grad():
        model.to_shift.bias.view(2, -1)[1, REACH + 5] += 20.0  # to the right
    stripes = torch.rand(1, 1, 64, 1, 3).expand(1, 2, 64, 64, 3)
    scene = stripes.clone()
    vectors = torch.zeros(1, 1, model.quantizer.codebook.shape[1])
    shifts = []
    monkeypatch.setattr(model, "_move", lambda frames, by: shifts.append(by) or frames)
    model.predict_sharply(scene[:, :-1], vectors, scene[:, 1:])
    assert shifts[0][0, 0].argmax(-1).tolist() == [REACH, REACH + 5]


@pytest.fixture
def likeness() -> LikenessDynamicsModel:
    options = {
        "model.latent_action.shift": REACH,
        "model.dynamics.past": "complete",
        "model.dynamics.first_guess": True,
    }
    model = build_dynamics(load_config("tiny", {**options, "model.dynamics.merge": 2, **LIKENESS}).model)
    assert isinstance(model, LikenessDynamicsModel)
    return with_codes(model)


def test_before_training_a_code_is_likely_if_it_looks_like_the_guess(likeness):
    """A guess made of codes is taken at its word, each code at its place."""
    tokens = torch.randint(likeness.num_tokens, (CLIPS, FRAMES, likeness.tokens_per_frame))
    guesses = likeness.token_patches.join(likeness.to_logits.codes[tokens[:, 1:]] + 0.5)
    masked = torch.full_like(tokens[:, 1:], likeness.mask_token)
    with torch.no_grad():
        features = likeness.two_streams(tokens[:, :-1], masked, torch.zeros(CLIPS, FRAMES - 1, 8), guesses)[1]
        logits = likeness.to_logits(features)
    assert torch.equal(logits.argmax(-1), tokens[:, 1:])
    trust = np.log(2)  # softplus of 0
    distances = squared_distances(likeness.to_logits.codes[tokens[:, 1:]], likeness.to_logits.codes)
    expected = -trust * distances + NEAREST * trust * F.one_hot(tokens[:, 1:], likeness.num_tokens)
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)


def test_trust_is_learned_and_a_guess_that_is_kept_away_has_no_say(likeness):
    tokens = torch.randint(likeness.num_tokens, (CLIPS, FRAMES, likeness.tokens_per_frame))
    wrong = torch.randint_like(tokens[:, 1:], likeness.num_tokens)
    guesses = likeness.token_patches.join(likeness.to_logits.codes[wrong] + 0.5)
    vectors, masked = torch.zeros(CLIPS, FRAMES - 1, 8), torch.full_like(wrong, likeness.mask_token)
    with torch.no_grad():
        features = likeness.two_streams(tokens[:, :-1], masked, vectors, guesses, keep=0.0)[1]
        assert (likeness.to_logits(features) == 0).all(), "untrained logits alone"
    before = likeness.to_logits.trust.bias.clone()
    optimizer = torch.optim.AdamW(likeness.parameters(), 1e-2)
    for _ in range(5):
        likeness(tokens, vectors, guesses=guesses).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (likeness.to_logits.trust.bias < before).all(), "a guess that is always wrong is trusted less"


def test_a_world_without_likeness_can_be_trained_on_with_it(likeness):
    """`--start`: its weights are taken over, trust begins anew, and the codes are the tokenizer's."""
    options = {
        "model.latent_action.shift": REACH,
        "model.dynamics.past": "complete",
        "model.dynamics.first_guess": True,
    }
    options |= {**LIKENESS, "model.dynamics.merge": 2}
    start = Genie(load_config("tiny", options | {"model.dynamics.guess_likeness": False}))
    disturbed(start.dynamics)
    start.tokenizer.quantizer.codebook.uniform_(-0.5, 0.5)
    genie = with_fresh_parts(load_config("tiny", SQUARES_AND_LIKENESS), start, ["dynamics"])
    start_from(genie, start, ["dynamics"])
    own, given = genie.dynamics.state_dict(), start.dynamics.state_dict()
    assert all(torch.equal(own[name], given[name]) for name in given)
    assert torch.equal(own["to_logits.codes"], start.tokenizer.quantizer.codebook)
    assert (own["to_logits.trust.weight"] == 0).all()


# ------------------------------------------------------------------------------------------------------------ training


@pytest.fixture(scope="module")
def recipe():
    stages = ("latent_action", "dynamics")
    return load_config(
        "tiny",
        {
            **RECIPE,
            "training.dynamics.encoded_clips": 20,
            **{f"training.{stage}.steps": 6 for stage in stages},
            **{f"training.{stage}.log_every": 1 for stage in stages},
        },
    )


def train(config, folder, part, base):
    return train_genie(config, sample_dataset("train"), folder, tokenizer=base, parts=(part,), progress=False)


def stop_after(monkeypatch, steps):
    """Interrupt training when so many steps are done."""
    real, seen = loop.set_progress, []

    def counted(*arguments):
        seen.append(1)
        if len(seen) > steps:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(loop, "set_progress", counted)


def test_encoded_training_resumes_with_the_same_numbers_and_reads_no_env_actions(recipe, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("training read what it must not read")

    monkeypatch.setattr(FrameDataset, "env_actions", refuse)
    base = train(recipe, tmp_path / "latent_action", "latent_action", Genie(recipe))
    whole = train(recipe, tmp_path / "whole", "dynamics", base)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 3)
        train(recipe, tmp_path / "stopped", "dynamics", base)
    monkeypatch.setattr(encoded.storage, "write_tensors", refuse_encoded(refuse))
    resumed = train(recipe, tmp_path / "stopped", "dynamics", base)
    first, second = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    log = read_log(tmp_path / "stopped")
    assert len(log["prior_cross_entropy"]) == 6 and np.isfinite(log["loss"]).all()


def refuse_encoded(refuse):
    """Encoding again would write the file of encoded clips once more."""
    real = storage.write_tensors
    return lambda path, tensors: refuse() if path.name == "encoded.safetensors" else real(path, tensors)


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_clips_encoded_once_are_what_each_step_would_have_encoded(recipe, tmp_path, mirrored):
    genie = sharpened(Genie(recipe)) if mirrored else Genie(recipe).eval()
    stage = dataclasses.replace(recipe.training.dynamics, precision="float32", mirrored=mirrored)
    dataset = sample_dataset("train")
    videos = EncodedVideos(genie, dataset, stage, tmp_path / "encoded.safetensors", progress=False)
    starts = dataset.clip_starts(stage.frames)
    starts = np.random.default_rng(stage.seed).choice(starts, stage.encoded_clips, replace=False)
    frames = torch.from_numpy(dataset.read_clips(starts[3:5], stage.frames)).float() / 255
    frames = frames.flip(3) if mirrored else frames
    fresh, kept = encode_clips(genie, frames), videos[torch.tensor([3, 4])]
    assert torch.equal(fresh.latent_actions, kept.latent_actions)
    assert (fresh.tokens == kept.tokens).float().mean() > 0.99  # sums of another batch may round otherwise
    torch.testing.assert_close(fresh.guesses, kept.guesses, atol=0.01, rtol=0)


def test_batches_are_shared_between_processes():
    whole = NumberLoader(50, 4, seed=1)
    parts = [NumberLoader(50, 4, seed=1, part=(i, 2)) for i in range(2)]
    for loader in (whole, *parts):
        loader.seek(7)
    batch = next(whole)
    assert sorted(np.concatenate([next(part) for part in parts])) == sorted(batch) and batch.max() < 50
    with pytest.raises(ValueError, match="multiple of 2"):
        NumberLoader(50, 3, part=(0, 2))


# ---------------------------------------------------------------------------------------------------------------- play


@pytest.fixture(scope="module")
def world(recipe) -> Genie:
    torch.manual_seed(1)
    genie = Genie(recipe)
    disturbed(genie.dynamics)
    return genie.eval()


def some_clips(count: int, length: int) -> np.ndarray:
    dataset = sample_dataset("test")
    return dataset.read_clips(dataset.clip_starts(length)[::100][:count], length)


@pytest.mark.parametrize("prompt_frames", [1, 3])
def test_a_rollout_repeats_itself_after_undo(world, prompt_frames):
    prompt = some_clips(2, prompt_frames)
    rollout = world.rollout(prompt, maskgit_steps=2, temperature=1.0)
    actions = [[0, 1], [2, 0], [1, 1]]
    frames = [rollout.step(action) for action in actions]
    for _ in range(3):
        rollout.undo()
    assert [np.array_equal(rollout.step(action), frame) for action, frame in zip(actions, frames, strict=True)] == [
        True
    ] * 3


def test_the_prior_that_play_reads_is_that_of_training(world, monkeypatch):
    monkeypatch.setattr(world, "precision", "float32")
    prompt = some_clips(2, 3)
    rollout = world.rollout(prompt, maskgit_steps=2, temperature=1.0)
    np.testing.assert_allclose(rollout.log_prior, world.action_prior.log_probabilities(prompt), atol=1e-4)

    priors, tokens = [rollout.log_prior], [*torch.from_numpy(np.moveaxis(world.encode(prompt), 1, 0))]
    for action in ([0, 1], [2, 0]):
        rollout.step(action)
        priors.append(rollout.log_prior)
        tokens.append(rollout.tokens)
    actions = np.concatenate([world.infer_actions(prompt), [[0, 2], [1, 0]]], axis=1)
    with world.inference(), torch.inference_mode():
        vectors = world.latent_action.quantizer.lookup(torch.from_numpy(actions))
        expected = world.dynamics.prior(world.dynamics.features(torch.stack(tokens, dim=1), vectors))
    np.testing.assert_allclose(np.stack(priors, 1), expected[:, 2:].double().numpy(), atol=1e-4)
    rollout.undo()
    np.testing.assert_array_equal(rollout.log_prior, priors[1])


@torch.inference_mode()
@pytest.mark.parametrize("sharp", [False, True])
def test_the_first_guess_in_play_is_that_of_training(world, sharp):
    frames = torch.from_numpy(some_clips(2, 6)).float() / 255
    vectors = torch.randn(2, 5, world.config.model.latent_action.codebook.latent_dim)
    model = disturbed(world.latent_action)
    expected = model.predict(frames[:, :-1], vectors).clamp(0, 1)
    guess = FirstGuess(world)
    if sharp:  # training knows the true next frame besides
        decoded = model.decoder(model.decoder_input(frames[:, :-1], vectors))
        expected = model.sharp_frames(frames[:, :-1], decoded).clamp(0, 1)
        guess = FirstGuess(sharpened(world))
    for t in range(5):
        guess.append(frames[:, t], vectors[:, max(t - 1, 0) : t])
        if t > 1:  # frames of the prompt are shown, not predicted
            found = guess.predict(vectors[:, t : t + 1])
            torch.testing.assert_close(found[:, 0], expected[:, t], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("frames", "sharp"), [(1, False), (3, False), (3, True)])
def test_a_rollout_foresees_what_the_decoder_would_do_after_the_whole_window(world, monkeypatch, frames, sharp):
    disturbed(world.latent_action)
    world = sharpened(world) if sharp else world
    monkeypatch.setattr(world, "precision", "float32")
    prompt = some_clips(2, frames)
    rollout = world.rollout(prompt, maskgit_steps=2)
    shown = [*np.moveaxis(world.decode(world.encode(prompt)), 1, 0)]
    taken = [*np.moveaxis(world.infer_actions(prompt), 1, 0)] if frames > 1 else []
    for action in ([0, 1], [2, 0], [1, 1]):
        found = rollout.motions()
        np.testing.assert_array_equal(found, rollout.motions())
        for choice in range(world.num_latent_actions):
            codes = torch.from_numpy(np.stack([*taken, [choice, choice]], axis=1))
            pixels = torch.from_numpy(np.stack(shown, axis=1)).float() / 255
            with world.inference(), torch.inference_mode():
                vectors = world.latent_action.quantizer.lookup(codes)
                expected = world.latent_action.displacements(pixels, vectors, sharp=sharp)[:, -1].flip(-1)
            np.testing.assert_allclose(found[:, choice], expected.double().numpy(), atol=0.05)
        shown.append(rollout.step(action))
        taken.append(np.array(action))
    rollout.undo()
    np.testing.assert_allclose(rollout.motions(), found, atol=1e-5)


def test_a_world_with_a_prior_says_what_is_likely_next(world):
    prompt = some_clips(3, 6)
    found = world.action_prior.log_probabilities(prompt)
    assert found.shape == (3, world.num_latent_actions)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, atol=1e-5)
    assert Genie(load_config("tiny")).action_prior is None


@pytest.mark.parametrize("sharp", [False, True])
def test_foresight_is_the_displacement_that_the_decoder_predicts(world, sharp):
    world = sharpened(world) if sharp else world
    prompt = some_clips(2, 6)
    found = Foresight(world).motions(prompt)
    assert found.shape == (2, world.num_latent_actions, 2)
    pixels = torch.from_numpy(prompt[:, -2:]).float() / 255
    with world.inference():
        codes = torch.cat([world.latent_action.encode(pixels), torch.full((2, 1), 3)], dim=1)
        vectors = world.latent_action.quantizer.lookup(codes)
        expected = world.latent_action.displacements(pixels, vectors, sharp=sharp)[:, -1].flip(-1)
    np.testing.assert_allclose(found[:, 3], expected.float().numpy(), atol=0.05)
    with pytest.raises(ValueError, match=r"latent_action\.shift"):
        Foresight(Genie(load_config("tiny")))


def test_a_displacement_is_the_mean_of_its_distribution_or_its_peak(latent_action, frames):
    vectors = torch.zeros(CLIPS, FRAMES, latent_action.quantizer.codebook.shape[1])
    with torch.no_grad():
        latent_action.to_shift.bias.zero_()
        latent_action.to_shift.bias.view(2, -1)[0, REACH + 5] = 50.0  # always five pixels down
    found = latent_action.displacements(frames, vectors)
    torch.testing.assert_close(found, torch.tensor([5.0, 0.0]).expand(CLIPS, FRAMES, 2), atol=1e-3, rtol=0)
    with torch.no_grad():
        latent_action.to_shift.bias.view(2, -1)[0, REACH - 1] = 50.5  # or, a little likelier, one up
    found = latent_action.displacements(frames, vectors, sharp=True)[..., 0]
    assert (found == -1).all() and (latent_action.displacements(frames, vectors)[..., 0] > 0).all()


@pytest.mark.parametrize(
    ("intention", "expected"),
    [((1, False), 1), ((-1, False), 2), ((0, False), 0), ((0, True), 3), ((1, True), 4)],
)
def test_keys_take_the_action_that_moves_that_way(intention, expected):
    motions = np.array([[[0, 0], [5, 0], [-5, 1], [0, -20], [4, -20]]], float)  # none, right, left, up, up right
    plausible = np.log(np.full((1, 5), 0.2))
    assert choose_by_motion(motions, plausible, [intention]).tolist() == [expected]


def test_what_is_not_plausible_is_not_taken():
    """Against a wall the key does nothing, and in the air no second jump begins."""
    motions = np.array([[[0, 0], [5, 0]], [[3, 8], [0, -20]]], float)
    plausible = np.log(np.array([[0.995, 0.005], [0.98, 0.02]]))
    assert choose_by_motion(motions, plausible, [(1, False), (0, True)]).tolist() == [0, 0]


def test_a_world_says_how_plausible_an_action_must_be_for_a_key_to_take_it(recipe, monkeypatch):
    plausible = np.log(np.array([[0.97, 0.02, *[0.0025] * 4]]))
    motions = np.zeros((1, 6, 2))
    motions[0, 1, 0] = 5
    chosen = []
    for least in (0.01, 0.03):
        genie = Genie(dataclasses.replace(recipe, play=PlayConfig(least_odds=least))).eval()
        controller = Controller(genie, actions=describe_actions(genie, sample_dataset("test"), clips=4))
        monkeypatch.setattr(controller.foresight, "motions", lambda frames: motions)
        monkeypatch.setattr(controller, "log_plausible", lambda frames, rollout: plausible)
        at_rest = np.repeat(some_clips(1, 1), 5, axis=1)
        chosen.append(int(controller.latent_actions(at_rest, "right")[0]))
    assert chosen == [1, 0]


def test_who_runs_stops_at_a_wall_sooner_than_who_stands_is_kept_from_starting():
    """The same doubt means a wall to a runner, and to who stands still only that he seldom starts."""
    motions = np.tile(np.array([[0, 0], [5, 0]], float), (3, 1, 1))
    plausible = np.log(np.tile([0.95, 0.05], (3, 1)))
    settings = PlayConfig(least_odds=0.03, least_odds_running=0.1)
    moved = np.array([[[0, 0]], [[7, 0]], [[-7, 0]]], float)  # at rest, running right, running left
    keys = [(1, False)] * 3
    assert choose_by_motion(motions, plausible, keys, settings, moved).tolist() == [1, 0, 1]
    assert choose_by_motion(motions, plausible, keys, settings).tolist() == [1, 1, 1]


def test_a_key_does_not_choose_how_fast_a_hero_falls():
    """Nothing moves right, and the action that goes least to the left would sink into the ground."""
    motions = np.array([[[-1, 4], [0, 24], [-3, 9]]], float)
    plausible = np.log([[0.7, 0.2, 0.1]])
    for vertical, expected in ((6, 0), (64, 1)):
        assert choose_by_motion(motions, plausible, [(1, False)], PlayConfig(vertical=vertical)).tolist() == [expected]


@pytest.mark.parametrize(("moved", "expected"), [([0, 0], 0), ([0, -9], 1), ([5, -9], 0), ([-3, 9], 1), ([-3, 0], 0)])
def test_a_new_key_needs_less_plausibility_in_the_air_and_one_pixel_is_enough(moved, expected):
    motions, plausible = np.array([[[0, 0], [1, 0]]], float), np.log([[0.995, 0.005]])
    settings = PlayConfig(least_odds=0.01, least_odds_airborne=0.003, least_odds_running=0.1)
    past = np.array([[moved]], float)
    assert choose_by_motion(motions, plausible, [(1, False)], settings, past).tolist() == [expected]
    assert choose_by_motion(-motions, plausible, [(-1, False)], settings, past * [-1, 1]).tolist() == [expected]


@pytest.mark.parametrize(
    ("moved", "sides", "expected"),
    [
        ([[0, -9]] * 3, [1, 1, 1], 0),
        ([[0, 0], [0, 0], [0, -9]], [1, 1, 1], 0),  # on the ground, and then in a jump
        ([[0, -9]] * 2, [1, 1], 1),
        ([[0, -9]] * 3, [0, 1, 1], 1),
        ([[4, -9], [0, -9], [0, -9]], [1, 1, 1], 1),
    ],
)
def test_in_the_air_three_presses_in_vain_tell_of_a_wall(moved, sides, expected):
    motions, plausible = np.array([[[0, 0], [5, 0]]], float), np.log([[0.95, 0.05]])
    settings = PlayConfig(least_odds_airborne=0.01, least_odds_in_vain=0.1)
    past = np.array([moved], float), np.array([sides])
    assert choose_by_motion(motions, plausible, [(1, False)], settings, *past).tolist() == [expected]
    mirrored = (past[0] * [-1, 1], -past[1])
    assert choose_by_motion(-motions, plausible, [(-1, False)], settings, *mirrored).tolist() == [expected]


@pytest.mark.parametrize(
    ("moved", "sides", "expected"),
    [
        ([[5, 0], [5, 0], [0, 0]], [1, 1, 1], 0),  # went right under the key, and is stopped
        ([[5, 0], [5, 0], [0, 0]], [1, 1, 0], 1),  # stopped because the key was let go
        ([[5, 0], [0, 0], [0, 0]], [1, 1, 0], 0),  # let it go when he was stopped already
        ([[-5, 0], [-5, 0], [0, 0]], [1, 1, 1], 1),  # turns round
        ([[0, 9], [0, 9], [0, 0]], [1, 1, 1], 0),  # slid down a wall
        ([[0, 9], [0, 9], [0, 0]], [0, 0, 1], 1),  # fell straight down
        ([[0, -9], [0, -9], [0, -9]], [1, 1, 1], 1),  # flies up along a wall, and may soon be above it
        ([[0, 0], [0, 0], [0, 0]], [1, 1, 1], 1),  # has not moved yet
        ([[0, 0]] * 12, [1] * 12, 0),  # nor ever will
        ([[5, 0], [0, 0], [-5, 0], [0, 0]], [1, 1, -1, 0], 1),  # has gone elsewhere since
    ],
)
def test_whoever_a_wall_has_stopped_stays_stopped_until_he_goes_elsewhere(moved, sides, expected):
    motions, plausible = np.array([[[0, 0], [5, 0]]], float), np.log([[0.7, 0.3]])
    settings = PlayConfig(least_odds=0.01, least_odds_running=0.01, least_odds_stopped=1.0)
    past = np.array([moved], float), np.array([sides])
    assert choose_by_motion(motions, plausible, [(1, False)], settings, *past).tolist() == [expected]
    assert choose_by_motion(motions, plausible, [(1, True)], settings, *past).tolist() == [1]
    mirrored = (past[0] * [-1, 1], -past[1])
    assert choose_by_motion(-motions, plausible, [(-1, False)], settings, *mirrored).tolist() == [expected]


def test_how_a_hero_moved_is_seen_in_the_scene(world):
    picture = np.random.default_rng(0).integers(256, size=(1, *world.frame_size, 3), dtype=np.uint8)
    scene = np.stack([picture, np.roll(picture, (2, -3), axis=(1, 2))], axis=1)  # the scene goes left and down
    foresight = Foresight(world)
    assert foresight.moved(scene).tolist() == [[[3.0, -2.0]]]
    assert foresight.moved(scene, 3).tolist() == [[[0.0, 0.0], [0.0, 0.0], [3.0, -2.0]]]
    assert foresight.moved(scene[:, :1]).tolist() == [[[0.0, 0.0]]]
    assert foresight.moved(np.full_like(scene, 80)).tolist() == [[[0.0, 0.0]]]  # an empty sky


def test_a_controller_tells_runners_from_others(recipe, monkeypatch):
    settings = PlayConfig(least_odds=0.01, least_odds_running=0.1)
    genie = Genie(dataclasses.replace(recipe, play=settings)).eval()
    controller = Controller(genie, actions=describe_actions(genie, sample_dataset("test"), clips=4))
    motions = np.zeros((2, 6, 2))
    motions[:, 1, 0] = 5
    plausible = np.log(np.tile([0.93, 0.05, *[0.005] * 4], (2, 1)))
    monkeypatch.setattr(controller.foresight, "motions", lambda frames: motions)
    monkeypatch.setattr(controller, "log_plausible", lambda frames, rollout: plausible)
    picture = np.random.default_rng(0).integers(256, size=(*genie.frame_size, 3), dtype=np.uint8)
    rests, runs = np.stack([picture, picture]), np.stack([picture, np.roll(picture, -4, axis=1)])
    assert controller.latent_actions(np.stack([rests, runs]), "right").tolist() == [1, 0]


def test_actions_that_do_the_same_are_possible_together():
    """Three ways to jump, each rare by itself."""
    motions = np.array([[[0, 0], [0, -20], [-4, -20], [4, -20]]], float)
    plausible = np.log(np.array([[0.91, 0.03, 0.03, 0.03]]))
    keys = [(0, True), (-1, True), (1, True), (0, False)]
    found = [int(choose_by_motion(motions, plausible, [key])[0]) for key in keys]
    assert found == [1, 2, 3, 0]


def test_a_key_takes_what_is_rare_but_possible():
    """Who stands still mostly goes on standing; a held key sets off at the first press all the same."""
    motions = np.array([[[0, 0], [0.5, 0], [4, 0], [5, 0]]], float)
    plausible = np.log(np.array([[0.937, 0.04, 0.02, 0.003]]))
    assert choose_by_motion(motions, plausible, [(1, False)]).tolist() == [2]


def test_of_actions_that_obey_alike_the_plausible_one_is_taken():
    """A fall to the side moves a little further than a run, and is not what is meant on the ground."""
    motions = np.array([[[0, 0], [4, 0], [5, 4]]], float)
    plausible = np.log(np.array([[0.9, 0.08, 0.02]]))
    assert choose_by_motion(motions, plausible, [(1, False)]).tolist() == [1]


def test_turning_in_the_air_is_judged_against_the_momentum():
    """Nothing moves right yet; the action that slows the flight to the left most is what the right key means."""
    motions = np.array([[[-4, 5], [-2.5, 5], [-0.5, 5]]], float)
    plausible = np.log(np.array([[0.4, 0.4, 0.2]]))
    assert choose_by_motion(motions, plausible, [(1, False)]).tolist() == [2]
    assert choose_by_motion(motions, plausible, [(-1, False)]).tolist() == [0]
