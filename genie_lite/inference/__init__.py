"""How a trained world is played fast: a KV cache, a pass over one frame, MaskGIT sampling, rollouts.

The models do not know this subpackage: it calls them.
"""

from genie_lite.inference.kv_cache import KVCache
from genie_lite.inference.rollout import Rollout

__all__ = ["KVCache", "Rollout"]
