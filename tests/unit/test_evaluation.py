"""Fidelity, probes, intervals: against independent implementations, and against what must be true of any of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genie_lite.evaluation import (
    PSNR_CAP,
    EvaluationError,
    Interval,
    Report,
    balanced_accuracy,
    bootstrap_mean,
    code_usage,
    env_action_classes,
    frechet_distance,
    mutual_information,
    normalized_mutual_information,
    pick_clips,
    probe,
    psnr,
    ssim,
)


@pytest.fixture
def pictures(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Videos [2, 3, 32, 40, 3], smooth and noisy, and damaged copies."""
    ramp = np.linspace(0, 255, 40)[None, None, None, :, None] * np.ones((2, 3, 32, 1, 3))
    videos = np.clip(ramp + rng.normal(0, 40, ramp.shape), 0, 255).astype(np.uint8)
    strength = np.array([1, 3, 10, 30, 60, 120]).reshape(2, 3, 1, 1, 1)
    return videos, np.clip(videos + rng.normal(0, 1, videos.shape) * strength, 0, 255).astype(np.uint8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# ------------------------------------------------------------------------------------------------ fidelity


def test_psnr_and_ssim_agree_with_scikit_image(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    videos, damaged = pictures
    for b, t in np.ndindex(2, 3):
        expected = metrics.peak_signal_noise_ratio(videos[b, t], damaged[b, t], data_range=255)
        assert psnr(videos, damaged, cap=math.inf)[b, t] == pytest.approx(expected, abs=1e-4)
        expected = metrics.structural_similarity(videos[b, t], damaged[b, t], data_range=255, channel_axis=-1)
        assert ssim(videos, damaged)[b, t] == pytest.approx(expected, abs=1e-4)


def test_uint8_and_unit_floats_give_the_same_numbers(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    videos, damaged = pictures
    np.testing.assert_allclose(psnr(videos, damaged), psnr(videos / 255, damaged / 255))
    np.testing.assert_allclose(ssim(videos, damaged), ssim(videos / 255, damaged))


def test_identical_frames_get_the_cap_and_one_grey_level_off_as_well() -> None:
    frame = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(frame, frame) == PSNR_CAP
    assert psnr(frame, frame, cap=math.inf) == math.inf
    assert psnr(frame, frame + 1, cap=math.inf) == pytest.approx(PSNR_CAP)
    assert ssim(frame, frame) == pytest.approx(1)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_frechet_distance_agrees_with_scipy(rng: np.random.Generator, size: int) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    first = rng.normal(size=(200, size)) @ rng.normal(size=(size, size))
    second = rng.normal(size=(150, size)) @ rng.normal(size=(size, size)) + 0.5
    one, two = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (first, second))
    overlap = np.trace(linalg.sqrtm(one @ two)).real
    means = np.square(first.mean(0) - second.mean(0)).sum()
    expected = means + np.trace(one) + np.trace(two) - 2 * overlap
    assert frechet_distance(first, second) == pytest.approx(expected, abs=1e-4)


def test_frechet_distance_of_fewer_videos_than_features(rng: np.random.Generator) -> None:
    features = rng.normal(size=(10, 40))  # singular covariances
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(features, features + 2) == pytest.approx(40 * 4, abs=1e-6)
    assert frechet_distance(features, -features) == pytest.approx(frechet_distance(-features, features))


# ------------------------------------------------------------------------------------------------- probes


def test_information_and_accuracy_agree_with_scikit_learn(rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth = rng.integers(0, 4, 500)
    for noise in (0.0, 0.3, 1.0):
        guesses = np.where(rng.random(500) < noise, rng.integers(0, 4, 500), truth)
        close = {"abs": 1e-4}
        assert mutual_information(truth, guesses) == pytest.approx(metrics.mutual_info_score(truth, guesses), **close)
        expected = metrics.normalized_mutual_info_score(truth, guesses)
        assert normalized_mutual_information(truth, guesses) == pytest.approx(expected, **close)
        expected = metrics.balanced_accuracy_score(truth, guesses)
        assert balanced_accuracy(truth, guesses) == pytest.approx(expected, **close)


def test_probe_reads_codes_that_are_renamed_classes(rng: np.random.Generator) -> None:
    classes = rng.integers(0, 3, (20, 10))
    names = np.array([4, 0, 2])
    found = probe(names[classes], classes, num_codes=6, num_classes=3)
    assert found.accuracy == Interval(1, 1, 1)
    assert found.nmi.value == pytest.approx(1)
    assert [found.meanings[name] for name in names] == [0, 1, 2]
    assert found.chance_accuracy == pytest.approx(1 / 3, abs=0.05)


def test_probe_of_meaningless_codes_finds_chance(rng: np.random.Generator) -> None:
    found = probe(rng.integers(0, 6, (100, 15)), rng.integers(0, 3, (100, 15)), num_codes=6, num_classes=3)
    assert found.accuracy.value == pytest.approx(1 / 3, abs=0.05)
    assert found.nmi.value == pytest.approx(found.chance_nmi, abs=0.005)
    assert found.nmi.low <= found.nmi.value <= found.nmi.high


def test_probe_of_a_collapsed_code_finds_chance(rng: np.random.Generator) -> None:
    found = probe(np.zeros((40, 15), int), rng.integers(0, 3, (40, 15)), num_codes=6, num_classes=3)
    assert found.accuracy.value == pytest.approx(1 / 3)
    assert found.information.value == 0


def test_probe_judges_clips_it_was_not_fitted_on(rng: np.random.Generator) -> None:
    memorised = np.arange(200).reshape(20, 10)  # a code of its own for each transition: says nothing about new clips
    found = probe(memorised, rng.integers(0, 3, (20, 10)), num_codes=200, num_classes=3)
    assert found.accuracy.value == pytest.approx(1 / 3, abs=1e-9)


def test_probe_weighs_rare_classes_and_leaves_out_unsure_transitions(rng: np.random.Generator) -> None:
    classes = (rng.random((60, 10)) < 0.05).astype(int)
    unsure = rng.random(classes.shape) < 0.3
    codes = np.where(unsure, 1 - classes, classes)
    found = probe(codes, classes, num_codes=2, num_classes=2, known=~unsure)
    assert found.accuracy.value == 1
    assert found.transitions == (~unsure).sum()
    always_common = probe(np.zeros_like(classes), classes, num_codes=2, num_classes=2)
    assert always_common.accuracy.value == pytest.approx(0.5)


def test_code_usage() -> None:
    usage = code_usage(np.array([[0, 1], [1, 0]]), 4)
    assert usage.shares.tolist() == [0.5, 0.5, 0, 0]
    assert usage.perplexity == pytest.approx(2)
    assert usage.used == 2
    assert code_usage(np.zeros(9, int), 8).perplexity == pytest.approx(1)


def test_env_action_classes_are_procgens() -> None:
    procgen = pytest.importorskip("procgen.env")
    across, down = env_action_classes(np.arange(15))
    combos = procgen.BaseProcgenEnv.get_combos(None)
    assert across.tolist() == [1 + ("RIGHT" in combo) - ("LEFT" in combo) for combo in combos]
    assert down.tolist() == [1 + ("DOWN" in combo) - ("UP" in combo) for combo in combos]


# ---------------------------------------------------------------------------------------------- intervals


def test_interval_of_a_mean_is_that_of_theory(rng: np.random.Generator) -> None:
    values = rng.normal(3, 2, (400, 1))
    (found,) = bootstrap_mean(values)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(half, rel=0.15)
    assert found.value - found.low == pytest.approx(half, rel=0.15)


def test_clips_without_a_number_are_left_out() -> None:
    (found,) = bootstrap_mean(np.array([[1.0], [1.0], [np.nan]]))
    assert found == Interval(1, 1, 1)


# -------------------------------------------------------------------------------------------------- clips


class Episodes:
    """Episodes of given lengths, as far as picking clips needs them."""

    path = "videos"

    def __init__(self, *lengths: int) -> None:
        self.lengths = lengths

    def clip_starts(self, length: int, stride: int = 1) -> np.ndarray:
        span, first, starts = (length - 1) * stride + 1, 0, []
        for episode in self.lengths:
            starts += range(first, first + episode - span + 1)
            first += episode
        return np.array(starts, dtype=np.int64)


def test_clips_do_not_overlap_while_there_is_room() -> None:
    starts, notes = pick_clips(Episodes(500, 30, 700), 20, 8, stride=3)
    assert len(starts) == 20 and not notes
    assert np.diff(starts).min() > 7 * 3
    again, _ = pick_clips(Episodes(500, 30, 700), 20, 8, stride=3)
    assert (starts == again).all()


def test_too_few_places_are_used_and_told() -> None:
    starts, notes = pick_clips(Episodes(12), 50, 10)
    assert starts.tolist() == [0, 1, 2]
    assert any("share frames" in note for note in notes) and any("3 clips instead of 50" in note for note in notes)
    with pytest.raises(EvaluationError, match="long enough for 20 frames"):
        pick_clips(Episodes(12, 12), 5, 20)


# ------------------------------------------------------------------------------------------------- report


def test_report_comes_back_from_json(tmp_path) -> None:
    report = Report(
        metrics={"delta_psnr": Interval(2.5, 2.0, 3.0), "motion_left_right_accuracy": Interval(0.7, math.nan, 0.8)},
        chances={"motion_left_right_accuracy": 1 / 3},
        curves={"free rollout": [Interval(20, 19, 21), Interval(18, 17, 19)]},
        actions=[{"action": 0, "share": 1.0, "dx": 2.0, "dy": 0.0}],
        settings={"t": 4},
        notes=["a note"],
    )
    back = Report.from_json(report.to_json(tmp_path / "deep" / "report.json"))
    assert back.to_dict() == report.to_dict()
    assert back["delta_psnr"] == (2.5, 2.0, 3.0)
    for words in ("ΔtPSNR", "t = 4", "[2.00, 3.00]", "0.333", "free rollout", "a note"):
        assert words in report.table()
    with pytest.raises(EvaluationError, match="delta_psnr"):
        report["unheard of"]


def test_what_is_no_report_is_refused(tmp_path) -> None:
    (tmp_path / "x.json").write_text("[1, 2]")
    for name in ("x.json", "missing.json"):
        with pytest.raises(EvaluationError, match=name):
            Report.from_json(tmp_path / name)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psnr(np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)), r"\[5, 4, 3\]"),
        (lambda: psnr(np.full((4, 4, 3), 200.0), np.zeros((4, 4, 3))), "divide by 255"),
        (lambda: psnr(np.zeros((4, 4, 3), int), np.zeros((4, 4, 3), int)), "int64"),
        (lambda: ssim(np.zeros((4, 4, 3)), np.zeros((4, 4, 3))), "window: found 7"),
        (lambda: frechet_distance(np.zeros((1, 3)), np.zeros((5, 3))), "more videos"),
        (lambda: frechet_distance(np.zeros((5, 3)), np.zeros((5, 4))), "one network"),
        (lambda: code_usage(np.array([7]), 6), "wanted 0 to 5"),
        (lambda: probe(np.zeros((2, 3), int), np.zeros((2, 3), int), num_codes=2, num_classes=2), "4 or more"),
        (lambda: probe(np.zeros((8, 3), int), np.zeros((8, 2), int), num_codes=2, num_classes=2), "one shape"),
    ],
)
def test_errors_say_what_was_found_and_wanted(call, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        call()
