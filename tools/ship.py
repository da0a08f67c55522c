"""Turn a trained world into a shipped checkpoint: bfloat16 weights, and a card with recipe, actions and metrics."""

from __future__ import annotations

import argparse
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import genie_lite
from genie_lite.api import Genie
from genie_lite.config import load_config
from genie_lite.data import data_folder, open_dataset, sample_dataset, sample_game
from genie_lite.evaluation import PlayTest, action_choice, describe_actions, evaluate_genie, play_test
from genie_lite.play import Controller
from genie_lite.training import read_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="name of the shipped world, for genie_lite.load(name)")
    parser.add_argument(
        "runs",
        type=Path,
        nargs="?",
        help="folder with the run folders of the stages that are new since the world that ships; without it, only the "
        "play test (--play) is repeated, with the preset's settings of play",
    )
    parser.add_argument("--data", default=None, help="held-out videos to measure on (default: the shipped sample's)")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--recipe", default=None, help="how it was trained (default: by its preset)")
    parser.add_argument("--hardware", default=f"{platform.machine()}, {torch.get_num_threads()} threads")
    parser.add_argument("--play", choices=("quick", "full"), help="test play against the real game too; needs procgen")
    parser.add_argument(
        "--continued",
        action="store_true",
        help="these runs went on from the world that ships (train --start): its minutes and steps are added to theirs",
    )
    options = parser.parse_args()
    if options.runs is None:
        if options.play is None:
            parser.error("runs: found none, wanted the folder of runs to ship, or --play to repeat the play test")
        return play_again(options.name, options.play)

    genie = Genie.load(options.runs / "dynamics" / "checkpoint")
    game = sample_game(genie.config)
    videos = open_dataset(options.data) if options.data else sample_dataset("test", game=game)
    genie.config = replace(genie.config, play=load_config(options.name).play)  # chosen after training
    folder = data_folder() / "checkpoints" / options.name
    before = Genie.load(folder) if folder.is_dir() else None
    genie.card["actions"] = [motion.to_dict() for motion in describe_actions(genie, videos)]
    genie.save(folder, dtype=torch.bfloat16)
    genie = Genie.load(folder)  # measure what ships: the rounded weights
    report = evaluate_genie(genie, videos, clips=options.clips)
    report.to_json(options.runs / "report.json")  # in full, beside the run; the card keeps the means
    stages = ("tokenizer", "latent_action", "dynamics")
    minutes, steps = {}, {}
    for stage in stages:
        if (options.runs / stage).is_dir():
            log = read_log(options.runs / stage)
            minutes[stage], steps[stage] = round(float(log["minutes"][-1]), 1), int(log["step"][-1])
            if options.continued:
                minutes[stage] = round(minutes[stage] + card(before, "minutes")[stage], 1)
                steps[stage] += card(before, "steps")[stage]
        elif before is not None and same_weights(getattr(genie, stage), getattr(before, stage)):
            minutes[stage], steps[stage] = card(before, "minutes")[stage], card(before, "steps")[stage]
        else:
            raise SystemExit(f"{options.runs / stage}: not found, and the world that ships has other weights there")
    genie.card |= {
        "name": options.name,
        "paper": "arXiv 2402.15391",
        "version": genie_lite.__version__,
        "recipe": options.recipe or f"preset {options.name}, seed {genie.config.training.dynamics.seed}",
        "hardware": options.hardware,
        "minutes": minutes,
        "steps": steps,
        "videos": {key: videos.attributes.get(key) for key in ("game", "options", "levels", "policy", "frame_stride")},
        "metrics": {name: [round(float(x), 4) for x in values] for name, values in report.metrics.items()},
        "curves": {name: [round(float(point.value), 2) for point in curve] for name, curve in report.curves.items()},
    }
    if genie.action_prior is not None:
        found = action_choice(genie, videos, clips=options.clips)
        genie.card["action_prior"] = {name: [round(float(x), 3) for x in values] for name, values in found.items()}
    if options.play:
        played = play(genie, options.play)
        played.to_json(options.runs / "play.json")
        played.save_filmstrips(options.runs / "filmstrips")
    genie.save(folder, dtype=torch.bfloat16)
    print(report.table())
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.1f} MB")


def play(genie: Genie, extent: str) -> PlayTest:
    """The play test, "quick" or "full", on the world's card too."""
    played = play_test(genie, Controller(genie), quick=extent == "quick")
    genie.card["play_test"] = _rounded(played.to_dict())
    print(played)
    return played


def play_again(name: str, extent: str) -> None:
    """Repeat the play test of a world that ships, after its preset's settings of play have changed."""
    folder = data_folder() / "checkpoints" / name
    genie = Genie.load(folder)
    genie.config = replace(genie.config, play=load_config(name).play)
    play(genie, extent)
    genie.save(folder, dtype=torch.bfloat16)


def card(world: Genie | None, name: str) -> Any:
    """An entry of the card of the world that ships."""
    if world is None or name not in world.card:
        raise SystemExit(f"card: no world ships under this name whose card has {name}; ship without --continued")
    return world.card[name]


def same_weights(model: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two models hold the same weights; False if they are of different kinds."""
    ours, theirs = model.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def _rounded(tree: Any) -> Any:
    """The same dictionaries and lists with numbers of three decimals."""
    if isinstance(tree, dict):
        return {name: _rounded(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_rounded(value) for value in tree]
    return round(tree, 3) if isinstance(tree, float) else tree


if __name__ == "__main__":
    main()
