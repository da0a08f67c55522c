"""The fast pass over one new frame, whose past is in a KV cache.

It computes what `STTransformer.forward` computes for the last frame of a video (tests/unit/test_inference.py) in few
and small operations: one matrix product per head, which leaves queries, keys and values in the order that attention
wants, without copies; no mask, because the cache holds nothing but the window; and the scale of the scores folded
into the QK-norm. A token needs all other tokens of its frame up to the last spatial attention and none after it, so a
caller that asks for some tokens only does not pay for the rest of the last block.

Here the tokens of all clips are the rows of one matrix: x [B·N, D].
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_lite.inference.kv_cache import KVCache
from genie_lite.models import DynamicsModel, VideoTokenizer
from genie_lite.models.merged_tokens import MergedTokensDynamicsModel
from genie_lite.models.prepended_actions import PrependedActionsDynamicsModel
from genie_lite.nn import Attention, STBlock, STTransformer
from genie_lite.nn.layers import layer_norm
from genie_lite.nn.table3_blocks import OneAttentionBlock

# ---------------------------------------------------------------------------------------- the models' new frame


def frame_features(
    model: DynamicsModel,
    tokens: Tensor,
    context: Tensor,
    cache: KVCache,
    rows: Tensor | None = None,
) -> Tensor:
    """Output of the dynamics model's transformer for the newest frame's tokens [B, N]: [B·N, D], or only those `rows`.

    `context` is `model.context` of that frame, [B, 1, N, D] for most models.
    """
    x = model.embed(tokens[:, None], context)
    if not isinstance(model, MergedTokensDynamicsModel | PrependedActionsDynamicsModel):
        return newest_frame(model.transformer, x, cache, rows)
    places = newest_frame(model.transformer, x, cache).view_as(x)
    features = model.by_token(places, context).flatten(0, 2)
    return features if rows is None else features[rows]


def remember(
    model: DynamicsModel, tokens: Tensor, action_vectors: Tensor, cache: KVCache, past: Tensor | None = None
) -> Tensor:
    """Write the newest frame's complete tokens [B, N] into the cache, where later frames will attend to them.

    Returns the features of these tokens, [B·N, D], of which a model trained with a complete past reads its prior.

    action_vectors [B, 1, latent_dim] lead to it, [B, 0, latent_dim] to the first frame; `past` [B, 1, N] are the tokens
    of the frame before, None if there is none.
    """
    return frame_features(model, tokens, model.context(action_vectors, 1, past), cache)


def decode_frame(tokenizer: VideoTokenizer, tokens: Tensor, cache: KVCache) -> Tensor:
    """The newest frame [B, H, W, C] in [0, 1], of its tokens [B, N]; earlier frames are in the decoder's `cache`."""
    vectors = tokenizer.quantizer.lookup(tokens[:, None])
    embedded = tokenizer.embed(vectors)  # [B, 1, N, D]
    decoded = newest_frame(tokenizer.decoder, embedded, cache).view_as(embedded)
    return tokenizer.to_frames(decoded, vectors).float().clamp(0, 1)[:, 0]


# ------------------------------------------------------------------------------------------------ the transformer


def newest_frame(transformer: STTransformer, x: Tensor, cache: KVCache, rows: Tensor | None = None) -> Tensor:
    """Output of `transformer` for the newest frame x [B, 1, N, D]: [B·N, D], or only those `rows` of it.

    The frame's keys and values go into the cache; with `rows`, those of the last block do not.
    """
    if x.shape[1] != 1:
        raise ValueError(f"cache: found {x.shape[1]} new frames, wanted 1; feed frames one at a time")
    batch, newest = len(x), x.flatten(0, 2)  # [B·N, D]
    *blocks, last = transformer.blocks
    for block in blocks:
        newest = _block(block, newest, batch, cache)
    return layer_norm(_block(last, newest, batch, cache, rows))


def _block(block: nn.Module, x: Tensor, batch: int, cache: KVCache, rows: Tensor | None = None) -> Tensor:
    if isinstance(block, STBlock):
        return _st_block(block, x, batch, cache, rows)
    if isinstance(block, OneAttentionBlock):
        x = x + block.attention.out(_attention(block.attention, layer_norm(x), batch, cache))
        x = x if rows is None else x[rows]
        return x + block.feed_forward(layer_norm(x))
    raise TypeError(f"block: found {type(block).__name__}, wanted one that this pass knows; add it to one_frame.py")


def _st_block(block: STBlock, x: Tensor, batch: int, cache: KVCache, rows: Tensor | None) -> Tensor:
    grow, activation, shrink = cast("tuple[nn.Linear, nn.SiLU, nn.Linear]", block.feed_forward)
    y = _attention(block.spatial, layer_norm(x), batch, cache)
    if rows is not None:
        x, y = x[rows], y[rows]
    x = torch.addmm(x, y, block.spatial.out.weight.t())
    y = _attention(block.temporal, layer_norm(x), batch, cache, rows)
    x = torch.addmm(x, y, block.temporal.out.weight.t())
    return torch.addmm(x, activation(F.linear(layer_norm(x), grow.weight)), shrink.weight.t())


# -------------------------------------------------------------------------------------------------- the attention


def _attention(layer: Attention, x: Tensor, batch: int, cache: KVCache, rows: Tensor | None = None) -> Tensor:
    """`layer.forward` before its output matrix, for rows x [B·N, D]; `rows` says which, if they are not all."""
    count, heads = len(x), layer.num_heads
    if layer not in cache.arranged:
        cache.arranged[layer] = by_head(layer, x.dtype), x.new_full((layer.qk_size,), layer.qk_size**-0.25)
    weights, scale = cache.arranged[layer]
    qkv = torch.bmm(x.expand(3 * heads, -1, -1), weights)  # [3·heads, B·N, d]
    qk, v = qkv[: 2 * heads, :, : layer.qk_size], qkv[2 * heads :, :, : layer.v_size]
    qk = F.layer_norm(qk, qk.shape[-1:], scale.to(qk.dtype))  # d^-1/4 on both sides makes d^-1/2 of the score
    # Views, not rearrange: at this size its bookkeeping would show in the frame rate.
    if layer.axis == "space":
        q, k = qk.view(2, heads * batch, -1, layer.qk_size).unbind()  # [heads·B, N, d]
        v = v.reshape(heads * batch, -1, layer.v_size)
    else:
        q, k = qk.view(2, heads * count, 1, layer.qk_size).unbind()  # [heads·B·N, 1, d]
        k, v = cache.extend(layer, k, v.reshape(heads * count, 1, layer.v_size), rows)  # [heads·B·N, T, d]
        if layer.axis == "both":
            q, k, v = (rearrange(part, "(h b n) t d -> (h b) (t n) d", h=heads, b=batch) for part in (q, k, v))
    y = torch.bmm(torch.bmm(q, k.mT).softmax(dim=-1), v)
    return y.view(heads, count, -1).transpose(0, 1).reshape(count, -1)  # [B·N, heads·d]


def by_head(layer: Attention, dtype: torch.dtype) -> Tensor:
    """The matrices of queries, keys and values, one a head: [3·heads, D, d]; the narrower kind is padded with zeros."""
    to_qk, to_v = layer.qkv.weight.to(dtype).split(layer.widths)
    to_qk = rearrange(to_qk, "(two h d) m -> (two h) m d", two=2, h=layer.num_heads)
    to_v = rearrange(to_v, "(h d) m -> h m d", h=layer.num_heads)
    widest = max(layer.qk_size, layer.v_size)
    return torch.cat([F.pad(part, (0, widest - part.shape[-1])) for part in (to_qk, to_v)])
