"""Hostile checkpoints, training states and cards, and hostile use of sessions and environments."""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from hostile.damage import VALUES, damaged_bytes, damaged_tree, replace_by_another_thing, value
from hostile.harness import Border, Fault

from genie_lite.api import CheckpointError, Genie, load
from genie_lite.config import load_config
from genie_lite.data import open_dataset, sample_dataset, write_dataset
from genie_lite.play import Controller, GenieEnv, PlaySession
from genie_lite.play.keys import controller_for
from genie_lite.play.session import ActionError
from genie_lite.storage import UnwritableError
from genie_lite.training import train_tokenizer
from genie_lite.training.errors import TrainingError

PROMPT = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
STAGE = {f"training.tokenizer.{key}": number for key, number in
         {"log_every": 1, "sample_every": 0, "checkpoint_every_minutes": 0.0}.items()}  # fmt: skip


def damage(folder: Path, rng: np.random.Generator) -> None:
    """Do one thing to one file of a checkpoint or state."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    if not files:
        return
    file = files[rng.integers(len(files))]
    kind = rng.integers(10)
    if kind < 4 and file.suffix == ".json":
        with contextlib.suppress(ValueError):
            file.write_text(json.dumps(damaged_tree(json.loads(file.read_text()), rng)))
    elif kind < 4 and file.suffix == ".safetensors":
        damage_header(file, rng)
    elif kind < 8:
        file.write_bytes(damaged_bytes(file.read_bytes(), rng))
    elif kind == 8:
        replace_by_another_thing(file, rng, file.with_name("config.json"))
    else:
        file.write_bytes(rng.bytes(int(rng.integers(3_000))))


def damage_header(file: Path, rng: np.random.Generator) -> None:
    """Change names, types, shapes or places in the header of a safetensors file, or weights to extreme numbers."""
    content = file.read_bytes()
    size = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    try:
        header = json.loads(content[8 : 8 + size])
    except ValueError:
        return
    body = bytearray(content[8 + size :])
    if rng.random() < 0.3 and len(body) >= 4:
        extreme = np.array(rng.choice([np.nan, np.inf, 3e38, -3e38, 1e20, 1e-40]), np.float32).tobytes()
        for at in rng.integers(len(body) // 4, size=int(rng.integers(1, 2_000))):
            body[4 * at : 4 * at + 4] = extreme
    else:
        header = damaged_tree(header, rng)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + body)


class Checkpoints(Border):
    """Worlds with damaged settings, weights and cards: loaded, and played where they load."""

    name = "checkpoints"
    refusals = (CheckpointError,)

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        torch.manual_seed(0)
        genie = Genie(load_config("tiny"))
        genie.card = {"trained": ["tokenizer"], "note": "sound"}
        genie.save(home / "world")
        genie.save(home / "half", dtype=torch.bfloat16)

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        shutil.copytree(self.home / ("world", "half")[rng.integers(2)], folder / "world")
        for _ in range(int(rng.integers(1, 4)) if number > 1 else 0):
            damage(folder / "world", rng)

        def use() -> None:
            genie = load(folder / "world" if rng.random() < 0.9 else str(folder / "world"))
            size, channels = genie.frame_size, genie.config.model.channels
            prompt = np.zeros((1, *size, channels), np.uint8)
            PlaySession(genie, prompt, maskgit_steps=2).step(0)

        yield use


class States(Border):
    """Runs whose training state is damaged, and which go on."""

    name = "training states"
    refusals = (CheckpointError, TrainingError, UnwritableError)

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        clips = sample_dataset("test")
        write_dataset(home / "videos.zarr", clips.read_clips(clips.clip_starts(20)[[0, 500]], 20))
        self.videos = open_dataset(home / "videos.zarr")
        self.train(home / "run", 2)

    def train(self, folder: Path, steps: int) -> None:
        config = load_config("tiny", {**STAGE, "training.tokenizer.steps": steps})
        train_tokenizer(config, self.videos, folder, progress=False)

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        shutil.copytree(self.home / "run", folder / "run")
        for _ in range(int(rng.integers(1, 4)) if number > 1 else 0):
            damage(folder / "run" if rng.random() < 0.2 else folder / "run" / "state" / "step-0000002", rng)
        yield lambda: self.train(folder / "run", 3)


class Cards(Border):
    """Cards of worlds with wrong types and values, which play, keys and training read."""

    name = "cards"
    refusals = (CheckpointError, ValueError)

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        torch.manual_seed(0)
        self.genie = Genie(load_config("tiny")).eval()
        self.genie.save(home / "world")

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        rows = [{"dx": float(x), "dy": float(y), "share": 1 / 6} for x, y in rng.normal(size=(6, 2)).round(1)]
        actions: Any = rows
        if rng.random() < 0.3:
            actions = {name: [row[name] for row in rows] for name in ("dx", "dy", "share")}
        card: Any = {"format_version": 1, "trained": ["tokenizer"], "actions": actions, "metrics": {"psnr": [1, 2, 3]}}
        for _ in range(int(rng.integers(1, 4)) if number > 1 else 0):
            card = damaged_tree(card, rng)
        if isinstance(card, dict) and rng.random() < 0.9:
            card["format_version"] = 1
        shutil.copytree(self.home / "world", folder / "world")
        content = json.dumps(card).encode()
        (folder / "world" / "card.json").write_bytes(damaged_bytes(content, rng) if rng.random() < 0.1 else content)

        def use() -> None:
            genie = load(folder / "world")
            session = PlaySession(genie, PROMPT, controller=controller_for(genie), maskgit_steps=1)
            session.press(session.controller.keys[number % len(session.controller.keys)])
            Controller(genie)

        yield use
        yield lambda: load(folder / "world").save(folder / "copy")


class Sessions(Border):
    """Sessions with wrong settings, prompts, actions and keys; what is refused changes nothing."""

    name = "sessions"
    refusals = (ActionError, ValueError, UnwritableError)

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        torch.manual_seed(0)
        self.genie = Genie(load_config("tiny")).eval()

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        session: list[PlaySession] = []
        options: dict[str, Any] = {"maskgit_steps": 1}
        if rng.random() < 0.5:
            options[str(rng.choice(["maskgit_steps", "temperature", "min_p", "seed"]))] = value(rng)
        prompt = PROMPT if rng.random() < 0.7 else value(rng)
        yield lambda: session.append(PlaySession(self.genie, PROMPT if prompt is None else prompt, **options))
        if not session:
            session.append(PlaySession(self.genie, PROMPT, maskgit_steps=1))
        (played,) = session
        for _ in range(int(rng.integers(1, 6))):
            action = self.action(played, rng, folder)

            def use(action: Callable[[], object] = action) -> None:
                before = (played.num_steps, played.seed, played.maskgit_steps, played.frame.tobytes())
                try:
                    action()
                except Exception:
                    after = (played.num_steps, played.seed, played.maskgit_steps, played.frame.tobytes())
                    if after != before:
                        raise Fault("refused, but the session is another than before") from None
                    raise

            yield use

    def action(self, session: PlaySession, rng: np.random.Generator, folder: Path) -> Callable[[], object]:
        odd = value(rng)
        match rng.integers(8):
            case 0:
                return lambda: session.step(odd)
            case 1:
                return lambda: session.press(odd)
            case 2:
                return session.undo
            case 3:
                return lambda: session.reset(odd)
            case 4:
                return lambda: session.reset(seed=odd)
            case 5:
                return lambda: setattr(session, "maskgit_steps", odd)
            case 6:
                name = str(rng.choice(["scale", "fps", "last"]))
                return lambda: session.save_gif(folder / "world.gif", **{name: odd})
            case _:
                sound = int(rng.integers(6))
                return lambda: session.step(sound)


class Environments(Border):
    """Gymnasium environments with wrong options, seeds, prompts and actions."""

    name = "environments"
    refusals = (ActionError, CheckpointError, ValueError, gymnasium.error.Error)

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        torch.manual_seed(0)
        self.genie = Genie(load_config("tiny")).eval()
        dataset = sample_dataset("test")
        self.frames = dataset.read_clips(dataset.clip_starts(4)[[0, 500]], 4).reshape(8, 64, 64, 3)

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        made: list[GenieEnv] = []
        options: dict[str, Any] = {"maskgit_steps": 1, "dataset": self.frames}
        if rng.random() < 0.5:
            names = ["maskgit_steps", "temperature", "min_p", "prompt", "render_mode"]
            options[str(rng.choice(names))] = value(rng)
        texts = [text for text in VALUES if isinstance(text, str) and text != "laptop"]
        world = self.genie if rng.random() < 0.9 else texts[rng.integers(len(texts))]
        yield lambda: made.append(GenieEnv(world, **options))
        if not made:
            made.append(GenieEnv(self.genie, dataset=self.frames, maskgit_steps=1))
        (env,) = made
        for _ in range(int(rng.integers(1, 6))):
            yield self.action(env, rng)

    def action(self, env: GenieEnv, rng: np.random.Generator) -> Callable[[], object]:
        odd = value(rng)
        match rng.integers(6):
            case 0:
                return lambda: env.step(odd)
            case 1:
                return lambda: env.reset(seed=odd)
            case 2:
                return lambda: env.reset(options=odd)
            case 3:
                return lambda: env.reset(options={"prompt": odd})
            case 4:
                return env.render
            case _:
                return env.reset
