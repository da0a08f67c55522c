"""The three models of Genie: video tokenizer, latent action model, dynamics model."""

from genie_lite.models.dynamics import DynamicsModel
from genie_lite.models.latent_action import LatentActionModel
from genie_lite.models.tokenizer import PatchTokenizer, VideoTokenizer

__all__ = ["DynamicsModel", "LatentActionModel", "PatchTokenizer", "VideoTokenizer"]
