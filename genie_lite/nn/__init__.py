"""Tensors in, tensors out: attention, the ST-transformer, vector quantization, patches."""

from genie_lite.nn.attention import Attention, attend, rotate
from genie_lite.nn.k_means import k_means
from genie_lite.nn.layers import position_embedding
from genie_lite.nn.patches import Patches
from genie_lite.nn.precision import autocast, compute_dtype, native_bfloat16
from genie_lite.nn.st_transformer import STBlock, STTransformer
from genie_lite.nn.vector_quantizer import Quantized, VectorQuantizer, perplexity

__all__ = [
    "Attention",
    "Patches",
    "Quantized",
    "STBlock",
    "STTransformer",
    "VectorQuantizer",
    "attend",
    "autocast",
    "compute_dtype",
    "k_means",
    "native_bfloat16",
    "perplexity",
    "position_embedding",
    "rotate",
]
