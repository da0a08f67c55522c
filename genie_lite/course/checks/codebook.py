"""The check of exercise 03.4: one step of a codebook that learns by running means and restarts."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.course.checking import Mistake, call

CODES, IDLE = 12, [7, 8, 9, 10, 11]  # in the check of 03.4: how many codes, and which of them have long been idle
DECAY, PATIENCE = 0.9, 5


def check_update(answer: Any) -> str:
    """The four tensors of a codebook after one step of running means and restarts."""
    state, latents, codes = _codebook_state()
    found = call(answer, *(part.clone() for part in state), latents.clone(), codes.clone(), DECAY, PATIENCE)
    names = ("codebook", "usage", "latent_sums", "idle_steps")
    if not isinstance(found, (tuple, list)) or len(found) != 4:
        raise Mistake(f"Expected four tensors: {', '.join(names)}.")
    for name, part, before in zip(names, found, state, strict=True):
        if not isinstance(part, Tensor) or part.shape != before.shape:
            raise Mistake(f"`{name}`: found {getattr(part, 'shape', type(part).__name__)}, expected {before.shape}.")
        if not part.isfinite().all():
            raise Mistake(f"`{name}` has entries that are not finite. A code that no latent chose has no mean.")
    codebook, usage, sums, idle = (part.detach() for part in found)
    share = torch.bincount(codes, minlength=CODES) / len(codes)
    if torch.equal(codebook[IDLE], state[0][IDLE]):
        raise Mistake("Codes that were idle for more than `restart_after` steps, this one included, were not moved.")
    _check_idle(idle, state[3], share > 0)
    _check_usage(usage, state[1], share, len(codes))
    _check_sums(sums, state[2], latents, codes)
    _check_moved(codebook, usage, sums, state, latents, codes)
    _check_restarted(codebook, usage, sums, latents, state[0])
    patient = call(answer, *(part.clone() for part in state), latents.clone(), codes.clone(), DECAY, math.inf)
    if not torch.equal(patient[0][IDLE], state[0][IDLE]):
        raise Mistake("With a `restart_after` of infinity, idle codes were moved all the same. Use the argument.")
    return "Codes follow their latents, and those that nobody needs get another chance."


def _codebook_state() -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor, Tensor]:
    """(codebook, usage, latent_sums, idle_steps), latents and their codes. Codes 5, 6 and those of IDLE get none."""
    generator = torch.Generator().manual_seed(5)
    codebook = torch.randn(CODES, 3, generator=generator)
    usage = torch.rand(CODES, generator=generator) / CODES
    sums = codebook * usage[:, None] + 0.01 * torch.randn(CODES, 3, generator=generator)
    idle_steps = torch.tensor([0, 1, 0, 9, 0, PATIENCE - 1, 0, *[PATIENCE] * len(IDLE)])
    latents = 3 + torch.randn(400, 3, generator=generator)
    return (codebook, usage, sums, idle_steps), latents, torch.randint(5, (400,), generator=generator)


KEPT = [k for k in range(CODES) if k not in IDLE]


def _check_usage(usage: Tensor, before: Tensor, share: Tensor, count: int) -> None:
    right = DECAY * before + (1 - DECAY) * share
    known = {
        "The decay is on the wrong side: the old value counts `decay`, the new share 1 − decay.": (
            (1 - DECAY) * before + DECAY * share
        ),
        "`usage` counts latents. It is a share: divide by M.": DECAY * before + (1 - DECAY) * share * count,
        "`usage` is the share in this batch alone. Keep a running mean.": share,
        "`usage` has not changed; it is a running mean of the shares.": before,
        "`usage` was only added to. A running mean also lets old values fade.": before + (1 - DECAY) * share,
        "The `usage` of a code without latents has to fade as well.": torch.where(share > 0, right, before),
    }
    _compare(usage[KEPT], right[KEPT], {text: value[KEPT] for text, value in known.items()}, "usage")


def _check_sums(sums: Tensor, before: Tensor, latents: Tensor, codes: Tensor) -> None:
    total = torch.zeros_like(before).index_add(0, codes, latents)
    count = torch.bincount(codes, minlength=CODES)[:, None]
    new = total / len(codes)
    right = DECAY * before + (1 - DECAY) * new
    known = {
        "The decay of `latent_sums` is on the wrong side.": (1 - DECAY) * before + DECAY * new,
        "`latent_sums` adds up latents without dividing by M, as the shares are.": DECAY * before + (1 - DECAY) * total,
        "`latent_sums` holds means of the latents of each code. Divide by M for all, not by how many chose the code.": (
            DECAY * before + (1 - DECAY) * total / count.clamp_min(1)
        ),
        "`latent_sums` is the sum in this batch alone. Keep a running mean.": new,
        "`latent_sums` has not changed.": before,
        "`latent_sums` was only added to. A running mean also lets the old sums fade.": before + (1 - DECAY) * new,
        "The `latent_sums` of a code without latents have to fade, as `usage` does.": torch.where(
            count > 0, right, before
        ),
    }
    alone = (sums - DECAY * before)[:5] / (1 - DECAY) * len(codes)  # what was added of each code that was chosen
    single = all(bool((latents[codes == k] - alone[k]).abs().amax(-1).lt(1e-3).any()) for k in range(5))
    _compare(
        sums[KEPT],
        right[KEPT],
        {text: value[KEPT] for text, value in known.items()},
        "latent_sums",
        "Only one latent of each code was added: `sums[codes] += latents` keeps the last of equal indices. Use "
        "`index_add_`, or the product of one-hot rows."
        if single
        else "",
    )


def _check_moved(
    codebook: Tensor, usage: Tensor, sums: Tensor, state: tuple[Tensor, ...], latents: Tensor, codes: Tensor
) -> None:
    chosen, spared = [0, 1, 2, 3, 4], [5, 6]
    before = state[0]
    if not torch.equal(codebook[spared], before[spared]):
        raise Mistake("A code that no latent chose was moved, though it has not been idle for long. It stays.")
    means = torch.stack([latents[codes == k].mean(0) for k in chosen])
    known = {
        "The codes have not moved.": before[chosen],
        "The codes went to the mean of this batch. They follow the *running* mean, `latent_sums / usage`.": means,
        "The code was averaged with its mean once more. `latent_sums / usage` is a running mean already.": (
            DECAY * before[chosen] + (1 - DECAY) * means
        ),
        "The codes are `latent_sums`, which shrink with their share. Divide by `usage`.": sums[chosen],
        "The codes come from `usage` and `latent_sums` as they were before this step. Use the new ones.": (
            state[2] / state[1][:, None]
        )[chosen],
    }
    right = (sums / usage[:, None])[chosen]
    _compare(codebook[chosen], right, known, "codebook", _another_length(codebook[chosen], right))


def _another_length(found: Tensor, right: Tensor) -> str:
    """A message where every code points the right way but is too long or too short."""
    if torch.allclose(F.normalize(found, dim=-1), F.normalize(right, dim=-1), atol=1e-4):
        return "Each code points the right way but has another length: divide `latent_sums` by the code's own `usage`."
    return ""


def _check_idle(idle: Tensor, before: Tensor, chosen: Tensor) -> None:
    right = torch.where(chosen, 0, before + 1)
    right[IDLE] = 0
    if torch.equal(idle.long(), right):
        return
    if idle[:5].any():
        raise Mistake("A code that was chosen still counts idle steps: it starts again from 0.")
    if torch.equal(idle[[5, 6]], before[[5, 6]]):
        raise Mistake("A code that no latent chose has one more idle step.")
    if not idle[5]:
        raise Mistake(f"A code idle for {PATIENCE} steps was restarted: only *more* than `restart_after` are too many.")
    if (idle[IDLE] > 0).any() and not (idle[IDLE] > 0).all():
        raise Mistake("Only some of the idle codes were restarted. All that are idle for too long get a new latent.")
    if (idle[IDLE] > 0).all():
        raise Mistake("Restarted codes still count as idle. They start again from 0, or they restart at every step.")
    raise Mistake(f"`idle_steps` became {idle.tolist()}, expected {right.tolist()}.")


def _check_restarted(codebook: Tensor, usage: Tensor, sums: Tensor, latents: Tensor, before: Tensor) -> None:
    fresh = codebook[IDLE]
    nearest = (fresh[:, None] - latents).abs().amax(-1).amin(1)
    if torch.allclose(fresh, latents.mean(0).expand_as(fresh), atol=1e-4):
        raise Mistake("Idle codes restart at the mean of all latents, all at one place. Pick a random latent for each.")
    others = torch.cat([before, codebook[KEPT]])
    if (fresh[:, None] - others).abs().amax(-1).amin(1).lt(1e-5).all():
        raise Mistake("Idle codes restart at codes that are in use already. Restart at latents, where none is near.")
    if (nearest > 1e-5).any():
        raise Mistake("Idle codes do not restart at latents of this batch: `latents[torch.randint(M, (number,))]`.")
    if len(fresh.unique(dim=0)) == 1:
        raise Mistake("All idle codes restart at the same latent. Pick one for each.")
    if torch.equal(fresh, latents[: len(IDLE)]):
        raise Mistake("Idle codes take the first latents, all from one corner of one frame. Pick them at random.")
    if not torch.allclose(usage[IDLE], torch.tensor(1 / CODES)):
        raise Mistake("The `usage` of a restarted code must be 1/K, so that it is worth as much as a usual code.")
    if not torch.allclose(sums[IDLE], fresh / CODES):
        raise Mistake(
            "`latent_sums` of a restarted code must be its latent times its usage, e/K; otherwise its next mean drags "
            "it back to where it was."
        )


def _compare(found: Tensor, right: Tensor, known: dict[str, Tensor], name: str, otherwise: str = "") -> None:
    if torch.allclose(found, right, atol=1e-5):
        return
    for text, value in known.items():
        if torch.allclose(found, value, atol=1e-5):
            raise Mistake(text)
    if otherwise:
        raise Mistake(otherwise)
    at = int((found - right).abs().flatten(1).sum(1).argmax() if found.ndim > 1 else (found - right).abs().argmax())
    digits = [[round(float(x), 4) for x in value[at].flatten()] for value in (found, right)]
    raise Mistake(f"`{name}[{KEPT[at]}]` became {digits[0]}, expected {digits[1]}.")
