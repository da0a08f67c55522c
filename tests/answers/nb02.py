"""Answers of learners to notebook 02: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from genie_lite.course.solutions.nb02 import attend_in_space, attend_in_time, block_parameters, pairs, st_block


def count(**other: Any) -> Any:
    """Pairs, right but for the kinds that are given."""
    return lambda t, n, kind: other[kind](t, n) if kind in other else pairs(t, n, kind)


def by_table(t, n, kind):
    frame = torch.arange(t).repeat_interleave(n)
    place = torch.arange(n).repeat(t)
    allowed = torch.ones(t * n, t * n, dtype=torch.bool)
    if kind == "space":
        allowed = frame[:, None] == frame
    if kind == "time":
        allowed = (place[:, None] == place) & (frame[:, None] >= frame)
    return allowed.sum()


def space(
    weigh=lambda scores: scores.softmax(-1), d=lambda q: q.shape[-1], product=lambda q, k: q @ k.transpose(-1, -2)
) -> Any:
    """Attention within frames, [B, T, heads, N, d] inside."""

    def answer(q, k, v):
        q, k, v = (x.transpose(2, 3) for x in (q, k, v))
        return (weigh(product(q, k) / d(q) ** 0.5) @ v).transpose(2, 3)

    return answer


def time(weigh=lambda scores: scores.softmax(-1), hidden=lambda back, window: (back < 0) | (back >= window)) -> Any:
    """Attention along time, [B, N, heads, T, d] inside."""

    def answer(q, k, v, window):
        q, k, v = (x.permute(0, 2, 3, 1, 4) for x in (q, k, v))
        frames = torch.arange(q.shape[-2])
        mask = hidden(frames[:, None] - frames, window)
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(mask, -torch.inf)
        return (weigh(scores) @ v).permute(0, 3, 1, 2, 4)

    return answer


def reshaped(q, k, v):
    B, T, N, heads, d = q.shape
    q, k, v = (x.reshape(B * T, heads, N, -1) for x in (q, k, v))
    return ((q @ k.mT / d**0.5).softmax(-1) @ v).reshape(B, T, N, heads, -1)


def reshaped_over_time(q, k, v, window):
    B, T, N, heads, d = q.shape
    q, k, v = (x.reshape(B * N, heads, T, -1) for x in (q, k, v))
    back = torch.arange(T)[:, None] - torch.arange(T)
    scores = (q @ k.mT / d**0.5).masked_fill((back < 0) | (back >= window), -torch.inf)
    return (scores.softmax(-1) @ v).reshape(B, T, N, heads, -1)


def scaled_late(q, k, v):
    q, k, v = (x.transpose(2, 3) for x in (q, k, v))
    return ((q @ k.mT).softmax(-1) / q.shape[-1] ** 0.5 @ v).transpose(2, 3)


def token_by_token(q, k, v):
    y = torch.empty_like(v)
    for b, t, n, h in torch.cartesian_prod(*map(torch.arange, q.shape[:4])).tolist():
        weights = torch.exp((k[b, t, :, h] * q[b, t, n, h]).sum(-1) / q.shape[-1] ** 0.5)
        y[b, t, n, h] = (weights[:, None] * v[b, t, :, h]).sum(0) / weights.sum()
    return y


def fused(q, k, v):
    return F.scaled_dot_product_attention(*(x.transpose(2, 3) for x in (q, k, v))).transpose(2, 3)


def very_negative(q, k, v, window):
    q, k, v = (x.permute(0, 2, 3, 1, 4) for x in (q, k, v))
    ones = torch.ones(q.shape[-2], q.shape[-2])
    allowed = ones.tril() - ones.tril(-window)
    scores = torch.einsum("bnhtd,bnhsd->bnhts", q, k) / q.shape[-1] ** 0.5 - 1e9 * (1 - allowed)
    return torch.einsum("bnhts,bnhse->btnhe", scores.softmax(-1), v)


def sandwich(x, space, time, feed_forward, norm):
    for layer in (space, time, feed_forward):
        x = x + norm(layer(norm(x)))
    return x


def from_the_start(x, space, time, feed_forward, norm):
    y = x + space(norm(x))
    y = x + time(norm(y))
    return x + feed_forward(norm(y))


def first_alone(x, space, time, feed_forward, norm):
    x = space(norm(x))
    x = x + time(norm(x))
    return x + feed_forward(norm(x))


def bare_feed_forward(x, space, time, feed_forward, norm):
    x = x + space(norm(x))
    x = x + time(norm(x))
    return x + feed_forward(x)


def twice(x, space, time, feed_forward, norm):
    for layer in (space, time, feed_forward):
        x = x + x + layer(norm(x))
    return x


def halved(x, space, time, feed_forward, norm):
    for layer in (space, time, feed_forward):
        x = (x + layer(norm(x))) / 2
    return x


def in_place(x, *layers):
    *layers, norm = layers
    for layer in layers:
        x += layer(norm(x))
    return x


def functional(x, space, time, feed_forward, norm):
    after_space = torch.add(x, space(norm(x)))
    after_time = torch.add(time(norm(after_space)), after_space)
    return after_time + feed_forward(norm(after_time))


def weights(out=None, forward=lambda d, ffn: 2 * d * ffn, layers=2) -> Any:
    def answer(d_model, num_heads, qk_size, v_size, ffn_size):
        back = out(d_model, num_heads, qk_size, v_size) if out else num_heads * v_size * d_model
        return layers * (num_heads * d_model * (2 * qk_size + v_size) + back) + forward(d_model, ffn_size)

    return answer


def from_shapes(d_model, num_heads, qk_size, v_size, ffn_size):
    columns = [num_heads * size for size in (qk_size, qk_size, v_size)]
    attention = [(d_model, column) for column in columns] + [(num_heads * v_size, d_model)]
    shapes = 2 * attention + [(d_model, ffn_size), (ffn_size, d_model)]
    return float(sum(rows * columns for rows, columns in shapes))


WRONG: dict[str, dict[str, Any]] = {
    "02.1": {
        "causal over all tokens": count(time=lambda t, n: t * n * (t * n + 1) // 2),
        "that is attention within frames": count(time=lambda t, n: t * n * n),
        "that is attention along time": count(space=lambda t, n: n * t * t),
        "for one token": count(space=lambda t, n: n, time=lambda t, n: t),
        "half the table, but the diagonal": count(time=lambda t, n: n * t * t // 2),
        "not a list of pairs": count(full=lambda t, n: [(i, j) for i in range(t * n) for j in range(t * n)]),
        "that is the window": count(time=lambda t, n: n * t * 16),
    },
    "02.2": {
        "axes are mixed up": reshaped,
        "The softmax is missing": space(lambda scores: scores),
        "Queries and keys are exchanged": space(product=lambda q, k: k @ q.mT),
        "after the softmax": scaled_late,
        "The softmax runs over heads": space(lambda scores: scores.softmax(2)),
        "The root is that of the number of tokens": space(d=lambda q: q.shape[-2]),
        "A token also sees itself": space(
            lambda scores: scores.masked_fill(torch.eye(3, dtype=torch.bool), -torch.inf).softmax(-1)
        ),
        "heads × d": space(d=lambda q: q.shape[-1] * q.shape[2]),
    },
    "02.3": {
        "axes are mixed up": reshaped_over_time,
        "future is visible": time(hidden=lambda back, window: back.abs() >= window),
        "Queries and keys are exchanged": lambda q, k, v, window: attend_in_time(k, q, v, window),
        "The softmax runs over heads": time(lambda scores: scores.softmax(2).nan_to_num()),
        "The softmax is missing": time(lambda scores: scores.masked_fill(scores == -torch.inf, 0)),
        "nothing passes from frame to frame": time(hidden=lambda back, window: back != 0),
        "use the argument `window`": time(hidden=lambda back, window: (back < 0) | (back > 2)),
    },
    "02.4": {
        "result of each layer is normalised": sandwich,
        "added to the x that came in": from_the_start,
        "residual of the spatial layer": first_alone,
        "feed-forward layer reads x itself": bare_feed_forward,
        "x is added twice": twice,
        "halved": halved,
        "called space, time;": lambda x, space, time, ff, norm: x + space(norm(x)) + time(norm(x)),
    },
    "02.5": {
        "use `ffn_size`": weights(forward=lambda d, ffn: 2 * d * 4 * d),
        "not a ratio": weights(forward=lambda d, ffn: 2 * d * ffn * d),
        "rows of the projection back": weights(out=lambda d, h, qk, v: h * qk * d),
        "three attentions": weights(layers=3),
        "projection back is D × D": weights(out=lambda d, h, qk, v: d * d),
        "single number": lambda *sizes: [block_parameters(*sizes)] * 2,
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "02.1": {
        "counted in a table": by_table,
        "with a division": count(time=lambda t, n: n * t * (t + 1) / 2),
        "a sum": count(time=lambda t, n: n * sum(range(t + 1))),
    },
    "02.2": {
        "token by token": token_by_token,
        "fused": fused,
        "in float64": lambda q, k, v: attend_in_space(q.double(), k.double(), v.double()),
    },
    "02.3": {"minus a billion": very_negative, "frames in front": time()},
    "02.4": {"in place": in_place, "one name for each": functional, "a loop": lambda x, *parts: st_block(x, *parts)},
    "02.5": {"from shapes": from_shapes},
}
