"""Tables of the CoinRun video distance: for corrupted held-out videos and for a world's rollouts."""

from __future__ import annotations

import argparse

import numpy as np

import genie_lite
from genie_lite.data import open_dataset, sample_dataset
from genie_lite.evaluation import pick_clips, video_network
from genie_lite.evaluation.clips import batches
from genie_lite.evaluation.corruptions import CORRUPTIONS
from genie_lite.evaluation.video_distance import halved_distance

STRENGTHS = (0.05, 0.1, 0.25, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=None, help="held-out CoinRun videos (default: the shipped sample's)")
    parser.add_argument("--world", default="laptop", help="a shipped name or a checkpoint; '' for none")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--frames", type=int, default=9, help="frames per video, including the prompt (default: 9)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    dataset = open_dataset(options.data) if options.data else sample_dataset("test")
    starts, notes = pick_clips(dataset, options.clips, options.frames, seed=options.seed)
    videos, network = dataset.read_clips(starts, options.frames), video_network()
    real = network.features(videos[:, 1:])
    same = halved_distance(real, real, seed=options.seed)
    print(f"{len(videos)} videos of {options.frames - 1} frames, {same.videos} against {same.videos} others", *notes)
    print(f"real videos (floor)  {same.floor}")
    print(f"{'strength':<20}" + "".join(f"{strength:>9}" for strength in STRENGTHS))
    for name, corrupt in CORRUPTIONS.items():
        row = []
        for strength in STRENGTHS:
            corrupted = corrupt(videos[:, 1:], strength, np.random.default_rng(options.seed))
            row.append(halved_distance(real, network.features(corrupted), seed=options.seed).distance.value)
        print(f"{name:<20}" + "".join(f"{value:9.2f}" for value in row))
    if options.world:
        genie = genie_lite.load(options.world)
        groups = list(batches(np.arange(len(videos)), options.frames, dataset.frame_size))
        generated = []
        for group in groups:
            latent_actions = genie.infer_actions(videos[group])
            generated.append(genie.generate(videos[group, :1], latent_actions, seed=options.seed))
        rollouts = np.concatenate(generated)
        decoded = np.concatenate([genie.decode(genie.encode(videos[group]))[:, 1:] for group in groups])
        copied = np.repeat(videos[:, :1], options.frames - 1, axis=1)
        for name, others in (("tokenizer", decoded), ("rollouts", rollouts), ("copied prompt", copied)):
            found = halved_distance(real, network.features(others), seed=options.seed)
            print(f"{name:<20}{found.distance}")


if __name__ == "__main__":
    main()
