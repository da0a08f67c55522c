"""Exercises of notebook 02: solutions agree with the real modules, and each mistake is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genie_lite.config import TransformerConfig
from genie_lite.course import verdict
from genie_lite.course.checking import get_solution
from genie_lite.nn import Attention, STBlock


@pytest.mark.parametrize("name", ["02.1", "02.2", "02.3"])
def test_the_solution_is_right_and_the_stub_unanswered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert verdict(name, lambda *_: None).status == "unanswered"


def test_the_mask_of_the_solution_is_what_the_real_layer_lets_through() -> None:
    frames, tokens, window = 6, 3, 3
    layer = Attention(TransformerConfig(d_model=8, num_heads=1), "time", window)
    x = torch.randn(1, frames, tokens, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = layer(x).reshape(frames * tokens, 8)
    felt = [torch.autograd.grad(row.sum(), x, retain_graph=True)[0].abs().sum(-1).flatten() > 0 for row in y]
    assert np.array_equal(torch.stack(felt).numpy(), get_solution("02.2").answer(frames, tokens, window))


def test_the_count_of_the_solution_is_that_of_the_real_block() -> None:
    sizes = (12, 3, 6, 5, 7)
    width, heads, qk_size, v_size, hidden = sizes
    config = TransformerConfig(d_model=width, num_heads=heads, qk_size=qk_size, v_size=v_size, ffn_ratio=hidden / width)
    block = STBlock(config, window=4)
    assert sum(p.numel() for p in block.parameters()) == get_solution("02.3").answer(*sizes)


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


def mask(frames: int, tokens: int, window: int, rule):
    t, n = np.divmod(np.arange(frames * tokens), tokens)
    return rule(n[:, None] == n[None], t[:, None] - t[None], window)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda same, back, w: same & (back <= 0) & (back > -w), "Transposed"),
        (lambda same, back, w: ~(same & (back >= 0) & (back < w)), "Inverted"),
        (lambda same, back, w: same & (back > 0) & (back < w), "may not see itself"),
        (lambda same, back, w: same & (abs(back) < w), "future is visible"),
        (lambda same, back, w: same & (back >= 0), "window is missing"),
        (lambda same, back, w: same & (back >= 0) & (back <= w), "one frame too long"),
        (lambda same, back, w: (back >= 0) & (back < w), "stays at one position"),
        (lambda same, back, w: same & (back == 0), "may attend to token"),
        (lambda same, back, w: back == 0, "spatial mask"),
        (lambda same, back, w: (same & (back >= 0)) * 2, "True"),
        (lambda same, back, w: same[0], "shape"),
    ],
)
def test_mistakes_with_the_mask(rule, words: str) -> None:
    found = verdict("02.2", lambda t, n, w: mask(t, n, w, rule))
    assert found.status == "wrong" and words in found.message, found


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
    found = verdict("02.3", lambda *sizes: count(*sizes, **wrong))
    assert found.status == "wrong" and words in found.message, found
