"""What the benchmarks compare computes the same function, what they count is right, and the program runs."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import flops, one_page
from benchmarks.measure import interleave, summary
from benchmarks.plain import COMPARED, plain_copy, plain_weights
from benchmarks.plain_play import PlainPlay
from benchmarks.stages import stage_model
from genie_lite import load_config
from genie_lite.api import Genie
from genie_lite.config import COURSE_STAGES
from genie_lite.training.loop import training_step
from genie_lite.training.losses import PARTS, genie_losses, tokenizer_losses
from genie_lite.training.optim import build_optimizers

# Two blocks, queries and values of different widths, codes that restart at once.
SHAPE = {
    "model.context_frames": 7,
    "model.tokenizer.decoder.num_layers": 2,
    "model.dynamics.transformer.num_layers": 2,
    "model.dynamics.transformer.qk_size": 12,
    "model.dynamics.transformer.v_size": 20,
    "model.tokenizer.codebook.restart_after": 1,
    "model.latent_action.codebook.restart_after": 1,
}


@pytest.fixture(scope="module")
def genie() -> Genie:
    """A Genie in float32 whose every parameter is away from its start (fresh blocks are the identity)."""
    torch.manual_seed(0)
    genie = Genie(load_config("tiny", SHAPE | COMPARED))
    with torch.no_grad():
        for parameter in genie.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    genie.precision = "float32"
    return genie.eval()


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    """Noise of a brightness that changes from frame to frame, so that several latent actions are inferred."""
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, (2, 7, 64, 64, 3)) * rng.random((2, 7, 1, 1, 3))).astype(np.uint8)


@pytest.fixture(scope="module")
def frames(videos) -> torch.Tensor:
    return torch.from_numpy(videos).float() / 255


@torch.no_grad()
def test_the_plain_models_compute_what_the_packages_do(genie, frames):
    plain = plain_copy(genie)
    reconstruction, tokens, loss = plain.tokenizer(frames)
    ours = genie.tokenizer(frames)
    torch.testing.assert_close(reconstruction, ours.reconstruction, atol=1e-4, rtol=0)
    torch.testing.assert_close(loss, ours.loss, atol=1e-4, rtol=0)
    assert torch.equal(tokens, ours.tokens) and len(tokens.unique()) > 3
    prediction, codes, loss = plain.latent_action(frames)
    guess = genie.latent_action(frames)
    torch.testing.assert_close(prediction, guess.prediction, atol=1e-4, rtol=0)
    torch.testing.assert_close(loss, guess.loss, atol=1e-4, rtol=0)
    assert torch.equal(codes, guess.latent_actions) and len(codes.unique()) > 1
    vectors = genie.latent_action.quantizer.lookup(codes)
    torch.testing.assert_close(plain.latent_action.quantizer.lookup(codes), vectors)
    wanted = genie.dynamics.logits(tokens, vectors)
    torch.testing.assert_close(plain.dynamics.logits(tokens, vectors), wanted, atol=1e-4, rtol=0)
    assert wanted.std() > 0.1
    losses = [model.dynamics(tokens, vectors, torch.Generator().manual_seed(0)) for model in (plain, genie)]
    torch.testing.assert_close(losses[0], losses[1].loss, atol=1e-4, rtol=0)


def test_a_setting_that_the_reference_does_not_have_is_refused():
    for key, value in (
        ("model.latent_action.inputs", "tokens"),
        ("model.tokenizer.attention", "full"),
        ("model.dynamics.past", "complete"),
    ):
        with pytest.raises(ValueError, match=f"{key}: found '{value}'.*the plain reference has nothing else"):
            plain_copy(Genie(load_config("tiny", {key: value})))
    for preset in ("laptop", "coinrun", "paper"):
        with pytest.raises(ValueError, match="the plain reference has nothing else"), torch.device("meta"):
            plain_copy(Genie(load_config(preset)))


@pytest.mark.parametrize("stage", COURSE_STAGES)
def test_a_plain_training_step_does_what_the_packages_does(genie, frames, stage):
    """Same losses' gradients, same optimiser: after two steps of AdamW, the same weights and codebooks."""
    settings = dataclasses.replace(
        genie.config.training.genie, optimizer="adamw", precision="float32", weight_decay=0.01, max_lr=1e-3
    )
    ours = Genie(genie.config).train()
    ours.load_state_dict(genie.state_dict())
    plain = plain_copy(ours)
    for part in {"tokenizer", "latent_action", "dynamics"} - {stage}:
        getattr(ours, part).requires_grad_(False)
    model = stage_model(ours, stage)
    optimizers = build_optimizers(model, settings)
    betas = (settings.beta1, settings.beta2)
    trained = getattr(plain, stage)
    adamw = torch.optim.AdamW(trained.parameters(), lr=1e-3, betas=betas, weight_decay=0.01)
    for _ in range(2):

        def losses(x):
            return tokenizer_losses(ours.tokenizer, x) if stage == "tokenizer" else genie_losses(ours, x, (stage,))

        torch.manual_seed(1)  # the mask, and codes that restart
        training_step(model, losses, frames, optimizers, settings)
        torch.manual_seed(1)
        one_page.update(trained, plain.loss(stage, frames), [adamw], settings.grad_clip)
    for name, value in plain_weights(ours).items():
        # Adam divides by a gradient's size, so what is noise about zero may differ by more than rounding.
        far = (plain.state_dict()[name] - value).abs().float() > 1e-4
        assert far.float().mean() < 0.01, name
    moved = [(p - q).abs().max() for p, q in zip(plain.parameters(), plain_copy(genie).parameters(), strict=True)]
    assert max(moved) > 1e-3


@pytest.mark.parametrize(("steps", "temperature"), [(1, 1.0), (3, 0.7), (4, 0.0)])
def test_play_with_the_cache_equals_plain_play_without(genie, videos, frames, steps, temperature):
    """Equal tokens from equal random numbers: a random order of unmasking, and a number that decides each token."""
    actions = np.array([[0, 1, 2, 3, 4, 5, 0], [5, 4, 3, 2, 1, 0, 5]])
    rollout = genie.rollout(videos[:, :2], maskgit_steps=steps, temperature=temperature, seed=7)
    plain = PlainPlay(plain_copy(genie), frames[:, :2], rollout.sampling, seed=7)
    for t in range(actions.shape[1]):
        frame = rollout.step(actions[:, t])
        replayed = plain.step(torch.from_numpy(actions[:, t]))
        if t + 3 <= genie.context_frames:  # beyond, the page forgets what its window has left behind
            assert torch.equal(plain.tokens[:, -1], rollout.tokens), f"frame {t + 2}"
            assert np.abs(Genie.to_uint8(replayed).astype(int) - frame).max() <= 1
    assert plain.tokens.shape[1] == genie.context_frames


@pytest.mark.parametrize("stage", ["tokenizer", "latent_action", "dynamics", "genie"])
@pytest.mark.parametrize("preset", ["tiny", "laptop", "coinrun"])
def test_the_formula_counts_what_pytorch_counts(preset, stage):
    # As many tokens masked as on average, so that the count does not depend on luck.
    fixed = {"model.dynamics.mask_rate": [0.75, 0.75], f"training.{stage}.clips": 2, f"training.{stage}.frames": 4}
    fixed[f"training.{stage}.encoded_clips"] = 0  # genie_losses encodes
    config = load_config(preset, fixed)
    torch.manual_seed(0)
    genie = Genie(config)
    clips = torch.rand(2, 4, 64, 64, 3)
    genie.train()
    # PyTorch's counter does not know the CPU's fused attention, which long sequences take.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        if stage == "tokenizer":
            tokenizer_losses(genie.tokenizer, clips)["loss"].backward()
        else:
            genie_losses(genie, clips, PARTS if stage == "genie" else (stage,))["loss"].backward()
    assert flops.step_flops(config, stage) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_the_page_draws_tokens_with_their_probabilities():
    logits = torch.tensor([0.0, 1.0, 2.0])
    drawn = one_page.draw(logits.expand(1, 100_000, 3), 0.7, torch.rand(1, 100_000))
    shares = drawn.flatten().bincount(minlength=3) / 100_000
    torch.testing.assert_close(shares, (logits / 0.7).softmax(0), atol=0.01, rtol=0)


def test_peaks_are_found_by_the_gpus_name():
    assert flops.peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert flops.peak_flops("NVIDIA GeForce RTX 4090") == 165e12
    for other in ("NVIDIA T4", "NVIDIA RTX A1000", "NVIDIA GeForce RTX 4090 Laptop GPU"):
        assert flops.peak_flops(other) is None


def test_contenders_take_turns_and_slow_ones_still_get_their_repeats():
    calls = []

    def contender(name):
        def work():
            calls.append(name)
            return 3.0

        return work

    rates = interleave({"a": contender("a"), "b": contender("b")}, repeats=5, seconds=0.0, block=0.0)
    assert calls == ["a", "b"] * 4  # once to warm up, and no fewer than three times
    assert all(len(rate) == 3 and min(rate) > 0 for rate in rates.values())
    assert summary([1, 2, 3, 4, 5]) == {"median": 3, "low": 2, "high": 4, "samples": [1, 2, 3, 4, 5]}


def test_the_program_fills_its_tables(tmp_path, repository):
    """Every section at preset tiny, in its own process, the README's table included. No speed is asserted."""
    out, readme = tmp_path / "bench.json", tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:start -->\nold\n<!-- bench:end -->\nafter\n")
    command = [sys.executable, "-m", "benchmarks.bench", "--preset", "tiny", "--quick"]
    done = subprocess.run(
        [*command, "--json", str(out), "--readme", str(readme)], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert {"hardware", "preset", "training", "play", "reading", "collecting", "memory", "gpu"} <= set(report)
    ratios = list(_ratios(report))
    assert len(ratios) >= 8 and all(math.isfinite(r) and r > 0 for r in ratios)
    assert set(report["training"]["stages"]) == {"tokenizer", "latent_action", "dynamics"}
    assert report["hardware"]["gpu"] or "No GPU" in report["gpu"]["skipped"]
    text = readme.read_text()
    assert text.startswith("before\n<!-- bench:start -->\n") and text.endswith("<!-- bench:end -->\nafter\n")
    assert (
        "old" not in text
        and "| dynamics |" in text
        and text.split("start -->")[1].split("<!--")[0].strip() in done.stdout
    )


def test_a_readme_without_markers_is_left_alone(tmp_path):
    from benchmarks.tables import fill_readme

    readme = Path(tmp_path / "README.md")
    readme.write_text("nothing here\n")
    with pytest.raises(ValueError, match="bench:start"):
        fill_readme(readme, "table")
    assert readme.read_text() == "nothing here\n"


def _ratios(tree):
    """The median of every "ratio" in a report."""
    for key, value in tree.items():
        if key == "ratio":
            yield value["median"]
        elif isinstance(value, dict):
            yield from _ratios(value)


def test_the_small_contests_run(capsys, monkeypatch):
    from benchmarks import parts

    monkeypatch.setattr("sys.argv", ["parts", "--only", "frame", "--repeats", "3"])
    assert parts.main() == 0
    assert len(re.findall(r"one product [\d.]+ ms   one a head [\d.]+ ms", capsys.readouterr().out)) == 3
    name, contenders = next(parts.attention())
    assert name == "attention, tokenizer, space, float32"
    assert all(work() == 1.0 for work in contenders.values())


def test_the_products_of_a_step_are_those_that_pytorch_counts():
    from benchmarks import parts

    name, contenders = next(parts.products())
    assert name == "training step, tokenizer"
    counted = {}
    for who, work in contenders.items():
        with FlopCounterMode(display=False) as counter:  # knows nothing of the CPU's fused attention
            work()
        counted[who] = counter.get_flop_counts()["Global"]
    assert counted["its products"] == counted["plain"]
    assert 0.8 < sum(counted["plain"].values()) / flops.step_flops(load_config("laptop"), "tokenizer") < 1


def test_training_with_solutions_is_timed_beside_the_packages_own_code(capsys):
    from benchmarks import learner

    stage, exercises = learner.TRAINED["03: nearest code, straight through, codebook"]
    package, solutions = learner.contenders(load_config("tiny"), stage, exercises).values()
    assert {"choose", "straight_through", "learn"} <= set(vars(solutions.genie.tokenizer.quantizer))
    assert "choose" not in vars(package.genie.tokenizer.quantizer)
    assert learner.main(["--quick"]) == 0
    assert len(re.findall(r"^\| 0\d: .* \| [\d.]+ \[[\d.]+, [\d.]+\] \|", capsys.readouterr().out, re.MULTILINE)) == 4
