"""The CoinRun video distance that ships: nought between real videos, and growing with all that spoils held-out ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import genie_lite
from genie_lite.data import data_folder, sample_dataset
from genie_lite.evaluation import (
    EvaluationError,
    Report,
    VideoDistance,
    VideoNetwork,
    coinrun_video_distance,
    pick_clips,
    video_network,
)
from genie_lite.evaluation.corruptions import CORRUPTIONS, LOOKS, TIMES, UNSEEN
from genie_lite.evaluation.rollout_distances import RolloutDistances
from genie_lite.evaluation.video_distance import halved_distance
from genie_lite.evaluation.video_network import FEATURES

VIDEOS = 80
Measure = Callable[[str, float], VideoDistance]


@pytest.fixture(scope="module")
def network() -> VideoNetwork:
    return video_network()


@pytest.fixture(scope="module")
def videos() -> np.ndarray:
    dataset = sample_dataset("test")
    starts, notes = pick_clips(dataset, VIDEOS, 9, seed=0)
    assert not notes
    return dataset.read_clips(starts, 9)


@pytest.fixture(scope="module")
def measure(network: VideoNetwork, videos: np.ndarray) -> Measure:
    """Distance of spoilt videos from real ones, and the floor."""
    real = network.features(videos[:, 1:])

    def measured(name: str, strength: float) -> VideoDistance:
        spoilt = CORRUPTIONS[name](videos[:, 1:], strength, np.random.default_rng(1))
        return halved_distance(real, network.features(spoilt), halvings=20)

    return measured


# -------------------------------------------------------------------------------------------------- corruptions


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_start_from_nothing_and_grow(videos: np.ndarray, name: str) -> None:
    spoil, few = CORRUPTIONS[name], videos[:10]
    assert (spoil(few, 0.0, np.random.default_rng(0)) == few).all()
    half, whole = (spoil(few, s, np.random.default_rng(0)) for s in (0.5, 1.0))
    assert half.shape == few.shape and half.dtype == np.uint8
    assert 0 < np.abs(half.astype(int) - few).mean() < np.abs(whole.astype(int) - few).mean()
    mixed = spoil(few, np.repeat([0.0, 1.0], 5), np.random.default_rng(0))
    assert (mixed[:5] == few[:5]).all() and (mixed[5:] != few[5:]).any()


@pytest.mark.parametrize("name", TIMES)
def test_spoilt_time_keeps_every_frame_as_it_was(videos: np.ndarray, name: str) -> None:
    for video, spoilt in zip(videos[:6], TIMES[name](videos[:6], 1.0, np.random.default_rng(0)), strict=True):
        assert {frame.tobytes() for frame in spoilt} <= {frame.tobytes() for frame in video}


# --------------------------------------------------------------------------------------------------- distances


def test_real_videos_are_at_the_floor(network: VideoNetwork, videos: np.ndarray) -> None:
    found = halved_distance(*np.split(network.features(videos[:, 1:]), 2))
    assert found.excess.low < 0 < found.excess.high
    assert found.videos == VIDEOS // 4


def test_the_floor_falls_with_the_number_of_videos(network: VideoNetwork, videos: np.ndarray) -> None:
    features = network.features(videos[:, 1:])
    few, many = (halved_distance(features[::step], features[::step], halvings=20) for step in (4, 1))
    assert many.floor.value < 0.7 * few.floor.value


@pytest.mark.parametrize("name", [*LOOKS, *UNSEEN])
def test_it_grows_as_the_look_is_spoilt(measure: Measure, name: str) -> None:
    slight, more, most = (measure(name, strength) for strength in (0.1, 0.4, 1.0))
    assert slight.distance.value < more.distance.value < most.distance.value
    assert most.excess.low > 0 or name == "tint"  # which it hardly sees: docs/experiments.md


@pytest.mark.parametrize("name", TIMES)
def test_it_grows_as_time_is_spoilt(measure: Measure, name: str) -> None:
    some, all_of_it = measure(name, 0.5), measure(name, 1.0)
    assert some.floor.value < some.distance.value < all_of_it.distance.value
    assert all_of_it.excess.low > 0


def test_the_laptop_world_lies_between_real_and_spoilt(network: VideoNetwork, videos: np.ndarray) -> None:
    """Further than what its tokenizer loses, nearer than videos of noise, of wrong patches or of a frozen prompt."""
    genie, some = genie_lite.load("laptop", device="cpu"), videos[:64]
    made = genie.generate(some[:, :1], genie.infer_actions(some), maskgit_steps=4)
    found = coinrun_video_distance(some[:, 1:], made, network=network)
    assert found.videos == 32 and str(found.videos) in str(found)
    assert found.excess.value > 0
    frozen = np.repeat(some[:, :1], made.shape[1], axis=1)
    for name in ("noise", "patches"):
        spoilt = CORRUPTIONS[name](some[:, 1:], 1.0, np.random.default_rng(0))
        assert coinrun_video_distance(some[:, 1:], spoilt, network=network).distance.low > found.distance.high
    assert coinrun_video_distance(some[:, 1:], frozen, network=network).distance.value > found.distance.value


# ------------------------------------------------------------------------------------------ network and errors


def test_long_videos_are_seen_through_windows(network: VideoNetwork, videos: np.ndarray) -> None:
    long = np.concatenate([videos[:2, :8], videos[2:4, :8]], axis=1)
    features = network.features(long)
    assert features.shape == (2, 2, FEATURES)
    np.testing.assert_allclose(features[:, 0], network.features(videos[:2, :8])[:, 0], atol=1e-4)
    np.testing.assert_allclose(features[:, 1], network.features(videos[2:4, :8])[:, 0], atol=1e-4)
    assert network.features(videos).shape[1] == 2  # 9 frames: the first eight and the last eight


def test_features_have_the_scale_of_real_videos(network: VideoNetwork, videos: np.ndarray) -> None:
    features = network.features(videos[:, 1:])[:, 0]
    assert np.abs(features.mean(0)).mean() < 0.3 and 0.7 < features.std(0).mean() < 1.3


def test_it_is_small_and_says_what_it_is() -> None:
    folder = data_folder() / "video_network"
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.safetensors"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2e6
    card = json.loads((folder / "card.json").read_text())
    assert "not comparable with FVD" in card["what"] and card["videos"]["game"] == "coinrun"
    assert {"steps", "hardware", "held_out", "seed", "parameters"} <= set(card)


def test_what_cannot_be_compared_is_refused(network: VideoNetwork, videos: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"found uint8 \[80, 7, 64, 64, 3\], wanted .* 8 or more frames"):
        coinrun_video_distance(videos[:, :7], videos[:, :7], network=network)
    with pytest.raises(EvaluationError, match="both must match"):
        coinrun_video_distance(videos, videos[:40], network=network)
    with pytest.raises(EvaluationError, match="8 or more videos"):
        coinrun_video_distance(videos[:6], videos[:6], network=network)
    with pytest.raises(EvaluationError, match="GENIE_LITE_DATA"):
        video_network(tmp_path)


# ------------------------------------------------------------------------------------------- in the evaluation


def test_the_evaluation_gathers_the_videos_of_coinrun(network: VideoNetwork, videos: np.ndarray) -> None:
    real, made = videos[:16, 1:], np.repeat(videos[:16, :1], 8, axis=1)
    distances = RolloutDistances(sample_dataset("test"), 8, None, None)
    for group in (slice(0, 10), slice(10, 16)):
        distances.add(real[group], made[group])
    metrics, floors, notes = distances.measure(seed=0)
    whole = coinrun_video_distance(real, made, network=network)
    assert metrics["coinrun_distance"].value == pytest.approx(whole.distance.value, rel=1e-3)
    assert floors["coinrun_distance"] == pytest.approx(whole.floor.value, rel=1e-3)
    assert "8 videos with 8 others" in " ".join(notes)
    assert "CoinRun video distance (not FVD)" in Report(metrics, floors).table()


def test_the_evaluation_says_why_there_is_no_distance(videos: np.ndarray, tmp_path: Path) -> None:
    dataset = sample_dataset("test")
    for other, length, why in ((object(), 8, "an unknown game"), (dataset, 7, "7 generated frames")):
        metrics, floors, notes = RolloutDistances(other, length, None, None).measure(seed=0)
        assert not metrics and not floors and why in notes[0]
    short = RolloutDistances(dataset, 8, None, None)
    short.add(videos[:4, 1:], videos[:4, 1:])
    assert "found 4 videos, wanted 8" in short.measure(seed=0)[2][0]
    with pytest.raises(EvaluationError, match="wanted 11 or more for FVD"):
        RolloutDistances(dataset, 8, tmp_path / "i3d.pt", None)
    with pytest.raises(EvaluationError, match="i3d.pt: no such file"):
        RolloutDistances(dataset, 15, tmp_path / "i3d.pt", None)
