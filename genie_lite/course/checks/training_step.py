"""The check of exercise 04.1: a training step of the latent action model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from genie_lite.course.checking import Mistake, call

SIDE, PATCH = 4, 2  # of a frame and of a patch, in pixels


class Toy:
    """The parts that a learner is given, small and random: 2 clips of 5 frames, 4 patches, width 6, 5 codes."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(6)

        def matrix(rows: int, columns: int) -> Tensor:
            return torch.randn(rows, columns, generator=generator)

        self.frames = torch.rand(2, 5, SIDE, SIDE, 3, generator=generator)
        self.encoder = matrix(12, 6).requires_grad_()
        self.latent = matrix(6, 3)
        self.embedding, self.action = matrix(12, 6), matrix(3, 6).requires_grad_()
        self.drawing = matrix(6, 12).requires_grad_()
        latents = self.to_latent(self.encode(self.frames).mean(2)[:, 1:])
        self.codebook = latents.detach().flatten(0, 1)[[0, 2, 3, 5, 6]] + 0.1  # so that all codes occur

    def parts(self) -> tuple[Callable[..., Any], ...]:
        """In the order in which the learner's function takes them."""
        return self.encode, self.to_latent, self.quantize, self.embed, self.to_action, self.decode

    def encode(self, frames: Tensor) -> Tensor:
        return torch.tanh(((_cut(frames) - 0.5) @ self.encoder).cumsum(1))  # causal: the past and the present

    def to_latent(self, features: Tensor) -> Tensor:
        return features @ self.latent

    def quantize(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        codes = (latents[..., None, :] - self.codebook).square().sum(-1).argmin(-1)
        vectors = self.codebook[codes]
        return latents + (vectors - latents).detach(), codes, F.mse_loss(latents, vectors)

    def embed(self, frames: Tensor) -> Tensor:
        return _cut(frames) @ self.embedding

    def to_action(self, vectors: Tensor) -> Tensor:
        return vectors @ self.action

    def decode(self, x: Tensor, past: Tensor) -> Tensor:
        if x.shape[:3] != (*past.shape[:2], (SIDE // PATCH) ** 2):
            raise ValueError(f"decode: x is {list(x.shape)}, expected [B, t, N, D] for {past.shape[1]} frames")
        return past + _join(torch.tanh(x.cumsum(1) / 3) @ self.drawing) / 9

    def step(
        self,
        *,
        seen: slice = slice(None),
        pooled: Callable[[Tensor], Tensor] = lambda features: features.mean(2)[:, 1:],
        bottleneck: bool = True,
        reads: slice = slice(None, -1),
        base: slice = slice(None, -1),
        add: Callable[[Tensor, Tensor], Tensor] = lambda x, action: x + action[:, :, None],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(prediction, codes, quantizer's loss), right or with mistakes."""
        latents = self.to_latent(pooled(self.encode(self.frames[:, seen])))
        vectors, codes, loss = self.quantize(latents)
        action = self.to_action(vectors if bottleneck else latents)
        return self.decode(add(self.embed(self.frames[:, reads]), action), self.frames[:, base]), codes, loss


def _cut(frames: Tensor) -> Tensor:
    return rearrange(frames, "b t (rows p) (columns q) c -> b t (rows columns) (p q c)", p=PATCH, q=PATCH)


def _join(patches: Tensor) -> Tensor:
    pattern = "b t (rows columns) (p q c) -> b t (rows p) (columns q) c"
    return rearrange(patches, pattern, rows=SIDE // PATCH, p=PATCH, q=PATCH)


def check_training_step(answer: Callable[..., Any]) -> str:
    """Prediction, codes, loss and error of one training step."""
    toy = Toy()
    found = call(answer, toy.frames.clone(), *toy.parts())
    if not isinstance(found, (tuple, list)) or len(found) != 4 or not all(isinstance(part, Tensor) for part in found):
        raise Mistake("Expected four tensors: the prediction, the codes, the loss, and the error alone.")
    prediction, codes, loss, error = found
    right, right_codes, quantizer_loss = toy.step()
    if codes.is_floating_point():
        raise Mistake("The codes are not whole numbers. `quantize` returns (vectors, codes, loss), in this order.")
    _check_codes(codes, right_codes, toy)
    if prediction.shape != right.shape:
        raise Mistake(
            f"The prediction has shape {list(prediction.shape)}; expected T - 1 frames, {list(right.shape)}: nothing "
            "comes before the first."
        )
    _check_prediction(prediction, right, toy)
    _check_numbers(loss, error, right, quantizer_loss, toy.frames)
    for name, weights in (("encoder", toy.encoder), ("action embedding", toy.action), ("decoder", toy.drawing)):
        if not _reaches(loss, weights):
            raise Mistake(f"The numbers are right, but no gradient reaches the {name}. Is something detached?")
    if not _reaches(error, toy.encoder):
        raise Mistake("The error of the prediction sends no gradient to the encoder. Is the code's vector detached?")
    return "The code is the only thing that the decoder receives from the future."


def _reaches(value: Tensor, weights: Tensor) -> bool:
    """Whether a gradient of `value` arrives at `weights`."""
    if not value.requires_grad:
        return False
    found = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)[0]
    return found is not None and bool(found.any())


def _check_codes(codes: Tensor, right: Tensor, toy: Toy) -> None:
    if codes.shape == right.shape and torch.equal(codes, right):
        return
    ways: dict[str, dict[str, Any]] = {
        "The code of a transition has not seen the frame that it leads to, so it cannot say what happened. Encode "
        "all T frames and drop the *first* latent, not the last.": {
            "pooled": lambda features: features.mean(2)[:, :-1]
        },
        "There is a code for the first frame too, though no action leads to it. Drop its latent: T - 1 remain.": {
            "pooled": lambda features: features.mean(2)
        },
        "There is a code for every patch. An action belongs to the whole frame: average over the N patches.": {
            "pooled": lambda features: features[:, 1:]
        },
        "The encoder sees only the *later* frames, without the first one: encode all T, then drop.": {
            "seen": slice(1, None), "pooled": lambda features: features.mean(2)
        },
        "The latents come from a single patch. Average over all N of a frame.": {
            "pooled": lambda features: features[:, 1:, 0]
        },
        "The patches of a frame were added up; take their mean.": {"pooled": lambda features: features.sum(2)[:, 1:]},
        "That is the largest feature among the patches; take their mean.": {
            "pooled": lambda features: features.amax(2)[:, 1:]
        },
        "The latents are differences of features. The encoder compares frames by itself; just average.": {
            "pooled": lambda features: features.mean(2).diff(dim=1)
        },
    }  # fmt: skip
    pairs = torch.stack([toy.frames[:, :-1], toy.frames[:, 1:]], dim=2).flatten(0, 1)
    alone = toy.encode(pairs)[:, 1].mean(1).unflatten(0, (len(toy.frames), -1))
    if codes.shape == right.shape and torch.equal(codes, toy.quantize(toy.to_latent(alone))[1]):
        raise Mistake("The encoder sees only two frames at a time. Give it the whole clip: it looks back by itself.")
    for text, wrong in ways.items():
        latents = toy.to_latent(wrong["pooled"](toy.encode(toy.frames[:, wrong.get("seen", slice(None))])))
        mistaken = toy.quantize(latents)[1]
        if codes.shape == mistaken.shape and torch.equal(codes, mistaken):
            raise Mistake(text)
    raise Mistake(
        f"The codes, {list(codes.shape)}, are not those expected, {list(right.shape)}: average the features over "
        "patches, drop the first frame, `to_latent`, `quantize`."
    )


def _check_prediction(prediction: Tensor, right: Tensor, toy: Toy) -> None:
    if torch.allclose(prediction, right, atol=1e-5):
        return
    later = slice(1, None)
    ways: dict[str, dict[str, Any]] = {
        "The decoder reads the frames that it must predict: a leak, and its error says nothing. It may see "
        "`frames[:, :-1]`.": {"reads": later, "base": later},
        "What the decoder reads, `embed(...)`, are the frames that it must predict: a leak. Embed `frames[:, :-1]`.": {
            "reads": later
        },
        "`decode` starts from the frames that it must predict: a leak. Its second argument is the past.": {
            "base": later
        },
        "The latents themselves reach the decoder, so nothing is squeezed. Give it the vectors of the codes.": {
            "bottleneck": False
        },
        "The action is missing in the decoder: add `to_action(vectors)` to what it reads.": {
            "add": lambda x, action: x
        },
        "The action replaces what the decoder reads of the past. Add the two.": {
            "add": lambda x, action: action[:, :, None].expand_as(x)
        },
        "The action was multiplied. The paper adds it (it found that to work best).": {
            "add": lambda x, action: x * action[:, :, None]
        },
        "The action reaches the first patch alone. Add it to every patch.": {
            "add": lambda x, action: torch.cat([x[:, :, :1] + action[:, :, None], x[:, :, 1:]], dim=2)
        },
        "The actions are off by one frame: entry t leads from frame t to frame t + 1.": {
            "add": lambda x, action: x + action.roll(1, dims=1)[:, :, None]
        },
        "All frames get the first action. Each has its own.": {"add": lambda x, action: x + action[:, :1, None]},
        "Along the wrong axis: each patch got the action of another frame. The new axis is where the patches are, "
        "`[:, :, None]`.": {"add": lambda x, action: x + action[:, None]},
        "The actions are those of another clip.": {"add": lambda x, action: x + action.flip(0)[:, :, None]},
        "The action is subtracted. Add it.": {"add": lambda x, action: x - action[:, :, None]},
        "All frames get the mean action. Each has its own.": {
            "add": lambda x, action: x + action.mean(1, keepdim=True)[:, :, None]
        },
    }  # fmt: skip
    for text, wrong in ways.items():
        if torch.allclose(prediction, toy.step(**wrong)[0], atol=1e-5):
            raise Mistake(text)
    t = int((prediction - right).abs().amax((0, 2, 3, 4)).gt(1e-5).nonzero()[0])
    raise Mistake(
        f"The codes are right, the prediction of frame {t + 2} is not: `decode` gets the embedded past plus, for every "
        "patch, the embedded action; and the past."
    )


def _check_numbers(loss: Tensor, error: Tensor, prediction: Tensor, quantizer_loss: Tensor, frames: Tensor) -> None:
    for name, value in (("loss", loss), ("error", error)):
        if value.ndim:
            raise Mistake(f"The {name} has shape {list(value.shape)}; expected a single number, a mean.")
    right = F.mse_loss(prediction, frames[:, 1:])
    known = {
        "The prediction is compared with the frames it was made *from*. Its target is one frame later.": F.mse_loss(
            prediction, frames[:, :-1]
        ),
        "That is a sum of squared errors; expected the mean.": (prediction - frames[:, 1:]).square().sum(),
        "That is the mean absolute error; square it.": (prediction - frames[:, 1:]).abs().mean(),
        "That is the root of the mean squared error; leave the root out.": right.sqrt(),
        "The error contains the quantizer's loss. It belongs to the loss only.": right + quantizer_loss,
        "The prediction is compared with the *change* of the frames. `decode` gives the frames themselves.": F.mse_loss(
            prediction, frames.diff(dim=1)
        ),
        "That is the quantizer's loss. The error is that of the prediction.": quantizer_loss,
    }
    if not torch.allclose(error, right, rtol=1e-4):
        for text, value in known.items():
            if torch.allclose(error, value, rtol=1e-4):
                raise Mistake(text)
        raise Mistake(f"The error is {error.item():.4f}, expected {right.item():.4f}, the mean squared error.")
    if torch.allclose(loss, right, rtol=1e-4):
        raise Mistake("The quantizer's loss is missing in the loss: nothing keeps latents and codes together.")
    if torch.allclose(loss, right * quantizer_loss, rtol=1e-4):
        raise Mistake("The losses are multiplied. Add them.")
    if torch.allclose(loss, right + 0.25 * quantizer_loss, rtol=1e-4):
        raise Mistake("The quantizer's loss is weighed already: what `quantize` returns includes β. Add it as it is.")
    if not torch.allclose(loss, right + quantizer_loss, rtol=1e-4):
        raise Mistake(
            f"The loss is {loss.item():.4f}; expected error + quantizer's loss, {right + quantizer_loss:.4f}."
        )
