"""Checks of notebook 03, the video tokenizer."""

from __future__ import annotations

import math
from typing import Any

import torch

from genie_lite.course.checking import Mistake, call, exercise
from genie_lite.course.solutions import nb03 as solutions


@exercise("03.1")
def compression(answer: Any) -> str:
    """Bits of pixels over bits of tokens."""
    cases = {(64, 64, 8, 1024): "64 × 64", (90, 160, 4, 1024): "160 × 90", (64, 64, 4, 64): "64 × 64"}
    for height, width, patch, codes in cases:
        found = call(answer, height, width, patch, codes)
        if not isinstance(found, (int, float)):
            raise Mistake(f"Found {type(found).__name__}, wanted a number.")
        wanted = solutions.compression(height, width, patch, codes)
        if math.isclose(found, wanted, rel_tol=1e-3):
            continue
        raise Mistake(_compression_mistake(float(found), height, width, patch, codes))
    return "Ours: about 154 times fewer bits; the paper's Platformers: about 38 times."


def _compression_mistake(found: float, height: int, width: int, patch: int, codes: int) -> str:
    wanted = solutions.compression(height, width, patch, codes)
    exact, floor = height / patch * width / patch, (height // patch) * (width // patch)
    tokens = math.ceil(height / patch) * math.ceil(width / patch)
    bits = math.log2(codes)
    mistakes = {
        wanted / 8: "Pixels were counted as one bit each value; a value of 256 levels has 8 bits.",
        wanted / 3: "The three colours are missing: a pixel has 3 values.",
        1 / wanted: "That is the other way round: bits of pixels divided by bits of tokens.",
        height
        * width
        * 3
        / tokens: "Those are numbers per token. Count bits: 8 for a pixel value, log2(K) for a token.",
        wanted * bits / codes: "A token was counted as K bits. One of K symbols needs log2(K) bits: 10 for 1,024.",
        wanted / math.log(2): "Natural logarithms give nats; bits need log2.",
        wanted * tokens / exact: "Patches cannot be cut: 90 rows need 23 rows of 4-pixel patches. Round up.",
        wanted * tokens / floor: "Patches that hang over the edge were dropped. They cost whole tokens: round up.",
        wanted * tokens: "That is for one token a frame. How many patches cover the frame?",
    }
    for value, text in mistakes.items():
        if math.isclose(found, value, rel_tol=1e-3):
            return text
    case = f"a frame of {width} × {height}, patches of {patch} and {codes:,} codes"
    return f"For {case} found {found:.4g}, wanted {wanted:.4g}."


@exercise("03.2")
def nearest_code(answer: Any) -> str:
    """Index of the code at the least distance."""
    generator = torch.Generator().manual_seed(3)
    latents, codebook = torch.randn(40, 3, generator=generator), torch.randn(7, 3, generator=generator)
    codebook[2] *= 6  # a long code, which wins products but not distances
    found = call(answer, latents.clone(), codebook.clone())
    if not isinstance(found, torch.Tensor):
        raise Mistake(f"Found {type(found).__name__}, wanted a tensor of indices.")
    distances = torch.cdist(latents, codebook)
    if found.shape == (40, 7):
        raise Mistake("Found [M, K]: those are distances to every code. Which one is the least? (`argmin` over codes.)")
    if found.shape == (40, 3):
        raise Mistake("Found [M, D]: those are vectors. Wanted the *index* of the code, the token.")
    if found.shape == (7,):
        raise Mistake("Found [K]: the nearest latent of each code. Take the minimum over codes, for each latent.")
    if found.shape != (40,):
        raise Mistake(f"Found shape {list(found.shape)}, wanted [M] = [40]: one index a latent.")
    if found.is_floating_point():
        raise Mistake("Found floats: those are distances, or sums. Wanted the index of the least one (`argmin`).")
    mistakes = {
        "That is the *farthest* code. Least distance: `argmin`.": distances.argmax(-1),
        "Largest product is not least distance: a long code wins too often. See ‖z − e‖² = ‖z‖² − 2 z·e + ‖e‖².": (
            latents @ codebook.T
        ).argmax(-1),
        "The smallest product is about the farthest code. Compare distances.": (latents @ codebook.T).argmin(-1),
        "Differences were added with their signs, so they cancel. Square them first.": (
            (latents[:, None] - codebook).sum(-1).argmin(-1)
        ),
        "That is the sum of absolute differences. Euclidean distance squares them.": torch.cdist(
            latents, codebook, p=1
        ).argmin(-1),
    }
    wanted = distances.argmin(-1)
    if torch.equal(found.long(), wanted):
        return "The same tokens as the package's."
    for text, tokens in mistakes.items():
        if torch.equal(found.long(), tokens):
            raise Mistake(text)
    wrong = int((found != wanted).sum())
    first = int((found != wanted).nonzero()[0])
    raise Mistake(
        f"{wrong} of 40 latents got another code than the nearest; latent {first} got {int(found[first])}, "
        f"at distance {float(distances[first, int(found[first]) % 7]):.2f}; code {int(wanted[first])} lies at "
        f"{float(distances[first, wanted[first]]):.2f}."
    )


@exercise("03.3")
def round_through(answer: Any) -> str:
    """Rounded values, gradients of the identity."""
    latents = torch.tensor([0.2, 0.8, -1.4, 2.6], requires_grad=True)
    values = torch.tensor([0.0, 1.0, -1.0, 3.0])
    found = call(answer, latents)
    if not isinstance(found, torch.Tensor) or found.shape != latents.shape:
        raise Mistake(f"Found {getattr(found, 'shape', type(found).__name__)}, wanted a tensor like the latents, [4].")
    if torch.allclose(found, latents):
        raise Mistake("The values are not rounded: the gradient passes, but so does everything else.")
    if not torch.allclose(found, values, atol=1e-5):
        raise Mistake(
            f"Rounding [0.2, 0.8, -1.4, 2.6] gave {[round(v, 3) for v in found.tolist()]}, wanted {values.tolist()}."
        )
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    if not found.requires_grad:
        raise Mistake(
            "The values are right, but there is no path for a gradient. Detach the *bracket*, not everything."
        )
    (gradient,) = torch.autograd.grad((found * weights).sum(), latents, allow_unused=True)
    if gradient is None or not gradient.any():
        raise Mistake(
            "The values are right, but the gradient is zero: the slope of `round` is. `latents + (...)` with the "
            "bracket detached gives the slope of `latents`."
        )
    if not torch.allclose(gradient, weights):
        raise Mistake(
            f"The gradient should pass unchanged: given {weights.tolist()}, the latents got {gradient.tolist()}."
        )
    return "Rounded on the way forward, invisible on the way back."
