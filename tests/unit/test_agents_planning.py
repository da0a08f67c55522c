"""Agents that look ahead: the sign of progress reads no action, the best future is the one that is acted out."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pretend_games import PretendGames
from torch import Tensor, nn

from genie_lite import agents
from genie_lite.agents import UNKNOWN, AgentError, ExpertVideo, PlanningPlayer, imagine
from genie_lite.agents.planning import COMMITTED, LONGEST, rank_correlation
from genie_lite.data import FrameDataset

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "planning.py"))
SMALL = dataclasses.replace(agents.STAGE, steps=150, clips=8, checkpoint_every_minutes=60.0)
LENGTHS = [12, 40, 9, 2, 20] * 8


class Videos(FrameDataset):
    """Episodes whose picture grows brighter towards the end; whoever asks for its keys fails."""

    def __init__(self) -> None:
        left = np.concatenate([np.arange(length)[::-1] for length in LENGTHS])
        noise = np.random.default_rng(0).integers(0, 5, (len(left), 16, 16, 3))
        self.frames = (noise + (250 - 6 * left)[:, None, None, None]).clip(0, 255).astype(np.uint8)
        chunks = SimpleNamespace(shape=self.frames.shape, chunk=len(left), read=lambda index: self.frames)
        super().__init__(chunks, np.cumsum([0, *LENGTHS[:-1]]), {}, "videos")

    def env_actions(self) -> np.ndarray:
        raise AssertionError("read what it must not read")


class Brightness(nn.Module):
    """A network whose output, one of `count`, is the brightness of the last frame; it looks at nothing else."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.num_actions = count

    def features(self, frames: Tensor) -> Tensor:
        assert frames.shape[1] == agents.FRAMES
        level = (255 * frames[:, -1:].flatten(2).mean(2)).round().long().clamp(0, self.num_actions - 1)
        return nn.functional.one_hot(level, self.num_actions).float()

    def to_logits(self, features: Tensor) -> Tensor:
        return 50 * features


class Dice(Brightness):
    """A policy that draws every latent action alike."""

    def to_logits(self, features: Tensor) -> Tensor:
        return torch.zeros_like(features)


class World:
    """A picture grows brighter by the number of the latent action; it counts what is imagined in it."""

    def __init__(self) -> None:
        self.prompts: list[np.ndarray] = []

    def rollout(self, prompt: np.ndarray, *, maskgit_steps: int, seed: int) -> SimpleNamespace:
        self.prompts.append(prompt)
        shown = SimpleNamespace(frame=prompt[:, -1])

        def step(codes: np.ndarray) -> np.ndarray:
            shown.frame = shown.frame + codes[:, None, None, None].astype(np.uint8)
            return shown.frame

        return SimpleNamespace(step=step)


class Codes:
    """A mapping under which latent action a is env action a + 1."""

    def env_action_probabilities(self, latent: np.ndarray, features: np.ndarray, previous: np.ndarray) -> np.ndarray:
        return np.pad(latent, ((0, 0), (1, 0)))


def still(count: int = 6, brightness: int = 0) -> np.ndarray:
    return np.full((count, 8, 8, 3), brightness, np.uint8)


# --------------------------------------------------------------------------------------------------- sign of progress


def test_frames_left_end_at_zero_in_every_episode() -> None:
    wanted = np.concatenate([np.minimum(np.arange(length)[::-1], LONGEST - 1) for length in LENGTHS])
    np.testing.assert_array_equal(agents.frames_left(ExpertVideo.read(Videos())), wanted)


def test_the_sign_orders_episodes_it_has_not_seen_and_reads_no_action(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = ExpertVideo.read(Videos())
    given = []
    train = agents.planning.train_policy

    def listen(video: ExpertVideo, targets: np.ndarray, *rest: object, **options: object) -> agents.PolicyNetwork:
        given.append(targets)
        return train(video, targets, *rest, **options)

    monkeypatch.setattr(agents.planning, "train_policy", listen)
    sign = agents.train_sign(video, tmp_path, stage=SMALL, progress=False)
    kept = np.isin(video.episodes, video.episodes[agents.split_transitions(video)[1]])  # held out
    assert kept.any() and (given[0][kept] == UNKNOWN).all()
    last = video.ends[~np.isin(video.ends - 1, np.flatnonzero(kept))] - 1
    assert (given[0][last[np.diff(last, prepend=-1) > 1]] == 0).all()  # the last frame of an episode has a target too
    found = agents.sign_quality(sign, video)
    assert found.rank_correlation > 0.8 and found.order > 0.8
    assert found.frames == kept.sum() and 0 < found.pairs < found.frames


def test_a_sign_that_does_not_look_is_at_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, video = np.random.default_rng(0), ExpertVideo.read(Videos())
    blind = lambda sign, video, frames: (rng.dirichlet(np.ones(LONGEST), len(frames)), None)  # noqa: E731
    monkeypatch.setattr(agents.planning, "predict", blind)
    monkeypatch.setattr(agents.planning, "_learned_from", lambda video: np.zeros(len(video.frames), bool))
    found = agents.sign_quality(nn.Module(), video)
    assert abs(found.rank_correlation) < 0.15 and abs(found.order - 0.5) < 0.15


def test_rank_correlation_shares_ranks_among_equals() -> None:
    a = np.array([1, 2, 2, 3.0])
    assert rank_correlation(a, -(a**3)) == pytest.approx(-1)
    assert rank_correlation(a, np.array([1, 2, 3, 4])) == pytest.approx(0.9486833)  # scipy.stats.spearmanr


# ------------------------------------------------------------------------------------------------------------ planner


def test_futures_are_what_the_world_makes_of_their_latent_actions() -> None:
    world = World()
    found = imagine(world, Dice(4), Brightness(LONGEST), still(brightness=3), np.random.default_rng(0), horizon=5)
    assert found.frames.shape == (16, 5, 8, 8, 3) and found.latent_actions.shape == (16, 5)
    wanted = 3 + found.latent_actions.cumsum(axis=1)
    np.testing.assert_array_equal(found.frames[:, :, 0, 0, 0], wanted)
    np.testing.assert_allclose(found.left, wanted[:, -1], atol=1e-6)  # judged by the last frame
    assert found.best == wanted[:, -1].argmin()
    assert len(world.prompts) == 1 and len(world.prompts[0]) == 16


def test_the_policy_looks_at_what_is_imagined() -> None:
    """Its code is the brightness of the last frame, which doubles."""
    found = imagine(World(), Brightness(32), Brightness(32), still(brightness=1), np.random.default_rng(0), horizon=4)
    assert found.latent_actions.tolist() == [[1, 2, 4, 8]] * 16


def test_the_best_future_is_acted_out_and_then_a_new_one() -> None:
    world, picture = World(), still(1)
    player = PlanningPlayer(world, Dice(4), Brightness(LONGEST), 1, np.random.default_rng(0), Codes())
    found: list[agents.Futures] = []
    inner = player._imagine
    player._imagine = lambda frames: found.append(inner(frames)) or found[-1]
    keys = [int(player.choose(picture)[0]) for _ in range(3 * COMMITTED)]
    assert len(found) == 3
    wanted = [code + 1 for one in found for code in one.latent_actions[one.best, :COMMITTED]]
    assert keys == wanted
    assert all(one.left[one.best] == one.left.min() < one.left.max() for one in found)
    assert np.mean(keys) < 2.1  # the best of 16 sums is small, and 2.5 would be their mean


def test_a_plan_ends_with_its_episode_and_games_are_planned_apart() -> None:
    world = World()
    player = PlanningPlayer(world, Dice(4), Brightness(LONGEST), 2, np.random.default_rng(0), Codes(), futures=3)
    pictures = np.concatenate([still(1, 1), still(1, 2)])
    player.choose(pictures)
    assert [prompt.max() for prompt in world.prompts] == [1, 2]
    player.restart(np.array([1]))
    player.choose(pictures)  # the first game still has a plan
    assert [prompt.max() for prompt in world.prompts] == [1, 2, 2]


def test_one_future_is_a_choice_at_random() -> None:
    player = PlanningPlayer(
        World(), Dice(4), Brightness(LONGEST), 1, np.random.default_rng(0), Codes(), futures=1, committed=1
    )
    keys = [int(player.choose(still(1))[0]) for _ in range(600)]
    np.testing.assert_allclose(np.bincount(keys, minlength=5)[1:] / 600, 0.25, atol=0.06)


@pytest.mark.parametrize("options", [{"futures": 0}, {"committed": 0}, {"committed": 6}, {"horizon": 1}])
def test_impossible_plans_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(AgentError, match="planning: found .* wanted at least one future"):
        PlanningPlayer(World(), Dice(4), Brightness(4), 1, np.random.default_rng(0), Codes(), **options)
    with pytest.raises(AgentError, match="frames: found 3, wanted 4 or more"):
        imagine(World(), Dice(4), Brightness(4), still(3), np.random.default_rng(0))


# ------------------------------------------------------------------------------------------------------------ results


def row(player: str, block: int, frames: list[int], first: int = 0) -> dict:
    seeds = list(range(first, first + len(frames)))
    return {"player": player, "block": block, "frames": frames, "level_seeds": seeds}


def test_players_are_compared_level_by_level() -> None:
    rows = [row("policy alone", 0, [9, 0, 7, 0]), row("planner", 0, [6, 5, 0, 0]), row("policy alone", 1, [8, 0])]
    rows += [row("planner", 1, [7, 3]), row("policy alone", 2, [1, 1])]  # a block that the planner has not played
    rows += [row("one future", 0, [9, 0, 7, 0]), row("one future", 1, [8, 4])]
    alone, planner, single = agents.compared(rows)
    assert (alone["levels"], alone["gain"].value, alone["frames"].value) == (6, 0, 0)
    assert planner["solved"].value == pytest.approx(4 / 6) and planner["gain"].value == pytest.approx(1 / 6)
    assert planner["gain"].low < 1 / 6 < planner["gain"].high
    assert planner["frames"].value == -2  # 6 - 9 and 7 - 8, on the two levels that both solved
    assert agents.compared(rows, "one future")[1]["gain"].value == single["gain"].value - 1 / 6 == 0
    text = agents.planning_table(rows).splitlines()
    assert "| policy alone | 6 | 50 [" in text[2] and "| planner | 6 | 67 [" in text[3]
    assert "| +17 [" in text[3] and "| -17 [" in text[2] and "| -2.0 [" in text[3]


def test_results_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(AgentError, match="found no block of levels that all have played"):
        agents.compared([row("policy alone", 0, [1]), row("planner", 1, [1])])
    with pytest.raises(AgentError, match="found no block"):
        agents.compared([row("planner", 0, [1])])
    with pytest.raises(AgentError, match="players met different levels"):
        agents.compared([row("policy alone", 0, [1]), row("planner", 0, [1], first=5)])


def test_shipped_results_have_all_players_on_the_same_levels() -> None:
    found = agents.recorded_planning()
    rows = {row["player"]: row for row in agents.compared(found["rows"])}
    assert list(rows) == ["policy alone", "one future", "best of 16 futures", "oracle", "blind"]
    assert min(row["levels"] for row in rows.values()) >= 50
    assert 0 < found["sign"]["rank_correlation"] < 1 and found["links"]["moments"] >= 40


# ---------------------------------------------------------------------------------------------- which link fails


def test_a_game_that_is_over_shows_its_last_frames_and_presses_nothing() -> None:
    """Pretend games end after 3 to 40 game steps, and are solved by a key to the right."""
    games, keys = PretendGames(6, 0, 10, 0, env_name="coinrun"), np.array([7, 4] * 3)
    shown = np.repeat(games.observe()[1]["rgb"][:, None], 4, axis=1)
    over, solved = np.zeros(6, bool), np.zeros(6, bool)
    for _ in range(12):  # 48 game steps
        before, was_over = shown.copy(), over.copy()
        shown = TOOL["hold"](games, keys, 4, shown, over, solved)
        np.testing.assert_array_equal(shown[over], before[over])  # the next episode is never shown
        np.testing.assert_array_equal(shown[~over, :-1], before[~over, 1:])
        assert over[was_over].all()
    assert over.all() and solved.tolist() == [True, False] * 3


def test_deaths_of_the_chosen_futures_are_compared_with_those_of_any() -> None:
    """Three moments; the world's sign avoids death, and in the game it does not."""
    imagined = np.array([[1.0, 2, 3, 4], [4.0, 1, 2, 3], [1.0, 2, 3, 4]])
    real = np.array([[9.0, 1, 5, 6], [1.0, 3, 4, 5], [10.0, 20, 30, 40]])
    died = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    found = TOOL["summary"](imagined, real, died, np.zeros((3, 4), bool))
    assert (found["moments"], found["moments_alive"], found["moments_mixed"]) == (3, 1, 2)
    assert found["died, at random"][0] == pytest.approx(1 / 6, abs=1e-4)
    assert found["died, best imagined"][0] == 0 and found["died, best real"][0] == pytest.approx(2 / 3, abs=1e-4)
    assert found["agreement"][0] == 1  # of the moment at which no future ends
    assert found["gap_real"][0] == pytest.approx(np.mean([1 - 20 / 3, 1 - 4]), abs=1e-4)
