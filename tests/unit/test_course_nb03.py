"""Exercises of notebook 03: solutions pass, each mistake is named, a placeholder is not a mistake."""

from __future__ import annotations

import math

import pytest
import torch

from genie_lite.course.checking import get_solution, verdict

NAMES = ("03.1", "03.2", "03.3")


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_is_right_and_says_why(name: str) -> None:
    found = get_solution(name)
    assert verdict(name, found.answer).status == "right"
    assert found.why


@pytest.mark.parametrize("name", NAMES)
def test_a_stub_is_not_answered_yet(name: str) -> None:
    assert verdict(name, lambda *_: None).status == "unanswered"
    assert verdict(name, None).status == "unanswered"


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_of_the_learner_becomes_a_message(name: str) -> None:
    def broken(*_: object) -> None:
        raise IndexError("too far")

    found = verdict(name, broken)
    assert found.status == "wrong" and "IndexError" in found.message


def tokens(height: int, width: int, patch: int) -> int:
    return math.ceil(height / patch) * math.ceil(width / patch)


RATIOS = {
    "counted as one bit": lambda h, w, p, k: h * w * 3 / (tokens(h, w, p) * math.log2(k)),
    "three colours are missing": lambda h, w, p, k: h * w * 8 / (tokens(h, w, p) * math.log2(k)),
    "reciprocal": lambda h, w, p, k: tokens(h, w, p) * math.log2(k) / (h * w * 24),
    "numbers per token": lambda h, w, p, k: h * w * 3 / tokens(h, w, p),
    "K bits": lambda h, w, p, k: h * w * 24 / (tokens(h, w, p) * k),
    "nats": lambda h, w, p, k: h * w * 24 / (tokens(h, w, p) * math.log(k)),
    "cannot be cut": lambda h, w, p, k: h * w * 24 / (h / p * w / p * math.log2(k)),
    "were dropped": lambda h, w, p, k: h * w * 24 / ((h // p) * (w // p) * math.log2(k)),
    "one token per frame": lambda h, w, p, k: h * w * 24 / math.log2(k),
    "expected a number": lambda h, w, p, k: "154",
    "expected 153.6": lambda h, w, p, k: 3.0,
}


@pytest.mark.parametrize("message", RATIOS)
def test_compression_mistakes(message: str) -> None:
    found = verdict("03.1", RATIOS[message])
    assert found.status == "wrong" and message in found.message


CHOICES = {
    "distance to every code": lambda z, e: torch.cdist(z, e),
    "those are vectors": lambda z, e: e[torch.cdist(z, e).argmin(1)],
    "nearest latent of each code": lambda z, e: torch.cdist(z, e).argmin(0),
    "one index per latent": lambda z, e: torch.cdist(z, e).argmin(),
    "Found floats": lambda z, e: torch.cdist(z, e).amin(1),
    "farthest": lambda z, e: torch.cdist(z, e).argmax(1),
    "largest product": lambda z, e: (z @ e.T).argmax(1),
    "smallest product": lambda z, e: (z @ e.T).argmin(1),
    "signs": lambda z, e: (z[:, None] - e).sum(-1).argmin(1),
    "absolute differences": lambda z, e: (z[:, None] - e).abs().sum(-1).argmin(1),
    "tensor of indices": lambda z, e: [0] * len(z),
    "did not get their nearest code": lambda z, e: torch.zeros(len(z), dtype=torch.int64),
    "largest cosine": lambda z, e: (z @ torch.nn.functional.normalize(e, dim=-1).T).argmax(1),
    "counts only half": lambda z, e: (z @ e.T - e.square().sum(-1)).argmax(1),
    "any one axis": lambda z, e: (z[:, None] - e).abs().amax(-1).argmin(1),
}


@pytest.mark.parametrize("message", CHOICES)
def test_nearest_code_mistakes(message: str) -> None:
    found = verdict("03.2", CHOICES[message])
    assert found.status == "wrong" and message in found.message


ROUNDINGS = {
    "gradient is zero": lambda x: x.round(),
    "no gradient can pass": lambda x: (x + (x.round() - x)).detach(),
    "not rounded": lambda x: x * 1,
    "rounds down": lambda x: x + (x.floor() - x).detach(),
    "rounds up": lambda x: x + (x.ceil() - x).detach(),
    "cuts off the decimals": lambda x: x.int() + 0 * x,
    "wrong sign": lambda x: x - (x.round() - x).detach(),
    "rounding error": lambda x: (x.round() - x).detach(),
    "expected [0.0, 1.0, -1.0, 3.0]": lambda x: 3 * x,
    "do not multiply": lambda x: x.round().detach() + (x * x - (x * x).detach()) / 2,
    "pass unchanged": lambda x: 2 * x + (x.round() - 2 * x).detach(),
    "expected a tensor": lambda x: x.sum(),
}


@pytest.mark.parametrize("message", ROUNDINGS)
def test_rounding_mistakes(message: str) -> None:
    found = verdict("03.3", ROUNDINGS[message])
    assert found.status == "wrong" and message in found.message


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


STYLES = {
    "expanded square": ("03.2", lambda z, e: (z @ e.T - e.square().sum(-1) / 2).argmax(1)),
    "cdist": ("03.2", lambda z, e: torch.cdist(z, e).min(dim=1).indices.int()),
    "loop": ("03.2", lambda z, e: torch.stack([(v - e).norm(dim=1).argmin() for v in z])),
    "own autograd function": ("03.3", Straight.apply),
    "detached first": ("03.3", lambda x: x.round().detach() + x - x.detach()),
}


@pytest.mark.parametrize("style", STYLES)
def test_other_styles_are_right_too(style: str) -> None:
    name, answer = STYLES[style]
    assert verdict(name, answer).status == "right"
