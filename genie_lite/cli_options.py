"""What may be said to `genie-lite`: its commands and their options."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Literal

import yaml

SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")
# What `train` trains, and the stage of the same run that it builds on.
STAGES = {"tokenizer": None, "genie": "tokenizer", "latent_action": "tokenizer", "dynamics": "latent_action"}


def parser() -> argparse.ArgumentParser:
    """The parser of every command; `command` is the command's words, `when_stopped` what Ctrl-C leaves behind."""
    top = argparse.ArgumentParser(prog="genie-lite", description="Learn Genie by building it: the stages from a shell.")
    top.add_argument("--traceback", action="store_true", help="show where in the code an error arose")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    _command(commands, "doctor", "what is installed, what is missing, what this machine can do")
    _command(commands, "presets", "names of the presets that ship")
    params = _command(commands, "params", "number of parameters of each model of a preset")
    params.add_argument("preset", metavar="PRESET", help="a preset's name, or a .yaml file")
    _add_set(params)

    collect = _command(commands, "collect", "collect CoinRun videos into FOLDER/train.zarr and FOLDER/test.zarr")
    collect.add_argument("--preset", default="laptop", help="a preset's name, or a .yaml file (default: laptop)")
    collect.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the videos go")
    collect.add_argument("--split", choices=(*SPLITS, "both"), default="both")
    collect.add_argument("--frames", type=_positive, metavar="N", help="frames of each split (default: the preset's)")
    _add_set(collect)
    collect.set_defaults(when_stopped="What was collected is in {out}; the same command goes on from there.")

    data = commands.add_parser("data", help="check a dataset, or show the videos that ship")
    data_commands = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = _command(data_commands, "data check", "look for damage in a dataset; exit status 1 when there is some")
    check.add_argument("path", help="a Zarr folder or URL")
    sample = _command(data_commands, "data sample", "show the CoinRun videos that ship")
    sample.add_argument("--out", type=Path, metavar="FOLDER", help="copy them there, fit for --data")

    train = _command(commands, "train", "train one stage")
    train.add_argument("stage", choices=STAGES, metavar="STAGE", help=f"{', '.join(STAGES)} (genie: the last two)")
    train.add_argument("--preset", default="laptop", help="a preset's name, or a .yaml file (default: laptop)")
    train.add_argument("--data", required=True, metavar="FOLDER", help="videos: of collect, or your own")
    train.add_argument(
        "--run", type=Path, required=True, metavar="FOLDER", help="logs, samples and checkpoint go to FOLDER/STAGE"
    )
    train.add_argument("--base", metavar="CHECKPOINT", help="build on it (default: the stage before, in --run)")
    train.add_argument("--start", metavar="CHECKPOINT", help="begin with its weights (default: random ones)")
    train.add_argument("--tensorboard", action="store_true", help="log for TensorBoard too")
    train.add_argument("--resume", action="store_true", help="go on with the run that --run holds")
    _add_set(train)
    train.set_defaults(when_stopped="What was trained is in {run}; the same command with --resume goes on from there.")

    evaluate = _command(commands, "evaluate", "measure a trained Genie on videos it has not seen")
    evaluate.add_argument("checkpoint", metavar="CHECKPOINT", help="a shipped name, or a checkpoint folder")
    evaluate.add_argument("--data", required=True, metavar="FOLDER", help="videos: of collect, or your own")
    evaluate.add_argument(
        "--clips", type=_positive, default=200, metavar="N", help="clips to measure on (default: 200)"
    )
    evaluate.add_argument("--frames", type=_positive, default=16, metavar="N", help="frames of each (default: 16)")
    evaluate.add_argument("--stride", type=_positive, metavar="N", help="stored frames a step (default: as trained)")
    evaluate.add_argument(
        "--fvd-weights", metavar="FILE", help="also FVD, on the I3D of this i3d_torchscript.pt or URL"
    )
    evaluate.add_argument("--fvd-sha256", metavar="HEX", help="SHA-256 that those weights must have")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")

    play = _command(commands, "play", "play latent actions and save the video as a GIF")
    play.add_argument("checkpoint", metavar="CHECKPOINT", help="a shipped name, or a checkpoint folder")
    play.add_argument("--actions", type=_latent_actions, required=True, metavar="0,0,3", help="latent actions to take")
    play.add_argument("--out", type=Path, default=Path("world.gif"), metavar="FILE", help="(default: world.gif)")
    play.add_argument("--prompt", metavar="PICTURE", help="where play starts (default: a frame of the shipped videos)")
    play.add_argument("--maskgit-steps", type=_positive, metavar="N", help="(default: the world's own)")
    play.add_argument("--temperature", type=float, metavar="X", help="(default: the world's own)")
    play.add_argument("--seed", type=int, default=0)
    return top


def _command(commands: Any, words: str, purpose: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(
        words.split()[-1], help=purpose, description=purpose[0].upper() + purpose[1:]
    )
    added.set_defaults(command=words, when_stopped="Nothing was saved.")
    return added


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", type=setting, action="append", metavar="KEY=VALUE", help="change one setting; may be given again"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted a whole number, 1 or more")
    return int(text)


def setting(text: str) -> tuple[str, Any]:
    """`key=value` with the value as in YAML, or a number as Python and JSON write it (YAML takes 1e-3 for a word)."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted key=value, for instance training.tokenizer.steps=20")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        pass
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{key}: found {value!r}, wanted a YAML value") from error


def _latent_actions(text: str) -> list[int]:
    try:
        return [int(part) for part in text.replace(" ", "").split(",") if part]
    except ValueError as error:
        message = f"found {text!r}, wanted latent actions separated by commas, for instance 0,0,3"
        raise argparse.ArgumentTypeError(message) from error
