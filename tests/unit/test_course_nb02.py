"""Exercises of notebook 02: solutions agree with the real modules, and each mistake is named."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from genie_lite.config import TransformerConfig
from genie_lite.course import verdict
from genie_lite.course.checking import get_solution
from genie_lite.nn import STBlock


@pytest.mark.parametrize("name", ["02.1", "02.2", "02.3", "02.4", "02.5"])
def test_the_solution_is_right_and_the_stub_unanswered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert verdict(name, lambda *_: None).status == "unanswered"


def test_the_count_of_the_solution_is_that_of_the_real_block() -> None:
    sizes = (12, 3, 6, 5, 7)
    width, heads, qk_size, v_size, hidden = sizes
    config = TransformerConfig(d_model=width, num_heads=heads, qk_size=qk_size, v_size=v_size, ffn_ratio=hidden / width)
    block = STBlock(config, window=4)
    assert sum(p.numel() for p in block.parameters()) == get_solution("02.5").answer(*sizes)


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        ("full", lambda t, n: t * n, "squared"),
        ("full", lambda t, n: t * n * n + n * t * t, "space plus time"),
        ("full", lambda t, n: t * n * (t * n + 1) // 2, "causal half"),
        ("space", lambda t, n: n * n, "one frame"),
        ("space", lambda t, n: (t * n) ** 2, "do not meet"),
        ("time", lambda t, n: n * t * t, "counts the future"),
        ("time", lambda t, n: n * t * (t - 1) // 2, "itself"),
        ("time", lambda t, n: t * (t + 1) // 2, "one position"),
        ("time", lambda t, n: n * t * (t - 1), "past and future"),
        ("time", lambda t, n: n * n * t * (t + 1) // 2, "different positions"),
        ("time", lambda t, n: -1, "expected"),
        ("full", lambda t, n: t * n * (t * n - 1) // 2, "are two pairs"),
        ("full", lambda t, n: t * n * (t * n - 1), "also attends to itself"),
        ("space", lambda t, n: t * n * (n - 1), "also attends to itself"),
        ("space", lambda t, n: t * n * (n + 1) // 2, "not causal"),
    ],
)
def test_mistakes_with_pairs(kind: str, wrong, words: str) -> None:
    right = get_solution("02.1").answer
    found = verdict("02.1", lambda t, n, k: wrong(t, n) if k == kind else right(t, n, k))
    assert found.status == "wrong" and words in found.message, found


def attention(axes="n", hide=None, scale=lambda d, e: d**-0.5, over=-1, fill=-float("inf"), late=False):
    """An attention with arguments (q, k, v, window), in another style than the solution, and with mistakes."""
    folds = {"n": ("(b t) h n d", "(b t) h n d -> b t n h d"), "t": ("(b n) h t d", "(b n) h t d -> b t n h d")}
    folds |= {"tn": ("b h (t n) d", "b h (t n) d -> b t n h d"), "h": ("(b t n) h d", "(b t n) h d -> b t n h d")}

    def answer(q, k, v, window=None):
        (B, T, N, _, d), e = q.shape, v.shape[-1]
        into, back = folds[axes]
        q, k, v = (rearrange(part, f"b t n h d -> {into}") for part in (q, k, v))
        scores = torch.einsum("...qd,...kd->...qk", q, k) * scale(d, e)
        hidden = None
        if hide is not None:
            frame = torch.arange(scores.shape[-1]) // (N if axes == "tn" else 1)
            hidden = hide(frame[:, None] - frame[None], window)
            scores = scores if late else scores.masked_fill(hidden, fill)
        weights = scores.softmax(over)
        y = (weights.masked_fill(hidden, 0) if late else weights) @ v
        return rearrange(y, back, b=B, t=T, n=N)

    return answer


SPACE = {
    "not divided by the root": attention(scale=lambda d, e: 1),
    "divided by d;": attention(scale=lambda d, e: 1 / d),
    "multiplied by the root": attention(scale=lambda d, e: d**0.5),
    "width of a value": attention(scale=lambda d, e: e**-0.5),
    "runs over queries": attention(over=-2),
    "attention along time": attention("t"),
    "full attention": attention("tn"),
    "heads attend to each other": attention("h"),
    "causal within the frame": attention(hide=lambda back, window: back < 0),
    "the values themselves": lambda q, k, v: v,
    "averages the values evenly": lambda q, k, v: v.mean(2, keepdim=True).expand_as(v),
    "is wrong from clip 0": lambda q, k, v: attention()(q, k, v) + 1,
    "another order": lambda q, k, v: attention()(q, k, v).transpose(2, 3),
    "expected [B, T, N, heads, e]": lambda q, k, v: attention()(q, k, v).flatten(3),
    "expected a tensor": lambda q, k, v: [0],
    "float16": lambda q, k, v: attention()(q.half(), k.half(), v.half()).float(),
}
BEFORE = {"axes": "t", "hide": lambda back, window: (back < 0) | (back >= window)}
TIME = {
    "future is visible": attention("t", lambda back, window: back >= window),
    "no mask at all": attention("t"),
    "window is missing": attention("t", lambda back, window: back < 0),
    "too long": attention("t", lambda back, window: (back < 0) | (back > window)),
    "too short": attention("t", lambda back, window: (back < 0) | (back >= window - 1)),
    "transposed": attention("t", lambda back, window: (back > 0) | (-back >= window)),
    "set to 0": attention(**BEFORE, fill=0.0),
    "runs over queries": attention(**BEFORE, over=-2),
    "not divided by the root": attention(**BEFORE, scale=lambda d, e: 1),
    "attention within a frame": attention("n"),
    "Tokens at different positions meet": attention("tn", BEFORE["hide"]),
    "zeroed after the softmax": attention(**BEFORE, late=True),
    "must at least see itself": attention("t", lambda back, window: (back <= 0) | (back >= window)),
    "use the argument": attention("t", lambda back, window: (back < 0) | (back >= 3)),
    "is wrong from clip 0": attention("t", lambda back, window: (back < 0) | (back == 1)),
}


def block(read=lambda norm, x: norm(x), order=(0, 1, 2), add=lambda x, y: x + y, end=lambda norm, x: x, times=1):
    def answer(x, *layers_and_norm):
        *layers, norm = layers_and_norm
        for index in order:
            for _ in range(times):
                x = add(x, layers[index](read(norm, x)))
        return end(norm, x)

    return answer


def first_normed(x, space, time, feed_forward, norm):
    return block(lambda norm, x: x)(norm(x), space, time, feed_forward, norm)


def post_norm(x, space, time, feed_forward, norm):
    return norm(block(lambda norm, x: x, (2,))(norm(block(lambda norm, x: x, (1,))(norm(x + space(x)), space, time,
                feed_forward, norm)), space, time, feed_forward, norm))  # fmt: skip


def from_norm(x, space, time, feed_forward, norm):
    for layer in (space, time, feed_forward):
        x = norm(x)
        x = x + layer(x)
    return x


def last_alone(x, space, time, feed_forward, norm):
    x = x + space(norm(x))
    x = x + time(norm(x))
    return feed_forward(norm(x))


BLOCK = {
    "residual connections are missing": block(add=lambda x, y: y),
    "read x itself": block(lambda norm, x: x),
    "norm comes after each layer": lambda x, s, t, f, norm: block(lambda _, x: x)(
        x, *(lambda y, layer=layer: norm(layer(y)) for layer in (s, t, f)), norm
    ),
    "applied to the sum": post_norm,
    "normalised once at the start": first_normed,
    "the same x": lambda x, s, t, f, norm: x + s(norm(x)) + t(norm(x)) + f(norm(x)),
    "residual of the feed-forward": last_alone,
    "starts again from the normed x": from_norm,
    "last norm does not belong": block(end=lambda norm, x: norm(x)),
    "called time, space": block(order=(1, 0, 2)),
    "called space, time;": block(order=(0, 1)),
    "called nothing": lambda x, *layers: x,
    "called space, space": block(times=2),
    "expected the shape of x": lambda x, *layers: x.mean(),
    "not as expected": block(add=lambda x, y: x * y),
}


@pytest.mark.parametrize(
    ("name", "words"),
    [(name, words) for name, all in {"02.2": SPACE, "02.3": TIME, "02.4": BLOCK}.items() for words in all],
)
def test_mistakes_with_attention_and_the_block(name: str, words: str) -> None:
    found = verdict(name, {"02.2": SPACE, "02.3": TIME, "02.4": BLOCK}[name][words])
    assert found.status == "wrong" and words in found.message, found


def fused_over_time(q, k, v, window):
    q, k, v = (part.permute(0, 2, 3, 1, 4) for part in (q, k, v))  # [B, N, heads, T, d]
    back = torch.arange(q.shape[-2])[:, None] - torch.arange(q.shape[-2])
    allowed = (back >= 0) & (back < window)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed).permute(0, 3, 1, 2, 4)


def one_query_at_a_time(q, k, v, window):
    y = torch.zeros_like(v)
    for t in range(q.shape[1]):
        first = max(0, t - window + 1)
        scores = (q[:, t, None] * k[:, first : t + 1]).sum(-1) / q.shape[-1] ** 0.5  # [B, t', N, heads]
        y[:, t] = (scores.softmax(1)[..., None] * v[:, first : t + 1]).sum(1)
    return y


STYLES = {
    "einsum in space": ("02.2", attention()),
    "no folding at all": ("02.2", lambda q, k, v: torch.einsum(
        "btnmh,btmhe->btnhe", (torch.einsum("btnhd,btmhd->btnmh", q, k) / q.shape[-1] ** 0.5).softmax(3), v
    )),
    "einsum in time": ("02.3", attention(**BEFORE)),
    "fused": ("02.3", fused_over_time),
    "one query at a time": ("02.3", one_query_at_a_time),
    "a loop over layers": ("02.4", block()),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_other_styles_are_right_too(style: str) -> None:
    name, answer = STYLES[style]
    assert verdict(name, answer).status == "right"


def count(d, heads, qk, v, ffn, *, layers=2, forwards=2, keys=2, values=1, out=1, single=False, biases=0):
    attention = (d * heads * (keys * qk + values * v) + out * heads * v * d) // (heads if single else 1)
    return layers * attention + forwards * d * ffn + biases * (ffn + d)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"layers": 1}, "that is one attention"),
        ({"forwards": 4}, "two feed-forward"),
        ({"forwards": 0}, "missing"),
        ({"forwards": 1}, "to its width, and back"),
        ({"forwards": 3}, "this one has two"),
        ({"single": True}, "a single head"),
        ({"biases": 1}, "biases"),
        ({"values": 2}, "one value matrix"),
        ({"keys": 1}, "queries *and* keys"),
        ({"out": 0}, "the projection back to D"),
        ({"keys": 3}, "count queries, keys"),
    ],
)
def test_mistakes_with_parameters(wrong: dict, words: str) -> None:
    found = verdict("02.5", lambda *sizes: count(*sizes, **wrong))
    assert found.status == "wrong" and words in found.message, found
