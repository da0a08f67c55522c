"""Agents that learn from videos without actions (section 3.3 and appendix E of the paper)."""

from genie_lite.agents.expert_video import (
    UNKNOWN,
    AgentError,
    ExpertVideo,
    Labels,
    draw_labels,
    latent_action_labels,
    latest_latent_action,
    previous_codes,
)
from genie_lite.agents.mapping import CodeLists, FrameMapping, PairLists
from genie_lite.agents.planning import (
    Futures,
    PlanningPlayer,
    SignQuality,
    compared,
    expected_frames_left,
    frames_left,
    imagine,
    planning_table,
    recorded_planning,
    sign_quality,
    train_sign,
)
from genie_lite.agents.player import BlindPlayer, ClonedPlayer
from genie_lite.agents.policy import FRAMES, STAGE, PolicyNetwork, predict, train_policy
from genie_lite.agents.report import drawing, figure, mean_interval, recorded, summarised, table
from genie_lite.agents.study import Study, expert_data, inferred, run_seed, split_transitions, targets_of

__all__ = [
    "FRAMES",
    "STAGE",
    "UNKNOWN",
    "AgentError",
    "BlindPlayer",
    "ClonedPlayer",
    "CodeLists",
    "ExpertVideo",
    "FrameMapping",
    "Futures",
    "Labels",
    "PairLists",
    "PlanningPlayer",
    "PolicyNetwork",
    "SignQuality",
    "Study",
    "compared",
    "draw_labels",
    "drawing",
    "expected_frames_left",
    "expert_data",
    "figure",
    "frames_left",
    "imagine",
    "inferred",
    "latent_action_labels",
    "latest_latent_action",
    "mean_interval",
    "planning_table",
    "predict",
    "previous_codes",
    "recorded",
    "recorded_planning",
    "run_seed",
    "sign_quality",
    "split_transitions",
    "summarised",
    "table",
    "targets_of",
    "train_policy",
    "train_sign",
]
