"""A run that notices when its codebook dies, and says so while there is still time to do something about it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genie_lite.config import StageConfig
from genie_lite.nn import VectorQuantizer, perplexity

GRACE = 100  # steps from the start that are not judged: codes begin anywhere
ROUNDS = 10  # of restarts that are not judged either, where idle codes restart
ENOUGH = 50  # choices for each code of the codebook, before they are judged together
LEAST_EFFECTIVE = 0.25  # of the codebook, and never less than 1.5 codes
SMALL = 32  # up to so many codes every single one is missed: they are actions, not patches of a picture
LEAST_SHARE = 0.05  # of an even share, for the rarest code of a small codebook
RECOVERED = 1.25  # how far above the least a codebook has to rise before another fall is told


class CollapseWatch:
    """Counts which codes a quantizer chooses while it trains, and tells, once for each fall, that too few are chosen.

    It counts by itself: the running `usage` of a quantizer begins full, forgets over a hundred steps, and gives every
    code that restarts an even share, so that codes which restart again and again look alive in it.
    """

    def __init__(self, quantizer: VectorQuantizer, title: str, stage: StageConfig) -> None:
        self.quantizer, self.title, self.stage = quantizer, title, stage
        self.fallen = False
        self._counts = torch.zeros(quantizer.num_codes, dtype=torch.int64, device=quantizer.usage.device)
        self._hook = quantizer.register_forward_hook(self._count)

    @classmethod
    def over(cls, model: nn.Module, title: str, stage: StageConfig) -> list[CollapseWatch]:
        """A watch for each codebook of `model` that has codes to lose."""
        books = [module for module in model.modules() if isinstance(module, VectorQuantizer)]
        return [cls(book, title, stage) for book in books if book.num_codes > 1]

    def look(self, step: int) -> str | None:
        """Judge the codes chosen since the last judgement; a warning when they have just become too few, else None."""
        if step < max(GRACE, ROUNDS * self.quantizer.config.restart_after):
            self._counts.zero_()
        seen = int(self._counts.sum())
        if seen < ENOUGH * self.quantizer.num_codes:
            return None
        shares = self._counts.double() / seen
        self._counts.zero_()
        if self.fallen:
            self.fallen = shortage(shares, RECOVERED) is not None
            return None
        found = shortage(shares)
        self.fallen = found is not None
        return f"{self.title}, step {step}: {found}. {self._advice()}" if found else None

    def close(self) -> None:
        """Stop counting."""
        self._hook.remove()

    def _count(self, quantizer: nn.Module, _: Any, output: Any) -> None:
        if quantizer.training:
            self._counts += torch.bincount(output.codes.flatten(), minlength=len(self._counts))

    def _advice(self) -> str:
        found = self.quantizer.config.restart_after
        restart = f"let idle codes restart sooner (found codebook.restart_after {found})"
        if not found:
            restart = "set codebook.restart_after to 20 or 30 steps (found 0: idle codes never restart)"
        return (
            "The codebook is collapsing, and rarely recovers by itself. What to do: "
            f"{restart}; look at the videos (frames that hardly change need few codes: try a larger frame_stride); "
            f"lower max_lr (found {self.stage.max_lr:g}); then train again in another run folder"
        )


def shortage(shares: Tensor, factor: float = 1.0) -> str | None:
    """What is wrong with codes chosen with these `shares` [K], found and wanted; None when nothing is.

    `factor` raises what is wanted. The effective number of codes is the exponential of the entropy of the shares.
    """
    num_codes = len(shares)
    effective = float(perplexity(shares))
    wanted = min(factor * max(LEAST_EFFECTIVE * num_codes, 1.5), 0.95 * num_codes)
    if effective < wanted:
        return f"found {effective:.1f} of {num_codes} codes in use (effective number), wanted {wanted:.1f} or more"
    least, wanted = float(shares.min()), factor * LEAST_SHARE / num_codes
    if num_codes <= SMALL and least < wanted:
        rarest = int(shares.argmin())
        return (
            f"found code {rarest} chosen in {least:.1%} of cases, wanted {wanted:.1%} or more for each of {num_codes}"
        )
    return None
