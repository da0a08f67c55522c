"""The three models of Genie, and the three together."""

from genie_lite.models.dynamics import DynamicsModel
from genie_lite.models.genie import CheckpointError, Genie
from genie_lite.models.latent_action import LatentActionModel
from genie_lite.models.rollout import Rollout
from genie_lite.models.tokenizer import PatchTokenizer, VideoTokenizer

__all__ = [
    "CheckpointError",
    "DynamicsModel",
    "Genie",
    "LatentActionModel",
    "PatchTokenizer",
    "Rollout",
    "VideoTokenizer",
]
