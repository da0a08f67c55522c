"""Ablations: what each variant may see, equal parameters, verdicts, results that are not computed twice."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_lite import ablations, data, evaluation, training
from genie_lite.api import Genie
from genie_lite.config import ConfigError, TransformerConfig, load_config
from genie_lite.inference import KVCache
from genie_lite.inference.maskgit import sample_frame
from genie_lite.inference.one_frame import newest_frame, remember
from genie_lite.nn import STTransformer
from genie_lite.nn.table3_blocks import BLOCKS

VARIANTS = ablations.VARIANTS
WINDOW = 4


def lively(model: torch.nn.Module) -> torch.nn.Module:
    """Fresh blocks are the identity; make every layer do something."""
    for parameter in model.parameters():
        if parameter.ndim == 2 and parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def stack(layers: int, width: int, window: int, attention: str) -> STTransformer:
    return STTransformer(TransformerConfig(num_layers=layers, d_model=width, num_heads=2), window, BLOCKS[attention])


def world(**changes: object) -> Genie:
    settings = {"model.context_frames": WINDOW} | {f"model.{key.replace('__', '.')}": v for key, v in changes.items()}
    genie = lively(Genie(load_config("tiny", settings)))
    genie.precision = "float32"
    return genie


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 7, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def dataset(tmp_path: Path):
    rng = np.random.default_rng(0)
    episodes = [rng.integers(0, 256, (40, 64, 64, 3), dtype=np.uint8) for _ in range(4)]
    data.write_dataset(tmp_path / "videos.zarr", episodes)
    return data.open_dataset(tmp_path / "videos.zarr", (64, 64))


# ------------------------------------------------------------------------------------------ what attends to what


def influence(attention: str, frames: int = 7, tokens: int = 3) -> np.ndarray:
    """bool [T, N, T, N]: whether output token (t, n) of one block feels input token (s, m)."""
    transformer = lively(stack(1, 8, WINDOW, attention))
    x = torch.randn(1, frames, tokens, 8, requires_grad=True)
    rows = transformer(x).reshape(frames * tokens, 8)
    felt = [torch.autograd.grad(row.sum() + row[0], x, retain_graph=True)[0].abs().sum(-1) > 0 for row in rows]
    return torch.stack(felt).numpy().reshape(frames, tokens, frames, tokens)


def test_each_variant_sees_what_its_name_says() -> None:
    back = np.arange(7)[:, None] - np.arange(7)[None]
    in_window = (back >= 0) & (back < WINDOW)
    vit, full, st = (influence(attention) for attention in ("space", "full", "st"))
    everywhere = np.ones((3, 3), dtype=bool)
    assert np.array_equal(vit, (back == 0)[:, None, :, None] & everywhere[None, :, None, :])
    assert np.array_equal(full, in_window[:, None, :, None] & everywhere[None, :, None, :])
    assert not st[~np.broadcast_to(in_window[:, None, :, None], st.shape)].any()
    assert np.array_equal(st, full)  # space first, then time: one block reaches as far as full attention


@pytest.mark.parametrize("attention", ["space", "full"])
def test_tokenizers_never_look_ahead_and_a_vit_never_back(videos: np.ndarray, attention: str) -> None:
    genie = world(tokenizer__attention=attention)
    changed = videos.copy()
    changed[:, 4] = 255 - changed[:, 4]
    before, after = genie.encode(videos), genie.encode(changed)
    moved = (before != after).any((0, 2))
    assert not moved[:4].any() and moved[4]
    assert moved[5:].any() == (attention == "full")
    shifted = before.copy()
    shifted[:, 4] = (shifted[:, 4] + 7) % 64
    moved = (genie.decode(before) != genie.decode(shifted)).any((0, 2, 3, 4))
    assert not moved[:4].any() and moved[4]
    assert moved[5:].any() == (attention == "full")


@pytest.mark.parametrize("attention", ["st", "space", "full"])
def test_a_frame_at_a_time_with_a_cache_is_the_whole_video(attention: str) -> None:
    transformer = lively(stack(2, 8, WINDOW, attention))
    x = torch.randn(2, 9, 3, 8)
    cache = KVCache(WINDOW)
    with torch.no_grad():
        whole = transformer(x)
        pieces = []
        for t in range(x.shape[1]):
            newest_frame(transformer, torch.randn(2, 1, 3, 8), cache)  # a guess, written over as MaskGIT's are
            pieces.append(newest_frame(transformer, x[:, t : t + 1], cache).view(2, 1, 3, 8))
            cache.advance()
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("attention", ["space", "full"])
def test_a_world_with_another_tokenizer_plays_undoes_and_is_saved(
    videos: np.ndarray, attention: str, tmp_path: Path
) -> None:
    genie = world(tokenizer__attention=attention)
    video = genie.generate(videos[:, :2], np.array([[0, 1, 2, 3, 4, 5]] * 2), seed=3)
    again = Genie.load(genie.save(tmp_path / "checkpoint"))
    again.precision = "float32"
    assert np.array_equal(again.generate(videos[:, :2], np.array([[0, 1, 2, 3, 4, 5]] * 2), seed=3), video)
    rollout = genie.rollout(videos[:, :2], seed=3)
    first, second = rollout.step([0, 0]), rollout.step([1, 1])
    rollout.undo()
    assert np.array_equal(rollout.frame, first)
    assert np.array_equal(rollout.step([1, 1]), second)


# -------------------------------------------------------------------------------------------------- equal terms


@pytest.mark.parametrize("preset", ["tiny", "laptop", "gpu", "paper", "platformers"])
def test_tokenizers_have_equal_parameters(preset: str) -> None:
    counts = {
        name: ablations.count_parameters(ablations.variant_config(load_config(preset), "tokenizer", name))["tokenizer"]
        for name in VARIANTS["tokenizer"]
    }
    assert max(counts.values()) <= 1.02 * min(counts.values()), counts
    assert counts["st"] == ablations.count_parameters(load_config(preset))["tokenizer"]


def test_defaults_leave_todays_models_as_they_are(videos: np.ndarray) -> None:
    """The shipped checkpoint knows none of the options: its config, its tensors' names and its numbers stay."""
    folder = data.data_folder() / "checkpoints" / "laptop"
    stored = json.loads((folder / "config.json").read_text())
    text = json.dumps(stored)
    genie = Genie.load(folder)
    assert genie.tokenizer.encoder.blocks[0].__class__.__name__ == "STBlock"
    assert genie.config.model.tokenizer.attention == "st" and genie.config.model.latent_action.inputs == "pixels"
    if '"attention"' not in text:  # written before the options existed: loads all the same
        assert '"inputs"' not in text
    pixels = torch.from_numpy(videos).float() / 255
    assert genie.latent_action_inputs(pixels) is pixels


def test_naming_the_defaults_changes_no_bit() -> None:
    named = {"model.tokenizer.attention": "st", "model.latent_action.inputs": "pixels"}
    worlds = []
    for overrides in ({}, named):
        torch.manual_seed(0)
        worlds.append(Genie(load_config("tiny", overrides)))
    plain, other = (genie.state_dict() for genie in worlds)
    assert list(plain) == list(other)
    assert all(torch.equal(plain[name], other[name]) for name in plain)
    assert worlds[0].config == worlds[1].config


def test_variants_change_what_they_say_and_nothing_else() -> None:
    laptop = load_config("laptop")
    assert ablations.variant_config(laptop, "tokenizer", "st") == laptop
    pixels = ablations.variant_config(laptop, "latent-action", "pixels")
    assert pixels.model.latent_action.inputs == "pixels" and pixels.model.tokenizer == laptop.model.tokenizer
    tokens = ablations.variant_config(laptop, "latent-action", "tokens")
    assert dataclasses.replace(tokens.model.latent_action, inputs="pixels") == pixels.model.latent_action
    assert tokens.model.dynamics == pixels.model.dynamics
    vit = ablations.variant_config(laptop, "tokenizer", "space", seed=5)
    assert vit.model.tokenizer.attention == "space" and vit.training.dynamics.seed == vit.training.tokenizer.seed == 5
    assert vit.model.latent_action == laptop.model.latent_action
    masked, complete = (ablations.variant_config(laptop, "past", past) for past in VARIANTS["past"])
    assert dataclasses.replace(masked.model.dynamics, past="complete") == complete.model.dynamics
    assert dataclasses.replace(complete.model.dynamics, first_guess=True) == laptop.model.dynamics
    prepended, added = (ablations.variant_config(laptop, "actions", kind) for kind in VARIANTS["actions"])
    assert dataclasses.replace(prepended.model.dynamics, action_input="added") == added.model.dynamics
    assert added == masked
    codes = [ablations.variant_config(laptop, "codes", number).model for number in VARIANTS["codes"]]
    assert [model.latent_action.codebook.num_codes for model in codes] == [4, 8, 16]
    assert codes[1] == laptop.model and all(model.dynamics == laptop.model.dynamics for model in codes)
    warm = ablations.variant_config(laptop, "temperature", "1.0", seed=2)
    assert warm.sampling.temperature == 1.0 and warm.model == laptop.model
    with pytest.raises(ConfigError, match="study, variant"):
        ablations.variant_config(laptop, "tokenizer", "vit")
    with pytest.raises(ConfigError, match="attention"):
        ablations.variant_config(vit, "tokenizer", "full")


@pytest.mark.parametrize("attention", ["space", "st", "full"])
@pytest.mark.parametrize(("frames", "tokens"), [(4, 9), (6, 64)])  # the second is long enough for the fused kernel
def test_scores_counted_in_the_act_are_those_of_the_formula(attention: str, frames: int, tokens: int) -> None:
    block = stack(1, 16, 16, attention)
    counted = ablations.count_scores(block, torch.randn(3, frames, tokens, 16))
    assert counted == ablations.score_numbers(3, 2, frames, tokens, attention)


def test_memory_is_measured_in_a_fresh_process() -> None:
    big = {"training.tokenizer.frames": 16, "training.tokenizer.clips": 4}
    found = {
        name: ablations.measure_step_memory(
            ablations.variant_config(load_config("tiny", big), "tokenizer", name), fused=False
        )
        for name in ("space", "full")
    }
    assert 0 < found["space"] < found["full"]


# ------------------------------------------------------------------------------------ actions before their frame


def test_prepended_actions_move_their_frame_and_later_ones_alone(videos: np.ndarray) -> None:
    genie = world(dynamics__action_input="prepended")
    tokens = torch.from_numpy(genie.encode(videos).astype(np.int64))
    vectors = torch.randn(2, 6, 8, requires_grad=True)
    logits = genie.dynamics.logits(tokens, vectors)
    assert logits.shape == (2, 7, 64, 64)
    with torch.no_grad():
        other = vectors.clone()
        other[:, 2] += 1  # leads to frame 3
        moved = (genie.dynamics.logits(tokens, other) - logits).abs().amax(dim=(0, 2, 3)) > 1e-6
    assert moved.tolist() == [False, False, False, True, True, True, True]
    logits.sum().backward()
    assert vectors.grad is None  # stop-gradient (section 2.1)


def test_prepended_actions_see_no_future_frame(videos: np.ndarray) -> None:
    dynamics = world(dynamics__action_input="prepended").dynamics
    tokens, vectors = torch.randint(64, (2, 7, 64)), torch.randn(2, 6, 8)
    changed = tokens.clone()
    changed[:, 4] = (changed[:, 4] + 7) % 64
    with torch.no_grad():
        moved = (dynamics.logits(tokens, vectors) - dynamics.logits(changed, vectors)).abs().amax(dim=(0, 2, 3)) > 0
    assert not moved[:4].any() and moved[4:].all()


@pytest.mark.parametrize("ordering", ["random", "confidence"])
def test_with_prepended_actions_the_cache_is_the_whole_video(ordering: str) -> None:
    dynamics = world(dynamics__action_input="prepended").dynamics
    tokens, vectors = torch.randint(64, (2, 7, 64)), torch.randn(2, 6, 8)
    cache, sampling = KVCache(WINDOW), load_config("tiny", {"sampling.ordering": ordering}).sampling
    with torch.no_grad():
        whole = dynamics.features(tokens, vectors)
        for t in range(7):
            before = slice(max(t - 1, 0), t)
            if t:  # what sampling writes into the cache is written over
                made = sample_frame(dynamics, vectors[:, before], cache, sampling, torch.Generator().manual_seed(0))
                assert made[-1].shape == (2, 64) and made[-1].max() < 64
            features = remember(dynamics, tokens[:, t], vectors[:, before], cache)
            cache.advance()
            torch.testing.assert_close(features.view(2, 64, -1), whole[:, t], atol=1e-4, rtol=1e-4)


def test_a_world_with_prepended_actions_trains_plays_and_is_saved(dataset, tmp_path: Path) -> None:
    settings = load_config("tiny", {"model.dynamics.action_input": "prepended", "training.dynamics.steps": 3})
    torch.manual_seed(0)
    genie = training.train_genie(
        settings, dataset, tmp_path / "run", tokenizer=Genie(settings), parts=("dynamics",), progress=False
    )
    again = Genie.load(tmp_path / "run" / "checkpoint")
    frames = dataset.read_clips(dataset.clip_starts(8)[:2], 8)
    actions = np.array([[0, 1, 2]] * 2)
    video = again.generate(frames[:, :2], actions, seed=1)
    assert np.array_equal(video, genie.generate(frames[:, :2], actions, seed=1)) and video.shape == (2, 3, 64, 64, 3)


@pytest.mark.parametrize("rest", [{"past": "complete"}, {"previous_input": True}])
def test_prepended_actions_want_the_papers_past(rest: dict) -> None:
    settings = {f"model.dynamics.{name}": value for name, value in rest.items()}
    with pytest.raises(ConfigError, match="dynamics.action_input: found 'prepended', wanted added, or past: masked"):
        load_config("tiny", settings | {"model.dynamics.action_input": "prepended"})


# --------------------------------------------------------------------------------- latent actions from tokens


def test_a_latent_action_from_tokens_knows_the_next_frame_and_nothing_later(videos: np.ndarray) -> None:
    genie = world(latent_action__inputs="tokens")
    changed = videos.copy()
    changed[:, 4:] = 255 - changed[:, 4:]
    seen = [genie.latent_action_inputs(torch.from_numpy(f).float() / 255) for f in (videos, changed)]
    assert seen[0].shape == (2, 7, 8, 8, 8)  # 8 x 8 tokens, codes of 8 numbers
    latents = [genie.latent_action.latents(x) for x in seen]
    moved = (latents[0] - latents[1]).abs().amax(dim=(0, 2))
    assert (moved[:3] == 0).all() and moved[3] > 0
    vectors = torch.randn(2, 6, 8)
    told = [genie.latent_action.predict(x[:, :-1], vectors) for x in seen]
    assert torch.equal(told[0][:, :4], told[1][:, :4]) and not torch.equal(told[0][:, 4:], told[1][:, 4:])


def test_codes_stand_where_their_patch_does_and_carry_no_gradient(videos: np.ndarray) -> None:
    genie = world(latent_action__inputs="tokens")
    pixels = torch.from_numpy(videos).float() / 255
    tokens = genie.tokenizer.encode(pixels)
    seen = genie.latent_action_inputs(pixels, tokens)
    assert torch.equal(seen[1, 2, 3, 5], genie.tokenizer.quantizer.lookup(tokens[1, 2, 3 * 8 + 5]))
    assert torch.equal(seen, genie.latent_action_inputs(pixels)) and not seen.requires_grad


def test_without_residual_output_codes_are_predicted_as_they_are(videos: np.ndarray) -> None:
    genie = world(latent_action__inputs="tokens", latent_action__residual_output=False)
    seen = genie.latent_action_inputs(torch.from_numpy(videos).float() / 255)
    prediction = genie.latent_action(seen).prediction
    assert prediction.min() < 0 and prediction.shape == seen[:, 1:].shape


def test_a_fresh_token_model_copies_the_last_frames_tokens(videos: np.ndarray) -> None:
    genie = Genie(load_config("tiny", {"model.latent_action.inputs": "tokens"})).eval()
    genie.precision = "float32"
    tokens = genie.encode(videos)
    copied = genie.decode(np.concatenate([tokens[:, :1], tokens[:, :-1]], axis=1))[:, 1:]
    assert np.array_equal(genie.predict_next(videos), copied)


def test_pixels_given_to_a_token_model_are_refused(videos: np.ndarray) -> None:
    genie = world(latent_action__inputs="tokens")
    with pytest.raises(ValueError, match="latent_action_inputs"):
        genie.latent_action.encode(torch.from_numpy(videos).float() / 255)


def test_patches_of_tokens_must_be_whole() -> None:
    with pytest.raises(ConfigError, match="multiple of tokenizer.patch_size"):
        load_config("tiny", {"model.latent_action.inputs": "tokens", "model.latent_action.patch_size": 4})


@pytest.mark.parametrize("parts", [("latent_action", "dynamics"), ("latent_action",)])
def test_a_world_with_latent_actions_from_tokens_trains_plays_and_is_measured(dataset, tmp_path: Path, parts) -> None:
    settings = load_config("tiny", {"model.latent_action.inputs": "tokens"})
    torch.manual_seed(0)
    base = Genie(settings)
    before = [p.clone() for p in base.tokenizer.parameters()]
    genie = training.train_genie(settings, dataset, tmp_path / "run", tokenizer=base, parts=parts, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(before, genie.tokenizer.parameters(), strict=True))
    again = Genie.load(tmp_path / "run" / "checkpoint")
    videos = dataset.read_clips(dataset.clip_starts(8)[:2], 8)
    codes = again.infer_actions(videos)
    assert np.array_equal(codes, genie.infer_actions(videos)) and codes.shape == (2, 7)
    assert again.generate(videos[:, :2], codes, maskgit_steps=2).shape == videos[:, 1:].shape
    report = evaluation.evaluate_genie(again, dataset, clips=4, frames=6, progress=False)
    assert np.isfinite(report["delta_psnr"].value) and np.isfinite(report["lam_psnr"].value)


# ------------------------------------------------------------------------------------------ what a study leaves


@pytest.fixture(scope="module")
def tool(repository: Path):
    spec = importlib.util.spec_from_file_location("ablation_tool", repository / "tools" / "ablation.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("study", VARIANTS)
def test_one_command_runs_a_study_and_not_twice(tool, study: str, tmp_path: Path, capsys, monkeypatch) -> None:
    command = [study, "--quick", "--seeds", "3", "--out", str(tmp_path), "--no-progress"]
    command += ["--frames", "6", "--ship", str(tmp_path / "shipped")]
    assert tool.main(command) == 0
    first = capsys.readouterr().out
    for name in VARIANTS[study].values():
        assert f"| {name} | 3 |" in first
    assert "verdict" in first and "One seed (3)" in first
    results = ablations.load_results(tmp_path / f"{study}-tiny.json")
    assert [r["variant"] for r in results] == list(VARIANTS[study])
    assert len({json.dumps(r["steps"]) for r in results}) == 1
    assert {tuple(r["steps"]) for r in results} == {ablations.TRAINED[study]}
    slim = json.loads((tmp_path / "shipped" / f"{study}.json").read_text())["results"]
    assert ablations.table(study, slim) == ablations.table(study, results)
    assert str(ablations.comparisons(study, slim)) == str(ablations.comparisons(study, results))
    assert len(json.dumps(slim)) < 0.7 * len(json.dumps(results))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("genie_lite.ablations.runs.train_genie", never)
    monkeypatch.setattr("genie_lite.ablations.runs.train_tokenizer", never)
    assert tool.main(command) == 0
    assert capsys.readouterr().out == first
    other = [*command, "--set", "sampling.maskgit_steps=3"]
    assert tool.main(other) == 2
    assert "other settings (config)" in capsys.readouterr().err
    assert tool.main([*command, "--variants", "pixel"]) == 2
    assert "--variants: found pixel" in capsys.readouterr().err


def test_a_run_of_another_study_with_the_same_settings_is_taken_over(tool, tmp_path: Path, monkeypatch) -> None:
    command = ["--quick", "--seeds", "3", "--out", str(tmp_path), "--no-progress", "--frames", "6"]
    assert tool.main(["past", *command, "--variants", "masked"]) == 0
    trained = []
    train_genie = ablations.runs.train_genie

    def counting(config, *rest, **named):
        trained.append(config.model.dynamics.action_input)
        return train_genie(config, *rest, **named)

    monkeypatch.setattr("genie_lite.ablations.runs.train_genie", counting)
    assert tool.main(["actions", *command]) == 0
    assert trained == ["prepended"]
    masked, added = (ablations.load_results(tmp_path / f"{name}-tiny.json") for name in ("past", "actions"))
    assert added[1] == masked[0] | {"study": "actions", "variant": "added", "name": VARIANTS["actions"]["added"]}
    assert ablations.load_results(tmp_path / "actions-tiny.json")[0]["settings"] != added[1]["settings"]


def test_a_preset_without_a_shipped_world_needs_a_base(tool, tmp_path: Path, capsys) -> None:
    assert tool.main(["tokenizer", "--preset", "paper", "--out", str(tmp_path)]) == 2
    assert "--base" in capsys.readouterr().err


def test_a_base_that_reads_its_own_tokens_is_refused(dataset, tmp_path: Path) -> None:
    settings = load_config("tiny")
    base = world(latent_action__inputs="tokens")
    with pytest.raises(ablations.AblationError, match="reads pixels"):
        ablations.run_variant(
            "tokenizer", "st", settings, base=base, train=dataset, test=dataset, folder=tmp_path / "run"
        )


def result(variant: str, seed: int, **metrics: float) -> dict:
    return {
        "variant": variant,
        "seed": seed,
        "parameters": 1000,
        "memory": {"as_run": 0.5, "written_out": None},
        "report": {"metrics": {name: {"value": value, "low": 0.0, "high": 9.0} for name, value in metrics.items()}},
    }


def test_the_table_has_means_over_seeds_and_no_empty_column() -> None:
    results = [result("st", 1, delta_psnr=3.0), result("st", 0, delta_psnr=2.0), result("space", 0, delta_psnr=1.0)]
    lines = ablations.table("tokenizer", results).splitlines()
    assert lines[0] == "|  | seeds | parameters | memory per step (GB) | ΔtPSNR, t = 4 (dB) |"
    assert lines[2:] == ["| ViT | 0 | 1,000 | 0.50 | 1.00 |", "| ST-ViViT | 0, 1 | 1,000 | 0.50 | 2.50 [2.00, 3.00] |"]
    assert ablations.values(results, "st", "delta_psnr") == [2.0, 3.0]  # in the order of seeds


def test_claims_are_judged_by_all_seeds() -> None:
    results = [
        result(v, s, delta_psnr=1.0 + s + (v == "pixels"), coinrun_distance=5.0 - s)
        for v in ("pixels", "tokens")
        for s in (0, 1)
    ]
    verdicts = {claim.text.split(":")[0]: claim.verdict for claim in ablations.claims("latent-action", results)}
    assert verdicts == {"ΔtPSNR": "agrees", "CoinRun video distance (paper": "cannot tell"}
    one = [r for r in results if r["seed"] == 0]
    assert ablations.claims("latent-action", one)[0].verdict == "cannot tell: one seed, the same way"
    assert ablations.claims("latent-action", results[:2])[0].verdict == "not measured"


def test_a_difference_has_students_interval_over_seeds() -> None:
    found = ablations.paired_difference([2.0, 3.0, 5.0], [1.0, 1.0, 2.0])  # differences 1, 2, 3
    assert found.value == 2 and found.high - 2 == pytest.approx(4.303 / 3**0.5) == 2 - found.low
    single = ablations.paired_difference([2.0], [1.0])
    assert single.value == 1 and np.isnan(single.low) and np.isnan(single.high)
    with pytest.raises(ValueError, match="found 2 and 1 numbers"):
        ablations.paired_difference([1.0, 2.0], [1.0])


def test_students_interval_holds_the_mean_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    for seeds in (2, 3, 5, 10):
        draws = rng.normal(1.0, 0.5, (2000, seeds))
        intervals = [ablations.paired_difference(list(row), [0.0] * seeds) for row in draws]
        held = np.mean([low <= 1 <= high for _, low, high in intervals])
        assert 0.93 < held < 0.97, (seeds, held)


def test_a_verdict_needs_an_interval_without_zero() -> None:
    clear = [result("complete", s, delta_psnr=3.0 + 0.1 * s) for s in (0, 1, 2)]
    clear += [result("masked", s, delta_psnr=2.0 + 0.1 * s, rollout_psnr=9.0) for s in (0, 1, 2)]
    rows = {row.measure.split(" (")[0]: row for row in ablations.comparisons("past", clear)}
    assert rows["ΔtPSNR"].verdict == "complete past is higher" and rows["ΔtPSNR"].seeds == 3
    assert rows["PSNR of a rollout, t = 4"].verdict == "not measured"
    assert "code tells left/still/right" not in rows  # latent actions are shared
    assert "PSNR of the tokenizer" not in rows  # and so is the tokenizer, but in table 3:
    third = ablations.comparisons(
        "tokenizer", [result(v, s, tokenizer_psnr=27.0 + s) for v in ("st", "full") for s in (0, 1)]
    )
    assert {row.measure for row in third if row.verdict != "not measured"} == {
        "PSNR of the tokenizer (dB, more is better)"
    }
    lower = [r | {"variant": {"masked": "complete", "complete": "masked"}[r["variant"]]} for r in clear]
    assert ablations.comparisons("past", lower)[0].verdict == "complete past is lower"
    vague = [result("complete", s, delta_psnr=3.0 + s**2) for s in (0, 1, 2)] + clear[3:]
    assert ablations.comparisons("past", vague)[0].verdict == "cannot tell"
    one = [r for r in clear if r["seed"] == 0 or r["variant"] == "masked"]
    row = ablations.comparisons("past", one, ["delta_psnr"])[0]
    assert (row.verdict, row.seeds, row.second) == ("cannot tell", 1, "2.00")  # unpaired seeds do not count


def test_recorded_results_are_read_where_they_ship(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENIE_LITE_DATA", str(tmp_path))
    assert ablations.recorded("tokenizer") == []
    (tmp_path / "ablations").mkdir()
    path = tmp_path / "ablations" / "tokenizer.json"
    path.write_text(json.dumps({"format_version": 1, "results": [result("st", 0)]}))
    assert ablations.recorded("tokenizer")[0]["variant"] == "st"
    path.write_text(json.dumps({"format_version": 1, "results": []}))
    with pytest.raises(ablations.AblationError, match="found no results"):
        ablations.recorded("tokenizer")
