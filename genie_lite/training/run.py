"""What a training run does between its steps: count, write the log, show samples, save its state, stop."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from torch import Tensor, nn

from genie_lite import storage
from genie_lite.config import StageConfig
from genie_lite.data import ClipLoader
from genie_lite.training import distributed
from genie_lite.training.checkpoint import Optimizers, Position, load_state, newest_state, save_state
from genie_lite.training.codebook_monitor import CollapseWatch
from genie_lite.training.encoded import NumberLoader
from genie_lite.training.errors import TrainingError
from genie_lite.training.interrupts import Interrupts
from genie_lite.training.log import NoLog, RunLog
from genie_lite.training.run_settings import Settings

logger = logging.getLogger(__name__)


class Run:
    """A run in a folder, which begins where its newest state ends. Use it as a context, from one step to the next.

    `step` optimiser steps took `elapsed` seconds; `progress` is the part of the stage that is done, 1 at its end.
    Leaving the context with KeyboardInterrupt saves the state first.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Optimizers,
        loader: ClipLoader | NumberLoader,
        stage: StageConfig,
        folder: Path,
        *,
        title: str,
        settings: Settings,
        on_sample: Callable[[int], None] | None,
        progress: bool,
        tensorboard: bool,
    ) -> None:
        self.model, self.optimizers, self.stage, self.title = model, optimizers, stage, title
        self.states = folder / "state"
        self._first = distributed.rank() == 0
        if self._first:
            for place in (folder, self.states, folder / "samples"):
                storage.recover_all(place)
        distributed.wait()
        self._settings = settings
        begin = self._saved = load_state(self.states, model, optimizers, settings)
        self.step, self.elapsed = begin.step, begin.elapsed
        if self.step and self._first:
            logger.info("%s: resuming at step %d of %d", title, self.step, stage.steps)
        self._loader = loader
        loader.seek(self.step)
        self._log = (
            RunLog(folder, title, stage, self.step, progress=progress, tensorboard=tensorboard)
            if self._first
            else NoLog()
        )
        self._watches = CollapseWatch.over(model, title, stage)
        self._on_sample = on_sample if stage.sample_every else None
        self._interrupts = Interrupts()
        self._started = time.monotonic() - self.elapsed
        self._finite: Tensor | bool = True  # whether the newest step's numbers are

    @property
    def progress(self) -> float:
        return progress_of(self.stage, self.step, self.elapsed)

    def __enter__(self) -> Run:
        with contextlib.ExitStack() as stack:
            stack.push(self)
            self._interrupts.__enter__()
            if self._sample_due():  # at the beginning, or where Ctrl-C cut the last one short
                self._sample()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is KeyboardInterrupt:
                self._save()
                again = "start it again with the same run folder to continue"
                if self._first:
                    logger.warning("%s: stopped at step %d; %s", self.title, self.step, again)
        finally:
            self._loader.close()
            self._log.close()
            for watch in self._watches:
                watch.close()
            self._interrupts.__exit__(kind, error, trace)

    def next_batch(self) -> np.ndarray:
        """This process's part of the next step's batch."""
        with self._waiting():
            return next(self._loader)

    def report(self, numbers: dict[str, Tensor], norm: Tensor, rate: float) -> None:
        """Count a step with these losses, gradient norm and learning rate, and do what is due after it.

        TrainingError when the numbers of this step, or of the one before, are not finite; KeyboardInterrupt when it was
        pressed meanwhile. In both, and in what is due, all processes agree.
        """
        self.step += 1
        clock = time.monotonic() - self._started if self._first else 0.0
        # Whether the step before went well: by now a GPU has computed it, so nothing waits for the answer.
        self.elapsed, stop, diverged = distributed.maxima(clock, self._interrupts.requested, not self._finite)
        if diverged:
            raise self._not_finite(self.step - 1)
        self._finite = (numbers["loss"] + norm).isfinite()

        last = self.progress >= 1
        log_due = last or self.step % self.stage.log_every == 0
        save_due = last or self.elapsed - self._saved.elapsed > 60 * self.stage.checkpoint_every_minutes
        row = self._row(numbers, norm, rate) if log_due or save_due or stop else None
        if log_due:
            self._log.warn(*(alarm for watch in self._watches if (alarm := watch.look(self.step))))
        self._log.tick(self.progress, self.elapsed, self.step, row if log_due else None)
        if self._sample_due():
            self._sample()
        if stop:
            raise KeyboardInterrupt
        if save_due:
            self._save()

    def _row(self, numbers: dict[str, Tensor], norm: Tensor, rate: float) -> dict[str, float]:
        """A row of the log: what all processes found, on average."""
        values = [value.detach().clone() for value in numbers.values()]
        distributed.average_(values)
        row = {"step": self.step, "minutes": self.elapsed / 60, "lr": rate, "grad_norm": float(norm)}
        row |= dict(zip(numbers, map(float, values), strict=True))
        if not math.isfinite(row["loss"] + row["grad_norm"]):
            raise self._not_finite(self.step)
        return row

    def _sample_due(self) -> bool:
        return self.progress >= 1 or self.step % (self.stage.sample_every or 1) == 0

    def _sample(self) -> None:
        if self._on_sample is not None:
            with self._waiting():
                self._on_sample(self.step)

    def _save(self) -> None:
        now = Position(self.step, self.elapsed)
        if self.step > self._saved.step:
            save_state(self.states, self.model, self.optimizers, now, self._settings)
        self._saved = now

    def _waiting(self) -> contextlib.AbstractContextManager[None]:
        """Where nothing is half done, Ctrl-C need not wait; several processes stop together, after a step."""
        return self._interrupts.passed_on() if distributed.count() == 1 else contextlib.nullcontext()

    def _not_finite(self, step: int) -> TrainingError:
        state = newest_state(self.states)
        rates = f"max_lr ({self.stage.max_lr:g})"
        rates += f" and muon_lr ({self.stage.muon_lr:g})" if "muon" in self.optimizers else ""
        return TrainingError(
            f"{self.title}: the loss or its gradient was not finite at step {step}, and training stopped there. "
            f"The last good state is {state or 'the beginning: none was saved before'}. To train on from the "
            f"beginning, choose another run folder and lower {rates}, raise warmup_steps ({self.stage.warmup_steps}), "
            f"or clip gradients harder (grad_clip {self.stage.grad_clip:g})"
        )


def progress_of(stage: StageConfig, step: int, elapsed: float) -> float:
    """How much of a stage is done after `step` steps and `elapsed` seconds: by steps or by time, whichever is more."""
    by_time = elapsed / (60 * stage.time_budget_minutes) if stage.time_budget_minutes else 0.0
    return max(step / stage.steps, by_time)
