"""The learner's measure of information, and the way clips of several games are drawn (notebook 11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genie_lite.course.solutions import nb11 as solutions
from genie_lite.course.yours import Answer, part
from genie_lite.data import JoinedDataset


@dataclass
class Measures:
    """What codes are measured with: the packaged solution, or what a learner wrote in its place."""

    information: Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[float, float]] = (
        solutions.information_and_chance
    )


@part("11.1")
def information(measures: Measures, answer: Answer) -> None:
    """Information in nats and its chance level are `answer(codes, classes, rng)`."""
    measures.information = answer


@part("11.2")
def draw(dataset: JoinedDataset, answer: Answer) -> None:
    """Batches of the joined games are drawn by `answer(starts, clips, rng)`."""
    dataset.draw = answer
