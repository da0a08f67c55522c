"""Solutions of notebook 11."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genie_lite.course.checking import solution


@solution("11.1")
def information_and_chance(codes: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Chance is what a table of so many pairs shows of codes that belong to other clips: never quite nothing."""
    known = classes >= 0

    def nats(codes: np.ndarray) -> float:
        joint = np.zeros((codes.max() + 1, classes.max() + 1))
        np.add.at(joint, (codes[known], classes[known]), 1 / known.sum())
        alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        seen = joint > 0
        return float((joint[seen] * np.log(joint[seen] / alone[seen])).sum())

    return nats(codes), float(np.mean([nats(rng.permutation(codes)) for _ in range(200)]))


@solution("11.2")
def equal_shares(starts: Sequence[np.ndarray], clips: int, rng: np.random.Generator) -> np.ndarray:
    """Count first, then draw: as many from each game, the rest to games at random, and the order shuffled."""
    counts = np.full(len(starts), clips // len(starts))
    counts[rng.permutation(len(starts))[: clips % len(starts)]] += 1
    chosen = [rng.choice(own, count) for own, count in zip(starts, counts, strict=True)]
    return rng.permutation(np.concatenate(chosen))
