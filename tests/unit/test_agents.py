"""Agents from videos: codes and keys stay aligned, mappings find what is there, and only the labelled keys are read."""

from __future__ import annotations

import ast
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pretend_games import PretendGames

import genie_lite
from genie_lite import agents
from genie_lite.agents import (
    STAGE,
    UNKNOWN,
    AgentError,
    ClonedPlayer,
    CodeLists,
    ExpertVideo,
    FrameMapping,
    Labels,
    PairLists,
    Study,
    draw_labels,
    latent_action_labels,
    latest_latent_action,
    predict,
    run_seed,
    targets_of,
    train_policy,
)
from genie_lite.agents.mapping import smoothed
from genie_lite.agents.player import SEEN, draw
from genie_lite.agents.policy import PolicyNetwork, clips_before
from genie_lite.config import DataConfig
from genie_lite.data import FrameDataset, collect, procgen_available, sample_dataset
from genie_lite.evaluation import play_levels

needs_procgen = pytest.mark.skipif(not procgen_available(), reason="procgen has no wheel for this Python or platform")
SMALL = dataclasses.replace(STAGE, steps=60, clips=8, checkpoint_every_minutes=60.0)


class Videos(FrameDataset):
    """Episodes whose picture shows which key comes next, by the brightness of its upper half; keys are on record."""

    def __init__(self, lengths: list[int], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.keys = rng.choice([1, 4, 7], sum(lengths)).astype(np.uint8)
        self.frames = rng.integers(90, 110, (sum(lengths), 16, 16, 3)).astype(np.uint8)
        self.frames[:, :8] = 25 * self.keys[:, None, None, None]
        starts = np.cumsum([0, *lengths[:-1]])
        chunks = SimpleNamespace(shape=self.frames.shape, chunk=len(self.frames), read=lambda index: self.frames)
        super().__init__(chunks, starts, {"levels": [5, 6]}, "videos")

    def env_actions(self) -> np.ndarray:
        return self.keys


@pytest.fixture
def video() -> ExpertVideo:
    return ExpertVideo.read(Videos([20, 1, 3, 31, 7] * 4))


# ------------------------------------------------------------------------------------------------ codes and labels


class Counting:
    """A world whose latent action is the frame's number, modulo 8, if it saw enough of the past."""

    context_frames = 16

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []  # clips: first frame, number of frames

    def infer_actions(self, frames: np.ndarray) -> np.ndarray:
        numbers = frames[:, :, 0, 0, 0].astype(int) + 256 * frames[:, :, 0, 0, 1]
        self.seen += [(row[0], len(row)) for row in numbers.tolist()]
        assert (np.diff(numbers, axis=1) == 1).all()
        return numbers[:, :-1] % 8


def test_every_transition_is_labelled_once_with_enough_past_and_none_across_episodes() -> None:
    dataset = Videos([20, 1, 2, 16, 17, 55])
    dataset.frames[:, 0, 0, 0], dataset.frames[:, 0, 0, 1] = np.arange(111) % 256, 0
    video, world = ExpertVideo.read(dataset), Counting()
    codes = latent_action_labels(world, video, progress=False)
    last = np.append(dataset.episode_starts[1:], 111) - 1
    wanted = np.arange(111) % 8
    wanted[last] = UNKNOWN
    np.testing.assert_array_equal(codes, wanted)
    np.testing.assert_array_equal(video.transitions, np.flatnonzero(codes != UNKNOWN))
    assert all(count <= 16 for _, count in world.seen)
    # The last transition of the longest episode is labelled from a clip that begins at least four frames before.
    long = sorted(first - 56 for first, _ in world.seen if first >= 56)
    assert long[0] == 0 and all(b - a <= 16 - 1 - 4 for a, b in zip(long, long[1:], strict=False))


def test_labels_pair_the_key_after_a_frame_with_the_code_after_it() -> None:
    dataset = sample_dataset("train")
    short = FrameDataset(
        SimpleNamespace(shape=(600, 64, 64, 3), chunk=64, read=dataset.read_chunk),
        dataset.episode_starts[dataset.episode_starts < 600],
        dataset.attributes,
        "short",
    )
    short.env_actions = lambda: dataset.env_actions()[:600]
    video = ExpertVideo.read(short)
    codes = latent_action_labels(genie_lite.load("laptop", "cpu"), video, progress=False)
    labels = draw_labels(video, video.transitions)
    right = 3 * (labels.env_actions // 3) == 6
    tells = [information(codes[labels.frames + late], right) for late in (0, -1, -2) if late <= 0]
    assert tells[0] > 0.05 and tells[0] > 1.5 * max(tells[1:])  # of the key itself, not of its neighbours


def information(codes: np.ndarray, flags: np.ndarray) -> float:
    table = np.zeros((9, 2))
    np.add.at(table, (codes, flags.astype(int)), 1)  # UNKNOWN is the ninth code
    p = table / table.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nansum(p * np.log(p / (p.sum(1, keepdims=True) * p.sum(0)))))


def test_labels_are_drawn_at_random_and_nested(video: ExpertVideo) -> None:
    one, again, other = (draw_labels(video, video.transitions, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.frames, again.frames)
    assert (one.frames != other.frames).any() and (one.frames != np.sort(one.frames)).any()
    np.testing.assert_array_equal(one.env_actions, video.dataset.env_actions()[one.frames])
    few = one.first(5)
    np.testing.assert_array_equal(few.frames, one.frames[:5])
    targets = targets_of(few, len(video.frames))
    assert (targets != UNKNOWN).sum() == 5
    for count in (0, len(one.frames) + 1):
        with pytest.raises(AgentError, match=f"labels: found {count}, wanted 1 to "):
            one.first(count)


# --------------------------------------------------------------------------------------------------------- mappings


def test_lists_are_the_shares_of_keys_and_unseen_codes_take_them_all() -> None:
    lists = CodeLists(np.array([0, 0, 0, 2]), np.array([7, 7, 8, 1]), 3, 9)
    np.testing.assert_allclose(lists.shares[0, [7, 8]], [2 / 3, 1 / 3])
    assert lists.shares[2, 1] == 1
    np.testing.assert_allclose(lists.shares[1, [1, 7, 8]], [1 / 4, 2 / 4, 1 / 4])
    mixed = lists.env_action_probabilities(np.array([[0.5, 0, 0.5]]), np.zeros((1, 4)))
    np.testing.assert_allclose(mixed[0, [1, 7, 8]], [1 / 2, 1 / 3, 1 / 6])


def test_lists_of_pairs_tell_what_begins_from_what_goes_on() -> None:
    """Code 1 means going up: after code 0 because of key 8, after code 1 because of nothing."""
    previous, codes, keys = (
        np.array([0, 0, 1, 1, UNKNOWN, 0]),
        np.array([1, 1, 1, 1, 1, 0]),
        np.array([8, 8, 7, 7, 8, 7]),
    )
    pairs = PairLists(previous, codes, keys, 2, 9)
    found = pairs.env_action_probabilities(np.array([[0, 1]] * 3), np.zeros((3, 1)), np.array([0, 1, UNKNOWN]))
    list_of_1 = np.array([2 / 5, 3 / 5])  # of keys 7 and 8
    np.testing.assert_allclose(found[:, [7, 8]], [([0, 2] + list_of_1) / 3, ([2, 0] + list_of_1) / 3, list_of_1])
    never = pairs.env_action_probabilities(np.array([[1, 0]]), np.zeros((1, 1)), np.array([1]))  # takes code 0's list
    assert never[0, 7] == 1
    for wrong in (np.array([0, 0, 1, 1, 0, 2]), np.zeros(5, int)):
        with pytest.raises(AgentError, match="previous: found"):
            PairLists(wrong, codes, keys, 2, 9)


def test_the_code_before_a_frame_is_that_of_the_transition_to_it() -> None:
    codes = np.array([3, 1, UNKNOWN, UNKNOWN, 2, UNKNOWN])  # episodes of three, one and two frames
    assert agents.previous_codes(codes).tolist() == [UNKNOWN, 3, 1, UNKNOWN, UNKNOWN, 2]


def test_a_mapping_that_looks_finds_what_the_code_does_not_say() -> None:
    """The key depends on the code and on a feature; then lists know half of it, and the frame mapping nearly all."""
    rng = np.random.default_rng(0)

    def samples(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        codes, features = rng.integers(2, size=count), rng.normal(size=(count, 6))
        return codes, features, 4 * codes + 2 * (features[:, 2] > 0)

    codes, features, keys = samples(400)
    size = (2, 9)
    looking, lists = FrameMapping(codes, features, keys, *size), CodeLists(codes, keys, *size)
    codes, features, keys = samples(300)
    certain = np.eye(2)[codes]
    hit = looking.env_action_probabilities(certain, features)
    assert (hit.argmax(1) == keys).mean() > 0.9 and np.isfinite(looking.penalty)
    np.testing.assert_allclose(hit.sum(1), 1)
    blind = lists.env_action_probabilities(certain, features)[np.arange(300), keys]
    assert blind.mean() == pytest.approx(0.5, abs=0.06)


def test_a_mapping_that_looks_at_noise_falls_back_to_the_lists() -> None:
    rng = np.random.default_rng(1)
    codes, features = rng.integers(4, size=300), rng.normal(size=(300, 40))
    keys = np.where(rng.random(300) < 0.7, 2 * codes, 8)
    looking = FrameMapping(codes, features, keys, 4, 9)
    assert np.isinf(looking.penalty) and not looking.weights.any()
    one = looking.env_action_probabilities(np.eye(4), features[:4])
    np.testing.assert_allclose(one, np.exp(smoothed(codes, keys, 4, 9)))
    assert not FrameMapping(codes[:3], features[:3], keys[:3], 4, 9).weights.any()  # too few to be sure of anything


@pytest.mark.parametrize(
    "make", [CodeLists, lambda codes, keys, a, u: FrameMapping(codes, np.zeros((2, 3)), keys, a, u)]
)
@pytest.mark.parametrize(
    "codes, keys, message",
    [
        ([], [], "at least one"),
        ([0, 1], [3], "as many of both"),
        ([UNKNOWN, 0], [1, 2], "latent actions from -1 to 0, wanted 0 to 2"),
        ([0, 1], [1, 9], "true actions from 1 to 9, wanted 0 to 8"),
    ],
)
def test_samples_that_do_not_fit_are_refused(make: Callable, codes: list, keys: list, message: str) -> None:
    with pytest.raises(AgentError, match=message):
        make(np.array(codes, int), np.array(keys, int), 3, 9)


# -------------------------------------------------------------------------------------------------------- the policy


def test_a_policy_learns_what_the_frame_shows(video: ExpertVideo, tmp_path: Path) -> None:
    keys = video.dataset.env_actions().astype(int)
    known = draw_labels(video, video.transitions).first(150)
    left = np.setdiff1d(video.transitions, known.frames)
    network = train_policy(video, targets_of(known, len(keys)), 15, tmp_path, stage=SMALL, progress=False)
    found = predict(network, video, left)[0]
    loss = -np.log(found[np.arange(len(left)), keys[left]]).mean()
    shares = np.bincount(keys[left], minlength=15) / len(left)
    assert loss < 0.5 * -(shares[shares > 0] * np.log(shares[shares > 0])).sum()  # of one that looks at nothing


def test_a_policy_sees_no_later_frame_and_no_other_episode(video: ExpertVideo) -> None:
    torch.manual_seed(0)
    network = PolicyNetwork((16, 16), 3, 5).eval()
    frame = int(video.episode_starts[3]) + 2
    before = predict(network, video, np.array([frame]))[0]
    changed = video.frames.copy()
    changed[frame + 1 :] = 0
    changed[: video.episode_starts[3]] = 255
    other = dataclasses.replace(video, frames=changed)
    np.testing.assert_array_equal(before, predict(network, other, np.array([frame]))[0])
    changed[frame - 2] = 255
    assert (before != predict(network, other, np.array([frame]))[0]).any()


def test_clips_that_a_policy_learns_from_stay_in_their_episode(video: ExpertVideo) -> None:
    starts = video.episode_starts[:4]  # 0, 20, 21, 24: the third episode has three frames
    rows, inside = clips_before(video, np.array([1, 20, 23, 40]), 4)
    assert rows.tolist() == [[0, 0, 0, 1], [20, 20, 20, 20], [21, 21, 22, 23], [37, 38, 39, 40]]
    assert inside.sum(1).tolist() == [2, 1, 3, 4] and starts.tolist() == [0, 20, 21, 24]


def test_training_continues_where_it_stopped_and_refuses_other_targets(video: ExpertVideo, tmp_path: Path) -> None:
    targets = targets_of(draw_labels(video, video.transitions), len(video.frames))
    stage = dataclasses.replace(SMALL, steps=4)
    whole = train_policy(video, targets, 15, tmp_path, stage=stage, progress=False)
    again = train_policy(video, targets, 15, tmp_path, stage=stage, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    targets[targets == 7] = 8
    with pytest.raises(ValueError, match="targets"):
        train_policy(video, targets, 15, tmp_path, stage=stage, progress=False)


def test_targets_that_do_not_fit_are_refused(video: ExpertVideo, tmp_path: Path) -> None:
    nothing = np.full(len(video.frames), UNKNOWN)
    with pytest.raises(AgentError, match="targets: found 0 known ones"):
        train_policy(video, nothing, 15, tmp_path)
    with pytest.raises(AgentError, match="wanted at least one, in shape"):
        train_policy(video, nothing[:-1] + 2, 15, tmp_path)
    with pytest.raises(AgentError, match="targets: found up to 15, wanted 0 to 14"):
        train_policy(video, nothing + 16, 15, tmp_path)
    with pytest.raises(AgentError, match="stage.frames: found 3, wanted 4 or more"):
        train_policy(video, nothing + 3, 15, tmp_path, stage=dataclasses.replace(SMALL, frames=3))
    with pytest.raises(AgentError, match="frame_size: found 20x16, wanted multiples of 8"):
        PolicyNetwork((20, 16), 3, 5)


# ---------------------------------------------------------------------------------------------------------- in play


def test_a_player_remembers_each_game_apart_and_forgets_at_its_end(video: ExpertVideo) -> None:
    """What it sees in play is what `predict` shows of the same frames on record."""
    torch.manual_seed(0)
    network = PolicyNetwork((16, 16), 3, 5).eval()
    player = ClonedPlayer(network, 2, np.random.default_rng(0))
    first, second = (int(video.episode_starts[i]) for i in (0, 3))
    for t in range(6):
        player.choose(video.frames[[first + t, second + t]])
    wanted, unknown = predict(network, video, np.array([first + 5, second + 5]))[0], np.full(2, UNKNOWN)
    np.testing.assert_allclose(player.probabilities(player._recent, unknown), wanted, atol=1e-6)
    player.restart(np.array([1]))
    third = int(video.episode_starts[5])
    player.choose(video.frames[[first + 6, third]])
    wanted = predict(network, video, np.array([first + 6, third]))[0]
    np.testing.assert_allclose(player.probabilities(player._recent, unknown), wanted, atol=1e-6)


def test_a_mapping_is_told_what_has_just_happened_in_each_game(video: ExpertVideo) -> None:
    """The world names the number of its last frame; where an episode has just begun, nothing has happened."""
    told: list[list[int]] = []

    class Listening:
        def env_action_probabilities(
            self, latent: np.ndarray, features: np.ndarray, previous: np.ndarray
        ) -> np.ndarray:
            told.append(previous.tolist())
            return latent

    class World:
        def infer_actions(self, frames: np.ndarray) -> np.ndarray:
            assert frames.shape[1] == SEEN and (frames[:, -2, 0, 0, 0] == frames[:, -1, 0, 0, 0] - 1).all()
            return frames[:, 1:, 0, 0, 0].astype(int)

    network = PolicyNetwork((16, 16), 3, 5).eval()
    player = ClonedPlayer(
        network, 2, np.random.default_rng(0), Listening(), lambda frames: latest_latent_action(World(), frames)
    )
    for t in range(4):
        player.choose(np.stack([np.full((16, 16, 3), 10 + t), np.full((16, 16, 3), 50 + t)]).astype(np.uint8))
        if t == 2:
            player.restart(np.array([1]))
    assert told == [[UNKNOWN, UNKNOWN], [11, 51], [12, 52], [13, UNKNOWN]]


def test_keys_are_drawn_with_their_probabilities() -> None:
    rows = np.repeat([[0.2, 0, 0.5, 0.3], [0, 1, 0, 0]], 4_000, axis=0)
    drawn = draw(rows, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn[:4_000], minlength=4) / 4_000, rows[0], atol=0.04)
    assert set(drawn[4_000:]) == {1}


@needs_procgen
def test_a_policy_cloned_from_the_expert_plays_the_real_game(tmp_path: Path) -> None:
    """Cloned from 1,500 frames, it presses what the expert presses: mostly right, and so gets to some coins."""
    data = DataConfig(policy="expert", train_levels=(200_000, 1_000), num_envs=4)
    video = ExpertVideo.read(collect(data, tmp_path / "expert", frames=1_500, progress=False))
    labels = draw_labels(video, video.transitions)
    network = train_policy(video, targets_of(labels, 1_500), 15, tmp_path / "run", stage=SMALL, progress=False)
    played = play_levels(
        data, ClonedPlayer(network, 8, np.random.default_rng(0)), data.test_levels, 16, games=8, seed=1
    )
    assert played.solved >= 3  # who stands still solves none
    assert np.median(played.frames) < 60


# --------------------------------------------------------------------------------- who reads the true actions


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", SimpleNamespace(ProcgenGym3Env=PretendGames, __spec__=True))
    monkeypatch.setattr(PretendGames, "plays", 0)
    monkeypatch.setattr(PretendGames, "stop_after", None)


def still(frames: np.ndarray) -> np.ndarray:
    """Names every transition in play 0."""
    return np.zeros(len(frames), int)


def test_latent_policies_depend_on_no_key_but_the_labelled_few(tmp_path: Path, pretend: None) -> None:
    """All other keys are falsified: the latent policies solve the same levels by the same keys, the oracle does not."""
    data = DataConfig(num_envs=2)
    study = Study(labels=(6, 12), levels=4, games=2, stage=dataclasses.replace(SMALL, steps=3, clips=2))
    true, false = pretend_videos(), pretend_videos()
    video = ExpertVideo.read(true)
    codes = np.where(np.isin(np.arange(len(true.keys)), video.transitions), np.arange(len(true.keys)) % 3, UNKNOWN)
    first = run_seed(data, video, codes, 3, still, tmp_path / "true", study=study, progress=False)
    learning = video.transitions[video.episodes[video.transitions] != video.episodes[-1]]
    few = draw_labels(video, learning).first(12)
    kept = np.isin(np.arange(len(true.keys)), few.frames) | (video.episodes == video.episodes[-1])
    false.keys = np.where(kept, true.keys, 14).astype(np.uint8)
    second = run_seed(data, ExpertVideo.read(false), codes, 3, still, tmp_path / "false", study=study, progress=False)
    different = {a["player"] for a, b in zip(first["rows"], second["rows"], strict=True) if a != b}
    assert different == {"oracle", "blind"}
    assert len(first["rows"]) == 12


def pretend_videos() -> Videos:
    """In the frame size of the games."""
    dataset = Videos([30, 30, 30])
    frames = np.repeat(np.repeat(dataset.frames, 4, axis=1), 4, axis=2)
    chunks = SimpleNamespace(shape=frames.shape, chunk=len(frames), read=lambda index: frames)
    FrameDataset.__init__(dataset, chunks, dataset.episode_starts, {}, "videos")
    return dataset


def test_true_actions_are_handed_over_in_one_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Labelling, cloning latent actions, mapping and predicting never ask the dataset for them; nor does other code."""

    def refuse(*_: object) -> None:
        raise AssertionError("read what it must not read")

    video = ExpertVideo.read(Videos([20, 20]))
    handed = Labels(np.array([3, 5]), np.array([7, 4]))
    monkeypatch.setattr(Videos, "env_actions", refuse)
    codes = np.arange(40) % 2
    network = train_policy(video, codes, 2, tmp_path, stage=dataclasses.replace(SMALL, steps=2), progress=False)
    features = predict(network, video, handed.frames)[1]
    FrameMapping(codes[handed.frames], features, handed.env_actions, 2, 15)
    with pytest.raises(AssertionError, match="must not read"):
        draw_labels(video, video.transitions)
    callers = [
        f"{path.name}: {function.name}"
        for path in sorted(Path(agents.__file__).parent.glob("*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and node.attr in ("env_actions", "_rows")
        and isinstance(node.ctx, ast.Load)
        and "dataset" in ast.unparse(node.value)
    ]
    assert callers == ["expert_video.py: draw_labels"]


def test_a_world_that_has_seen_the_experts_levels_is_refused() -> None:
    world = genie_lite.load("laptop", "cpu")
    data = agents.expert_data(world, "hard")
    assert (data.policy, data.distribution_mode, data.backgrounds) == ("expert", "hard", False)
    (a, n), (b, m) = data.train_levels, data.test_levels
    assert sum(world.config.data.train_levels) <= a and a + n <= b and m == 1_000
    world.config = dataclasses.replace(world.config, data=DataConfig(train_levels=(250_000, 10)))
    with pytest.raises(AgentError, match="trained on levels 250000 to 250009"):
        agents.expert_data(world, "easy")


def test_latent_actions_are_kept_for_the_same_world_and_video_only(tmp_path: Path) -> None:
    class Blind(Counting):
        latent_action = torch.nn.Linear(2, 2)

        def infer_actions(self, frames: np.ndarray) -> np.ndarray:
            self.seen.append((0, 0))
            return np.zeros((len(frames), frames.shape[1] - 1), int)

    video, world = ExpertVideo.read(Videos([20, 5])), Blind()
    codes = agents.inferred(world, video, tmp_path, progress=False)
    asked = len(world.seen)
    np.testing.assert_array_equal(agents.inferred(world, video, tmp_path, progress=False), codes)
    assert len(world.seen) == asked > 0
    with pytest.raises(AgentError, match="latent actions of another world or video"):
        agents.inferred(world, ExpertVideo.read(Videos([20, 6])), tmp_path, progress=False)


# ---------------------------------------------------------------------------------------------------------- results


def result(seed: int, solved: dict[tuple[str, int | None], int], mode: str = "easy") -> dict:
    rows = [{"player": name, "labels": n, "levels": 50, "solved": s, "nats": 1.0} for (name, n), s in solved.items()]
    return {"settings": {"seed": seed, "data": {"distribution_mode": mode}}, "rows": rows}


def test_intervals_are_over_seeds_and_differences_within_them() -> None:
    assert agents.mean_interval([1, 2, 3, 4, 5]) == pytest.approx((3, 3 - 1.9634, 3 + 1.9634), abs=1e-3)
    assert np.isnan(agents.mean_interval([1.0]).low)
    key, ends = ("labels alone", 20), (("oracle", None), ("blind", None))
    results = [result(seed, {key: n, ends[0]: n + 10, ends[1]: n - 5}) for seed, n in enumerate((10, 20))]
    rows = {row["player"]: row for row in agents.summarised(results)}
    assert rows["labels alone"]["solved"].value == pytest.approx(0.3)
    assert rows["labels alone"]["behind"] == pytest.approx((-0.2, -0.2, -0.2))  # though either varies by itself
    assert rows["labels alone"]["ahead"].value == pytest.approx(0.1)
    assert "30 [-97, 157] | -20 [-20, -20] | +10 [+10, +10] | 1.000 | 2 |" in agents.table(results)
    with pytest.raises(AgentError, match="a seed twice"):
        agents.summarised([*results, results[0]])
    with pytest.raises(AgentError, match="found none"):
        agents.table([])


def test_the_figure_shows_every_line(tmp_path: Path) -> None:
    names = ("latent, lists", "latent, pairs", "latent, frame", "labels alone")
    rows = {(name, n): 10 for name in names for n in (20, 200)} | {
        (n, None): 5 for n in ("oracle", "blind", "sticky", "uniform")
    }
    results = [result(seed, rows, mode) for mode in ("easy", "hard") for seed in (0, 1)]
    assert agents.figure(results, tmp_path / "there" / "agents.png").stat().st_size > 10_000


def test_shipped_results_are_read_where_they_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = agents.recorded()
    assert {row["mode"] for row in agents.summarised(shipped)} == {"easy", "hard"}
    assert {row["player"] for row in agents.summarised(shipped)} >= {
        "latent, lists",
        "latent, pairs",
        "oracle",
        "blind",
    }
    monkeypatch.setenv("GENIE_LITE_DATA", str(tmp_path))
    (tmp_path / "agents").mkdir()
    path = tmp_path / "agents" / "figure15.json"
    path.write_text(json.dumps({"format_version": 1, "results": [result(0, {})]}))
    assert agents.recorded()[0]["settings"]["seed"] == 0
    path.write_text(json.dumps({"format_version": 1, "results": []}))
    with pytest.raises(AgentError, match="found no results"):
        agents.recorded()


def test_one_latent_policy_and_one_oracle_serve_all_seeds_if_asked(tmp_path: Path, pretend: None) -> None:
    """The second seed trains only those that have nothing but labels; its samples, levels and keys are its own."""
    stage = dataclasses.replace(SMALL, steps=1, clips=1)
    study = Study(labels=(3,), levels=2, games=2, stage=stage, network_seed=0)
    video = ExpertVideo.read(pretend_videos())
    codes = targets_of(Labels(video.transitions, video.transitions % 3), len(video.frames))
    results, trained = [], []
    for seed in (0, 1):
        folder = tmp_path / f"seed-{seed}"
        results.append(run_seed(DataConfig(), video, codes, 3, still, folder, seed=seed, study=study, progress=False))
        row = (tmp_path / "oracle" / "log.csv").read_text().splitlines()[1]
        trained.append(row.split(",")[1:])  # the time that it took, and what came out
        assert sorted(path.name for path in folder.iterdir()) == ["labels-3", "result.json"]
    assert trained[0] == trained[1] and results[0]["rows"] != results[1]["rows"]
    assert [r["settings"]["seed"] for r in results] == [0, 1]


def test_a_finished_seed_is_not_repeated_and_others_are_refused(tmp_path: Path, pretend: None) -> None:
    study = Study(labels=(3,), levels=2, games=2, stage=dataclasses.replace(SMALL, steps=1, clips=1))
    video = ExpertVideo.read(pretend_videos())
    codes = targets_of(Labels(video.transitions, video.transitions % 3), len(video.frames))
    first = run_seed(DataConfig(), video, codes, 3, still, tmp_path, study=study, progress=False)
    played = PretendGames.plays
    assert run_seed(DataConfig(), video, codes, 3, still, tmp_path, study=study, progress=False) == first
    assert PretendGames.plays == played > 0
    with pytest.raises(AgentError, match="a result of other settings"):
        run_seed(DataConfig(), video, codes, 3, still, tmp_path, seed=1, study=study, progress=False)
    alone = ExpertVideo.read(Videos([30]))
    with pytest.raises(AgentError, match="fewer than two episodes"):
        run_seed(DataConfig(), alone, np.zeros(30, int), 3, still, tmp_path / "alone", study=study, progress=False)


def test_videos_without_keys_say_so(video: ExpertVideo) -> None:
    bare = FrameDataset(video.dataset._chunks, video.episode_starts, {}, "bare")
    with pytest.raises(AgentError, match="true actions are needed .* bare: videos without env_actions"):
        draw_labels(ExpertVideo.read(bare), video.transitions)
