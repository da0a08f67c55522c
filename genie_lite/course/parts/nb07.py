"""The learner's measures, with which worlds are measured (notebook 07)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from genie_lite.course.solutions import nb07 as solutions
from genie_lite.course.yours import Answer, part


@dataclass
class Measures:
    """What a world is measured with: the packaged solutions, or what a learner wrote in their place."""

    psnr: Callable[[np.ndarray, np.ndarray], np.ndarray] = solutions.my_psnr
    delta_psnr: Callable[[Any, np.ndarray, int, int], float] = solutions.my_delta_psnr
    probe: Callable[[np.ndarray, np.ndarray, np.ndarray], float] = solutions.my_probe


@part("07.1")
def psnr(measures: Measures, answer: Answer) -> None:
    """PSNR per frame is `answer(real, made)`."""
    measures.psnr = answer


@part("07.2")
def delta_psnr(measures: Measures, answer: Answer) -> None:
    """ΔtPSNR of a world is `answer(genie, videos, t, seed)`."""
    measures.delta_psnr = answer


@part("07.3")
def probe(measures: Measures, answer: Answer) -> None:
    """Balanced accuracy is `answer(codes, classes, fitted)`."""
    measures.probe = answer
