"""Figure 15 of the paper at course size: levels solved by agents that learned from videos, with few labels or many.

For each mode it collects expert video, lets the world's latent action model name the action after each frame, clones
policies, and lets them play held-out levels. It can be stopped at any time: the same command continues, and finished
seeds are not repeated. OUT/agents.json holds the results, OUT/agents.png the figure.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import logging
import sys
from pathlib import Path

import genie_lite
from genie_lite import agents, storage
from genie_lite.data import collect


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="laptop", help="whose latent action model labels the video")
    parser.add_argument("--modes", nargs="+", choices=("easy", "hard"), default=["easy", "hard"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--labels", type=int, nargs="+", default=list(agents.Study().labels))
    parser.add_argument("--levels", type=int, default=100, help="held-out levels per player and seed (default: 100)")
    parser.add_argument("--games", type=int, default=25, help="played side by side (default: 25)")
    parser.add_argument("--frames", type=int, default=30_000, help="of expert video per mode (default: 30000)")
    parser.add_argument("--steps", type=int, default=agents.STAGE.steps, help="of training a policy")
    parser.add_argument(
        "--network-seed",
        type=int,
        help="train latent policy and oracle once a mode, with this seed, not for every seed",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/agents"))
    parser.add_argument("--no-progress", action="store_true")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    study = agents.Study(
        labels=tuple(options.labels),
        levels=options.levels,
        games=options.games,
        network_seed=options.network_seed,
        stage=dataclasses.replace(agents.STAGE, steps=options.steps),
    )
    genie = genie_lite.load(options.world)
    latest = functools.partial(agents.latest_latent_action, genie)
    videos = {}
    for mode in options.modes:
        data = agents.expert_data(genie, mode)
        folder = options.out / mode
        dataset = collect(data, folder / "expert.zarr", frames=options.frames, progress=not options.no_progress)
        video = agents.ExpertVideo.read(dataset)
        codes = agents.inferred(genie, video, folder, progress=not options.no_progress)
        videos[mode] = (data, video, codes)
    results = []
    for seed in options.seeds:
        for mode, given in videos.items():
            folder = options.out / mode / f"seed-{seed}"
            found = agents.run_seed(
                *given, genie.num_latent_actions, latest, folder, seed=seed, study=study,
                progress=not options.no_progress,
            )  # fmt: skip
            results.append(found)
            storage.write_json(
                options.out / "agents.json", {"format_version": storage.FORMAT_VERSION, "results": results}
            )
    print(agents.table(results))
    agents.figure(results, options.out / "agents.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
