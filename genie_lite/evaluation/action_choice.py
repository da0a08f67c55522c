"""How much of a latent action is the player's choice: what it says that the past does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from genie_lite.evaluation.bootstrap import EvaluationError, Interval, bootstrap_mean, clip_weights, interval
from genie_lite.evaluation.clips import batches, pick_clips

FRAMES = 16
SKIPPED = 3  # frames at the start of a clip, before which the prior lacks part of its past


def action_choice(genie: Any, dataset: Any, *, clips: int = 200, stride: int = 1, seed: int = 0) -> dict[str, Interval]:
    """Nats of latent actions on held-out videos, with intervals over clips.

    "entropy": H(code); "given_past": cross-entropy of the world's action prior, an upper bound of H(code | past);
    "choice": their ratio, 0 where the past tells everything and 1 where it tells nothing. EvaluationError for a world
    without an action prior.
    """
    prior = genie.action_prior
    if prior is None:
        raise EvaluationError("action prior: this world has none; train one with training.train_action_prior")
    starts, _ = pick_clips(dataset, clips, FRAMES, stride, seed)
    nats, counts = [], []
    for group in batches(starts, FRAMES, dataset.frame_size):
        videos = dataset.read_clips(group, FRAMES, stride)
        codes = genie.infer_actions(videos)[:, SKIPPED:]
        logs = prior.after_each(videos[:, :-1])[:, SKIPPED:]
        nats.append(-np.take_along_axis(logs, codes[..., None], axis=-1).mean((1, 2)))
        counts.append(np.stack([np.bincount(clip, minlength=genie.num_latent_actions) for clip in codes]))
    lost, used = np.concatenate(nats), np.concatenate(counts)

    def measured(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shares = weights @ used
        shares = shares / shares.sum(1, keepdims=True)
        return -(shares * np.log(np.maximum(shares, 1e-12))).sum(1), weights @ lost / weights.sum(1)

    one, copies = measured(np.ones((1, len(lost)))), measured(clip_weights(len(lost), seed=seed).astype(float))
    return {
        "entropy": interval(one[0][0], copies[0], bounds=(0, np.inf)),
        "given_past": bootstrap_mean(lost[:, None], seed=seed)[0],
        "choice": interval((one[1] / one[0])[0], copies[1] / copies[0], bounds=(0, np.inf)),
    }
