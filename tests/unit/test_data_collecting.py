"""Collecting videos: of a pretend game whose pictures tell everything, and of real ones where they are installed."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pretend_games import PretendGames

from genie_lite.config import Config, DataConfig, ModelConfig, load_config
from genie_lite.data import (
    DatasetError,
    FrameDataset,
    check_dataset,
    collect,
    course_dataset,
    open_dataset,
    policies,
    procgen_available,
    procgen_games,
    sample_dataset,
    sample_game,
)
from genie_lite.data.collector import collection_settings, settings_differ
from genie_lite.data.writer import existing_attributes
from genie_lite.evaluation import measure_motion
from genie_lite.evaluation.env_actions import env_action_classes, read_env_actions
from genie_lite.storage import sole_writer

needs_procgen = pytest.mark.skipif(not procgen_available(), reason="procgen has no wheel for this Python or platform")


NOTHING = np.zeros((0, 1, 1, 3), np.uint8)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", SimpleNamespace(ProcgenGym3Env=PretendGames, __spec__=True))
    monkeypatch.setattr(PretendGames, "plays", 0)
    monkeypatch.setattr(PretendGames, "stop_after", None)


SMALL = DataConfig(num_envs=3, train_levels=(100, 50), test_levels=(300, 50))


def told(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the pictures of a pretend dataset tell [F, 5], and the dataset's starts and env actions."""
    dataset = open_dataset(path)
    pictures = np.concatenate([dataset.read_chunk(i) for i in range(dataset.num_chunks)])
    return pictures[:, 0, :5, 0].astype(int), dataset.episode_starts, dataset.env_actions().astype(int)


@pytest.mark.parametrize("repeat", [1, 4])
def test_episodes_are_cut_where_the_game_cuts_them(tmp_path: Path, pretend: None, repeat: int) -> None:
    dataset = collect(
        dataclasses.replace(SMALL, action_repeat=repeat), tmp_path / "videos", frames=2_000, progress=False
    )
    pictures, starts, env_actions = told(tmp_path / "videos")
    episode = np.cumsum(np.isin(np.arange(2_000), starts)) - 1
    level = pictures[:, 0] + 256 * pictures[:, 1]
    np.testing.assert_array_equal(level, dataset.level_seeds()[episode])  # each frame belongs to its episode's level
    assert set(level) <= set(range(100, 150)) and dataset.attributes["levels"] == [100, 50]
    inside = np.diff(episode) == 0
    assert (np.diff(pictures[:, 2])[inside] == 0).all()  # one game episode in one stored episode
    assert (np.diff(pictures[:, 3])[inside] == repeat).all()  # one frame stored per held env action
    np.testing.assert_array_equal(pictures[1:, 4][inside], env_actions[:-1][inside])  # taken after frame f
    late = pictures[starts, 3] > 0  # first frame of an episode that began while the others held their env actions
    assert (pictures[starts, 3] < repeat).all() and (pictures[starts, 4][late] == procgen_games.STILL).all()
    assert late.any() == (repeat > 1)


@pytest.mark.parametrize("stops", [[40], [300, 700, 1100], [2600]])
def test_interrupted_collection_equals_an_uninterrupted_one(
    tmp_path: Path, pretend: None, monkeypatch: pytest.MonkeyPatch, stops: list[int]
) -> None:
    collect(SMALL, tmp_path / "whole", frames=3_000, progress=False)
    for stop in stops:
        monkeypatch.setattr(PretendGames, "plays", 0)
        monkeypatch.setattr(PretendGames, "stop_after", stop)
        with pytest.raises(KeyboardInterrupt):
            collect(SMALL, tmp_path / "parts", frames=3_000, progress=False)
        with pytest.raises(DatasetError, match="collection stopped after"):
            open_dataset(tmp_path / "parts")
    monkeypatch.setattr(PretendGames, "stop_after", None)
    collect(SMALL, tmp_path / "parts", frames=3_000, progress=False)
    for a, b in zip(told(tmp_path / "whole"), told(tmp_path / "parts"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_appended_videos_equal_videos_collected_at_once(tmp_path: Path, pretend: None) -> None:
    collect(SMALL, tmp_path / "whole", frames=2_500, progress=False)
    for frames in (500, 1_111, 2_500, 700):  # the last is there already
        dataset = collect(SMALL, tmp_path / "grown", frames=frames, progress=False)
    assert dataset.num_frames == 2_500 and check_dataset(tmp_path / "grown") == []
    for a, b in zip(told(tmp_path / "whole"), told(tmp_path / "grown"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_levels_in_turn_give_each_level_its_frames(tmp_path: Path, pretend: None) -> None:
    paper = dataclasses.replace(SMALL, policy="uniform", action_repeat=1, frames_per_level=100)
    dataset = collect(paper, tmp_path / "videos", frames=1_150, progress=False)
    pictures, starts, env_actions = told(tmp_path / "videos")
    np.testing.assert_array_equal(pictures[:, 0] + 256 * pictures[:, 1], 100 + np.arange(1_150) // 100)
    assert set(np.arange(0, 1_150, 100)) <= set(starts)
    np.testing.assert_array_equal(dataset.level_seeds(), 100 + starts // 100)
    assert set(env_actions) == set(range(15))  # uniform over all of procgen's actions


def test_sticky_policy_holds_and_leans_right() -> None:
    data = DataConfig(sticky_probability=0.5, right_bias=0.3, num_envs=50_000)
    policy = policies.StickyPolicy(data, np.random.default_rng(0))
    first = policy.choose(NOTHING)
    assert set(first) == set(range(9))  # left, none, right x down, none, up; never a key that CoinRun ignores
    right = 0.3 + 0.7 * policies.HORIZONTAL[2]
    assert abs((first // 3 == 2).mean() - right) < 0.01
    second = policy.choose(NOTHING)
    assert 0.5 < (second == first).mean() < 0.75
    policy.data = dataclasses.replace(data, sticky_probability=1.0)
    policy.restart(np.arange(25_000))
    third = policy.choose(NOTHING)
    assert (third[25_000:] == second[25_000:]).all() and (third[:25_000] == second[:25_000]).mean() < 0.5
    ours, numpys = np.random.default_rng(1), np.random.default_rng(1)
    chosen = numpys.choice(3, 1_000, p=policies.VERTICAL)
    np.testing.assert_array_equal(policies._draw(policies.VERTICAL, 1_000, ours), chosen)


def test_walker_jumps_when_stuck_and_never_in_mid_air() -> None:
    data = DataConfig(policy="walker", sticky_probability=0.8, num_envs=4_000, action_repeat=4)
    policy = policies.WalkerPolicy(data, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    still = np.zeros((4_000, 4, 4, 3), np.uint8)
    keys = [policy.choose(still)]
    for _ in range(40):  # the first half walks into a wall, the other half sees the scene scroll
        pictures = np.where(np.arange(4_000)[:, None, None, None] < 2_000, still, rng.integers(256, size=still.shape))
        keys.append(policy.choose(pictures.astype(np.uint8)))
    keys = np.stack(keys)
    direction, jumps = keys // 3, keys % 3 == policies.UP
    assert set(np.unique(keys % 3)) == {policies.NONE, policies.UP}
    for wait in (1, 2, 3):
        assert not (jumps[wait:] & jumps[:-wait]).any()  # 16 game steps, four choices, from one jump to the next
    assert (jumps[4:] & jumps[:-4]).any()
    walks = direction[1:] != policies.NONE
    stuck, free = jumps[1:, :2_000][walks[:, :2_000]].mean(), jumps[1:, 2_000:][walks[:, 2_000:]].mean()
    assert stuck > 1.5 * free > 0
    kept = direction[1:] == direction[:-1]
    assert kept[:, 2_000:].mean() > 0.8 > kept[:, :2_000].mean()  # turns more readily where it cannot go on


def test_walker_videos_can_be_resumed(tmp_path: Path, pretend: None) -> None:
    settings = dataclasses.replace(SMALL, policy="walker")
    collect(settings, tmp_path / "whole", frames=1_500, progress=False)
    for frames in (400, 1_111, 1_500):
        collect(settings, tmp_path / "grown", frames=frames, progress=False)
    for a, b in zip(told(tmp_path / "whole"), told(tmp_path / "grown"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert open_dataset(tmp_path / "grown").attributes["policy_odds"]["jump when stuck"] == 0.75


@needs_procgen
def test_walker_jumps_where_a_jump_does_something(tmp_path: Path) -> None:
    risen = {}
    for policy in ("sticky", "walker"):
        data = DataConfig(distribution_mode="hard", policy=policy)
        videos = collect(data, tmp_path / policy, frames=2_000, progress=False)
        starts = videos.clip_starts(16)[::16]
        motion = measure_motion(videos.read_clips(starts, 16))
        _, down = env_action_classes(read_env_actions(videos, starts, 16))
        risen[policy] = (motion.up_down() == 0)[motion.sure_y & (down == 0)].mean()
    assert risen["walker"] > risen["sticky"] + 0.2


def test_other_settings_are_never_mixed(tmp_path: Path, pretend: None) -> None:
    collect(SMALL, tmp_path / "videos", frames=100, progress=False)
    with pytest.raises(DatasetError, match="right_bias: found 0.3, wanted 0.9"):
        collect(dataclasses.replace(SMALL, right_bias=0.9), tmp_path / "videos", frames=200, progress=False)
    with pytest.raises(DatasetError, match=r"levels: found \[100, 50\], wanted \[300, 50\]"):
        collect(SMALL, tmp_path / "videos", "test", frames=200, progress=False)
    with pytest.raises(DatasetError, match="exists already"):
        collect(SMALL, tmp_path / "videos", frames=200, progress=False, resume=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(DatasetError, match="nothing was overwritten"):
        collect(SMALL, tmp_path / "mine", frames=200, progress=False)


def test_of_two_collectors_on_one_folder_one_is_refused(tmp_path: Path, pretend: None) -> None:
    collect(SMALL, tmp_path / "videos", frames=100, progress=False)
    before = {file: file.read_bytes() for file in (tmp_path / "videos").rglob("*") if file.is_file()}
    with sole_writer(tmp_path / "videos"):
        with pytest.raises(DatasetError, match="videos: another program is writing into it"):
            collect(SMALL, tmp_path / "videos", frames=200, progress=False)
        assert collect(SMALL, tmp_path / "videos", frames=100, progress=False).num_frames == 100  # only read
    assert before == {file: file.read_bytes() for file in before}
    assert collect(SMALL, tmp_path / "videos", frames=200, progress=False).num_frames == 200
    assert check_dataset(tmp_path / "videos") == []


def test_levels_outside_their_range_are_found(tmp_path: Path, pretend: None) -> None:
    collect(SMALL, tmp_path / "videos", frames=300, progress=False)
    attributes = tmp_path / "videos" / ".zattrs"
    attributes.write_text(attributes.read_text().replace("50\n", "3\n"))
    assert "wanted only 100 to 102" in check_dataset(tmp_path / "videos")[0]


def test_without_procgen_collecting_says_so_and_the_course_takes_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "procgen", None)
    monkeypatch.setitem(sys.modules, "procgen_gym", None)
    assert not procgen_available()
    with pytest.raises(DatasetError, match=r"needs procgen, which is missing on \w+ .*Python 3.*sample_dataset"):
        collect(SMALL, tmp_path / "videos", frames=100, progress=False)
    assert not (tmp_path / "videos").exists()
    config = Config(model=ModelConfig(frame_size=(32, 32)))
    with caplog.at_level(logging.WARNING):
        dataset = course_dataset(config, tmp_path, "test")
    assert "procgen is not installed" in caplog.text
    assert dataset.read_clips(dataset.clip_starts(4)[:2], 4).shape == (2, 4, 32, 32, 3)


def test_course_collects_once_then_opens(tmp_path: Path, pretend: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genie_lite.data.samples.procgen_available", lambda: True)
    config = Config(data=dataclasses.replace(SMALL, train_frames=400, test_frames=200))
    train, test = (course_dataset(config, tmp_path, split, progress=False) for split in ("train", "test"))
    assert (train.num_frames, test.num_frames) == (400, 200)
    assert not set(train.level_seeds()) & set(test.level_seeds())
    played = PretendGames.plays
    assert course_dataset(config, tmp_path, "train").num_frames == 400
    monkeypatch.setattr("genie_lite.data.samples.procgen_available", lambda: False)
    assert course_dataset(config, tmp_path, "train").path == str(tmp_path / "train.zarr")  # rather than the sample
    assert PretendGames.plays == played


def test_shipped_videos_are_sound_and_their_levels_disjoint() -> None:
    train, test = sample_dataset("train"), sample_dataset("test")
    for dataset in (train, test):
        assert check_dataset(dataset.path) == []
        assert dataset.frame_size == (64, 64) and len(dataset.clip_starts(16)) > 1_000
        assert set(np.unique(dataset.env_actions())) == set(range(9))
    assert train.level_seeds().max() < 1_000_000 <= test.level_seeds().min()
    size = sum(file.stat().st_size for file in Path(train.path).parent.rglob("*") if file.is_file())
    assert size <= 13_500_000


def test_the_full_game_ships_videos_to_test_on(tmp_path: Path) -> None:
    videos = sample_dataset("test", game="full")
    assert check_dataset(videos.path) == [] and len(videos.clip_starts(16)) > 1_000
    wanted = collection_settings(load_config("coinrun").data, "test")
    assert settings_differ(videos.attributes, wanted) == ""
    looks = videos.read_clips(videos.episode_starts, 1)[:, 0].mean((1, 2))
    assert np.linalg.norm(looks[:, None] - looks, axis=-1).mean() > 20  # themes and backgrounds differ between levels
    with pytest.raises(DatasetError, match="no training videos of the full game ship; collect them"):
        sample_dataset("train", game="full")
    assert sample_game(load_config("coinrun")) == "full" and sample_game(load_config("laptop")) == "plain"


@needs_procgen
def test_real_games_play_only_the_levels_asked_for(tmp_path: Path) -> None:
    data = DataConfig(num_envs=4, train_levels=(0, 20), test_levels=(500, 20))
    train = collect(data, tmp_path / "train.zarr", frames=1_024, progress=False)
    test = collect(data, tmp_path / "test.zarr", "test", frames=600, progress=False)
    assert set(train.level_seeds()) <= set(range(20)) and set(test.level_seeds()) <= set(range(500, 520))
    assert len(set(train.level_seeds())) > 5
    first = train.read_clips(train.episode_starts, 1)[:, 0]
    assert len(np.unique(first.reshape(len(first), -1), axis=0)) > 5  # levels look different, and not like nothing
    turns = dataclasses.replace(data, distribution_mode="hard", policy="uniform", action_repeat=1, frames_per_level=60)
    paper = collect(turns, tmp_path / "paper.zarr", frames=400, progress=False)
    np.testing.assert_array_equal(paper.level_seeds(), paper.episode_starts // 60)


def digest(dataset: FrameDataset) -> str:
    """Of all that a dataset holds, however it is compressed."""
    parts = [dataset.read_chunk(i) for i in range(dataset.num_chunks)]
    parts += [dataset.episode_starts, dataset.env_actions(), dataset.level_seeds()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@needs_procgen
def test_settings_make_the_videos_that_they_always_made(tmp_path: Path) -> None:
    # Digests of what the first collector made, which played all streams of a block and compressed it afterwards.
    easy = DataConfig(num_envs=4, train_levels=(0, 20), test_levels=(500, 20))
    videos = collect(easy, tmp_path / "easy", frames=5_000, progress=False)  # a block, and one stream of another
    assert digest(videos) == "329c5aafe90e919afe8b1e1404a7f3be2a5ec046e8a103a7ac288d7063afa224"
    turns = {"policy": "uniform", "action_repeat": 1, "frames_per_level": 60}
    hard = dataclasses.replace(easy, distribution_mode="hard", backgrounds=True, restrict_themes=False, **turns)
    videos = collect(hard, tmp_path / "hard", frames=1_000, progress=False)  # chunks that span streams and blocks
    assert digest(videos) in {
        "b6d1d938f40a302b71344bcdbb2fd60d0e80cf627752f5bc8a1edf6f29db16f2",
        "09639fab003bdc6504d587155f60a78a06dc7c642ed810a266b1cb02e3753c1a",  # procgen-gym: pixels of some backgrounds
    }


@needs_procgen
@pytest.mark.parametrize("game", ["ninja", "climber", "jumper"])
def test_other_platform_games_are_collected_like_coinrun(tmp_path: Path, game: str) -> None:
    data = DataConfig(game=game, num_envs=4, train_levels=(0, 20), test_levels=(500, 20))
    videos = collect(data, tmp_path / "videos", frames=1_200, progress=False)
    assert check_dataset(videos.path) == [] and videos.attributes["game"] == game
    assert set(videos.level_seeds()) <= set(range(20)) and len(set(videos.level_seeds())) > 2
    grown = collect(data, tmp_path / "grown", frames=700, progress=False)
    grown = collect(data, tmp_path / "grown", frames=1_200, progress=False)
    assert digest(grown) == digest(videos)
    with pytest.raises(DatasetError, match=f"game: found '{game}', wanted 'coinrun'"):
        collect(dataclasses.replace(data, game="coinrun"), tmp_path / "videos", frames=1_300, progress=False)
    # The pictures are this game's: the first frames of CoinRun's levels look different.
    coinrun = collect(dataclasses.replace(data, game="coinrun"), tmp_path / "coinrun", frames=64, progress=False)
    first = coinrun.read_clips(np.array([0]), 1).astype(int)
    assert (np.abs(videos.read_clips(videos.episode_starts, 1) - first).mean((1, 2, 3, 4)) > 10).all()
    motion = np.abs(np.diff(videos.read_clips(videos.clip_starts(16)[::64], 16).astype(int), axis=1)).max((2, 3, 4))
    assert (motion > 0).mean() > 0.5  # something moves from most frames to the next


def test_datasets_from_before_there_was_a_choice_of_game_are_continued() -> None:
    shipped = sample_dataset("test").attributes
    assert shipped["game"] == "coinrun" and settings_differ(shipped, collection_settings(DataConfig(), "test")) == ""


@needs_procgen
def test_the_shipped_videos_can_be_collected_again(tmp_path: Path) -> None:
    shipped, frames = sample_dataset("test"), 1_024
    again = collect(DataConfig(), tmp_path / "videos", "test", frames=frames, progress=False)
    ours, theirs = (data.read_clips(np.arange(frames), 1) for data in (again, shipped))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(again.env_actions(), shipped.env_actions()[:frames])
    np.testing.assert_array_equal(again.episode_starts, [n for n in shipped.episode_starts if n < frames])


@needs_procgen
def test_killed_collection_goes_on_where_it_was(tmp_path: Path) -> None:
    path, frames = tmp_path / "videos.zarr", 20_000
    code = (
        "from genie_lite.config import DataConfig; from genie_lite.data import collect; "
        f"collect(DataConfig(num_envs=2), {str(path)!r}, frames={frames}, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        end = time.monotonic() + 120
        while not (path / "frames" / "20.0.0.0").exists():  # the first block is committed: kill in a later one
            assert process.poll() is None, "collection ended before it could be killed"
            assert time.monotonic() < end, "collection did not commit a block within two minutes"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    with pytest.raises(DatasetError, match="collection stopped after"):
        open_dataset(path)
    written = existing_attributes(path)["frames_written"]
    assert 0 < written < frames
    data = DataConfig(num_envs=2)
    resumed = collect(data, path, frames=written + 512, progress=False)
    whole = collect(data, tmp_path / "whole.zarr", frames=written + 512, progress=False)
    assert check_dataset(path) == []
    np.testing.assert_array_equal(resumed.episode_starts, whole.episode_starts)
    np.testing.assert_array_equal(resumed.env_actions(), whole.env_actions())
    for index in range(whole.num_chunks):
        np.testing.assert_array_equal(resumed.read_chunk(index), whole.read_chunk(index))
