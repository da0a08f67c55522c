"""The ST-transformer (section 2, figure 4): attention over space, then over time, at a cost linear in the frames."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from genie_lite.config import TransformerConfig
from genie_lite.nn.attention import Attention
from genie_lite.nn.layers import feed_forward, layer_norm

Block = Callable[[TransformerConfig, int], nn.Module]  # from its settings and the temporal window


class STBlock(nn.Module):
    """Spatial attention within each frame, causal temporal attention at each position, one feed-forward layer.

    x and the result are [B, T, N, D]. As in the paper there is no feed-forward layer between the two attentions.
    """

    def __init__(self, config: TransformerConfig, window: int) -> None:
        super().__init__()
        self.spatial = Attention(config, "space")
        self.temporal = Attention(config, "time", window)
        self.feed_forward = feed_forward(config)

        # Every branch starts at zero, so a fresh block is the identity and depth does not slow the first steps.
        nn.init.zeros_(self.spatial.out.weight)
        nn.init.zeros_(self.temporal.out.weight)

    def forward(self, x: Tensor, over_time: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """`over_time` takes the place of this block's own attention over time (models/complete_past.py)."""
        x = x + self.spatial(layer_norm(x))
        x = x + (over_time or self.temporal)(layer_norm(x))
        return x + self.feed_forward(layer_norm(x))


class STTransformer(nn.Module):
    """A stack of blocks over x [B, T, N, D], D unchanged.

    In every layer frame t sees itself and up to `window` - 1 frames before it. `block` is what is stacked: the ST
    block, or one of those that table 3 compares it with (nn/table3_blocks.py).
    """

    def __init__(self, config: TransformerConfig, window: int, block: Block = STBlock) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block(config, window) for _ in range(config.num_layers))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return layer_norm(x)
