"""Free rollouts of a world against copying the prompt, frame by frame, for videos longer than its window."""

from __future__ import annotations

import argparse

import numpy as np

import genie_lite
from genie_lite.data import open_dataset
from genie_lite.evaluation import bootstrap_mean, pick_clips, psnr

AT_ONCE = 40
CALM = ("wildest", "wild", "calm", "calmest")  # quarters of the videos, by how well copying does


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", help="a shipped name, or a checkpoint folder")
    parser.add_argument("--data", required=True, help="held-out videos")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--steps", type=int, default=None, help="MaskGIT steps; the world's own unless given")
    parser.add_argument("--temperature", type=float, default=None, help="the world's own unless given")
    options = parser.parse_args()

    genie, dataset = genie_lite.load(options.world, device="cpu"), open_dataset(options.data)
    starts, _ = pick_clips(dataset, options.clips, options.frames, seed=0)
    videos = dataset.read_clips(starts, options.frames)
    chosen = {"maskgit_steps": options.steps, "temperature": options.temperature}
    made = [
        genie.generate(some[:, :1], genie.infer_actions(some), seed=at, **chosen)
        for at in range(0, len(videos), AT_ONCE)
        for some in [videos[at : at + AT_ONCE]]
    ]
    rollout = psnr(videos[:, 1:], np.concatenate(made))
    copying = psnr(videos[:, 1:], np.repeat(videos[:, :1], options.frames - 1, axis=1))
    gain = rollout - copying
    value, low, high = zip(*bootstrap_mean(gain), strict=True)
    rows = {"rollout": rollout.mean(0), "copying": copying.mean(0)}
    rows |= {"gain": value, "gain, low": low, "gain, high": high}
    quarters = np.array_split(np.argsort(copying.mean(1)), 4)
    rows |= {f"gain, {how}": gain[part].mean(0) for how, part in zip(CALM, quarters, strict=True)}
    for name, row in rows.items():
        print(f"{name:14}", *(f"{value:6.2f}" for value in row))


if __name__ == "__main__":
    main()
