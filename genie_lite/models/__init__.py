"""The three models of Genie, and the whole.

tokenizer.py, latent_action.py and dynamics.py read like the paper's figures 6, 5 and 7. What the paper does not have,
or only compares with, is beside them in *_variants.py; build.py picks the class that a config asks for.
"""

from genie_lite.models.action_prior import ActionPriorNetwork
from genie_lite.models.build import build_dynamics, build_latent_action, build_tokenizer
from genie_lite.models.dynamics import DynamicsModel
from genie_lite.models.genie import GenieModel
from genie_lite.models.latent_action import LatentActionModel
from genie_lite.models.tokenizer import VideoTokenizer
from genie_lite.models.tokenizer_variants import PatchTokenizer

__all__ = [
    "ActionPriorNetwork",
    "DynamicsModel",
    "GenieModel",
    "LatentActionModel",
    "PatchTokenizer",
    "VideoTokenizer",
    "build_dynamics",
    "build_latent_action",
    "build_tokenizer",
]
