"""What the three models promise, and what the public API, which everything else relies on, promises."""

import copy
import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from genie_lite import load_config, presets
from genie_lite.api import CheckpointError, Genie
from genie_lite.config import ModelConfig
from genie_lite.models import DynamicsModel, LatentActionModel, PatchTokenizer, VideoTokenizer, build_dynamics
from genie_lite.models.dynamics_variants import ExtendedDynamicsModel, corrupt, start_from_codes
from genie_lite.models.latent_action_variants import ExtendedLatentActionModel, TokenLatentActionModel


@pytest.fixture(scope="module")
def genie() -> Genie:
    """A tiny Genie whose every layer does something (fresh blocks are the identity)."""
    torch.manual_seed(0)
    model = Genie(load_config("tiny", {"model.context_frames": 4}))
    for parameter in model.parameters():
        if parameter.ndim == 2 and parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    model.precision = "float32"
    return model.eval()


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 7, 64, 64, 3), dtype=np.uint8)


def with_dynamics(genie: Genie, **settings: object) -> ModelConfig:
    model = genie.config.model
    return dataclasses.replace(model, dynamics=dataclasses.replace(model.dynamics, **settings))


def floats(videos: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(videos).float() / 255


PATCH_CODES = {"num_codes": 64, "latent_dim": 192, "normalize": False, "update": "fixed", "restart_after": 0}
PLAIN_LAM = {"model.latent_action.difference_input": False, "model.latent_action.residual_output": False}


@pytest.mark.parametrize(
    ("settings", "part", "kind"),
    [
        ({}, "tokenizer", VideoTokenizer),
        ({"model.tokenizer.codes": "patches", "model.tokenizer.codebook": PATCH_CODES}, "tokenizer", PatchTokenizer),
        (PLAIN_LAM, "latent_action", LatentActionModel),
        ({}, "latent_action", ExtendedLatentActionModel),
        (PLAIN_LAM | {"model.latent_action.loss": "relative"}, "latent_action", ExtendedLatentActionModel),
        (PLAIN_LAM | {"model.latent_action.inputs": "tokens"}, "latent_action", TokenLatentActionModel),
        ({}, "dynamics", DynamicsModel),
        ({"model.dynamics.previous_input": True}, "dynamics", ExtendedDynamicsModel),
        ({"model.dynamics.corruption": 0.1}, "dynamics", ExtendedDynamicsModel),
        ({"model.dynamics.loss_share": 0.5}, "dynamics", ExtendedDynamicsModel),
    ],
)
def test_settings_choose_the_class(settings, part, kind):
    assert type(getattr(Genie(load_config("tiny", settings)), part)) is kind


@pytest.mark.parametrize("preset", ["paper", "platformers"])
def test_the_papers_presets_are_the_papers_models(preset):
    with torch.device("meta"):
        genie = Genie(load_config(preset))
    assert type(genie.tokenizer) is VideoTokenizer and type(genie.dynamics) is DynamicsModel
    if preset == "paper":
        assert type(genie.latent_action) is LatentActionModel


@pytest.mark.parametrize("preset", ["paper", "platformers", *(name for name in presets() if "scaling/" in name)])
def test_the_papers_presets_count_the_quantizers_loss_in_full(preset):
    model = load_config(preset).model
    assert model.tokenizer.codebook.loss_weight == model.latent_action.codebook.loss_weight == 1
    assert load_config("laptop").model.tokenizer.codebook.loss_weight == 0.1  # as the shipped checkpoints were trained


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_the_tokenizer_never_looks_ahead(genie, videos, direction):
    tokens = genie.encode(videos)
    call, given = (genie.encode, videos) if direction == "encode" else (genie.decode, tokens)
    changed = given.copy()
    changed[:, 4:] = changed[:, 4:][:, ::-1, ..., ::-1]
    before, after = call(given), call(changed)
    assert np.array_equal(before[:, :4], after[:, :4])
    assert not np.array_equal(before[:, 4:], after[:, 4:])


def test_a_tokenizer_of_patches_starts_at_typical_patches_and_learns_the_rest(videos):
    config = load_config("tiny", {"model.tokenizer.codes": "patches", "model.tokenizer.codebook": PATCH_CODES})
    tokenizer = Genie(config).tokenizer
    frames = torch.from_numpy(videos).float() / 255
    tokenizer.fit_patches(frames, torch.Generator().manual_seed(0))
    tokens = tokenizer.encode(frames)
    cut = tokenizer.patches.cut
    errors = (cut(frames)[..., None, :] - 0.5 - tokenizer.quantizer.codebook).square().sum(-1)
    assert torch.equal(tokens, errors.argmin(-1))
    shown = tokenizer.quantizer.codebook[tokens] + 0.5
    torch.testing.assert_close(cut(tokenizer.decode(tokens)), shown.clamp(0, 1))  # the decoder adds nothing yet
    output = tokenizer.train()(frames)
    book = tokenizer.quantizer.codebook.clone()
    assert output.loss == output.reconstruction_loss
    output.loss.backward()
    assert tokenizer.to_patch.weight.grad.abs().sum() > 0
    tokenizer(frames)
    assert torch.equal(tokenizer.quantizer.codebook, book)


def test_a_latent_action_knows_the_next_frame_and_nothing_later(genie, videos):
    changed = videos.copy()
    changed[:, 4] = 255 - changed[:, 4]
    latents = [genie.latent_action.latents(floats(f)) for f in (videos, changed)]
    moved = (latents[0] - latents[1]).abs().amax(dim=(0, 2))
    assert (moved[:3] == 0).all()  # actions into frames 1, 2, 3
    assert moved[3] > 0  # the action that leads to frame 4


def test_the_lam_decoder_cannot_see_the_frame_it_predicts(genie, videos):
    changed = videos.copy()
    changed[:, 4:] = 255 - changed[:, 4:]
    vectors = torch.randn(2, 6, 8)
    predictions = [genie.latent_action.predict(floats(f)[:, :-1], vectors) for f in (videos, changed)]
    assert torch.equal(predictions[0][:, :4], predictions[1][:, :4])  # frames 1 .. 4, from frames 0 .. 3
    assert not torch.equal(predictions[0][:, 4:], predictions[1][:, 4:])


def test_the_lam_starts_at_copying_the_last_frame(videos):
    fresh = Genie(load_config("tiny")).latent_action.eval()
    frames = floats(videos)
    assert torch.equal(fresh(frames).prediction, frames[:, :-1])


@torch.no_grad()
def test_the_relative_loss_weighs_a_frame_by_how_little_it_changed(videos):
    """Against the definition: error / (change + half the usual change), in units of the usual change."""
    model = Genie(load_config("tiny", {"model.latent_action.loss": "relative"})).latent_action.eval()
    frames = floats(videos)
    output, quantizer_loss = model(frames), model.quantizer(model.latents(frames)).loss
    error, change = (
        [float((a - b).square().mean()) for a, b in zip(made.flatten(0, 1), frames[:, 1:].flatten(0, 1), strict=True)]
        for made in (output.prediction, frames[:, :-1])
    )
    usual = sum(change) / len(change)
    expected = sum(e * usual / (c + usual / 2) for e, c in zip(error, change, strict=True)) / len(error)
    assert float(output.loss) == pytest.approx(expected + float(quantizer_loss), rel=1e-5)
    assert float(output.prediction_loss) == pytest.approx(sum(error) / len(error), rel=1e-5)
    assert float(model(frames[:, :1].expand(-1, 4, -1, -1, -1)).prediction_loss) == 0  # nothing moves: no nan
    assert model(frames[:, :1].expand(-1, 4, -1, -1, -1)).loss.isfinite()


def test_without_the_options_the_lam_is_the_papers(videos):
    off = {"model.latent_action.difference_input": False, "model.latent_action.residual_output": False}
    model = Genie(load_config("tiny", off)).latent_action
    assert model.encoder_patches.in_features == 16 * 16 * 3
    prediction = model(floats(videos)).prediction
    assert 0 < prediction.min() < prediction.max() < 1  # through a sigmoid (appendix C.1)


def test_dynamics_is_causal_and_actions_act_from_their_frame_on(genie, videos):
    tokens = torch.from_numpy(genie.encode(videos))
    vectors = torch.randn(2, 6, 8)
    base = genie.dynamics.logits(tokens, vectors)
    other = vectors.clone()
    other[:, 3] *= -1  # leads to frame 4
    moved = (genie.dynamics.logits(tokens, other) - base).abs().amax(dim=(0, 2, 3))
    assert (moved[:4] == 0).all()
    assert (moved[4:] > 0).all()
    later = tokens.clone()
    later[:, 5] = (later[:, 5] + 7) % 64
    moved = (genie.dynamics.logits(later, vectors) - base).abs().amax(dim=(0, 2, 3))
    assert (moved[:5] == 0).all()
    assert (moved[5:] > 0).all()


def test_the_previous_frame_is_seen_complete_and_the_masked_one_is_not(genie, videos):
    model = build_dynamics(with_dynamics(genie, previous_input=True))
    model.load_state_dict(genie.dynamics.state_dict(), strict=False)
    tokens, vectors = torch.from_numpy(genie.encode(videos)), torch.randn(2, 6, 8)
    other = tokens.clone()
    other[:, 3] = (other[:, 3] + 1) % model.num_tokens
    masked = tokens.masked_fill((torch.arange(7) > 0)[:, None], model.mask_token)  # all but the first frame
    with torch.no_grad():
        first, second = (model.features(masked, vectors, past=past[:, :-1]) for past in (tokens, other))
    assert torch.equal(first[:, :4], second[:, :4])  # what frame 3 is shows nowhere while it is predicted
    assert (first[:, 4] - second[:, 4]).abs().amax(-1).min() > 0  # and at every position of the frame after it


def test_no_gradient_of_the_dynamics_reaches_the_latent_actions(genie, videos):
    vectors = genie.latent_action.quantizer(genie.latent_action.latents(floats(videos))).vectors
    assert vectors.requires_grad
    vectors.retain_grad()
    genie.dynamics(torch.from_numpy(genie.encode(videos)), vectors).loss.backward()
    assert vectors.grad is None
    genie.zero_grad()


def test_masking_follows_the_paper(genie):
    tokens = torch.zeros(4000, 5, 64, dtype=torch.int64)
    masked = genie.dynamics.draw_mask(tokens, torch.Generator().manual_seed(0))
    assert not masked[:, 0].any()
    rates = masked[:, 1:].float().mean(dim=(1, 2))  # one rate a clip
    assert rates.min() > 0.40 and rates.max() == 1
    assert rates.mean().item() == pytest.approx(0.75, abs=0.01)
    assert rates.std().item() == pytest.approx(0.5 / 12**0.5, abs=0.01)  # of U(0.5, 1)


def test_tokens_may_start_as_similar_as_their_codes(genie):
    """In the input and in the output; the mask token is left alone."""
    model = DynamicsModel(genie.config.model)
    mask = model.token_embedding.weight[model.mask_token].clone()
    codes = torch.nn.functional.normalize(torch.randn(model.num_tokens, 8), dim=-1)
    torch.manual_seed(0)
    start_from_codes(model, codes)
    assert torch.equal(model.token_embedding.weight[model.mask_token], mask)
    for weight in (model.token_embedding.weight[: model.num_tokens], model.to_logits.weight):
        likeness = torch.nn.functional.normalize(weight, dim=-1) @ torch.nn.functional.normalize(weight, dim=-1).T
        assert torch.corrcoef(torch.stack([likeness.flatten(), (codes @ codes.T).flatten()]))[0, 1] > 0.8
    assert 0.05 < model.token_embedding.weight.std() < 0.2


def test_the_loss_counts_masked_tokens_only_and_starts_undecided(genie, videos):
    torch.manual_seed(0)
    fresh = Genie(load_config("tiny")).dynamics
    tokens = torch.from_numpy(genie.encode(videos))
    output = fresh(tokens, torch.randn(2, 6, 8), torch.Generator().manual_seed(0))
    assert len(output.logits) == output.masked.sum()
    assert output.loss.item() == pytest.approx(np.log(64), abs=1e-3)


def test_the_loss_may_count_a_share_of_the_masked_tokens(genie, videos):
    model = build_dynamics(with_dynamics(genie, loss_share=0.25))
    model.load_state_dict(genie.dynamics.state_dict())
    tokens, vectors = torch.from_numpy(genie.encode(videos)), torch.randn(2, 6, 8)
    shares, losses = [], []
    for seed in range(40):
        output = model(tokens, vectors, torch.Generator().manual_seed(seed))
        whole = genie.dynamics(tokens, vectors, torch.Generator().manual_seed(seed))
        assert torch.equal(output.masked, whole.masked)
        shares.append(len(output.logits) / len(whole.logits))
        losses.append((output.loss - whole.loss).item())
    assert np.mean(shares) == pytest.approx(0.25, abs=0.02)
    assert abs(np.mean(losses)) < 3 * np.std(losses) / np.sqrt(40)  # the same loss, on average


def test_corruption_replaces_a_share_of_each_clips_tokens_by_others_of_that_clip():
    tokens = torch.arange(64 * 5 * 64).view(64, 5, 64)  # every clip has tokens of its own
    before = tokens.clone()
    noisy = corrupt(tokens, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(tokens, before)
    assert torch.equal(noisy // 320, tokens // 320)
    shares = (noisy != tokens).float().mean(dim=(1, 2))
    assert shares.mean().item() == pytest.approx(0.25, abs=0.05)  # U(0, 0.5), drawn for each clip
    assert shares.min() < 0.05 and 0.4 < shares.max() < 0.55


def test_the_api_takes_frames_with_and_without_a_batch_axis(genie, videos):
    assert genie.encode(videos).shape == (2, 7, 64)
    assert np.array_equal(genie.encode(videos[0]), genie.encode(videos)[0])
    assert genie.decode(genie.encode(videos[0])).shape == videos[0].shape
    assert genie.infer_actions(videos).shape == (2, 6)
    assert genie.predict_next(videos).shape == (2, 6, 64, 64, 3)
    video = genie.generate(videos[0, 0], [0, 1, 2])
    assert video.shape == (3, 64, 64, 3) and video.dtype == np.uint8
    assert np.array_equal(video, genie.generate(videos[0, 0], [0, 1, 2]))
    assert not np.array_equal(video, genie.generate(videos[0, 0], [0, 1, 2], seed=1))
    assert genie.generate(videos[:, :2], np.zeros((2, 3), int)).shape == (2, 3, 64, 64, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g, f: g.encode(f / 255.0), r"frames: found float64 .*wanted uint8 \[B, T, 64, 64, 3\]"),
        (lambda g, f: g.encode(f[..., :32, :]), "frames: found uint8 .*wanted uint8"),
        (lambda g, f: g.infer_actions(f[:, :1]), "wanted .* with T >= 2"),
        (lambda g, f: g.generate(f[0, 0], [0, 6]), "latent action 6: out of range, this world has 0 .. 5"),
        (lambda g, f: g.generate(f[0, 0], [-1]), "latent action -1: out of range"),
        (lambda g, f: g.generate(f[0, 0], [0.5]), "latent_actions: found float64"),
        (lambda g, f: g.generate(f[:, 0], np.zeros((3, 1), int)), r"latent_actions: found int64 \[3\]"),
        (lambda g, f: g.decode(np.full((1, 64), 64)), r"tokens: found .*wanted whole numbers in \[0, 64\)"),
        (lambda g, f: g.decode(np.zeros((1, 63), int)), "tokens: found shape"),
    ],
)
def test_wrong_arrays_are_named(genie, videos, call, message):
    with pytest.raises(ValueError, match=message):
        call(genie, videos)


# ------------------------------------------------------------------------------------------------- checkpoints


def test_a_saved_genie_comes_back_the_same(genie, videos, tmp_path):
    genie.card = {"trained": ["tokenizer"]}
    loaded = Genie.load(genie.save(tmp_path / "world"))
    loaded.precision = "float32"
    assert loaded.config == genie.config and loaded.card["trained"] == ["tokenizer"]
    assert np.array_equal(loaded.generate(videos[0, 0], [1, 2]), genie.generate(videos[0, 0], [1, 2]))
    assert sorted(p.name for p in (tmp_path / "world").iterdir()) == ["card.json", "config.json", "model.safetensors"]
    half = genie.save(tmp_path / "half", dtype=torch.bfloat16) / "model.safetensors"
    assert half.stat().st_size < 0.6 * (tmp_path / "world" / "model.safetensors").stat().st_size
    shared = Genie.load(tmp_path / "half").tokenizer.quantizer
    assert torch.equal(shared.latent_sums, shared.codebook * shared.usage[:, None])
    assert Genie.load(tmp_path / "half").dynamics.to_logits.weight.dtype == torch.float32


def damage(folder, how):
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    if how == "missing tensor":
        tensors.pop("dynamics.to_logits.weight")
    elif how == "surplus tensor":
        tensors["dynamics.extra"] = torch.zeros(3)
    elif how == "another shape":
        tensors["dynamics.to_logits.weight"] = torch.zeros(3, 3)
    save_file(tensors, weights)
    config = json.loads((folder / "config.json").read_text())
    if how == "another version":
        config["format_version"] = 99
    elif how == "unknown key":
        config["config"]["model"]["wings"] = 2
    (folder / "config.json").write_text("{" if how == "broken config" else json.dumps(config))
    if how == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif how == "no weights":
        weights.unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing tensor", r"missing dynamics.to_logits.weight \[64, 32\]"),
        ("surplus tensor", r"surplus dynamics.extra \[3\]"),
        ("another shape", r"dynamics.to_logits.weight has shape \[3, 3\], wanted \[64, 32\]"),
        ("another version", "found format_version 99, wanted 1"),
        ("unknown key", "config.json: model.wings: unknown key"),
        ("broken config", "config.json: not valid JSON"),
        ("truncated weights", "model.safetensors: cannot be read"),
        ("no weights", "model.safetensors: no such file"),
    ],
)
def test_a_damaged_checkpoint_is_named(genie, tmp_path, how, message):
    folder = genie.save(tmp_path / "world")
    damage(folder, how)
    with pytest.raises(CheckpointError, match=message):
        Genie.load(folder)


def test_a_full_disk_while_saving_leaves_the_old_checkpoint(genie, tmp_path, monkeypatch):
    folder = genie.save(tmp_path / "world")
    before = (folder / "model.safetensors").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genie_lite.storage.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        genie.save(folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert os.listdir(tmp_path) == ["world"]


def test_weights_that_are_not_finite_are_refused(genie, tmp_path):
    broken = copy.deepcopy(genie)
    with torch.no_grad():
        broken.dynamics.to_logits.bias[3] = float("nan")
    folder = broken.save(tmp_path / "world")
    with pytest.raises(CheckpointError, match="dynamics.to_logits.bias holds values that are not finite"):
        Genie.load(folder)


def test_an_unknown_name_lists_what_ships():
    import genie_lite

    with pytest.raises(CheckpointError, match="'lapdog': neither a folder nor a shipped name"):
        genie_lite.load("lapdog")
