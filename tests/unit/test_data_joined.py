"""Several datasets behind the interface of one: the same clips, equal shares of every batch, training on them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from genie_lite.config import load_config
from genie_lite.data import ClipLoader, DatasetError, FrameDataset, join_datasets, open_dataset, write_dataset
from genie_lite.data.joined import equal_shares
from genie_lite.training import train_tokenizer


def dataset(folder: Path, shade: int, lengths: list[int], side: int = 16) -> FrameDataset:
    """Episodes of these lengths whose frames are all of one shade, and whose pixel (0, 0) counts them."""
    frames = np.full((sum(lengths), side, side, 3), shade, np.uint8)
    frames[:, 0, 0, 0] = np.arange(len(frames))
    episodes = np.split(frames, np.cumsum(lengths)[:-1])
    path = folder / f"{shade}.zarr"
    write_dataset(path, episodes, env_actions=[np.full(length, shade % 15, np.uint8) for length in lengths])
    return open_dataset(path)


@pytest.fixture
def parts(tmp_path: Path) -> list[FrameDataset]:
    """A long dataset, a short one, and one of short episodes."""
    return [dataset(tmp_path, 40, [90]), dataset(tmp_path, 80, [12, 9]), dataset(tmp_path, 120, [6] * 8)]


def shades(clips: np.ndarray) -> list[int]:
    """How many clips [B, T, H, W, C] are of each of the three shades."""
    return [int((clips[:, 0, 5, 5, 0] == shade).sum()) for shade in (40, 80, 120)]


def test_a_joined_dataset_reads_the_clips_of_its_parts(parts: list[FrameDataset]) -> None:
    joined = join_datasets(parts)
    assert joined.num_frames == 90 + 21 + 48 and len(joined.episode_starts) == 1 + 2 + 8
    assert joined.episode_lengths.tolist() == [90, 12, 9] + [6] * 8
    assert len(joined.clip_starts(6)) == sum(len(part.clip_starts(6)) for part in parts)
    clips = joined.read_clips(np.array([90 + 12, 3, 90 + 21 + 6]), 6)  # in any order
    np.testing.assert_array_equal(clips[0], parts[1].read_clips(np.array([12]), 6)[0])
    np.testing.assert_array_equal(clips[1], parts[0].read_clips(np.array([3]), 6)[0])
    np.testing.assert_array_equal(clips[2], parts[2].read_clips(np.array([6]), 6)[0])
    chunks = [joined.read_chunk(index) for index in range(joined.num_chunks)]
    np.testing.assert_array_equal(np.concatenate(chunks)[:, 5, 5, 0], np.repeat([40, 80, 120], [90, 21, 48]))
    np.testing.assert_array_equal(joined.env_actions(), np.repeat([10, 5, 0], [90, 21, 48]))
    assert joined.resized((8, 8)).read_clips(np.array([0, 100]), 2).shape == (2, 2, 8, 8, 3)


@pytest.mark.parametrize("start", [-1, 88, 90 + 10, 90 + 21 + 47, 10_000])
def test_no_clip_leaves_its_game(parts: list[FrameDataset], start: int) -> None:
    with pytest.raises(DatasetError, match="leaves its episode"):
        join_datasets(parts).read_clips(np.array([start]), 4)


def test_every_batch_has_equal_shares_however_long_the_datasets_are(parts: list[FrameDataset]) -> None:
    loader = ClipLoader(join_datasets(parts), clips=6, frames=5, prefetch=0)
    batches = [next(loader) for _ in range(20)]
    assert all(shades(batch) == [2, 2, 2] for batch in batches)
    np.testing.assert_array_equal(loader.batch(7), batches[7])
    order = np.array([batch[:, 0, 5, 5, 0] for batch in batches])
    assert len(np.unique(order, axis=0)) > 5, "the order of the games varies, so that processes get all of them"


def test_what_is_left_over_goes_to_games_at_random() -> None:
    starts = [np.arange(0, 50), np.arange(50, 55), np.arange(55, 57)]
    rng = np.random.default_rng(0)
    drawn = np.array([equal_shares(starts, 4, rng) for _ in range(600)])
    counts = np.stack([((drawn >= low) & (drawn < high)).sum(1) for low, high in ((0, 50), (50, 55), (55, 57))])
    assert counts.min() == 1 and counts.max() == 2
    np.testing.assert_allclose(counts.mean(1), 4 / 3, atol=0.1)
    assert set(drawn.ravel()) == set(range(57)), "every start of every game comes up"


def test_datasets_that_do_not_fit_together_are_refused(tmp_path: Path, parts: list[FrameDataset]) -> None:
    with pytest.raises(DatasetError, match="wanted two or more of one shape"):
        join_datasets(parts[:1])
    with pytest.raises(DatasetError, match="wanted two or more of one shape"):
        join_datasets([parts[0], dataset(tmp_path, 200, [9], side=32)])
    with pytest.raises(DatasetError, match=r"120\.zarr.*equal share"):
        next(ClipLoader(join_datasets(parts), clips=3, frames=8, prefetch=0))


def test_a_stage_trains_on_joined_datasets_and_asks_for_no_env_actions(
    tmp_path: Path, parts: list[FrameDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(self: FrameDataset) -> np.ndarray:
        raise AssertionError("a training stage asked for env_actions")

    for part in parts:
        monkeypatch.setattr(type(part), "env_actions", forbidden)
    config = load_config("tiny")
    stage = dataclasses.replace(config.training.tokenizer, steps=2, frames=4, clips=3)
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, tokenizer=stage))
    joined = join_datasets([part.resized((64, 64)) for part in parts])
    genie = train_tokenizer(config, joined, tmp_path / "run", progress=False)
    assert "tokenizer" in genie.card["trained"]
