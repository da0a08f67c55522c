"""What writes: collecting, training, saving, playing; each can be done again after it was interrupted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from hostile.of_media import pretend_games
from PIL import Image

from genie_lite import cli, load_config
from genie_lite.api import Genie
from genie_lite.config import DataConfig
from genie_lite.data import check_dataset, collect, open_dataset, sample_dataset, write_dataset
from genie_lite.play import PlaySession
from genie_lite.training import read_log, train_genie, train_tokenizer

ACTIONS = [0, 3, 1, 5, 2, 2, 4, 0]
Digest = dict[str, str]


class Work:
    """Something that writes into `folder`; done again after an interrupt, it goes on or begins anew."""

    name: str

    def __init__(self, home: Path) -> None:
        self.home = home

    def prepare(self, folder: Path) -> None:
        """What is there before."""

    def do(self, folder: Path) -> None:
        raise NotImplementedError

    def result(self, folder: Path) -> Digest:
        """What must be equal to the bit."""
        raise NotImplementedError


class Collecting(Work):
    name = "collect"
    GAMES = DataConfig(num_envs=4, train_levels=(100, 50), test_levels=(300, 50))

    def do(self, folder: Path) -> None:
        with pretend_games():
            collect(self.GAMES, folder / "videos.zarr", frames=2_500, progress=False)

    def result(self, folder: Path) -> Digest:
        path = folder / "videos.zarr"
        attributes = json.dumps(open_dataset(path).attributes, sort_keys=True)  # in whatever order they were written
        return {"sound": str(check_dataset(path)), **digests(path), ".zattrs": digest(attributes.encode())}


class Training(Work):
    """A stage of preset tiny, which saves its state after every step or only in the end."""

    def __init__(self, home: Path, name: str, every: float) -> None:
        super().__init__(home)
        self.name, self.stage = f"train {name}, states {'often' if not every else 'in the end'}", name
        settings = {"steps": 10, "log_every": 1, "sample_every": 5, "checkpoint_every_minutes": every}
        if name == "dynamics":
            settings["encoded_clips"] = 20
        self.config = load_config("tiny", {f"training.{name}.{key}": value for key, value in settings.items()})

    def do(self, folder: Path) -> None:
        videos, run = open_dataset(self.home / "videos.zarr"), folder / "run"
        if self.stage == "tokenizer":
            train_tokenizer(self.config, videos, run, progress=False)
        else:
            parts = ["dynamics"] if self.stage == "dynamics" else ["latent_action", "dynamics"]
            train_genie(self.config, videos, run, tokenizer=self.home / "world", parts=parts, progress=False)

    def result(self, folder: Path) -> Digest:
        run = folder / "run"
        states = sorted((run / "state").iterdir())
        log = {name: digest(column.tobytes()) for name, column in read_log(run).items() if name != "minutes"}
        return {"states": str(len(states) <= 2), "last": states[-1].name, **log, **digests(run / "checkpoint"),
                **digests(run / "samples")}  # fmt: skip


class Saving(Work):
    name = "save"

    def prepare(self, folder: Path) -> None:
        shutil.copytree(self.home / "world", folder / "world")

    def do(self, folder: Path) -> None:
        genie = Genie.load(folder / "world")  # an old one or a new one, but whole
        for number in range(30):
            genie.card = {"note": number}
            genie.save(folder / "world")

    def result(self, folder: Path) -> Digest:
        return digests(folder / "world")


class Playing(Work):
    """The command: a GIF at its end, over one that is there."""

    name = "play, from a shell"

    def prepare(self, folder: Path) -> None:
        (folder / "world.gif").write_bytes(b"GIF89a, an older one")

    def do(self, folder: Path) -> None:
        words = ["play", str(self.home / "world"), "--actions", ",".join(map(str, ACTIONS * 8))]
        status = cli.main([*words, "--prompt", str(self.home / "prompt.png"), "--out", str(folder / "world.gif")])
        if status == 130:
            raise KeyboardInterrupt
        assert status == 0

    def result(self, folder: Path) -> Digest:
        return digests(folder)


class Session(Work):
    """A session in a notebook, which an interrupt does not end: it plays on, and takes back what it likes."""

    name = "play, in a session"

    def do(self, folder: Path) -> None:
        session = PlaySession(Genie.load(self.home / "world"), np.zeros((64, 64, 3), np.uint8))
        while session.num_steps < 8 * len(ACTIONS):
            with contextlib.suppress(KeyboardInterrupt):
                session.step(ACTIONS[session.num_steps % len(ACTIONS)])
                if session.num_steps % 5 == 4:
                    session.undo()
                    session.step(ACTIONS[session.num_steps % len(ACTIONS)])
        np.save(folder / "frames.npy", session.frames)
        session.save_gif(folder / "world.gif")

    def result(self, folder: Path) -> Digest:
        return digests(folder)


def works(home: Path) -> list[Work]:
    """All of them; `home` receives what they build on."""
    torch.manual_seed(0)
    Genie(load_config("tiny")).save(home / "world")
    sample = sample_dataset("test")
    write_dataset(home / "videos.zarr", sample.read_clips(sample.clip_starts(40)[[0, 500]], 40))
    Image.new("RGB", (64, 64), "teal").save(home / "prompt.png")
    trainings = [Training(home, name, every) for name in ("tokenizer", "dynamics", "genie") for every in (0.0, 60.0)]
    return [Collecting(home), *trainings, Saving(home), Playing(home), Session(home)]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def digests(folder: Path) -> Digest:
    """Each file of a folder, locks apart."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): digest(path.read_bytes()) for path in files}
