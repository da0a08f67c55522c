"""Figure 15 of the paper at course size: levels solved by agents that learned from videos, with n labelled samples."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genie_lite import storage
from genie_lite.agents.expert_video import (
    UNKNOWN,
    AgentError,
    ExpertVideo,
    Labels,
    draw_labels,
    latent_action_labels,
    previous_codes,
)
from genie_lite.agents.mapping import CodeLists, FrameMapping, Mapping, PairLists
from genie_lite.agents.player import BlindPlayer, ClonedPlayer
from genie_lite.agents.policy import FRAMES, STAGE, PolicyNetwork, predict, train_policy
from genie_lite.api import Genie
from genie_lite.config import DataConfig, StageConfig, config_to_dict
from genie_lite.data.policies import POLICIES
from genie_lite.data.procgen_games import NUM_ENV_ACTIONS
from genie_lite.evaluation.levels_solved import Player, play_levels
from genie_lite.training.run_settings import fingerprint, identity

logger = logging.getLogger(__name__)
Result = dict[str, Any]  # of one seed; JSON-compatible

EXPERT_LEVELS, TEST_LEVELS = (200_000, 100_000), (1_000_000, 1_000)  # first level seed, number of levels
HELD_OUT = 20  # one episode in so many is kept from training, to measure cross-entropy on
HELD_OUT_FRAMES = 1_000  # at most
DOUBT = 0.001  # in measuring cross-entropy: weight of all true actions alike, since a list may lack some
UNLEARNED = ("sticky", "uniform")  # policies that learn nothing: the lower end


@dataclass(frozen=True, kw_only=True)
class Study:
    """What every seed of a study does."""

    labels: tuple[int, ...] = (20, 200, 1_000)  # numbers of labelled samples
    levels: int = 100  # held-out levels that each player plays
    games: int = 25  # played side by side; `levels` must be a multiple
    stage: StageConfig = STAGE  # training of every policy
    network_seed: int | None = None  # train the latent policy and the oracle once, with this seed, for all seeds

    def settings(self) -> dict[str, Any]:
        """JSON-compatible."""
        settings = {"labels": list(self.labels), "levels": self.levels, "network_seed": self.network_seed}
        return settings | {"stage": config_to_dict(self.stage)}


def expert_data(genie: Genie, mode: Literal["easy", "hard"]) -> DataConfig:
    """Expert video in the look that `genie` knows, on levels that it has not seen and that no agent is tested on."""
    (first, count), (a, n) = EXPERT_LEVELS, genie.config.data.train_levels
    if first < a + n and a < first + count:
        raise AgentError(
            f"levels: this world was trained on levels {a} to {a + n - 1}, wanted none of the expert's, {first} to "
            f"{first + count - 1}; take another world"
        )
    return dataclasses.replace(
        genie.config.data, policy="expert", distribution_mode=mode, train_levels=EXPERT_LEVELS, test_levels=TEST_LEVELS
    )


def inferred(genie: Genie, video: ExpertVideo, folder: Path, *, progress: bool = True) -> np.ndarray:
    """`latent_action_labels`, kept in `folder` for the next time with the same world and the same video."""
    settings = {"latent_action": fingerprint(genie.latent_action), "video": identity(video.dataset)}
    path = folder / "latent_actions.json"
    if path.is_file():
        found = storage.read_json(path)
        if found["settings"] == settings:
            return np.array(found["latent_actions"], np.int64)
        raise AgentError(f"{path}: latent actions of another world or video; choose another folder")
    codes = latent_action_labels(genie, video, progress=progress)
    storage.write_json(
        path, {"format_version": storage.FORMAT_VERSION, "settings": settings, "latent_actions": codes.tolist()}
    )
    return codes


def targets_of(labels: Labels, count: int) -> np.ndarray:
    """Labels as targets of training, int64 [count], UNKNOWN where none was handed over."""
    targets = np.full(count, UNKNOWN)
    targets[labels.frames] = labels.env_actions
    return targets


def run_seed(
    data: DataConfig,
    video: ExpertVideo,
    codes: np.ndarray,
    num_codes: int,
    latest: Callable[[np.ndarray], np.ndarray],
    folder: str | Path,
    *,
    seed: int = 0,
    study: Study | None = None,
    progress: bool = True,
) -> Result:
    """Train all agents with one seed and let each play the same held-out levels.

    codes are the latent actions of the video, int64 [F], UNKNOWN where there is none; `latest` names those of what
    happens in play (`latest_latent_action`). The seed decides the labelled samples, the networks' weights and batches
    (but see `Study.network_seed`), the levels, and everything drawn in play. `folder` receives a run folder for each
    policy and result.json; a finished seed with the same settings is returned as it is, an unfinished one is
    continued. AgentError for a folder of other settings. DatasetError where procgen is missing.
    """
    study, folder = study or Study(), Path(folder)
    settings = {**study.settings(), "data": config_to_dict(data), "video": identity(video.dataset), "seed": seed}
    path = folder / "result.json"
    if path.is_file():
        found: Result = storage.read_json(path)
        if found["settings"] == settings:
            logger.info("%s: already finished", folder)
            return found
        raise AgentError(f"{path}: found a result of other settings; choose another folder, or delete this one")

    learning, held_out = split_transitions(video)
    labels = draw_labels(video, learning, seed=seed)
    seen = np.isin(np.arange(len(codes)), learning)
    stage = dataclasses.replace(study.stage, seed=seed)

    def cloned(
        targets: np.ndarray, actions: int, name: str, stage: StageConfig = stage, parent: Path = folder
    ) -> PolicyNetwork:
        return train_policy(video, targets, actions, parent / name, stage=stage, name=name, progress=progress)

    def cloned_from_all(targets: np.ndarray, actions: int, name: str) -> PolicyNetwork:
        """One of the two that learn from the whole video; with `study.network_seed` it is the same for every seed."""
        if study.network_seed is None:
            return cloned(targets, actions, name)
        return cloned(targets, actions, name, dataclasses.replace(stage, seed=study.network_seed), folder.parent)

    rows: list[dict[str, Any]] = []
    before = previous_codes(codes)
    measures = draw_labels(video, held_out, seed=0)  # for measuring alone

    def measure(name: str, player: Player, count: int | None = None, found: np.ndarray | None = None) -> None:
        played = play_levels(data, player, data.test_levels, study.levels, games=study.games, seed=seed)
        row: dict[str, Any] = {"player": name, "labels": count, "levels": played.levels, "solved": played.solved}
        if found is not None:  # probabilities of true actions on held-out frames
            share = found[np.arange(len(found)), measures.env_actions]
            row["nats"] = float(-np.log((1 - DOUBT) * share + DOUBT / found.shape[1]).mean())
        rows.append(row)
        logger.info("%s: %s", folder, row)

    def play(name: str, network: PolicyNetwork, count: int | None = None, mapping: Mapping | None = None) -> None:
        rng = np.random.default_rng([seed, len(rows)])
        player = ClonedPlayer(network, study.games, rng, mapping, latest if isinstance(mapping, PairLists) else None)
        found, features = predict(network, video, measures.frames)
        if mapping is not None:
            found = mapping.env_action_probabilities(found, features, before[measures.frames])
        measure(name, player, count, found)

    latent = cloned_from_all(np.where(seen, codes, UNKNOWN), num_codes, "latent")
    for count in study.labels:
        few = labels.first(count)
        features = predict(latent, video, few.frames)[1]
        size = (num_codes, NUM_ENV_ACTIONS)
        lists = CodeLists(codes[few.frames], few.env_actions, *size)
        pairs = PairLists(before[few.frames], codes[few.frames], few.env_actions, *size)
        looking = FrameMapping(codes[few.frames], features, few.env_actions, *size)
        play("latent, lists", latent, count, lists)
        play("latent, pairs", latent, count, pairs)
        play("latent, frame", latent, count, looking)
        short = dataclasses.replace(stage, frames=FRAMES, clips=2 * stage.clips)
        play("labels alone", cloned(targets_of(few, len(codes)), NUM_ENV_ACTIONS, f"labels-{count}", short), count)
    play("oracle", cloned_from_all(targets_of(labels, len(codes)), NUM_ENV_ACTIONS, "oracle"))
    shares = np.bincount(labels.env_actions, minlength=NUM_ENV_ACTIONS) / len(labels.env_actions)
    blind = BlindPlayer(shares, study.games, np.random.default_rng([seed, len(rows)]))
    measure("blind", blind, found=np.tile(shares, (len(measures.frames), 1)))
    for name in UNLEARNED:
        unlearned = POLICIES[name](data, np.random.default_rng([seed, len(rows)]), games=study.games)
        measure(name, unlearned)
    result = {"format_version": storage.FORMAT_VERSION, "settings": settings, "rows": rows}
    storage.write_json(path, result)
    return result


def split_transitions(video: ExpertVideo) -> tuple[np.ndarray, np.ndarray]:
    """Transitions to learn from, and held-out ones to measure on: other episodes."""
    episodes = video.episodes[video.transitions]
    if len(set(episodes.tolist())) < 2:
        raise AgentError(
            f"{video.dataset.path}: found fewer than two episodes of two frames or more, wanted some to learn from and "
            "others to measure on; collect more frames"
        )
    apart = episodes % HELD_OUT == HELD_OUT - 1
    if not apart.any():
        apart = episodes == episodes[-1]
    rng = np.random.default_rng(0)
    return video.transitions[~apart], rng.permutation(video.transitions[apart])[:HELD_OUT_FRAMES]
