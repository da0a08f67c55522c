"""The blocks that table 3 compares with the ST block: ViT and C-ViViT."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from genie_lite.config import TransformerConfig
from genie_lite.nn.attention import Attention
from genie_lite.nn.layers import feed_forward, layer_norm
from genie_lite.nn.st_transformer import Block, STBlock


class OneAttentionBlock(nn.Module):
    """One attention, then one feed-forward layer; x and the result are [B, T, N, D]."""

    axis: Literal["space", "both"]

    def __init__(self, config: TransformerConfig, window: int) -> None:
        super().__init__()
        self.attention = Attention(config, self.axis, window)
        self.feed_forward = feed_forward(config)
        nn.init.zeros_(self.attention.out.weight)  # at first the identity, as the ST block is

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(layer_norm(x))
        return x + self.feed_forward(layer_norm(x))


class ViTBlock(OneAttentionBlock):
    """Spatial attention only: each frame by itself."""

    axis = "space"


class CViViTBlock(OneAttentionBlock):
    """Full attention: every token attends to all tokens of its own frame and of the `window` - 1 frames before it.

    The paper says of C-ViViT that it "employs a full space-time attention mechanism" whose cost "grows quadratically
    with the number of frames". Phenaki (Villegas et al., 2023), where it comes from, describes spatial layers followed
    by causal temporal ones. Here the attention is full, as this paper says, and causal, as in Phenaki: no token sees a
    later frame, so frames can be encoded and decoded while a world is being played.
    """

    axis = "both"


# The blocks by the names that the setting `tokenizer.attention` gives them.
BLOCKS: dict[str, Block] = {"st": STBlock, "space": ViTBlock, "full": CViViTBlock}
