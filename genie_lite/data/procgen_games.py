"""Procgen's games, CoinRun and three more platform games: whichever package has them, behind one interface."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import platform
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from genie_lite.config import DataConfig
from genie_lite.data.errors import DatasetError

GAMES = ("coinrun", "ninja", "climber", "jumper")
FRAME_SHAPE = (64, 64, 3)
NUM_ENV_ACTIONS = 15
STILL = 4  # the env action that presses nothing
LONGEST_EPISODE = 1_000  # game steps, after which procgen ends an episode of these games


def procgen_available() -> bool:
    """Whether this Python has procgen, and so can collect new videos."""
    return any(importlib.util.find_spec(module) is not None for module in ("procgen", "procgen_gym"))


def import_procgen() -> Any:
    """Something with procgen's class ProcgenGym3Env; DatasetError where no package has the games.

    On Python 3.11 and 3.12 it is the module procgen (package procgen-mirror), without the notice that its old gym
    prints. On Python 3.13 it is the module procgen_gym, the same C++ code behind another interface.
    """
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            if importlib.util.find_spec("procgen") is None and importlib.util.find_spec("procgen_gym") is not None:
                return SimpleNamespace(ProcgenGym3Env=_GymGames)
            import procgen
    except (ImportError, OSError) as error:
        raise DatasetError(
            f"collecting needs procgen, which is missing on {platform.system()} {platform.machine()} with Python "
            f"{platform.python_version()} ({error}). Wheels exist for Linux x86-64: `pip install procgen-mirror` on "
            "Python 3.11 and 3.12, `pip install procgen-gym` on 3.13. Without it everything else works from the videos "
            "that ship: genie_lite.data.sample_dataset('train')"
        ) from error
    return procgen


def game_options(data: DataConfig) -> dict[str, Any]:
    """What procgen is told of the look and the difficulty of levels; stored with the videos. Of the robot, nothing."""
    if data.game not in GAMES:
        return {}
    return {
        "distribution_mode": data.distribution_mode,
        "use_backgrounds": data.backgrounds,
        "restrict_themes": data.restrict_themes,
    }


def make_games(data: DataConfig, levels: tuple[int, int], num: int, *, seed: int, threads: int = 0) -> Any:
    """`num` games side by side (a ProcgenGym3Env) on `levels`: the first level seed and the number of levels.

    The number of levels is never 0, which procgen reads as "all levels": DataConfig sees to it.
    """
    return import_procgen().ProcgenGym3Env(
        num=num,
        env_name=data.game,
        start_level=levels[0],
        num_levels=levels[1],
        rand_seed=seed,
        num_threads=threads,
        **game_options(data),
    )


class _GymGames:
    """The games of procgen-gym, used as those of procgen's ProcgenGym3Env are."""

    def __init__(self, num: int, **options: Any) -> None:
        from procgen_gym import ProcgenVecEnv

        self._games = ProcgenVecEnv(num, **options)
        self._frames, self._info = self._games.reset()
        self._rewards, self._first = np.zeros(num, np.float32), np.ones(num, bool)

    def act(self, actions: np.ndarray) -> None:
        self._frames, self._rewards, self._first, _, self._info = self._games.step(actions)

    def observe(self) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        return self._rewards, {"rgb": self._frames}, self._first

    def get_info(self) -> list[dict[str, Any]]:
        return [{name: values[game] for name, values in self._info.items()} for game in range(len(self._first))]

    def get_state(self) -> list[bytes]:
        states: list[bytes] = self._games.get_state()
        return states

    def set_state(self, states: Sequence[bytes]) -> None:
        self._games.set_state(states)
        self._frames, self._info = self._games.reset()  # which only looks again

    def callmethod(self, name: str, *arguments: Any) -> Any:
        return getattr(self, name)(*arguments)

    def close(self) -> None:
        self._games.close()
