"""Measured motion of the robot arm and of what it pushes, from the pixels alone.

The camera stands still, so nothing scrolls. The arm's wrist is orange, and objects are the only other strong colours:
the middle of the pixels of each is its place. That works in generated frames as in real ones. Compared with the places
inside the simulation, as the camera sees them, the arm's motion is within a pixel in every transition that counts as
certain (three in four), and the object's in ninety-nine of a hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from genie_lite.evaluation.bootstrap import EvaluationError
from genie_lite.evaluation.motion import Motion, measure_motion

Marker = Literal["arm", "object"]
STRONG = 60  # least difference of the channels of a strong colour
LEAST_PIXELS = 6  # of a marker that counts as seen
HIDDEN = 0.15  # of a marker's pixels: where more come or go in a transition, something else hides it
EDGE = 1  # pixels: a marker that reaches so near to the border of the frame may be cut off


def marker_places(frames: np.ndarray, marker: Marker) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of the middle of a marker, float64 [..., 2], and whether it is seen whole, bool [...].

    frames: uint8 [..., H, W, 3]. A marker that is not seen at all is at NaN.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim < 3 or frames.shape[-1] != 3:
        raise EvaluationError(f"frames: found {frames.dtype} {list(frames.shape)}, wanted uint8 [..., H, W, 3]")
    mask = marker_pixels(frames, marker)
    count = mask.sum((-1, -2))
    height, width = mask.shape[-2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        column = (mask.sum(-2) * np.arange(width)).sum(-1) / count
        row = (mask.sum(-1) * np.arange(height)).sum(-1) / count
    inner = mask[..., EDGE:-EDGE, EDGE:-EDGE].sum((-1, -2))
    return np.stack([column, row], axis=-1), (count >= LEAST_PIXELS) & (inner == count)


def marker_pixels(frames: np.ndarray, marker: Marker) -> np.ndarray:
    """Which pixels of frames uint8 [..., H, W, 3] have a marker's colour, bool [..., H, W]."""
    red, green, blue = np.moveaxis(np.asarray(frames).astype(np.int16), -1, 0)
    strong = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue) > STRONG
    orange = strong & (red > green + 20) & (green > blue + 10)
    return orange if marker == "arm" else strong & ~orange


def measure_marker(frames: np.ndarray, marker: Marker = "arm") -> Motion:
    """How far the arm, or the object, moved over each transition of uint8 videos [B, T, H, W, C], in pixels.

    A motion is certain where the marker is seen whole in both frames, and as large as before: the arm hides objects.
    """
    places, seen = marker_places(frames, marker)
    motion = np.nan_to_num(np.diff(places, axis=-2))
    counts = marker_pixels(frames, marker).sum((-1, -2))
    larger, smaller = np.maximum(counts[..., 1:], counts[..., :-1]), np.minimum(counts[..., 1:], counts[..., :-1])
    sure = seen[..., 1:] & seen[..., :-1]
    if marker == "object":
        sure &= smaller >= (1 - HIDDEN) * larger
    return Motion(motion[..., 0], motion[..., 1], sure, sure)


def motion_measure(dataset: Any) -> Callable[[np.ndarray], Motion]:
    """What measures the motion that a player causes in videos of a dataset: of the arm, or of a scene that scrolls."""
    robot = getattr(dataset, "attributes", {}).get("game") == "robot"
    return measure_marker if robot else measure_motion
