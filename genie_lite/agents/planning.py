"""Choosing among imagined futures: a cloned policy looks ahead in the world before it acts.

The paper hopes that agents will train inside Genie (section 5). This is less: nothing is trained in the world, it is
only asked, at a decision, what would come of a few things that the policy might do. Candidates drawn at random and the
best one taken is "random shooting" (as in Nagabandi et al., arXiv 1708.02596); here the cloned policy draws them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genie_lite import storage
from genie_lite.agents.expert_video import UNKNOWN, AgentError, ExpertVideo
from genie_lite.agents.mapping import Mapping
from genie_lite.agents.player import ClonedPlayer, draw
from genie_lite.agents.policy import FRAMES, STAGE, PolicyNetwork, look, predict, train_policy
from genie_lite.agents.report import percent
from genie_lite.agents.study import Result, split_transitions
from genie_lite.api import Genie
from genie_lite.config import StageConfig
from genie_lite.data import data_folder
from genie_lite.evaluation.bootstrap import Interval, bootstrap_mean
from genie_lite.evaluation.levels_solved import wilson

LONGEST = 32  # numbers of frames left that are told apart: 0 to 31 and more
FUTURES, HORIZON, COMMITTED = 16, 5, 2  # imagined at a decision; frames of each; latent actions of it that are taken
ALONE, NO_CHOICE = "policy alone", "one future"  # whom all players are compared with
PAST, MASKGIT_STEPS = 2, 2  # frames that the world is given; steps for each that it imagines


# --------------------------------------------------------------------------------------------------- sign of progress


def frames_left(video: ExpertVideo) -> np.ndarray:
    """How many frames follow each one in its episode, which ends at the coin; at most LONGEST - 1: int64 [F].

    It is read off the video: no action is needed, true or latent.
    """
    return np.minimum(video.ends[video.episodes] - 1 - np.arange(len(video.frames)), LONGEST - 1)


def train_sign(
    video: ExpertVideo, run_dir: str | Path, *, stage: StageConfig = STAGE, progress: bool = True
) -> PolicyNetwork:
    """A network that tells from FRAMES frames how many are left until the coin: the sign of progress.

    It is the policy's network, with a class for each number of frames in place of an action. Episodes that
    `split_transitions` holds out are kept from it. `run_dir`: see `train_policy`.
    """
    targets = np.where(_learned_from(video), frames_left(video), UNKNOWN)
    return train_policy(video, targets, LONGEST, run_dir, stage=stage, name="sign of progress", progress=progress)


def expected_frames_left(probabilities: np.ndarray) -> np.ndarray:
    """The mean [B] of a distribution over numbers of frames [B, LONGEST]."""
    return np.asarray(probabilities @ np.arange(LONGEST))


class SignQuality(NamedTuple):
    """How well the sign of progress orders held-out frames.

    `rank_correlation` (Spearman's) is that with the true number of frames left, over all frames; 0 for one that does
    not look. `order` is the share of pairs, HORIZON frames apart in one episode, of which the later one is judged
    nearer to the coin; 0.5 for one that does not look. `frames` and `pairs` say of how many.
    """

    rank_correlation: float
    order: float
    frames: int
    pairs: int


def sign_quality(sign: PolicyNetwork, video: ExpertVideo) -> SignQuality:
    """Measured on the episodes that `train_sign` did not see."""
    held_out = np.flatnonzero(~_learned_from(video))
    left = expected_frames_left(predict(sign, video, held_out)[0])
    known = dict(zip(held_out.tolist(), left.tolist(), strict=True))
    pairs = [t for t in held_out.tolist() if t + HORIZON < video.ends[video.episodes[t]]]
    if not pairs:
        raise AgentError(f"video: found no held-out episode longer than {HORIZON} frames; collect more frames")
    order = float(np.mean([known[t + HORIZON] < known[t] for t in pairs]))
    return SignQuality(rank_correlation(left, frames_left(video)[held_out]), order, len(held_out), len(pairs))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of a [n] and b [n]; equal values share their mean rank."""
    ranks = []
    for values in (a, b):
        _, group, count = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((count.cumsum() - (count - 1) / 2)[group])
    return float(np.corrcoef(*ranks)[0, 1])


def _learned_from(video: ExpertVideo) -> np.ndarray:
    """Frames of episodes that are not held out, bool [F]."""
    return np.isin(video.episodes, video.episodes[split_transitions(video)[0]])


# ------------------------------------------------------------------------------------------------------------ planner


class Futures(NamedTuple):
    """Imagined from one moment: frames uint8 [n, HORIZON, H, W, C], latent actions [n, HORIZON], frames left [n].

    `left` is what the sign of progress reads off the last FRAMES frames of each.
    """

    frames: np.ndarray
    latent_actions: np.ndarray
    left: np.ndarray

    @property
    def best(self) -> int:
        """The future that ends nearest to the coin."""
        return int(self.left.argmin())


def imagine(
    genie: Genie,
    policy: PolicyNetwork,
    sign: PolicyNetwork,
    frames: np.ndarray,
    rng: np.random.Generator,
    *,
    futures: int = FUTURES,
    horizon: int = HORIZON,
) -> Futures:
    """Futures that the policy might bring about, from the last of frames uint8 [T, H, W, C], T >= FRAMES.

    In each, the policy looks at what is imagined so far and draws the next latent action; the world draws what comes.
    """
    if len(frames) < FRAMES:
        raise AgentError(f"frames: found {len(frames)}, wanted {FRAMES} or more, which the policy looks at")
    shown = np.repeat(frames[None, -FRAMES:], futures, axis=0)  # [n, T, H, W, C]
    rollout = genie.rollout(shown[:, -PAST:], maskgit_steps=MASKGIT_STEPS, seed=int(rng.integers(2**31)))
    taken = []
    for _ in range(horizon):
        taken.append(draw(look(policy, shown[:, -FRAMES:])[0], rng))
        shown = np.concatenate([shown, rollout.step(taken[-1])[:, None]], axis=1)
    left = expected_frames_left(look(sign, shown[:, -FRAMES:])[0])
    return Futures(shown[:, FRAMES:], np.stack(taken, axis=1), left)


class PlanningPlayer(ClonedPlayer):
    """Plays as `ClonedPlayer`, but where that draws a latent action, it takes those of the best of some futures.

    The first `committed` latent actions of the best future are taken, one for each frame; then it imagines anew. With
    one future there is nothing to choose: that is a choice at random, the control for the sign of progress.
    """

    def __init__(
        self,
        genie: Genie,
        policy: PolicyNetwork,
        sign: PolicyNetwork,
        games: int,
        rng: np.random.Generator,
        mapping: Mapping,
        latest: Callable[[np.ndarray], np.ndarray] | None = None,
        *,
        futures: int = FUTURES,
        horizon: int = HORIZON,
        committed: int = COMMITTED,
    ) -> None:
        """`mapping` and `latest`: as for `ClonedPlayer`. AgentError where fewer frames are imagined than acted out."""
        if not 1 <= committed <= horizon or futures < 1:
            raise AgentError(
                f"planning: found {futures} futures of {horizon} frames, {committed} of them to act out; wanted at "
                "least one future, and from one frame to all of them acted out"
            )
        super().__init__(policy, games, rng, mapping, latest)
        self.committed = committed
        self._imagine = lambda frames: imagine(genie, policy, sign, frames, rng, futures=futures, horizon=horizon)
        self._plans: list[list[int]] = [[] for _ in range(games)]  # latent actions still to be taken

    def restart(self, games: np.ndarray) -> None:
        """An episode has ended in `games` (indices): what was planned there is void."""
        super().restart(games)
        for game in games:
            self._plans[game].clear()

    def probabilities(self, frames: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """p(env action) of the latent action that is next in the plan: see `ClonedPlayer.probabilities`."""
        for plan, seen in zip(self._plans, frames, strict=True):
            if not plan:
                found = self._imagine(seen)
                plan += found.latent_actions[found.best, : self.committed].tolist()
        chosen = np.eye(self.network.num_actions)[[plan.pop(0) for plan in self._plans]]
        assert self.mapping is not None
        return self.mapping.env_action_probabilities(chosen, look(self.network, frames[:, -FRAMES:])[1], previous)


# ------------------------------------------------------------------------------------------------------------ results


def compared(rows: list[Result], other: str = ALONE) -> list[dict[str, Any]]:
    """One row a player. `rows` are of a player and a block of levels: `frames` to the coin of each level, or 0.

    `solved` is the share of levels, with Wilson's interval. `gain` is that minus the share of `other` on the same
    levels, `frames` the frames to the coin minus those of `other` on levels that both solved; bootstrap intervals over
    levels. Blocks that not all have played are left out.
    """
    blocks: dict[str, dict[int, Result]] = {}
    for row in rows:
        blocks.setdefault(row["player"], {})[row["block"]] = row
    common = sorted(set.intersection(*map(set, blocks.values()))) if other in blocks else []
    if not common:
        raise AgentError(f"results: found no block of levels that all have played, {other!r} among them; play more")
    if any(len({tuple(played[block]["level_seeds"]) for played in blocks.values()}) > 1 for block in common):
        raise AgentError("results: found a block in which players met different levels, wanted the same for all")
    frames = {name: np.concatenate([played[block]["frames"] for block in common]) for name, played in blocks.items()}
    found = []
    for name, own in frames.items():
        solved, theirs = own > 0, frames[other] > 0
        gain = bootstrap_mean((solved.astype(int) - theirs)[:, None])[0]
        longer = bootstrap_mean((own - frames[other])[solved & theirs, None])[0]
        share = Interval(solved.mean(), *wilson(int(solved.sum()), len(own)))
        found.append({"player": name, "levels": len(own), "solved": share, "gain": gain, "frames": longer})
    return found


def planning_table(rows: list[Result]) -> str:
    """Markdown: per cent of levels solved, minus the policy's alone and minus the planner's without a choice."""
    lines = [
        f"| player | levels | solved, % [95 %] | minus {ALONE} | minus {NO_CHOICE} | frames, minus {ALONE} |",
        "|---|---|---|---|---|---|",
    ]
    for row, beside in zip(compared(rows), compared(rows, NO_CHOICE), strict=True):
        ahead, chosen = (
            "" if row["player"] == name else percent(gain, "+.0f")
            for name, gain in ((ALONE, row["gain"]), (NO_CHOICE, beside["gain"]))
        )
        value, low, high = row["frames"]
        longer = "" if row["player"] == ALONE else f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
        cells = (row["player"], row["levels"], percent(row["solved"], ".0f"), ahead, chosen, longer)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def recorded_planning() -> Result:
    """The shipped results of `tools/planning.py`, data/agents/planning.json."""
    found: Result = storage.read_json(data_folder() / "agents" / "planning.json")
    return found
