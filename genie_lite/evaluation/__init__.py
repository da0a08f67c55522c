"""Evaluation: fidelity, controllability and the meaning of codes. Held-out videos in, a Report out."""

from genie_lite.evaluation.action_choice import action_choice
from genie_lite.evaluation.bootstrap import EvaluationError, Interval, bootstrap_mean
from genie_lite.evaluation.clips import pick_clips
from genie_lite.evaluation.controllability import (
    ActionMotion,
    Consistency,
    RolloutScores,
    action_consistency,
    delta_psnr,
    describe_actions,
    score_rollouts,
)
from genie_lite.evaluation.env_actions import (
    env_action_classes,
    probe_env_actions,
    probe_motion_by_env_actions,
    read_env_actions,
)
from genie_lite.evaluation.evaluate import evaluate_genie
from genie_lite.evaluation.frechet import frechet_distance, gaussian_frechet_distance
from genie_lite.evaluation.fvd import I3D, frechet_video_distance, load_i3d
from genie_lite.evaluation.levels_solved import LevelsPlayed, play_levels, watch_level, wilson
from genie_lite.evaluation.markers import marker_places, measure_marker, motion_measure
from genie_lite.evaluation.motion import LEFT_RIGHT, UP_DOWN, Motion, measure_motion
from genie_lite.evaluation.play_report import PlayTest
from genie_lite.evaluation.play_test import play_test
from genie_lite.evaluation.probes import (
    CodeUsage,
    Probe,
    balanced_accuracy,
    code_usage,
    mutual_information,
    normalized_mutual_information,
    perplexity,
    probe,
    probe_motion,
)
from genie_lite.evaluation.psnr_ssim import PSNR_CAP, psnr, ssim
from genie_lite.evaluation.report import Report
from genie_lite.evaluation.video_distance import VideoDistance, coinrun_video_distance
from genie_lite.evaluation.video_network import VideoNetwork, video_network

__all__ = [
    "I3D",
    "LEFT_RIGHT",
    "PSNR_CAP",
    "UP_DOWN",
    "ActionMotion",
    "CodeUsage",
    "Consistency",
    "EvaluationError",
    "Interval",
    "LevelsPlayed",
    "Motion",
    "PlayTest",
    "Probe",
    "Report",
    "RolloutScores",
    "VideoDistance",
    "VideoNetwork",
    "action_choice",
    "action_consistency",
    "balanced_accuracy",
    "bootstrap_mean",
    "code_usage",
    "coinrun_video_distance",
    "delta_psnr",
    "describe_actions",
    "env_action_classes",
    "evaluate_genie",
    "frechet_distance",
    "frechet_video_distance",
    "gaussian_frechet_distance",
    "load_i3d",
    "marker_places",
    "measure_marker",
    "measure_motion",
    "motion_measure",
    "mutual_information",
    "normalized_mutual_information",
    "perplexity",
    "pick_clips",
    "play_levels",
    "play_test",
    "probe",
    "probe_env_actions",
    "probe_motion",
    "probe_motion_by_env_actions",
    "psnr",
    "read_env_actions",
    "score_rollouts",
    "ssim",
    "video_network",
    "watch_level",
    "wilson",
]
