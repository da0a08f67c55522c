"""A cloned policy in the real game."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from genie_lite.agents.expert_video import HISTORY, UNKNOWN
from genie_lite.agents.mapping import Mapping
from genie_lite.agents.policy import FRAMES, PolicyNetwork, look

SEEN = max(FRAMES, HISTORY + 2)  # frames of each game in memory: enough for the policy, and to name what happened


class ClonedPlayer:
    """Plays several games side by side: looks at the last frames of each and draws an env action (appendix E.2).

    It chooses once for every frame of the videos it has learned from, as often as their players chose. A policy of
    latent actions needs a mapping to true ones; without one, its outputs are true actions.
    """

    def __init__(
        self,
        network: PolicyNetwork,
        games: int,
        rng: np.random.Generator,
        mapping: Mapping | None = None,
        latest: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """`latest` names the latent action that led to the last of frames [B, SEEN, H, W, C], for mappings that ask."""
        self.network, self.games, self.rng, self.mapping, self.latest = network, games, rng, mapping, latest
        self._recent: np.ndarray | None = None  # uint8 [games, SEEN, H, W, C]
        self._new = np.ones(games, bool)  # games whose episode has just begun

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        """The next env action of each game, int64 [games], given its picture uint8 [games, H, W, C]."""
        if self._recent is None:
            self._recent = np.repeat(pictures[:, None], SEEN, axis=1)
        self._recent = np.concatenate([self._recent[:, 1:], pictures[:, None]], axis=1)
        self._recent[self._new] = pictures[self._new, None]  # before the first frame, the first frame
        previous = np.full(self.games, UNKNOWN)
        if self.latest is not None and not self._new.all():
            previous[~self._new] = self.latest(self._recent[~self._new])
        self._new[:] = False
        return draw(self.probabilities(self._recent, previous), self.rng)

    def restart(self, games: np.ndarray) -> None:
        """An episode has ended in `games` (indices): forget what was seen there."""
        self._new[games] = True

    def probabilities(self, frames: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """p(env action after the last of frames uint8 [B, SEEN, H, W, C]), float64 [B, U].

        `previous` [B] is the latent action that led to that frame, or UNKNOWN.
        """
        found, features = look(self.network, frames[:, -FRAMES:])
        return found if self.mapping is None else self.mapping.env_action_probabilities(found, features, previous)


class BlindPlayer:
    """Draws env actions with fixed shares [U], whatever it sees: what labels are worth to one who does not look."""

    def __init__(self, shares: np.ndarray, games: int, rng: np.random.Generator) -> None:
        self.shares, self.games, self.rng = shares, games, rng

    def choose(self, pictures: np.ndarray) -> np.ndarray:
        """The next env action of each game, int64 [games]."""
        return draw(np.tile(self.shares, (self.games, 1)), self.rng)

    def restart(self, games: np.ndarray) -> None:
        """Nothing is remembered."""


def draw(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One index from each row of probabilities [B, U]: int64 [B]."""
    sums = probabilities.cumsum(axis=1)
    return np.asarray((rng.random((len(sums), 1)) * sums[:, -1:] < sums).argmax(axis=1))
