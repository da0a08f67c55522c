"""Hostile pictures, videos and datasets."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
from hostile.damage import VALUES, damaged_bytes, damaged_tree, replace_by_another_thing
from hostile.harness import Border
from PIL import Image
from pretend_games import PretendGames

from genie_lite.config import DataConfig
from genie_lite.data import ClipLoader, DatasetError, check_dataset, collect, open_dataset
from genie_lite.play import PromptError, fit
from genie_lite.play.fitting import FORMATS

GAMES = DataConfig(num_envs=2, train_levels=(100, 50), test_levels=(300, 50))
FRAMES = 150


class Pictures(Border):
    """Files of every format with damage, arrays of every kind, and what is no picture at all."""

    name = "pictures"
    refusals = (PromptError,)
    MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16", "PA", "La", "RGBa")
    TYPES = (
        "uint8",
        "uint16",
        "int8",
        "int64",
        "float16",
        "float64",
        "bool",
        "complex64",
        "object",
        "U3",
        "M8[s]",
        "V3",
    )

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        noise = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
        self.files = []
        for kind in FORMATS:
            image = Image.fromarray(noise).resize((48, 48)) if kind == "ICO" else Image.fromarray(noise)
            buffer = io.BytesIO()
            image.save(buffer, kind)
            self.files.append(buffer.getvalue())

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        picture = self.picture(rng, folder)
        yield lambda: fit(picture, (64, 64), int(rng.choice([1, 3])))

    def picture(self, rng: np.random.Generator, folder: Path) -> Any:
        content = damaged_bytes(self.files[rng.integers(len(self.files))], rng)
        match rng.integers(10):
            case 0:  # an array
                shape = rng.choice([0, 1, 3, 4, 8, 30, 70], size=rng.integers(0, 5))
                kind = self.TYPES[rng.integers(len(self.TYPES))]
                return np.zeros(shape, np.uint8).astype(kind) if rng.random() < 0.5 else _numbers(shape, kind, rng)
            case 1:  # a PIL image
                size = tuple(int(side) for side in rng.choice([1, 7, 8, 30, 70], size=2))
                image = Image.new("RGB", size).convert("RGBA")
                try:
                    return image.convert(self.MODES[rng.integers(len(self.MODES))])
                except ValueError:
                    return image
            case 2:
                return VALUES[rng.integers(len(VALUES))]
            case 3:  # a huge claim
                head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + rng.bytes(13)
                return head + content
            case 4:
                file = folder / "picture.png"
                file.write_bytes(content)
                if rng.random() < 0.5:
                    replace_by_another_thing(file, rng, folder / "none")
                return file if rng.random() < 0.5 else str(file)
            case _:
                return content if rng.random() < 0.9 else bytearray(content)


def _numbers(shape: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    numbers = rng.normal(size=tuple(shape)) * 10.0 ** rng.integers(-2, 6)
    numbers = np.asarray(numbers)
    numbers[rng.random(numbers.shape) < 0.01] = [np.nan, np.inf, -1, 0][rng.integers(4)]
    with np.errstate(all="ignore"):
        return numbers.astype(kind) if kind[0] not in "MV" else np.zeros(tuple(shape), kind)


class Videos(Border):
    """GIF and mp4 files with damage, alone and in folders."""

    name = "videos"
    refusals = (DatasetError,)

    def __init__(self, home: Path) -> None:
        import av

        super().__init__(home)
        frames = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3)).astype(np.uint8)
        first, *others = [Image.fromarray(frame) for frame in frames]
        first.save(home / "whole.gif", save_all=True, append_images=others, duration=100)
        with av.open(str(home / "whole.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        suffix = (".gif", ".mp4")[number % 2]
        file = folder / f"damaged{suffix if rng.random() < 0.9 else rng.choice(['.webm', '.avi', '.txt', ''])}"
        content = (self.home / f"whole{suffix}").read_bytes()
        file.write_bytes(damaged_bytes(content, rng) if number > 1 else content)
        if number > 1 and rng.random() < 0.1:
            replace_by_another_thing(file, rng, self.home / "whole.gif")
        if rng.random() < 0.3:
            shutil.copy(self.home / "whole.gif", folder / "another.gif")
            file = folder
        yield lambda: open_dataset(file)


@contextlib.contextmanager
def pretend_games() -> Iterator[None]:
    """A pretended procgen, quick and of no great depth."""
    real = sys.modules.get("procgen")
    sys.modules["procgen"] = SimpleNamespace(ProcgenGym3Env=PretendGames, __spec__=True)  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["procgen"]
        if real is not None:
            sys.modules["procgen"] = real


class Datasets(Border):
    """Zarr folders with damage: opened, checked, read, and collected on."""

    name = "datasets"
    refusals = (DatasetError,)

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        with pretend_games():
            collect(GAMES, home / "whole.zarr", frames=FRAMES, progress=False)

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        path = folder / "damaged.zarr"
        shutil.copytree(self.home / "whole.zarr", path)
        for _ in range(int(rng.integers(1, 5)) if number > 1 else 0):
            damage(path, self.home / "whole.zarr", rng)
        yield lambda: check_dataset(path)
        yield lambda: read_everything(path)
        with pretend_games():
            yield lambda: collect(GAMES, path, frames=FRAMES + 10, progress=False)


class DatasetsBehindUrls(Datasets):
    """The same on a server, of which here only the memory is pretended."""

    name = "datasets at URLs"

    def attempts(self, number: int, rng: np.random.Generator, folder: Path) -> Iterator[Callable[[], object]]:
        memory = fsspec.filesystem("memory")
        memory.put(str(self.home / "whole.zarr"), "/hostile.zarr", recursive=True)
        for _ in range(int(rng.integers(1, 5)) if number > 1 else 0):
            files = [file for file in sorted(memory.find("/hostile.zarr")) if not file.endswith(".lock")]
            file = files[rng.integers(len(files))]
            content = memory.cat_file(file)
            memory.rm_file(file)
            if rng.random() < 0.8:
                memory.pipe_file(file, damaged_bytes(content, rng))
        yield lambda: check_dataset("memory://hostile.zarr")
        yield lambda: read_everything("memory://hostile.zarr")
        memory.rm("/hostile.zarr", recursive=True)


def read_everything(path: str | Path) -> None:
    """What training, evaluation and figures read of a dataset."""
    dataset = open_dataset(path)
    with ClipLoader(dataset, 2, 3) as loader:
        next(loader)
    dataset.resized((8, 8)).read_clips(dataset.clip_starts(2)[-1:], 2)
    dataset.env_actions()
    dataset.level_seeds()


def damage(folder: Path, whole: Path, rng: np.random.Generator) -> None:
    """Do one thing to a file of a dataset, to one of its metadata fields, or to an array."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    metadata = [file for file in files if file.name.startswith(".z")]
    kind = rng.integers(12)
    if kind < 4 and metadata:  # a third of all: metadata are where most can go wrong
        file = metadata[rng.integers(len(metadata))]
        try:
            file.write_text(json.dumps(damaged_tree(json.loads(file.read_text()), rng)))
        except ValueError:
            return
    elif kind < 9 and files:
        file = files[rng.integers(len(files))]
        file.write_bytes(damaged_bytes(file.read_bytes(), rng) if kind < 8 else rng.bytes(int(rng.integers(3_000))))
    elif kind < 11 and files:
        replace_by_another_thing(files[rng.integers(len(files))], rng, whole / "frames" / "0.0.0.0")
    else:  # an array that lies elsewhere
        array = folder / ("frames", "episode_starts", "env_actions")[rng.integers(3)]
        if array.is_dir() and not array.is_symlink():
            shutil.rmtree(array)
            array.symlink_to(os.path.relpath(whole / array.name, folder))
