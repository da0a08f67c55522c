"""Answers of learners to notebook 03: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from genie_lite.course.solutions.nb03 import compression, nearest_code, straight_through, update_codebook


def bits(pixels=lambda h, w: 24 * h * w, tokens=lambda h, w, p: math.ceil(h / p) * math.ceil(w / p), each=math.log2):
    """Compression, right but for the parts that are given."""
    return lambda h, w, p, K: pixels(h, w) / (tokens(h, w, p) * each(K))


def distances(z, e):
    return (z[:, None] - e).square().sum(-1)


def through(passed=None, codebook=None, commitment=None) -> Any:
    """Straight through, right but for the parts that are given."""

    def answer(z, e):
        parts = zip((passed, codebook, commitment), straight_through(z, e), strict=True)
        return tuple(right if part is None else part(z, e) for part, right in parts)

    return answer


def sum_of_both(z, e):
    return F.mse_loss(e, z.detach()) + 0.25 * F.mse_loss(z, e.detach())


def without_gradient(z, e):
    with torch.no_grad():
        return z + (e - z)


def another_order(z, e):
    passed, codebook, commitment = straight_through(z, e)
    return codebook, commitment, passed


def learned(
    add=lambda codes, z, K: torch.zeros(K, z.shape[1]).index_add_(0, codes, z),
    divide=lambda sums, usage: sums / usage[:, None],
    fresh=lambda z, codebook, n: z[torch.randint(len(z), (n,))],
    old=0.9,
    early=False,
    spare=False,
    reset=lambda sums, usage, K: None,
) -> Any:
    """A codebook that learns, with sums by `index_add_`; each argument replaces one of its steps."""

    def restart(codebook, usage, sums, idle, z, after):
        tired = (idle > after).nonzero()[:, 0]
        if spare:
            tired = tired[:1]
        codebook[tired] = fresh(z, codebook, len(tired))
        usage[tired], sums[tired], idle[tired] = 1 / len(codebook), codebook[tired] / len(codebook), 0

    def answer(codebook, usage, sums, idle, z, codes, decay, after):
        K, M = len(codebook), len(z)
        share = torch.bincount(codes, minlength=K) / M
        usage.mul_(decay).add_((1 - decay) * share)
        sums.mul_(old if old != 0.9 else decay).add_((1 - decay) * add(codes, z, K) / M)
        idle = torch.where(share > 0, 0, idle + 1)
        if early:
            restart(codebook, usage, sums, idle, z, after)
        used = share > 0
        codebook[used] = divide(sums, usage)[used]
        if not early:
            restart(codebook, usage, sums, idle, z, after)
        return codebook, usage, sums, idle

    return answer


def not_accumulated(codes, z, K):
    sums = torch.zeros(K, z.shape[1])
    sums[codes] += z
    return sums


def all_idle_together(codebook, usage, sums, idle, z, codes, decay, after):
    found = update_codebook(codebook, usage, sums, idle, z, codes, decay, after)
    return *found[:3], idle + 1


def scattered(codebook, usage, sums, idle, z, codes, decay, after):
    K, M = len(codebook), len(z)
    now = torch.zeros(K).scatter_add_(0, codes, torch.full((M,), 1 / M))
    new = torch.zeros_like(sums).scatter_add_(0, codes[:, None].expand_as(z), z / M)
    usage, sums = torch.lerp(now, usage, decay), torch.lerp(new, sums, decay)
    idle = (idle + 1) * (now == 0)
    codebook = torch.where((now > 0)[:, None], sums / usage[:, None].clamp(min=1e-12), codebook)
    tired = idle > after
    fresh = z[torch.multinomial(torch.ones(M), K)]
    codebook = torch.where(tired[:, None], fresh, codebook)
    usage = torch.where(tired, 1 / K, usage)
    return codebook, usage, torch.where(tired[:, None], fresh / K, sums), idle * ~tired


WRONG: dict[str, dict[str, Any]] = {
    "03.1": {
        "rows and columns of patches are multiplied": bits(tokens=lambda h, w, p: math.ceil(h / p) + math.ceil(w / p)),
        "10 bits for every codebook": bits(each=lambda K: 10),
        "share that is saved": lambda *sizes: 1 - 1 / compression(*sizes),
        "16 bits": bits(each=lambda K: 16),
        "side of a patch, not its area": bits(tokens=lambda h, w, p: math.ceil(h * w / p)),
        "three colours": bits(tokens=lambda h, w, p: 3 * math.ceil(h / p) * math.ceil(w / p)),
        "single number": lambda *sizes: (24 * 64 * 64, 640),
    },
    "03.2": {
        # a student's
        "largest cosine": lambda z, e: (F.normalize(z, dim=-1) @ F.normalize(e, dim=-1).T).argmax(-1),
        "the wrong sign": lambda z, e: (e.square().sum(-1) + 2 * z @ e.T).argmin(-1),
        "one-hot": lambda z, e: F.one_hot(nearest_code(z, e), len(e)),
        "indices, but as floats": lambda z, e: nearest_code(z, e).float(),
        "`.indices`": lambda z, e: torch.cdist(z, e).min(dim=1),
        "counted from 1": lambda z, e: nearest_code(z, e) + 1,
        "Latents were normalised": lambda z, e: distances(F.normalize(z, dim=-1), e).argmin(-1),
        "one index per latent": lambda z, e: distances(z, e).topk(1, largest=False).indices,
    },
    "03.3": {
        "The roles are exchanged": through(lambda z, e: e + (z - e).detach()),
        "no gradient can pass": through(without_gradient),
        "is half of the mean squared error": through(codebook=lambda z, e: 0.5 * F.mse_loss(e, z.detach())),
        "is both losses in one": through(codebook=sum_of_both),
        "in another order": another_order,
        "no gradient for the latents": through(
            commitment=lambda z, e: F.mse_loss(z, z + (e - z).detach()),
        ),
        "latents get no gradient": through(lambda z, e: e + (z - z.detach()).detach()),
        "a sum over M": through(codebook=lambda z, e: (e - z.detach()).square().mean(-1).sum()),
    },
    "03.4": {
        "Only one latent of each code": learned(add=not_accumulated),
        "codes that are in use already": learned(fresh=lambda z, codebook, n: codebook[:n] + 0),
        "Only some of the idle codes": learned(spare=True),
        "lets the old sums fade": learned(old=1.0),
        "still counts idle steps": all_idle_together,
        "has another length": learned(divide=lambda sums, usage: sums * len(usage)),
        "the code's own `usage`": learned(
            divide=lambda sums, usage: sums / ((usage + 1e-2) / (1 + len(usage) * 1e-2))[:, None]
        ),
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "03.1": {
        "rounded up by minus": lambda h, w, p, K: h * w * 24 / (-(-h // p) * -(-w // p) * (K.bit_length() - 1)),
        "numpy's float32": lambda *sizes: np.float32(compression(*sizes)),
        "bytes": lambda h, w, p, K: 3 * h * w / (math.ceil(h / p) * math.ceil(w / p) * math.log(K, 256)),
    },
    "03.2": {
        "topk": lambda z, e: (-distances(z, e)).topk(1).indices[:, 0],
        "squares alone": lambda z, e: (e.square().sum(-1) - 2 * (z @ e.T)).argmin(1),
        "in float64, as int32": lambda z, e: torch.cdist(z.double(), e.double()).argmin(-1).int(),
    },
    "03.3": {
        "the pull on what is passed": through(
            commitment=lambda z, e: (z - straight_through(z, e)[0].detach()).pow(2).mean()
        ),
        "three parts": through(lambda z, e: z - z.detach() + e.detach()),
    },
    "03.4": {"index_add_, in place": learned(), "scatter_add_": scattered},
}
