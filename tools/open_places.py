"""Finds good frames to start play from in the shipped videos: writes data/coinrun/*_open_places.json.

A place is open when, in its own episode, the hero stands on the ground there and at some time walks on the same level
to its left and to its right. Motion is measured in the pictures (`genie_lite.evaluation.measure_motion`); no label and
no game is needed. One frame is taken from each episode, the most colourful levels first among those with much room.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from genie_lite.data import FrameDataset, open_dataset
from genie_lite.evaluation import measure_motion
from genie_lite.storage import write_json

STILL, LEVEL = 0.5, 1.5  # pixels of vertical motion that count as none: in one transition, and along a walk
MUCH, LEAST = 6.0, 3.5  # pixels of room to each side; a tile of the game is about 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "datasets", nargs="*", type=Path, default=[Path("data/coinrun/test.zarr"), Path("data/coinrun/full_test.zarr")]
    )
    for path in parser.parse_args().datasets:
        dataset = open_dataset(path)
        found = open_places(dataset)
        content = {
            "num_frames": dataset.num_frames,
            "episodes": len(dataset.episode_starts),
            "frames": [frame for frame, _, _ in found],
            "room": [round(room, 1) for _, room, _ in found],
        }
        target = path.with_name(f"{path.stem}_open_places.json")
        write_json(target, content)
        print(f"{target}: {len(found)} places")


def open_places(dataset: FrameDataset) -> list[tuple[int, float, float]]:
    """(frame, pixels of room on the narrower side, colourfulness), the best first, at most one in each episode."""
    best = []
    for start, length in zip(dataset.episode_starts, dataset.episode_lengths, strict=True):
        if length < 8:
            continue
        video = dataset.read_clips(np.array([start]), int(length))[0]
        rooms = room(video)
        frame = int(rooms.argmax())
        if rooms[frame] >= LEAST:
            best.append((int(start) + frame, float(rooms[frame]), colourfulness(video[frame])))
    return sorted(best, key=lambda place: (place[1] < MUCH, -place[2]))


def room(video: np.ndarray) -> np.ndarray:
    """Pixels that the hero is seen to walk to both sides of where it stands in each frame, at its level: float [T].

    0 where it does not stand: while it rises or falls, and at the first two frames and the last.
    """
    motion = measure_motion(video)
    across = np.cumsum(np.append(0, np.where(motion.sure_x, motion.dx, 0)))
    height = np.cumsum(np.append(0, np.where(motion.sure_y, motion.dy, 0)))
    found = np.zeros(len(video))
    for t in range(2, len(video) - 1):
        stands = motion.sure_y[t - 1 : t + 1].all() and np.abs(motion.dy[t - 1 : t + 1]).max() < STILL
        if not stands:
            continue
        level = np.abs(height - height[t]) < LEVEL
        low, high = t, t
        while low > 0 and level[low - 1]:
            low -= 1
        while high < len(video) - 1 and level[high + 1]:
            high += 1
        walked = across[low : high + 1]
        found[t] = min(across[t] - walked.min(), walked.max() - across[t])
    return found


def colourfulness(frame: np.ndarray) -> float:
    """How colourful a frame is: the spread and mean of its opponent colours (Hasler and Suesstrunk, 2003)."""
    red, green, blue = (frame[..., channel].astype(float) for channel in range(3))
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    return float(np.hypot(*opponents.std(axis=(1, 2))) + 0.3 * np.hypot(*opponents.mean(axis=(1, 2))))


if __name__ == "__main__":
    main()
