"""From latent actions to true ones, learned from n labelled samples (appendix E.1)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genie_lite.agents.expert_video import UNKNOWN, AgentError

PENALTIES = (0.01, 0.1, 1.0)  # of the weights that read the frame, among which the labelled samples choose
FOLDS = 4


class Mapping(Protocol):
    """What a mapping does."""

    def env_action_probabilities(self, latent: np.ndarray, features: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """p(true action), [B, U], given p(latent action) [B, A] and the policy's features [B, D] of the frame.

        `previous` [B] is the latent action that led to the frame, UNKNOWN at the start of an episode.
        """
        ...


class CodeLists:
    """The paper's mapping: for each latent action the list of true actions seen with it, sampled without a look.

    To sample a latent action and then an entry of its list is to sample from the mean of the lists' shares, weighted by
    the policy's probabilities. A latent action that no sample has takes the list of all samples.
    """

    def __init__(self, codes: np.ndarray, env_actions: np.ndarray, num_codes: int, num_env_actions: int) -> None:
        """From labelled samples: latent actions [n] and true ones [n]."""
        self.samples = check_samples(codes, env_actions, num_codes, num_env_actions)
        self.shares = shares_by_code(*self.samples, num_codes, num_env_actions)  # [A, U]

    def env_action_probabilities(
        self, latent: np.ndarray, features: np.ndarray, previous: np.ndarray | None = None
    ) -> np.ndarray:
        return latent @ self.shares


def shares_by_code(codes: np.ndarray, env_actions: np.ndarray, num_codes: int, num_env_actions: int) -> np.ndarray:
    """Shares of true actions in each latent action's list [A, U]; an empty list takes those of all samples."""
    counts = np.zeros((num_codes, num_env_actions))
    np.add.at(counts, (codes, env_actions), 1)
    counts[counts.sum(1) == 0] = counts.sum(0)
    return np.asarray(counts / counts.sum(1, keepdims=True))


class PairLists:
    """The paper's mapping with a list for each pair of latent actions: the one before the frame and the one after it.

    A latent action names what happens in the picture. What a key does shows in how that differs from what happened
    before: the hero goes up after a jump, and also while he is still going up. Each pair's list has one more sample,
    drawn from the list of its second latent action, which also stands in at the start of an episode.
    """

    def __init__(
        self, previous: np.ndarray, codes: np.ndarray, env_actions: np.ndarray, num_codes: int, num_env_actions: int
    ) -> None:
        """From labelled samples: latent actions before the frame [n] (or UNKNOWN), after it [n], true ones [n]."""
        codes, env_actions = check_samples(codes, env_actions, num_codes, num_env_actions)
        if previous.shape != codes.shape or not UNKNOWN <= previous.min() <= previous.max() < num_codes:
            raise AgentError(
                f"previous: found {list(previous.shape)} latent actions from {previous.min()} to {previous.max()}, "
                f"wanted one for each of {len(codes)} samples, 0 to {num_codes - 1}, or {UNKNOWN}: unknown"
            )
        counts = np.zeros((num_codes + 1, num_codes, num_env_actions))  # the last row, number UNKNOWN, stays empty
        known = previous != UNKNOWN
        np.add.at(counts, (previous[known], codes[known], env_actions[known]), 1)
        counts += shares_by_code(codes, env_actions, num_codes, num_env_actions)
        self.shares = counts / counts.sum(-1, keepdims=True)  # [A + 1, A, U]

    def env_action_probabilities(self, latent: np.ndarray, features: np.ndarray, previous: np.ndarray) -> np.ndarray:
        return np.einsum("ba,bau->bu", latent, self.shares[previous])


class FrameMapping:
    """A mapping that looks at the frame: the code's list, corrected by a linear reading of the policy's features.

    p(u | code, frame) = softmax(log share of u in the code's list + W · features). The penalty on W is the one with the
    least cross-entropy in a cross-validation over the n samples, no correction at all being among the choices.
    """

    def __init__(
        self, codes: np.ndarray, features: np.ndarray, env_actions: np.ndarray, num_codes: int, num_env_actions: int
    ) -> None:
        """From labelled samples: latent actions [n], features of the frames before them [n, D], true actions [n]."""
        codes, env_actions = check_samples(codes, env_actions, num_codes, num_env_actions)
        self.mean, self.scale = features.mean(0), features.std(0) + 1e-6
        inputs, shape = self._standardised(features), (num_codes, num_env_actions)
        self.penalty = _best_penalty(codes, inputs, env_actions, shape)
        self.log_shares = smoothed(codes, env_actions, *shape)
        self.weights = _fitted(self.log_shares[codes], inputs, env_actions, self.penalty)

    def env_action_probabilities(
        self, latent: np.ndarray, features: np.ndarray, previous: np.ndarray | None = None
    ) -> np.ndarray:
        correction = (self._standardised(features) @ self.weights)[:, None]  # [B, 1, U]
        return np.einsum("ba,bau->bu", latent, _softmax(self.log_shares[None] + correction))

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        return np.clip((features - self.mean) / self.scale, -5, 5)


def check_samples(
    codes: np.ndarray, env_actions: np.ndarray, num_codes: int, num_env_actions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both as int64 [n]; AgentError where they do not fit each other or their range."""
    codes, env_actions = np.asarray(codes), np.asarray(env_actions)
    if codes.ndim != 1 or codes.shape != env_actions.shape or not len(codes):
        raise AgentError(
            f"samples: found {list(codes.shape)} latent and {list(env_actions.shape)} true actions, wanted as many of "
            "both, at least one"
        )
    for name, values, limit in (("latent", codes, num_codes), ("true", env_actions, num_env_actions)):
        if values.min() < 0 or values.max() >= limit:
            raise AgentError(
                f"samples: found {name} actions from {values.min()} to {values.max()}, wanted 0 to {limit - 1}; label "
                "transitions inside episodes only"
            )
    return codes.astype(np.int64), env_actions.astype(np.int64)


def smoothed(codes: np.ndarray, env_actions: np.ndarray, num_codes: int, num_env_actions: int) -> np.ndarray:
    """Log shares of true actions for each latent one [A, U], each list with one more sample, drawn from all samples.

    The samples together have one more, drawn from all true actions alike, so that no share is zero.
    """
    counts = np.zeros((num_codes, num_env_actions))
    np.add.at(counts, (codes, env_actions), 1)
    overall = counts.sum(0) + 1 / num_env_actions
    counts += overall / overall.sum()
    return np.log(counts / counts.sum(1, keepdims=True))


def _best_penalty(codes: np.ndarray, inputs: np.ndarray, env_actions: np.ndarray, shape: tuple[int, int]) -> float:
    """The penalty of PENALTIES, or infinity, that predicts left-out samples best."""
    choices = (*PENALTIES, np.inf)
    folds = np.arange(len(codes)) % FOLDS
    if len(codes) < 2 * FOLDS:
        return np.inf
    losses = np.zeros(len(choices))
    for fold in range(FOLDS):
        fit, left = folds != fold, folds == fold
        logs = smoothed(codes[fit], env_actions[fit], *shape)
        for i, penalty in enumerate(choices):
            weights = _fitted(logs[codes[fit]], inputs[fit], env_actions[fit], penalty)
            found = _softmax(logs[codes[left]] + inputs[left] @ weights)
            losses[i] -= np.log(found[np.arange(left.sum()), env_actions[left]]).sum()
    return float(choices[int(losses.argmin())])


def _fitted(offsets: np.ndarray, inputs: np.ndarray, env_actions: np.ndarray, penalty: float) -> np.ndarray:
    """W [D, U] with the least mean cross-entropy plus penalty · |W|²; zero for an infinite penalty."""
    weights = torch.zeros(inputs.shape[1], offsets.shape[1], dtype=torch.float64, requires_grad=True)
    if np.isinf(penalty):
        return weights.detach().numpy()
    x, given, wanted = (torch.from_numpy(np.ascontiguousarray(array)) for array in (inputs, offsets, env_actions))
    optimizer = torch.optim.LBFGS([weights], max_iter=40, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(given + x @ weights, wanted) + penalty * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach().numpy()


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))
