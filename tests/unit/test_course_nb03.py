"""Exercises of notebook 03: solutions pass, each mistake is named, a placeholder is not a mistake."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from genie_lite.course.checking import get_solution, verdict

NAMES = ("03.1", "03.2", "03.3", "03.4")


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
    "expected numbers": lambda h, w, p, k: "about 154",
    "expected 37.57": lambda h, w, p, k: 3.0,
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


def through(passed=None, codebook=None, commitment=None):
    """An answer to 03.3, right but for the parts that are given, each a function of latents and vectors."""
    right = get_solution("03.3").answer

    def answer(z, e):
        parts = zip((passed, codebook, commitment), right(z, e), strict=True)
        return tuple(found if wrong is None else wrong(z, e) for wrong, found in parts)

    return answer


PASSINGS = {
    "Expected three tensors": lambda z, e: z + (e - z).detach(),
    "nothing is quantized": through(lambda z, e: z * 1),
    "latents get no gradient": through(lambda z, e: e * 1),
    "no gradient can pass": through(lambda z, e: (z + (e - z)).detach()),
    "wrong sign": through(lambda z, e: z - (e - z).detach()),
    "quantization error": through(lambda z, e: (e - z).detach()),
    "not those of the codes": through(lambda z, e: (z + e) / 2),
    "pass unchanged": through(lambda z, e: 2 * z + (e - 2 * z).detach()),
    "reaches the codes as well": through(lambda z, e: z - z.detach() + e),
    "shape": through(lambda z, e: z.sum(-1)),
    "exchanged": through(
        codebook=lambda z, e: F.mse_loss(z, e.detach()), commitment=lambda z, e: F.mse_loss(e, z.detach())
    ),
    "codes alone": through(codebook=lambda z, e: F.mse_loss(e, z)),
    "latents alone": through(commitment=lambda z, e: F.mse_loss(z, e)),
    "no gradient for the codes": through(codebook=lambda z, e: F.mse_loss(e, z).detach()),
    "no gradient for the latents": through(commitment=lambda z, e: F.mse_loss(z, e).detach()),
    "is a sum;": through(codebook=lambda z, e: (e - z.detach()).square().sum()),
    "a sum over D": through(codebook=lambda z, e: (e - z.detach()).square().sum(-1).mean()),
    "single number": through(codebook=lambda z, e: (e - z.detach()).square()),
    "absolute differences": through(commitment=lambda z, e: F.l1_loss(z, e.detach())),
    "is a root": through(commitment=lambda z, e: F.mse_loss(z, e.detach()).sqrt()),
    "weighed already": through(commitment=lambda z, e: 0.25 * F.mse_loss(z, e.detach())),
    "expected the mean squared error": through(commitment=lambda z, e: F.mse_loss(z, e.detach()) + 1),
}


@pytest.mark.parametrize("message", PASSINGS)
def test_straight_through_mistakes(message: str) -> None:
    found = verdict("03.3", PASSINGS[message])
    assert found.status == "wrong" and message in found.message


def update(
    one_hot=lambda codes, K: F.one_hot(codes, K).float(),
    share=lambda one_hot: one_hot.mean(0),
    sums=lambda one_hot, z: one_hot.T @ z / len(z),
    mean=lambda old, new, decay: decay * old + (1 - decay) * new,
    place=lambda sums, usage, z, hot: sums / usage[:, None],
    moved=lambda share: share > 0,
    count=lambda idle, chosen: torch.where(chosen, 0, idle + 1),
    tired=lambda idle, after: idle > after,
    fresh=lambda z, n: z[torch.randperm(len(z))[:n]],
    again=lambda fresh, K: (1 / K, fresh / K, 0),
):
    """An answer to 03.4 in another style than the solution; each argument replaces one of its steps."""

    def answer(codebook, usage, latent_sums, idle_steps, z, codes, decay, restart_after):
        K = len(codebook)
        hot = one_hot(codes, K)
        now = share(hot)
        usage, latent_sums = mean(usage, now, decay), mean(latent_sums, sums(hot, z), decay)
        codebook = torch.where(moved(now)[:, None], place(latent_sums, usage, z, hot), codebook)
        idle_steps = count(idle_steps, now > 0)
        idle = tired(idle_steps, restart_after)
        new = fresh(z, int(idle.sum()))
        codebook[idle] = new
        usage[idle], latent_sums[idle], steps = again(new, K)
        idle_steps[idle] = steps
        return codebook, usage, latent_sums, idle_steps

    return answer


UPDATES = {
    "decay is on the wrong side": update(mean=lambda old, new, decay: (1 - decay) * old + decay * new),
    "counts latents": update(share=lambda hot: hot.sum(0)),
    "in this batch alone": update(mean=lambda old, new, decay: new),
    "is a running mean of the shares": update(mean=lambda old, new, decay: old),
    "only added to": update(mean=lambda old, new, decay: old + (1 - decay) * new),
    "has to fade as well": update(
        mean=lambda old, new, decay: torch.where(
            new.view(len(new), -1).any(1).view(-1, *[1] * (new.ndim - 1)), decay * old + (1 - decay) * new, old
        )
    ),
    "without dividing by M": update(sums=lambda hot, z: hot.T @ z),
    "not by how many chose": update(sums=lambda hot, z: hot.T @ z / hot.sum(0).clamp_min(1)[:, None]),
    "not finite": update(sums=lambda hot, z: hot.T @ z / hot.sum(0)[:, None]),
    "not been idle for long": update(moved=lambda share: share >= 0),
    "have not moved": update(moved=lambda share: share < 0),
    "mean of this batch": update(place=lambda s, u, z, hot: (hot.T @ z) / hot.sum(0).clamp_min(1)[:, None]),
    "shrink with their share": update(place=lambda s, u, z, hot: s),
    "expected [": update(place=lambda s, u, z, hot: s / u[:, None] + 1),
    "still counts idle steps": update(count=lambda idle, chosen: idle + 1),
    "has one more idle step": update(
        count=lambda idle, chosen: torch.where(chosen, 0, idle), tired=lambda i, a: i >= a
    ),
    "only *more* than": update(tired=lambda idle, after: idle >= after),
    "were not moved": update(tired=lambda idle, after: idle > 99 * after),
    "start again from 0": update(again=lambda fresh, K: (1 / K, fresh / K, 99)),
    "at the mean of all latents": update(fresh=lambda z, n: z.mean(0).expand(n, -1)),
    "not restart at latents": update(fresh=lambda z, n: torch.randn(n, z.shape[1])),
    "at the same latent": update(fresh=lambda z, n: z[torch.randint(len(z), (1,))].expand(n, -1)),
    "the first latents": update(fresh=lambda z, n: z[:n]),
    "must be 1/K": update(again=lambda fresh, K: (1.0, fresh / K, 0)),
    "must be its latent times its usage": update(again=lambda fresh, K: (1 / K, fresh, 0)),
    "Use the argument": update(tired=lambda idle, after: idle > 5),
    "Expected four tensors": lambda codebook, *rest: codebook,
    "`usage`: found": lambda codebook, *rest: (codebook, *[codebook] * 3),
}


@pytest.mark.parametrize("message", UPDATES)
def test_codebook_update_mistakes(message: str) -> None:
    found = verdict("03.4", UPDATES[message])
    assert found.status == "wrong" and message in found.message


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, z: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
        return e.clone()

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def in_place(codebook, usage, latent_sums, idle_steps, z, codes, decay, restart_after):
    """Code by code, changing the tensors that were given."""
    for k in range(len(codebook)):
        own = z[codes == k]
        usage[k] = decay * usage[k] + (1 - decay) * len(own) / len(z)
        latent_sums[k] = decay * latent_sums[k] + (1 - decay) * own.sum(0) / len(z)
        idle_steps[k] = 0 if len(own) else idle_steps[k] + 1
        if len(own):
            codebook[k] = latent_sums[k] / usage[k]
        elif idle_steps[k] > restart_after:
            codebook[k] = z[int(torch.randint(len(z), ()))]
            usage[k], latent_sums[k], idle_steps[k] = 1 / len(codebook), codebook[k] / len(codebook), 0
    return codebook, usage, latent_sums, idle_steps


STYLES = {
    "broadcasting": ("03.2", lambda z, e: (z[:, None] - e).square().sum(-1).argmin(-1)),
    "expanded square": ("03.2", lambda z, e: (z @ e.T - e.square().sum(-1) / 2).argmax(1)),
    "cdist": ("03.2", lambda z, e: torch.cdist(z, e).min(dim=1).indices.int()),
    "loop": ("03.2", lambda z, e: torch.stack([(v - e).norm(dim=1).argmin() for v in z])),
    "own autograd function": ("03.3", through(Straight.apply)),
    "detached first": ("03.3", through(lambda z, e: e.detach() + z - z.detach())),
    "squares by hand": ("03.3", through(codebook=lambda z, e: ((e - z.detach()) ** 2).mean())),
    "products and weights": ("03.4", update()),
    "code by code, in place": ("03.4", in_place),
}


@pytest.mark.parametrize("style", STYLES)
def test_other_styles_are_right_too(style: str) -> None:
    name, answer = STYLES[style]
    assert verdict(name, answer).status == "right"
