"""The exercises of notebook 03: solutions pass, each mistake gets a message of its own, stubs are no mistake."""

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
    "one bit": lambda h, w, p, k: h * w * 3 / (tokens(h, w, p) * math.log2(k)),
    "three colours are missing": lambda h, w, p, k: h * w * 8 / (tokens(h, w, p) * math.log2(k)),
    "other way round": lambda h, w, p, k: tokens(h, w, p) * math.log2(k) / (h * w * 24),
    "numbers per token": lambda h, w, p, k: h * w * 3 / tokens(h, w, p),
    "K bits": lambda h, w, p, k: h * w * 24 / (tokens(h, w, p) * k),
    "nats": lambda h, w, p, k: h * w * 24 / (tokens(h, w, p) * math.log(k)),
    "cannot be cut": lambda h, w, p, k: h * w * 24 / (h / p * w / p * math.log2(k)),
    "were dropped": lambda h, w, p, k: h * w * 24 / ((h // p) * (w // p) * math.log2(k)),
    "one token a frame": lambda h, w, p, k: h * w * 24 / math.log2(k),
    "wanted a number": lambda h, w, p, k: "154",
    "wanted 153.6": lambda h, w, p, k: 3.0,
}


@pytest.mark.parametrize("message", RATIOS)
def test_compression_mistakes(message: str) -> None:
    found = verdict("03.1", RATIOS[message])
    assert found.status == "wrong" and message in found.message


CHOICES = {
    "distances to every code": lambda z, e: torch.cdist(z, e),
    "those are vectors": lambda z, e: e[torch.cdist(z, e).argmin(1)],
    "nearest latent of each code": lambda z, e: torch.cdist(z, e).argmin(0),
    "one index a latent": lambda z, e: torch.cdist(z, e).argmin(),
    "Found floats": lambda z, e: torch.cdist(z, e).amin(1),
    "farthest": lambda z, e: torch.cdist(z, e).argmax(1),
    "Largest product": lambda z, e: (z @ e.T).argmax(1),
    "smallest product": lambda z, e: (z @ e.T).argmin(1),
    "signs": lambda z, e: (z[:, None] - e).sum(-1).argmin(1),
    "absolute differences": lambda z, e: (z[:, None] - e).abs().sum(-1).argmin(1),
    "tensor of indices": lambda z, e: [0] * len(z),
    "latents got another code": lambda z, e: torch.zeros(len(z), dtype=torch.int64),
}


@pytest.mark.parametrize("message", CHOICES)
def test_nearest_code_mistakes(message: str) -> None:
    found = verdict("03.2", CHOICES[message])
    assert found.status == "wrong" and message in found.message


ROUNDINGS = {
    "gradient is zero": lambda x: x.round(),
    "no path for a gradient": lambda x: (x + (x.round() - x)).detach(),
    "not rounded": lambda x: x * 1,
    "wanted [0.0, 1.0, -1.0, 3.0]": lambda x: x + (x.floor() - x).detach(),
    "pass unchanged": lambda x: 2 * x + (x.round() - 2 * x).detach(),
    "wanted a tensor": lambda x: x.sum(),
}


@pytest.mark.parametrize("message", ROUNDINGS)
def test_rounding_mistakes(message: str) -> None:
    found = verdict("03.3", ROUNDINGS[message])
    assert found.status == "wrong" and message in found.message
