"""Exercises of notebook 07 name each mistake; its broken worlds are broken as stated, and its measures notice."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

import genie_lite
from genie_lite import load_config
from genie_lite.api import Genie
from genie_lite.course.checking import get_solution, verdict
from genie_lite.course.failures import (
    SeesTheAnswer,
    Signs,
    alarms,
    examine,
    prediction_gains,
    train_actions,
    train_dynamics,
)
from genie_lite.course.solutions.nb07 import my_psnr
from genie_lite.data import sample_dataset
from genie_lite.evaluation import measure_motion, pick_clips, psnr
from genie_lite.models import LatentActionModel
from genie_lite.training import read_log


@pytest.mark.parametrize("name", ["07.1", "07.2", "07.3"])
def test_the_solution_passes_and_the_placeholder_is_not_answered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert get_solution(name).why
    assert verdict(name, lambda *arguments: None).status == "unanswered"
    assert verdict(name).status == "unanswered"


def error(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    return np.square(real.astype(float) - made).mean((-3, -2, -1))


def peak(e: np.ndarray) -> np.ndarray:
    return 10 * np.log10(255**2 / e)


def distance(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    return np.abs(real.astype(float) - made).mean((-3, -2, -1))


def half_precision(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    difference = (real.astype(np.float16) - made.astype(np.float16)) / np.float16(255)
    return -10 * np.log10(np.square(difference).mean((-3, -2, -1)))


PSNRS: dict[str, tuple[Callable, str]] = {
    "wraps": (lambda r, m: peak(np.square(r - m).mean((-3, -2, -1))), "20 * 20 is 144"),
    "floats too late": (lambda r, m: peak(np.square((r - m).astype(float)).mean((-3, -2, -1))), "Convert first"),
    "one number": (lambda r, m: peak(error(r, m).mean()), "One number for all"),
    "each video": (lambda r, m: peak(error(r, m).mean(1)), "found shape"),
    "sign": (lambda r, m: -peak(error(r, m)), "sign is reversed"),
    "twenty": (lambda r, m: 2 * peak(error(r, m)), "Twice the correct"),
    "no peak": (lambda r, m: -10 * np.log10(error(r, m)), "peak value is missing"),
    "peak not squared": (lambda r, m: 10 * np.log10(255 / error(r, m)), "peak is squared"),
    "natural": (lambda r, m: 10 * np.log(255**2 / error(r, m)), "natural logarithm"),
    "bels": (lambda r, m: np.log10(255**2 / error(r, m)), "bels"),
    "sum": (lambda r, m: peak(192 * error(r, m)), "summed"),
    "absolute": (lambda r, m: peak(distance(r, m)), "absolute error"),
    "mean first": (lambda r, m: peak(np.square(distance(r, m))), "First square"),
    "brightest": (lambda r, m: 10 * np.log10(float(r.max()) ** 2 / error(r, m)), "of these frames"),
    "int16": (lambda r, m: peak(np.square(r.astype(np.int16) - m.astype(np.int16)).mean((-3, -2, -1))), "int16 ends"),
    "float16": (lambda r, m: half_precision(r, m), "float16"),
    "else": (lambda r, m: peak(error(r, m)) + 1, "expected"),
}


@pytest.mark.parametrize("name", PSNRS)
def test_a_wrong_psnr_is_told_what_is_wrong(name: str) -> None:
    answer, words = PSNRS[name]
    with np.errstate(invalid="ignore"):
        found = verdict("07.1", answer)
    assert found.status == "wrong" and words.lower() in found.message.lower()


def draw(A: int, like: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(A, size=like.shape)


def delta(
    prompt: slice = slice(0, 1),
    seeds: tuple[int, int] = (0, 0),
    random: Callable = lambda inferred, A, seed: draw(A, inferred, seed),
    infer: Callable = lambda genie, videos, t: genie.infer_actions(videos),
    score: Callable = lambda videos, good, bad, t: (
        my_psnr(videos[:, t], good[:, t - 1]) - my_psnr(videos[:, t], bad[:, t - 1])
    ),
    reduce: Callable = np.mean,
) -> Callable:
    def answer(genie, videos, t, seed):
        inferred = infer(genie, videos, t)
        both = (inferred, random(inferred, genie.num_latent_actions, seed))
        good, bad = (genie.generate(videos[:, prompt], a, seed=seed + s) for a, s in zip(both, seeds, strict=True))
        return reduce(score(videos, good, bad, t))

    return answer


def one_call(genie, videos, t, seed):
    return float(
        my_psnr(videos[:, t], genie.generate(videos[:, :1], genie.infer_actions(videos), seed=seed)[:, t - 1]).mean()
    )


def rest(genie, videos, t):
    return genie.infer_actions(videos[:, 1:])


DELTAS: dict[str, tuple[Callable, str]] = {
    "shown the video": (delta(prompt=slice(0, 4)), "The prompt has 4 frames"),
    "last frame": (delta(prompt=slice(-1, None)), "not the first frame"),
    "two seeds": (delta(seeds=(0, 1)), "different seeds"),
    "shuffled": (delta(random=lambda a, A, seed: np.roll(a, 1, axis=0)), "in another order"),
    "not all": (delta(random=lambda a, A, seed: draw(A - 1, a, seed)), "never use [4]"),
    "too many": (delta(random=lambda a, A, seed: draw(A + 1, a, seed)), "out of range"),
    "seedless": (delta(random=lambda a, A, seed: draw(A, a, 0)), "another `seed`"),
    "not random": (delta(random=lambda a, A, seed: a), "Both rollouts"),
    "one frame late": (delta(infer=rest), "Neither rollout"),
    "too few": (
        delta(
            infer=lambda genie, f, t: genie.infer_actions(f[:, :t]),
            score=lambda f, g, b, t: my_psnr(f[:, t], g[:, -1]) - my_psnr(f[:, t], b[:, -1]),
        ),
        "takes 3 of them",
    ),
    "held": (delta(random=lambda a, A, seed: draw(A, a[:, :1], seed).repeat(a.shape[1], axis=1)), "hold one random"),
    "same for all": (delta(random=lambda a, A, seed: draw(A, a[:1], seed).repeat(len(a), axis=0)), "same random"),
    "uneven": (delta(random=lambda a, A, seed: np.minimum(draw(2 * A, a, seed), A - 1)), "makes up"),
    "one video": (one_call, "played 1 time"),
    "sign": (delta(score=lambda f, g, b, t: my_psnr(f[:, t], b[:, t - 1]) - my_psnr(f[:, t], g[:, t - 1])), "sign is"),
    "late": (delta(score=lambda f, g, b, t: my_psnr(f[:, t], g[:, t]) - my_psnr(f[:, t], b[:, t])), "new frames only"),
    "early": (
        delta(score=lambda f, g, b, t: my_psnr(f[:, t - 1], g[:, t - 1]) - my_psnr(f[:, t - 1], b[:, t - 1])),
        "prompt frame",
    ),
    "all up to t": (
        delta(score=lambda f, g, b, t: my_psnr(f[:, 1 : t + 1], g[:, :t]) - my_psnr(f[:, 1 : t + 1], b[:, :t])),
        "1 .. t",
    ),
    "no subtraction": (delta(score=lambda f, g, b, t: my_psnr(f[:, t], g[:, t - 1])), "alone"),
    "copying": (
        delta(score=lambda f, g, b, t: my_psnr(f[:, t], g[:, t - 1]) - my_psnr(f[:, t], f[:, 0])),
        "gain over copying",
    ),
    "each other": (delta(score=lambda f, g, b, t: my_psnr(g[:, t - 1], b[:, t - 1])), "with each other"),
    "each video": (delta(reduce=lambda values: values), "single number"),
    "else": (delta(reduce=lambda values: np.mean(values) + 5), "expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", DELTAS)
def test_a_wrong_delta_psnr_is_told_what_is_wrong(name: str) -> None:
    answer, words = DELTAS[name]
    found = verdict("07.2", answer)
    assert found.status == "wrong" and words in found.message


def video_by_video(genie, videos, t, seed):
    rng, values = np.random.default_rng(seed), []
    for video in videos:
        inferred = genie.infer_actions(video)
        random = rng.integers(0, genie.num_latent_actions, len(inferred))
        good, bad = (genie.generate(video[:1], actions, seed=seed) for actions in (inferred, random))
        values.append(my_psnr(video[t], good[t - 1]) - my_psnr(video[t], bad[t - 1]))
    return np.mean(values)


def one_call_for_both(genie, videos, t, seed):
    inferred = genie.infer_actions(videos)[:, :t]
    actions = np.concatenate([inferred, draw(genie.num_latent_actions, inferred, seed)])
    made = genie.generate(np.concatenate([videos[:, :1]] * 2), actions, seed=seed)[:, -1]
    good, bad = np.split(my_psnr(np.concatenate([videos[:, t]] * 2), made), 2)
    return (good - bad).mean()


def only_what_is_needed(genie, videos, t, seed):
    short = videos[:, : t + 1]
    return delta()(genie, short, t, seed)


@pytest.mark.parametrize("answer", [video_by_video, one_call_for_both, only_what_is_needed])
def test_other_ways_to_delta_psnr_are_right_too(answer: Callable) -> None:
    found = verdict("07.2", answer)
    assert found.status == "right", found


def table(codes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    counts = np.zeros((4, 3))
    np.add.at(counts, (codes, classes), 1)
    return counts


def share(codes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    counts = table(codes, classes)
    return (counts / counts.sum(0)).argmax(1)


def balanced(right: np.ndarray, groups: np.ndarray) -> float:
    return float(np.mean([right[groups == g].mean() for g in np.unique(groups)]))


def judge(fit: Callable, judged: Callable, mean: Callable) -> Callable:
    def answer(codes, classes, fitted):
        meaning = fit(codes, classes, fitted)
        where = judged(fitted)
        return mean(meaning[codes[where]] == classes[where], codes[where], classes[where])

    return answer


def fit_shares(codes, classes, fitted):
    return share(codes[fitted], classes[fitted])


def fit_counts(codes, classes, fitted):
    return table(codes[fitted], classes[fitted]).argmax(1)


def over_classes(right, codes, classes):
    return balanced(right, classes)


def plain(right, codes, classes):
    return right.mean()


PROBES: dict[str, tuple[Callable, str]] = {
    "fitted half": (judge(fit_shares, lambda f: f, over_classes), "meanings were fitted on"),
    "everything": (judge(fit_shares, lambda f: f | ~f, over_classes), "on everything, including the fitted half"),
    "fitted on all": (
        judge(lambda k, c, f: share(k, c), lambda f: ~f, over_classes),
        "Meanings were fitted on everything",
    ),
    "most frequent": (judge(fit_counts, lambda f: ~f, over_classes), "by being common"),
    "plain": (judge(fit_shares, lambda f: ~f, plain), "plain accuracy. Take"),
    "plain and most frequent": (judge(fit_counts, lambda f: ~f, plain), "Balance both"),
    "over codes": (judge(fit_shares, lambda f: ~f, lambda r, k, c: balanced(r, k)), "mean over codes"),
    "wrong ones": (judge(fit_shares, lambda f: ~f, lambda r, k, c: balanced(~r, c)), "wrong answers"),
    "each class": (lambda k, c, f: np.ones(3), "single number"),
    "else": (lambda k, c, f: 0.123, "expected 0"),
}


@pytest.mark.parametrize("name", PROBES)
def test_a_wrong_probe_is_told_what_is_wrong(name: str) -> None:
    answer, words = PROBES[name]
    found = verdict("07.3", answer)
    assert found.status == "wrong" and words in found.message


# ------------------------------------------------------------------------------------------- the broken worlds


@pytest.fixture(scope="module")
def base() -> Genie:
    torch.manual_seed(0)
    genie = Genie(load_config("tiny"))
    for layer in (genie.dynamics.to_logits, genie.latent_action.to_patch):
        torch.nn.init.normal_(layer.weight, std=0.1)  # they start at zero, where nothing depends on anything
    return genie.eval()


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    dataset = sample_dataset("test")
    return dataset.read_clips(pick_clips(dataset, 8, 6)[0], 6)


@pytest.fixture
def stage():
    return replace(load_config("tiny").training.latent_action, steps=3, sample_every=0)


def limits() -> dict[str, float]:
    """The limits as the notebook sets them."""
    path = Path(__file__).resolve().parents[2] / "notebooks" / "07_measure_it.ipynb"
    (cell,) = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.source.startswith("limits = ")]
    statement = ast.parse(cell).body[0]
    assert isinstance(statement, ast.Assign)
    return ast.literal_eval(statement.value)


def moves_with_the_answer(model: LatentActionModel, videos: np.ndarray) -> float:
    """How far the prediction of frame 4 moves when frame 4 is another one, and the codes stay what they are."""
    frames = torch.as_tensor(videos).float() / 255
    other = frames.clone()
    other[:, 3] = frames.flip(0)[:, 3]
    vectors = model.quantizer.lookup(model.encode(frames))
    hook = model.quantizer.register_forward_hook(lambda book, inputs, output: output._replace(vectors=vectors))
    with torch.inference_mode():
        first, second = (model(pixels).prediction[:, 2] for pixels in (frames, other))
    hook.remove()
    return float((first - second).abs().max())


def test_the_leak_is_a_leak_and_the_honest_model_has_none(base: Genie, videos: np.ndarray) -> None:
    leaking = SeesTheAnswer(base.config.model).eval()
    leaking.load_state_dict(base.latent_action.state_dict())
    assert moves_with_the_answer(base.latent_action, videos) == 0
    assert moves_with_the_answer(leaking, videos) > 0.01


def test_gains_are_measured_inside_the_model(base: Genie, videos: np.ndarray) -> None:
    own, foreign = prediction_gains(base, videos)
    frames = torch.as_tensor(videos).float() / 255
    codes = torch.as_tensor(np.roll(base.infer_actions(videos), 1, axis=0))
    with base.inference():
        swapped = base.latent_action.predict(frames[:, :-1], base.latent_action.quantizer.lookup(codes))
    copying = psnr(videos[:, 1:], videos[:, :-1])
    np.testing.assert_allclose(foreign, (psnr(videos[:, 1:], base.to_uint8(swapped)) - copying).mean(1))
    np.testing.assert_allclose(own, (psnr(videos[:, 1:], base.predict_next(videos)) - copying).mean(1))
    assert not base.latent_action.quantizer._forward_hooks
    assert not np.allclose(own, foreign)


def test_one_code_is_caught_by_the_codes_in_use_and_obeys_nobody(
    base: Genie, videos: np.ndarray, stage, tmp_path
) -> None:
    train = sample_dataset("train")
    world = train_actions(base, train, stage, tmp_path / "codes", codebook={"num_codes": 1})
    world = train_dynamics(world, train, stage, tmp_path / "dynamics")
    signs = examine(world, videos, measure_motion(videos), rollouts=len(videos), maskgit_steps=2)
    assert signs.codes_in_use == 1
    assert {"codes in use", "share of the gain due to the code", "ΔtPSNR, dB"} <= set(alarms(signs, limits()))
    assert tuple(signs.delta) == (0, 0, 0) and tuple(signs.worth) == (0, 0, 0)
    assert signs.probe == pytest.approx(0)


@pytest.mark.parametrize("swap", [True, False])
def test_swapped_actions_are_those_of_another_video(base: Genie, stage, tmp_path, monkeypatch, swap: bool) -> None:
    seen = []
    real = type(base.dynamics).forward

    def forward(self, tokens, vectors, *rest):
        seen.append((tokens, vectors))
        return real(self, tokens, vectors, *rest)

    frames = []
    encode = type(base.tokenizer).encode
    monkeypatch.setattr(type(base.tokenizer), "encode", lambda self, x: frames.append(x) or encode(self, x))
    monkeypatch.setattr(type(base.dynamics), "forward", forward)
    train_dynamics(base, sample_dataset("train"), stage, tmp_path, swap_actions=swap)
    for pixels, (_, vectors) in zip(frames, seen, strict=True):
        codes = base.latent_action.encode(pixels)
        assert torch.equal(vectors, base.latent_action.quantizer.lookup(codes.roll(int(swap), dims=0)))


def test_going_on_leaves_the_world_it_began_with_alone(base: Genie, stage, tmp_path) -> None:
    before = {name: value.clone() for name, value in base.state_dict().items()}
    later = train_dynamics(base, sample_dataset("train"), stage, tmp_path).state_dict()
    assert all(torch.equal(value, base.state_dict()[name]) for name, value in before.items())
    changed = {name.split(".")[0] for name, value in later.items() if not torch.equal(value, before[name])}
    assert changed == {"dynamics"}


@pytest.fixture(scope="module")
def trained(base: Genie, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Signs]:
    """Small latent action models, sound and with the faults of the notebook, trained for real and examined."""
    faults = {
        "healthy": {},
        "the answer is seen": {"model": SeesTheAnswer},
        "no restarts": {"codebook": {"restart_after": 0}},
    }
    train, test = sample_dataset("train"), sample_dataset("test")
    videos = test.read_clips(pick_clips(test, 60, 9)[0], 9)
    motion, stage = measure_motion(videos), load_config("tiny").training.latent_action
    stage = replace(stage, steps=150, clips=4, sample_every=0, log_every=10)
    folder = tmp_path_factory.mktemp("broken")
    return {
        name: examine(train_actions(base, train, stage, folder / name, **fault), videos, motion)
        for name, fault in faults.items()
    }


def test_a_sound_latent_action_model_raises_no_alarm(trained: dict[str, Signs]) -> None:
    assert alarms(trained["healthy"], limits()) == []


def test_a_leak_has_the_best_gain_and_is_caught_by_what_the_code_is_worth(trained: dict[str, Signs]) -> None:
    leak = trained["the answer is seen"]
    assert leak.gain.low > trained["healthy"].gain.high
    assert alarms(leak, limits()) == ["share of the gain due to the code"]


def test_a_codebook_without_restarts_is_caught_by_its_rarest_code(trained: dict[str, Signs]) -> None:
    sick = trained["no restarts"]
    assert "rarest code, %" in alarms(sick, limits())
    assert "probe above chance" not in alarms(sick, limits()), "what is left still means something"


def test_swapped_actions_leave_the_loss_and_are_caught_by_delta_psnr(tmp_path) -> None:
    """The shipped world goes on training for a moment, properly and with the actions of other videos."""
    shipped, train, test = genie_lite.load("laptop", device="cpu"), sample_dataset("train"), sample_dataset("test")
    videos = test.read_clips(pick_clips(test, 24, 5)[0], 5)
    stage = replace(shipped.config.training.dynamics, steps=40, clips=3, frames=4, warmup_steps=5, log_every=1,
                    time_budget_minutes=None, sample_every=0)  # fmt: skip
    deltas, losses = [], []
    for swap in (False, True):
        world = train_dynamics(shipped, train, stage, tmp_path / str(swap), swap_actions=swap)
        signs = examine(world, videos, measure_motion(videos), rollouts=len(videos), maskgit_steps=2)
        deltas.append(signs.delta.value)
        losses.append(read_log(tmp_path / str(swap))["cross_entropy"][-20:].mean())
        assert ("ΔtPSNR, dB" in alarms(signs, limits())) == swap
        assert set(alarms(signs, limits())) <= {"ΔtPSNR, dB"}, "the latent action model is the shipped one"
    untrained = np.log(shipped.config.model.tokenizer.codebook.num_codes)
    assert losses[1] < 0.6 * untrained, "no loss that would look wrong to somebody who does not know the other one"
    assert deltas[1] < deltas[0] / 3, deltas
