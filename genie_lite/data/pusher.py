"""Who moves the robot arm while videos are collected: somebody who pushes the object about, one direction at a time."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from genie_lite.data.robot_arm import REACH, TRAY

NOTHING = 4  # the env action that moves neither across nor up


class Pusher:
    """Moves one arm as a person with four arrow keys would (policy "pusher").

    It goes behind the object, around it where it stands in the way, pushes it towards a place drawn at random, and
    sometimes wanders in one direction or rests. It keeps a direction with `sticky_probability` even where another
    would be better. Its env actions are a pure function of its random numbers and of where tool and object are.
    """

    WANDER, REST = 0.4, 0.15  # probabilities of what comes next; the rest is pushing
    HOLD: ClassVar = {"push": (10, 22), "wander": (2, 6), "rest": (2, 4)}  # frames, drawn uniformly
    BEHIND, ASIDE, CLEAR = 0.1, 0.13, 0.085  # metres from the object: to begin a push, to pass it, free of it
    NEAR = 0.03  # metres within which a direction is not needed
    odds: ClassVar[dict[str, object]] = {"wander": WANDER, "rest": REST, "frames held": HOLD}

    def __init__(self, sticky_probability: float, rng: np.random.Generator) -> None:
        self.sticky, self.rng = sticky_probability, rng
        self.mode, self.left, self.last = "", 0, NOTHING
        self.pushing = False  # rather than still on the way to the object
        self.goal = np.zeros(2)
        self.direction = NOTHING

    def choose(self, tool: np.ndarray, thing: np.ndarray) -> int:
        """The next env action, given where the tool and the object are: metres to the front and the right, [2]."""
        if self.left <= 0:
            self._begin(thing)
        self.left -= 1
        keep = self.rng.random() < self.sticky
        if self.mode == "push":
            wanted = self._towards(tool, self._waypoint(tool, thing))
            self.direction = self.direction if keep and self.direction != NOTHING else wanted
        return self.direction

    def _begin(self, thing: np.ndarray) -> None:
        """Decide what to do next, and for how many frames."""
        drawn = self.rng.random()
        self.mode = "wander" if drawn < self.WANDER else "rest" if drawn < self.WANDER + self.REST else "push"
        low, high = self.HOLD[self.mode]
        self.left = int(self.rng.integers(low, high + 1))
        self.pushing, self.direction = False, NOTHING
        near, far = np.array(TRAY).T
        self.goal = self.rng.uniform(near + 0.05, far - 0.05)
        if self.mode == "wander":
            self.direction = int(self.rng.choice([key for key in range(9) if key != NOTHING]))

    def _waypoint(self, tool: np.ndarray, thing: np.ndarray) -> np.ndarray:
        """Where the tool should go now in order to push the object to the goal."""
        way = self.goal - thing
        far = float(np.linalg.norm(way))
        if far < 0.05:
            self.left = 0
            return tool
        way /= far
        behind = thing - self.BEHIND * way
        if np.linalg.norm(tool - behind) < 0.04:
            self.pushing = True
        if self.pushing:
            return self.goal - 0.05 * way
        # Around the object: past its nearer side first, where it stands between the tool and the place behind it.
        along = float((tool - thing) @ way)
        side = np.array([-way[1], way[0]])
        offset = float((tool - thing) @ side)
        if along > -self.CLEAR / 2 and abs(offset) < self.CLEAR:
            return np.clip(thing + np.sign(offset or 1.0) * self.ASIDE * side, *np.array(REACH).T)
        if along > -self.CLEAR / 2:
            return behind + np.sign(offset) * self.ASIDE * side
        return behind

    def _towards(self, tool: np.ndarray, place: np.ndarray) -> int:
        """The direction, of nine, that leads from the tool to a place."""
        front, right = place - tool
        across = 0 if right < -self.NEAR else 2 if right > self.NEAR else 1
        up = 0 if front > self.NEAR else 2 if front < -self.NEAR else 1
        return 3 * across + up
