"""Hostile settings, YAML files and command lines."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hostile.damage import damaged_bytes, value
from hostile.harness import Border, Fault
from hostile.of_media import pretend_games
from PIL import Image

from genie_lite import cli
from genie_lite.api import Genie
from genie_lite.config import Config, ConfigError, config_from_dict, config_to_dict, load_config
from genie_lite.config.loading import PRESETS
from genie_lite.data import sample_dataset, write_dataset
from genie_lite.training.losses import genie_losses, tokenizer_losses


def keys_of(kind: Any = Config, at: str = "") -> list[str]:
    """The dotted keys of all settings."""
    found = []
    for name, hint in typing.get_type_hints(kind).items():
        found += keys_of(hint, f"{at}{name}.") if dataclasses.is_dataclass(hint) else [f"{at}{name}"]
    return found


KEYS = keys_of()


def must_build(config: Config) -> int:
    """Settings that were accepted make a model; returns its number of parameters."""
    try:
        assert config_from_dict(config_to_dict(config)) == config, "settings change when they are saved and read"
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in Genie(config).parameters())
    except TimeoutError:
        raise
    except Exception as error:
        raise Fault(f"accepted, but no model can be made of it: {type(error).__name__}: {error}") from error


def is_small(config: Config, parameters: int) -> bool:
    """Whether a step of training takes a fraction of a second."""
    model = config.model
    patches = [np.prod(model.grid(part.patch_size)) for part in (model.tokenizer, model.latent_action)]
    pixels = np.prod(model.frame_size) * model.channels
    return parameters < 2_000_000 and max(patches) <= 300 and pixels <= 2**15 and model.latent_action.shift <= 4


def must_train(config: Config) -> None:
    """A step of training and a played frame, for real."""
    try:
        genie, model = Genie(config), config.model
        clips = np.random.default_rng(0).integers(0, 256, (2, 4, *model.frame_size, model.channels), np.uint8)
        frames = torch.from_numpy(clips).float() / 255
        for losses in (
            tokenizer_losses(genie.tokenizer, frames),
            genie_losses(genie, frames, ["latent_action", "dynamics"]),
        ):
            losses["loss"].backward()
        genie.eval().generate(clips[0, :1], [0], maskgit_steps=1)
    except TimeoutError:
        raise
    except Exception as error:
        raise Fault(f"accepted, but it cannot be trained: {type(error).__name__}: {error}") from error


class Settings(Border):
    """One to four settings of preset tiny with other values."""

    name = "settings"
    refusals = (ConfigError,)

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        keys = [KEYS[i] for i in rng.integers(len(KEYS), size=int(rng.integers(1, 5)))]
        if rng.random() < 0.1:
            keys[0] += rng.choice(["x", ".x", ".", ""])
        values = {key: self.value(key, rng) for key in keys}

        def use() -> None:
            config = load_config("tiny", values)
            parameters = must_build(config)
            if number % 4 == 0 and is_small(config, parameters):
                must_train(config)

        yield use

    def value(self, key: str, rng: np.random.Generator) -> Any:
        """Half of the values are near those that fit."""
        if rng.random() < 0.5:
            return value(rng)
        near: Any = config_to_dict(load_config("tiny"))
        for part in key.split("."):
            near = near.get(part) if isinstance(near, dict) else None
        if isinstance(near, bool) or near is None:
            return bool(rng.integers(2))
        if isinstance(near, (int, float)):
            return [near + 1, near * 2, near // 2, near - 1, near * 1.5, -near, near * 1000][rng.integers(7)]
        return near


class Yaml(Border):
    """Presets with damage, with YAML's odd corners, and bombs."""

    name = "YAML"
    refusals = (ConfigError,)
    ODD = (
        "&a ", "*a", "*stage", "<<: *stage", "<<: [*stage, 3]", "!!python/object/apply:os.system ['true']", "!!binary ",
        "!!timestamp 3", "!!int x", "!!set {a, b}", "!!omap [a: 1]", "? a", "? [a, b]", "- ", "{", "}", "[", "]", ": ",
        "\t", "\0", "\ufeff", "---\n", "...\n", "%YAML 9.9\n---\n", "| \n", "> \n", "1e400", ".nan", "0o777", "1:30:00",
        "2020-01-01", "~", "''", '"\\ud800"', "yes", "&a [*a]", "#", "\r", "\u2028", "'",
    )  # fmt: skip

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        file = folder / f"mine{rng.choice(['.yaml', '.yml'])}"
        text = (PRESETS / f"{rng.choice(['tiny', 'laptop', 'coinrun', 'paper'])}.yaml").read_text()
        kind = rng.integers(8)
        if kind < 3:
            lines = text.splitlines(keepends=True)
            for _ in range(int(rng.integers(1, 4))):
                at = int(rng.integers(len(lines)))
                column = int(rng.integers(len(lines[at]) + 1)) if rng.random() < 0.5 else lines[at].find(":") + 2
                odd = self.ODD[rng.integers(len(self.ODD))]
                lines[at] = lines[at][:column] + odd + lines[at][column if rng.random() < 0.5 else len(lines[at]) :]
            text = "".join(lines)
        elif kind == 3:
            width, depth = rng.integers(2, 12, size=2)
            names = [f"a{i}" for i in range(depth)]
            text = f"{names[0]}: &{names[0]} [x, x]\n" + "".join(
                f"{after}: &{after} [{', '.join([f'*{before}'] * width)}]\n"
                for before, after in zip(names, names[1:], strict=False)
            )
        elif kind == 4:
            text = str(rng.choice(["[", "{a: ", "- ", "? "])) * int(rng.integers(1, 3_000))
        elif kind == 5:
            text = f"{KEYS[rng.integers(len(KEYS))].replace('.', ': {')}: {value(rng)!r}"
            text += "}" * text.count("{")
        content = text.encode(errors="surrogatepass")
        if kind > 5:
            content = damaged_bytes(content, rng)
        file.write_bytes(content)
        yield lambda: must_build(load_config(file))


class CommandLine(Border):
    """Words for genie-lite: sound ones among others."""

    name = "command line"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.world = Genie(load_config("tiny")).save(home / "world")
        dataset = sample_dataset("test")
        clips = dataset.read_clips(dataset.clip_starts(20)[[0, 500]], 20)
        write_dataset(home / "videos.zarr", clips)
        Image.new("RGB", (64, 64), "teal").save(home / "picture.png")
        (home / "empty").mkdir()

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        words = self.words(rng, folder)
        if rng.random() < 0.2:
            words.insert(int(rng.integers(len(words) + 1)), self.junk(rng))
        if rng.random() < 0.1:
            del words[int(rng.integers(len(words)))]
        yield lambda: run(words)

    def words(self, rng: np.random.Generator, folder: Path) -> list[str]:
        def either(*sound: object, odds: float = 0.6) -> str:
            return str(sound[rng.integers(len(sound))]) if rng.random() < odds else self.junk(rng)

        world, videos, out = self.world, self.home / "videos.zarr", folder / "out"
        setting = f"{KEYS[rng.integers(len(KEYS))]}={either('1', '0', '2', 'true', '[0, 1]')}"
        match rng.integers(8):
            case 0:
                return ["params", either("tiny", "laptop", "scaling/41m"), "--set", either(setting, odds=0.9)]
            case 1:
                return ["params", "tiny", "--gpus", either("1", "8", "1 2 3")]
            case 2:
                return ["data", "check", either(videos, world, self.home / "picture.png", self.home / "empty")]
            case 3:
                play = ["play", either(world, odds=0.9), "--actions", either("0", "0,1,2"), "--out", f"{out}.gif"]
                play += ["--prompt", either(self.home / "picture.png", odds=0.9)]
                option = str(rng.choice(["--maskgit-steps", "--temperature", "--min-p", "--seed"]))
                return [*play, option, either("1", "0", "0.5", "1000000")]
            case 4:
                evaluate = ["evaluate", either(world, odds=0.9), "--data", either(videos, world, self.home / "empty")]
                evaluate += ["--clips", either("1", "2"), "--frames", either("4", "16", "1", "1000")]
                return [*evaluate, "--json", str(out)]
            case 5:
                train = ["train", either("tokenizer", "latent_action", "dynamics", odds=0.9), "--preset", "tiny"]
                train += ["--data", either(videos, odds=0.9), "--run", str(out), "--base", either(world, odds=0.8)]
                stages = ("tokenizer", "latent_action", "dynamics", "genie")
                train += [word for stage in stages for word in ("--set", f"training.{stage}.steps=1")]
                return [*train, *(["--set", setting] if rng.random() < 0.7 else [])]
            case 6:
                collect = ["collect", "--preset", "tiny", "--out", str(out), "--frames", either("100", "1")]
                return [*collect, "--set", either(setting, odds=0.9)]
            case _:
                return [self.junk(rng) for _ in range(int(rng.integers(1, 5)))]

    def junk(self, rng: np.random.Generator) -> str:
        if rng.random() < 0.5:
            return str(rng.choice([
                "", "-", "--", "-1", "--set", "--help", "=", "a=b", "data.seed=", "=3", ".", "file://", "x:y",
                "memory://nothing", "s3://b/c", "{", "[1", "!!python/name:os", "é", "--frames=9", "@file", "0x10",
                "99999999999999999999", "nan", "inf", "None", "True", "%s", "{out}", "{0}", "$HOME", "*", "a" * 300,
            ]))  # fmt: skip
        found = value(rng)
        return str(found).replace("\0", "").replace("..", ".").encode(errors="replace").decode()


def run(words: list[str]) -> None:
    """genie-lite with these words: done, or a clear line and exit status 1 or 2. ValueError stands for the latter."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pretend_games():
            status = cli.main(words)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except (Fault, TimeoutError):
        raise
    except Exception as error:
        raise Fault(f"genie-lite {words}: {type(error).__name__}: {error}") from error
    finally:
        logging.getLogger().handlers.clear()  # they write to what was standard error here
    said = err.getvalue()
    if "Traceback" in said or status not in (0, 1, 2):
        raise Fault(f"genie-lite {words}: exit status {status}: {said[-300:]}")
    if status == 2:
        if not said.strip():
            raise Fault(f"genie-lite {words}: exit status 2, and nothing said")
        raise ValueError(said)
