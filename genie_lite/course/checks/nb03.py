"""Checks of notebook 03, the video tokenizer."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.course.checking import Mistake, call, exercise, one_number
from genie_lite.course.checks.codebook import check_update
from genie_lite.course.solutions import nb03 as solutions


@exercise("03.1")
def compression(answer: Any) -> str:
    """Bits of the pixels divided by bits of the tokens."""
    for height, width, patch, codes in ((90, 160, 4, 1024), (64, 64, 8, 1024), (64, 64, 4, 64)):
        found = one_number(call(answer, height, width, patch, codes), "bits of the pixels over bits of the tokens")
        expected = solutions.compression(height, width, patch, codes)
        if not math.isclose(found, expected, rel_tol=1e-3):
            raise Mistake(_compression_mistake(found, height, width, patch, codes))
    return "About 154 times fewer bits here, and about 38 times for the paper's Platformers."


def _compression_mistake(found: float, height: int, width: int, patch: int, codes: int) -> str:
    expected = solutions.compression(height, width, patch, codes)
    exact, floor = height / patch * width / patch, (height // patch) * (width // patch)
    tokens = math.ceil(height / patch) * math.ceil(width / patch)
    bits = math.log2(codes)
    mistakes = {
        expected / 8: "Each pixel value was counted as one bit; one of 256 levels takes 8 bits.",
        expected / 3: "The three colours are missing: a pixel has 3 values.",
        1 / expected: "That is the reciprocal: divide the bits of the pixels by the bits of the tokens.",
        height * width * 3 / tokens: "Those are numbers per token. Count bits: 8 per pixel value, log2(K) per token.",
        expected * bits / codes: "A token was counted as K bits. One of K symbols takes log2(K) bits: 10 for 1,024.",
        expected / math.log(2): "Natural logarithms give nats; bits need log2.",
        expected * tokens / exact: "Patches cannot be cut: 90 rows need 23 rows of 4-pixel patches. Round up.",
        expected * tokens / floor: "Patches that hang over the edge were dropped. They cost whole tokens: round up.",
        expected * tokens: "That is for one token per frame. How many patches cover the frame?",
        expected * tokens / (math.ceil(height / patch) + math.ceil(width / patch)): (
            "The rows and columns of patches are multiplied, not added."
        ),
        expected * tokens / math.ceil(height * width / patch): (
            "The frame was divided by the side of a patch, not its area: patches cover it along both axes."
        ),
        expected * bits / 10: "A token has 10 bits for every codebook. It has log2(K): 10 hold for 1,024 codes.",
        expected * bits / 16: "A token was counted as 16 bits. One of K codes takes log2(K), however it is stored.",
        1 - 1 / expected: "That is the share that is saved. Expected how many times fewer: bits over bits.",
    }
    for value, text in mistakes.items():
        if math.isclose(found, value, rel_tol=1e-3):
            return text
    case = f"a frame of {width} × {height}, patches of {patch} and {codes:,} codes"
    return f"For {case} found {found:.4g}, expected {expected:.4g}."


@exercise("03.2")
def nearest_code(answer: Any) -> str:
    """Index of the code at the smallest distance."""
    generator = torch.Generator().manual_seed(3)
    latents, codebook = torch.randn(40, 3, generator=generator), torch.randn(7, 3, generator=generator)
    codebook[2] *= 6  # a long code, which wins products but not distances
    found = call(answer, latents.clone(), codebook.clone())
    if isinstance(found, tuple) and hasattr(found, "indices"):
        raise Mistake("Found distances and indices together, as `min(dim=...)` gives them. Return `.indices`.")
    if not isinstance(found, Tensor):
        raise Mistake(f"Found {type(found).__name__}, expected a tensor of indices.")
    if found.shape == (40, 7) and torch.equal(found.sum(-1), torch.ones(40)) and found.unique().numel() == 2:
        raise Mistake("Found [M, K], one-hot rows. Expected the index itself: the `argmax` of each row.")
    shapes = {
        (40, 7): "Found [M, K]: the distance to every code. Which is the smallest? (`argmin` over codes.)",
        (40, 3): "Found [M, D]: those are vectors. Expected the *index* of the code: the token.",
        (7,): "Found [K]: the nearest latent of each code. Take the minimum over codes, for each latent.",
    }
    if tuple(found.shape) in shapes:
        raise Mistake(shapes[tuple(found.shape)])
    if found.shape != (40,):
        raise Mistake(f"Found shape {list(found.shape)}, expected [M] = [40]: one index per latent.")
    distances = torch.cdist(latents, codebook)
    expected = distances.argmin(-1)
    if found.is_floating_point() and torch.equal(found.long(), expected):
        raise Mistake("Those are the right indices, but as floats. Tokens are whole numbers, as `argmin` gives them.")
    if found.is_floating_point():
        raise Mistake("Found floats: those are distances, or sums. Expected the index of the smallest (`argmin`).")
    if torch.equal(found.long(), expected):
        return "The same tokens as the package's."
    for text, tokens in _nearest_mistakes(latents, codebook).items():
        if torch.equal(found.long(), tokens):
            raise Mistake(text)
    wrong = int((found != expected).sum())
    first = int((found != expected).nonzero()[0])
    raise Mistake(
        f"{wrong} of 40 latents did not get their nearest code; latent {first} got code {int(found[first])}, at "
        f"distance {float(distances[first, int(found[first]) % 7]):.2f}, but code {int(expected[first])} lies at "
        f"{float(distances[first, expected[first]]):.2f}."
    )


def _nearest_mistakes(latents: Tensor, codebook: Tensor) -> dict[str, Tensor]:
    products = latents @ codebook.T
    cosines = F.normalize(latents, dim=-1) @ F.normalize(codebook, dim=-1).T
    distances = (F.normalize(latents, dim=-1)[:, None] - codebook).square().sum(-1)
    right = torch.cdist(latents, codebook).argmin(-1)
    return {
        "Codes are counted from 0; yours are counted from 1.": right + 1,
        "The product has the wrong sign: ‖z − e‖² = ‖z‖² − 2 z·e + ‖e‖².": (
            codebook.square().sum(-1) + 2 * products
        ).argmin(-1),
        "Latents were normalised, codes not. Compare them as they are.": distances.argmin(-1),
        "That is the *farthest* code. The smallest distance: `argmin`.": torch.cdist(latents, codebook).argmax(-1),
        "That is the largest cosine, which compares directions only (the option `normalize` does that on purpose). "
        "Here lengths count: use the Euclidean distance.": cosines.argmax(-1),
        "The largest product is not the smallest distance: a long code wins too often. Remember ‖z − e‖² = ‖z‖² − "
        "2 z·e + ‖e‖².": products.argmax(-1),
        "The smallest product belongs to a far code. Compare distances.": products.argmin(-1),
        "The term ‖e‖² counts only half in z·e − ‖e‖²/2; with the whole of it long codes lose too often.": (
            products - codebook.square().sum(-1)
        ).argmax(-1),
        "The differences were added with their signs, so they cancel. Square them first.": (
            (latents[:, None] - codebook).sum(-1).argmin(-1)
        ),
        "That is the sum of absolute differences. The Euclidean distance squares them.": torch.cdist(
            latents, codebook, p=1
        ).argmin(-1),
        "That is the largest difference along any one axis. The Euclidean distance sums the squares of all.": (
            torch.cdist(latents, codebook, p=torch.inf).argmin(-1)
        ),
    }


@exercise("03.3")
def straight_through(answer: Any) -> str:
    """The values of the codes, the gradient of the latents; two losses with a gradient for one side each."""
    generator = torch.Generator().manual_seed(4)
    latents, vectors = torch.randn(2, 6, 3, generator=generator).requires_grad_().unbind()
    found = call(answer, latents, vectors)
    if not isinstance(found, (tuple, list)) or len(found) != 3 or not all(isinstance(part, Tensor) for part in found):
        raise Mistake("Expected three tensors: what is passed on [M, D], the codebook loss, the commitment loss.")
    passed, codebook_loss, commitment_loss = found
    _check_passed(passed, latents, vectors)
    right = F.mse_loss(latents, vectors)
    for name, loss in (("codebook", codebook_loss), ("commitment", commitment_loss)):
        _check_loss(name, loss, right, latents, vectors)
    pulls = {
        "codebook": (codebook_loss, "codes", _gradients(codebook_loss, latents, vectors)),
        "commitment": (commitment_loss, "latents", _gradients(commitment_loss, vectors, latents)),
    }
    if all(other.any() and not own.any() for _, _, (other, own) in pulls.values()):
        raise Mistake("The two losses are exchanged: the codebook loss moves codes, the commitment loss latents.")
    for name, (_, side, (other, own)) in pulls.items():
        if not own.any():
            raise Mistake(f"The {name} loss has no gradient for the {side}, which it is there to move.")
        if other.any():
            raise Mistake(f"The {name} loss must move the {side} alone: `detach` the other side.")
    return "The value of the code, the gradient of the latent, and a pull on each side."


def _gradients(value: Tensor, *sources: Tensor) -> list[Tensor]:
    """Gradients of `value` with respect to tensors; zeros where there is none."""
    if not value.requires_grad:
        return [torch.zeros_like(source) for source in sources]
    found = torch.autograd.grad(value.sum(), sources, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(source) if g is None else g for g, source in zip(found, sources, strict=True)]


def _check_passed(passed: Tensor, latents: Tensor, vectors: Tensor) -> None:
    if not passed.ndim:
        raise Mistake("The three results come in another order: what is passed on, codebook loss, commitment loss.")
    if passed.shape != latents.shape:
        raise Mistake(f"What is passed on has shape {list(passed.shape)}, expected that of the latents, [M, D].")
    if torch.allclose(passed, latents):
        if _gradients(passed, vectors)[0].any():
            raise Mistake("The roles are exchanged: those are latents with the gradient of the codes.")
        raise Mistake("The latents are passed on as they are: the gradient passes, but nothing is quantized.")
    if torch.allclose(passed, 2 * latents - vectors, atol=1e-5):
        raise Mistake("That is twice the latents minus the codes: the bracket has the wrong sign.")
    if torch.allclose(passed, vectors - latents, atol=1e-5):
        raise Mistake("That is the quantization error. Add it to the latents, detached.")
    if not torch.allclose(passed, vectors, atol=1e-5):
        raise Mistake("The values passed on are not those of the codes, `vectors`.")
    to_latents, to_vectors = _gradients(passed, latents, vectors)
    if not passed.requires_grad:
        raise Mistake("The values are right, but no gradient can pass. Detach the *bracket*, not the whole expression.")
    if not to_latents.any():
        raise Mistake(
            "The values are right, but the latents get no gradient: `latents + (...)` with the bracket detached has "
            "the slope of `latents`."
        )
    if not torch.allclose(to_latents, torch.ones_like(to_latents)):
        raise Mistake(f"The gradient should pass unchanged, 1 everywhere; found {to_latents[0].tolist()}.")
    if to_vectors.any():
        raise Mistake("The decoder's gradient reaches the codes as well. The bracket counts as a constant: detach it.")


def _check_loss(name: str, loss: Tensor, right: Tensor, latents: Tensor, vectors: Tensor) -> None:
    if loss.ndim:
        raise Mistake(f"The {name} loss has shape {list(loss.shape)}, expected a single number: take the mean.")
    difference = (latents - vectors).detach()
    known = {
        "a sum; take the mean over all numbers": difference.square().sum(),
        "a sum over D; take the mean over all numbers": difference.square().sum(-1).mean(),
        "a mean of absolute differences; square them": difference.abs().mean(),
        "a root; leave the squared error as it is": right.sqrt(),
        "weighed already; β comes later": 0.25 * right,
        "half of the mean squared error; leave the factor out": 0.5 * right,
        "both losses in one; return them apart, each without β": 1.25 * right,
        "both losses in one; return them apart": 2 * right,
        "a sum over M; take the mean over all numbers": difference.square().mean(-1).sum(),
    }
    if torch.allclose(loss, right, rtol=1e-4):
        return
    for text, value in known.items():
        if torch.allclose(loss, value, rtol=1e-4):
            raise Mistake(f"The {name} loss is {text}.")
    raise Mistake(f"The {name} loss is {loss.item():.4f}, expected the mean squared error, {right.item():.4f}.")


exercise("03.4")(check_update)
