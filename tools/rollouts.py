"""PSNR of free rollouts and of copying the prompt, frame by frame, for clips longer than the world's window."""

from __future__ import annotations

import argparse

import numpy as np

import genie_lite
from genie_lite.data import open_dataset
from genie_lite.evaluation import bootstrap_mean, pick_clips, psnr

AT_ONCE = 40
MOTION = ("most motion", "more", "less", "least motion")  # quartiles of the clips, by the PSNR of copying


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", help="a shipped name, or a checkpoint folder")
    parser.add_argument("--data", required=True, help="held-out videos")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--steps", type=int, default=None, help="MaskGIT steps (default: the world's own)")
    parser.add_argument("--temperature", type=float, default=None, help="(default: the world's own)")
    options = parser.parse_args()

    genie, dataset = genie_lite.load(options.world, device="cpu"), open_dataset(options.data)
    starts, _ = pick_clips(dataset, options.clips, options.frames, seed=0)
    videos = dataset.read_clips(starts, options.frames)
    chosen = {"maskgit_steps": options.steps, "temperature": options.temperature}
    generated = [
        genie.generate(some[:, :1], genie.infer_actions(some), seed=at, **chosen)
        for at in range(0, len(videos), AT_ONCE)
        for some in [videos[at : at + AT_ONCE]]
    ]
    rollout = psnr(videos[:, 1:], np.concatenate(generated))
    copying = psnr(videos[:, 1:], np.repeat(videos[:, :1], options.frames - 1, axis=1))
    gain = rollout - copying
    value, low, high = zip(*bootstrap_mean(gain), strict=True)
    rows = {"rollout": rollout.mean(0), "copying": copying.mean(0)}
    rows |= {"gain": value, "gain, low": low, "gain, high": high}
    quarters = np.array_split(np.argsort(copying.mean(1)), 4)
    rows |= {f"gain, {how}": gain[part].mean(0) for how, part in zip(MOTION, quarters, strict=True)}
    for name, row in rows.items():
        print(f"{name:18}", *(f"{value:6.2f}" for value in row))


if __name__ == "__main__":
    main()
