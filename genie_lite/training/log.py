"""What a run reports: a CSV of losses, TensorBoard events if asked for, and a progress bar with the time left."""

from __future__ import annotations

import csv
import io
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from genie_lite import storage
from genie_lite.config import StageConfig
from genie_lite.files import naming_failures

logger = logging.getLogger(__name__)


class RunLog:
    """Appends rows of numbers to `log.csv`, and shows a progress bar.

    Rows after `step` are dropped first: a run that was killed wrote them after its last saved state.
    """

    def __init__(
        self, folder: Path, title: str, stage: StageConfig, step: int, *, progress: bool, tensorboard: bool
    ) -> None:
        self.path = folder / "log.csv"
        self.rows = [row for row in _read_rows(self.path) if row["step"] <= step]
        self._columns = list(self.rows[0]) if self.rows else []
        _write_rows(self.path, self.rows)
        self._bar = tqdm(
            total=stage.steps,
            initial=step,
            desc=f"{title}, {stage.clips} clips of {stage.frames} frames a step",
            bar_format="{desc}: {percentage:3.0f}% |{bar:20}| step {n_fmt} of {total_fmt}, {elapsed}{postfix}",
            mininterval=2.0,
            disable=not progress,
            file=sys.stderr,
        )
        self._events = _tensorboard(folder) if tensorboard else None

    def tick(self, done: float, elapsed: float, step: int, metrics: dict[str, float] | None) -> None:
        """Show a step: `done` in [0, 1] of the run took `elapsed` seconds; `metrics` is a row, if one is due."""
        self._bar.update(step - self._bar.n)
        if metrics is None:
            return
        minutes = max(0.0, elapsed / 60 * (1 / max(done, 1e-6) - 1))  # the last step may end after its time
        shown = {key: f"{metrics[key]:.4g}" for key in metrics if key not in ("step", "minutes", "lr", "grad_norm")}
        self._bar.set_postfix({"minutes left": f"{minutes:.1f}", **shown}, refresh=False)
        self.rows.append(metrics)
        if not self._columns:
            self._columns = list(metrics)
            _write_rows(self.path, self.rows)
        else:
            with naming_failures(self.path), self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(metrics)
        if self._events is not None:
            for key, value in metrics.items():
                self._events.add_scalar(key, value, int(metrics["step"]))

    def warn(self, *messages: str) -> None:
        """Log warnings, each on a line of its own above the bar."""
        for message in messages:
            self._bar.clear()
            logger.warning("%s", message)

    def close(self) -> None:
        self._bar.close()
        if self._events is not None:
            self._events.close()


class NoLog:
    """The log of every process but the first, which writes for all."""

    def tick(self, done: float, elapsed: float, step: int, metrics: dict[str, float] | None) -> None:
        """Nothing."""

    def warn(self, *messages: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def read_log(run_dir: str | Path) -> dict[str, np.ndarray]:
    """A run's log.csv as columns: {"step": [...], "minutes": [...], "loss": [...], ...}, each float64."""
    rows = _read_rows(Path(run_dir) / "log.csv")
    return {key: np.array([row[key] for row in rows]) for key in rows[0]} if rows else {}


def _read_rows(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    # A row cut short by a kill has no end of line, even where what is left of its last number reads as one.
    whole = [line for line in lines if line.endswith("\n")]
    return [numbers for row in csv.DictReader(whole) if (numbers := _numbers(row)) is not None]


def _numbers(row: dict[str, Any]) -> dict[str, float] | None:
    """The numbers of a row; None if it has too few, too many, or something else."""
    try:
        return {name: float(value) for name, value in row.items()}
    except (TypeError, ValueError):
        return None


def _write_rows(path: Path, rows: list[dict[str, float]]) -> None:
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with storage.whole_file(path) as file:
        file.write(text.getvalue().encode())


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(
            "tensorboard: not installed; `pip install genie-lite[tensorboard]`, or train without it: "
            "log.csv is always written"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"))
