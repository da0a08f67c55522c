"""How a trained world is played fast: a cache of the past, MaskGIT sampling, rollouts."""

from genie_lite.inference.rollout import Rollout

__all__ = ["Rollout"]
