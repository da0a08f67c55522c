"""What playing promises: a cache and a fast pass that change nothing, sampling as the paper says, exact undo."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from genie_lite import load_config, machine
from genie_lite.api import Genie
from genie_lite.config import SamplingConfig, TransformerConfig
from genie_lite.inference import KVCache, compute, maskgit
from genie_lite.inference.maskgit import (
    draw_tokens,
    draw_with_confidence,
    masked_after,
    most_confident,
    sample_frame,
    without_rare,
)
from genie_lite.inference.one_frame import newest_frame, remember
from genie_lite.inference.rollout import frame_seed, prompt_hash
from genie_lite.nn import STTransformer
from genie_lite.nn.table3_blocks import BLOCKS

WINDOW = 4


@pytest.fixture(params=BLOCKS)
def transformer(request) -> STTransformer:
    config = TransformerConfig(num_layers=2, d_model=32, num_heads=2, qk_size=12, v_size=20)
    model = STTransformer(config, WINDOW, BLOCKS[request.param]).double()
    for parameter in model.parameters():  # fresh blocks are the identity; here they must do something
        torch.nn.init.normal_(parameter, std=0.2)
    return model.requires_grad_(False)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 10, 5, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def genie() -> Genie:
    """A tiny Genie whose every layer does something."""
    torch.manual_seed(0)
    model = Genie(load_config("tiny", {"model.context_frames": WINDOW}))
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    model.precision = "float32"
    return model.eval()


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 7, 64, 64, 3), dtype=np.uint8)


# ------------------------------------------------------------------------------------- the cache and the fast pass


def test_frames_fed_one_at_a_time_equal_the_whole_video(transformer, x):
    cache, frames = KVCache(WINDOW), []
    for t in range(x.shape[1]):
        newest_frame(transformer, torch.randn_like(x[:, :1]), cache)  # a slot may be rewritten before it is past
        frames.append(newest_frame(transformer, x[:, t : t + 1], cache).view(2, 1, 5, 32))
        cache.advance()
    torch.testing.assert_close(torch.cat(frames, dim=1), transformer(x), atol=1e-12, rtol=0)


def test_some_tokens_of_the_newest_frame_equal_those_of_the_whole_frame(transformer, x):
    cache, rows = KVCache(WINDOW), torch.tensor([1, 7, 3])  # of two frames of five tokens
    for t in range(x.shape[1]):
        some = newest_frame(transformer, x[:, t : t + 1], cache, rows)
        whole = newest_frame(transformer, x[:, t : t + 1], cache)
        torch.testing.assert_close(some, whole[rows], atol=1e-12, rtol=0)
        cache.advance()


def test_rewinding_the_cache_brings_back_the_same_frames(transformer, x):
    cache = KVCache(WINDOW)
    for t in range(6):
        newest_frame(transformer, x[:, t : t + 1], cache)
        cache.advance()
    before = cache.snapshot()
    first = newest_frame(transformer, x[:, 6:7], cache)
    cache.advance()
    cache.rewind(before, 6)
    newest_frame(transformer, x[:, 9:10], cache)  # another future, overwritten by the next line
    assert torch.equal(newest_frame(transformer, x[:, 6:7], cache), first)


def test_the_cache_does_not_grow_with_the_frames_played(transformer, x):
    def numbers(cache: KVCache) -> int:
        return sum(part.numel() for ring in cache._rings.values() for part in ring)

    cache, sizes = KVCache(WINDOW), []
    for t in range(x.shape[1]):
        newest_frame(transformer, x[:, t : t + 1], cache)
        cache.advance()
        sizes.append(numbers(cache))
    assert len(set(sizes)) == 1


def test_the_cache_takes_one_frame_at_a_time(transformer, x):
    with pytest.raises(ValueError, match="found 2 new frames, wanted 1"):
        newest_frame(transformer, x[:, :2], KVCache(WINDOW))


def test_a_block_that_the_fast_pass_does_not_know_is_named(x):
    class Mixer(torch.nn.Identity):
        pass

    transformer = STTransformer(TransformerConfig(num_layers=1, d_model=32), WINDOW, lambda config, window: Mixer())
    with pytest.raises(TypeError, match="found Mixer"):
        newest_frame(transformer, x[:, :1], KVCache(WINDOW))


# -------------------------------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("ordering", ["random", "confidence"])
@pytest.mark.parametrize("steps", [1, 3, 25, 100])
def test_maskgit_masks_less_every_step_and_keeps_what_it_decided(genie, schedule, ordering, steps):
    sampling = SamplingConfig(maskgit_steps=steps, schedule=schedule, ordering=ordering)
    cache = KVCache(WINDOW)
    with torch.no_grad():
        remember(genie.dynamics, torch.zeros(2, 64, dtype=torch.int64), torch.zeros(2, 0, 8), cache)
    cache.advance()
    history = sample_frame(genie.dynamics, torch.randn(2, 1, 8), cache, sampling, torch.Generator().manual_seed(0))
    assert len(history) <= steps
    mask = genie.dynamics.mask_token
    masked = [(tokens == mask).sum(dim=1) for tokens in history]
    assert all((count == masked_after(i + 1, steps, 64, schedule)).all() for i, count in enumerate(masked))
    assert (masked[-1] == 0).all()
    for earlier, later in zip(history, history[1:], strict=False):
        decided = earlier != mask
        assert torch.equal(earlier[decided], later[decided])


def test_tokens_are_drawn_with_their_probabilities():
    logits = torch.tensor([0.0, 1.0, 2.0]).expand(200_000, 3)
    for temperature in (0.5, 1.0, 2.0):
        points = torch.rand(200_000, generator=torch.Generator().manual_seed(0))
        tokens = draw_tokens(logits, temperature, points)
        wanted = (logits[0] / temperature).softmax(0)
        torch.testing.assert_close(tokens.bincount(minlength=3) / 200_000, wanted, atol=0.005, rtol=0)
    assert (draw_tokens(logits, 0, torch.rand(200_000)) == 2).all()


def test_codes_far_less_likely_than_the_likeliest_are_never_drawn():
    """The cut-off is at temperature 1, whatever the temperature; those left keep their odds."""
    shares = torch.tensor([0.0, 0.04, 0.06, 0.3, 0.6])
    logits = without_rare(shares.log(), 0.1).expand(200_000, 5)
    points = torch.rand(200_000, generator=torch.Generator().manual_seed(0))
    points[:2] = torch.tensor([0.0, 1 - 2**-24])
    for temperature in (0.5, 1.0, 20.0):
        found = draw_tokens(logits, temperature, points).bincount(minlength=5) / 200_000
        assert (found[:2] == 0).all()
        wanted = shares[2:] ** (1 / temperature)
        torch.testing.assert_close(found[2:], wanted / wanted.sum(), atol=0.005, rtol=0)
    assert torch.equal(without_rare(shares.log(), 1.0).isfinite(), torch.tensor([False] * 4 + [True]))
    assert without_rare(logits, 0.0) is logits
    drawn, confidence = draw_with_confidence(logits[:100], 1.0)
    assert drawn.min() >= 2 and confidence.isfinite().all()


@pytest.mark.parametrize("ordering", ["random", "confidence"])
def test_a_cut_off_of_1_leaves_the_likeliest_code_alone(genie, videos, monkeypatch, ordering):
    monkeypatch.setattr(genie, "config", dataclasses.replace(genie.config, sampling=SamplingConfig(ordering=ordering)))
    options = {"maskgit_steps": 1, "seed": 3}
    greedy = genie.generate(videos[:, :2], [[0, 1], [2, 0]], temperature=0.0, **options)
    assert np.array_equal(genie.generate(videos[:, :2], [[0, 1], [2, 0]], min_p=1.0, **options), greedy)
    assert not np.array_equal(genie.generate(videos[:, :2], [[0, 1], [2, 0]], **options), greedy)
    settings = dataclasses.replace(genie.config, sampling=dataclasses.replace(genie.config.sampling, min_p=1.0))
    monkeypatch.setattr(genie, "config", settings)
    assert np.array_equal(genie.generate(videos[:, :2], [[0, 1], [2, 0]], **options), greedy)


@pytest.mark.parametrize("ordering", ["random", "confidence"])
def test_a_world_may_have_a_sampler_of_its_own(genie, videos, monkeypatch, ordering):
    """It is asked for every new frame, whatever ordering the settings name, and its last answer is the frame."""
    asked = []

    def sampler(model, context, cache, sampling, generator):
        asked.append((sampling.ordering, context.shape[:2]))
        return [maskgit.masked_frame(model, context), torch.full((2, 64), len(asked))]

    settings = dataclasses.replace(genie.config, sampling=SamplingConfig(ordering=ordering))
    monkeypatch.setattr(genie, "config", settings)
    monkeypatch.setattr(genie, "sampler", sampler)
    rollout = genie.rollout(videos[:, :2])
    for step in (1, 2):
        rollout.step([0, 1])
        assert rollout.tokens.unique().tolist() == [step]
    assert asked == [(ordering, (2, 1))] * 2


def test_the_surest_masked_tokens_are_decided_first():
    peaks = torch.tensor([3.0, 9.0, 1.0, 5.0])  # of four positions; the surest is decided already
    logits = torch.zeros(1, 4, 3)
    logits[0, torch.arange(4), torch.tensor([2, 0, 1, 0])] = peaks
    masked = torch.tensor([[True, False, True, True]])
    chosen, drawn = most_confident(logits, masked, 2, temperature=0)
    assert chosen.tolist() == [[3, 0]] and drawn.tolist() == [[0, 2]]


# --------------------------------------------------------------------------------------------------------- playing


@pytest.mark.parametrize("ordering", ["random", "confidence"])
@pytest.mark.parametrize("previous_input", [False, True])
def test_playing_with_the_cache_equals_recomputing_every_frame(videos, monkeypatch, ordering, previous_input):
    """Same random numbers, all frames so far computed again in every MaskGIT step, under the same sliding window."""
    changes = {"model.context_frames": WINDOW, "model.dynamics.previous_input": previous_input}
    genie = Genie(load_config("tiny", changes | {"sampling.ordering": ordering})).eval()
    for parameter in genie.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    genie.precision = "float32"
    actions = np.array([[0, 1, 2, 3, 4, 5, 0], [5, 4, 3, 2, 1, 0, 5]])
    rollout = genie.rollout(videos[:, :2], maskgit_steps=3, seed=7)
    played = [rollout.tokens]
    for t in range(actions.shape[1]):
        rollout.step(actions[:, t])
        played.append(rollout.tokens)

    tokens = torch.from_numpy(genie.encode(videos[:, :2]))
    codes = torch.from_numpy(genie.infer_actions(videos[:, :2]))
    sampling = dataclasses.replace(genie.config.sampling, maskgit_steps=3)

    def recompute(model, newest, context, cache, rows=None):
        past = torch.cat([tokens, newest[:, None]], dim=1)
        features = model.features(past, vectors, past=tokens)[:, -1].flatten(0, 1)
        return features if rows is None else features[rows]

    monkeypatch.setattr(maskgit, "frame_features", recompute)
    for t in range(actions.shape[1]):
        codes = torch.cat([codes, torch.from_numpy(actions[:, t : t + 1])], dim=1)
        vectors = genie.latent_action.quantizer.lookup(codes)
        generator = torch.Generator().manual_seed(frame_seed(7, prompt_hash(videos[:, :2]), tokens.shape[1]))
        past = tokens[:, -1:]
        newest = sample_frame(genie.dynamics, vectors[:, -1:], KVCache(WINDOW), sampling, generator, past)[-1]
        tokens = torch.cat([tokens, newest[:, None]], dim=1)
    assert torch.equal(tokens[:, 1:], torch.stack(played, dim=1))
    video = genie.decode(tokens.numpy())
    assert np.abs(video[:, -1].astype(int) - rollout.frame).max() <= 1


def test_undo_and_the_same_step_give_the_same_frame(genie, videos):
    rollout = genie.rollout(videos[:, :1], maskgit_steps=2)
    start = rollout.frame.copy()
    frames = [rollout.step([a, 5 - a]).copy() for a in range(6)]
    for frame in frames[-2::-1]:
        assert np.array_equal(rollout.undo(), frame)
    assert np.array_equal(rollout.undo(), start)
    with pytest.raises(IndexError, match="no step left"):
        rollout.undo()
    assert all(np.array_equal(rollout.step([a, 5 - a]), frames[a]) for a in range(6))


def test_inference_leaves_every_module_in_its_mode():
    genie = Genie(load_config("tiny"))
    genie.tokenizer.eval()
    before = [module.training for module in genie.modules()]
    with genie.inference():
        assert not any(module.training for module in genie.modules()) and not torch.is_grad_enabled()
    assert [module.training for module in genie.modules()] == before and any(before) and not all(before)


# ------------------------------------------------------------------------------------- number format and threads


@pytest.fixture
def two_cores(monkeypatch):
    """A machine with two cores on which nobody has asked for a number of threads."""
    for name in compute.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(machine, "physical_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def seen(monkeypatch) -> list[tuple[int, bool]]:
    """Threads, and whether bfloat16, each time that a frame's tokens are sampled."""
    found = []

    def watch(*args, **kwargs):
        found.append((torch.get_num_threads(), torch.is_autocast_enabled("cpu")))
        return sample_frame(*args, **kwargs)

    monkeypatch.setattr("genie_lite.inference.rollout.sample_frame", watch)
    monkeypatch.setattr("genie_lite.nn.precision.native_bfloat16", lambda device: True)
    return found


@pytest.fixture
def world(genie, monkeypatch) -> Genie:
    """The tiny Genie, with nothing decided."""
    monkeypatch.setattr(genie, "precision", "auto")
    return genie


def test_one_world_is_played_in_float32_on_one_thread_and_leaves_the_threads_alone(world, videos, two_cores, seen):
    rollout = world.rollout(videos[:1, :1], maskgit_steps=1)
    assert torch.get_num_threads() == 2
    rollout.step([0])
    assert seen == [(1, False)] and torch.get_num_threads() == 2
    with pytest.raises(ValueError, match="out of range"):
        rollout.step([99])
    assert torch.get_num_threads() == 2


def test_several_worlds_are_computed_like_a_training_batch(world, videos, two_cores, seen):
    world.rollout(videos[:, :1], maskgit_steps=1).step([0, 1])
    assert seen == [(2, True)]


def test_what_a_user_decided_is_not_overruled(world, videos, two_cores, seen, monkeypatch):
    def played() -> tuple[int, bool]:
        world.generate(videos[0, 0], [0], maskgit_steps=1)
        return seen.pop()

    torch.set_num_threads(3)  # not what PyTorch starts with on two cores
    assert played() == (3, False)
    torch.set_num_threads(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert played() == (2, False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(world, "threads", 2)
    monkeypatch.setattr(world, "precision", "bfloat16")
    assert played() == (2, True)


def test_an_error_in_a_step_gives_the_threads_back(world, videos, two_cores, monkeypatch):
    rollout = world.rollout(videos[:1, :1])
    monkeypatch.setattr("genie_lite.inference.rollout.sample_frame", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rollout.step([0])
    assert torch.get_num_threads() == 2


def test_physical_cores_count_siblings_once(tmp_path, monkeypatch):
    entries = [f"processor\t: {n}\nphysical id\t: 0\ncore id\t: {n % 2}\n" for n in range(4)]
    (tmp_path / "cpuinfo").write_text("\n".join(entries))
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    assert machine.physical_cores() == 2
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 2}, raising=False)
    assert machine.physical_cores() == 1
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "nothing")
    assert machine.physical_cores() is None
