"""Ctrl-C at moments when it does no harm."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from genie_lite.training import distributed


class Interrupts:
    """Within this context, Ctrl-C is recorded in `requested`; whoever trains looks there after each step.

    Only inside `passed_on` does it raise KeyboardInterrupt at once, and only the first time: a second Ctrl-C must not
    cut short the saving that the first one started. Outside the main thread, and where Ctrl-C is switched off,
    everything is left as it is.

    torchrun passes Ctrl-C on and answers a second one with SIGTERM, which may be all that a process hears when the two
    come quickly. Where several train together SIGTERM therefore counts as Ctrl-C, unless it tells that one of them has
    ended; torchrun kills those that are left after 30 seconds.
    """

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False
        self._before: Any = None
        self._before_term: Any = None

    def __enter__(self) -> Interrupts:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
            if distributed.count() > 1:
                self._before_term = signal.signal(signal.SIGTERM, self._receive_term)
            self._before = signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._before_term is not None:
            signal.signal(signal.SIGTERM, self._before_term)

    @contextlib.contextmanager
    def passed_on(self) -> Iterator[None]:
        """Let Ctrl-C raise KeyboardInterrupt at once, for as long as nothing is half done."""
        self._at_once = True
        try:
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._at_once = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if first and self._at_once:
            raise KeyboardInterrupt

    def _receive_term(self, number: int, frame: FrameType | None) -> None:
        if self.requested or not distributed.ended():
            self.requested = True
        elif callable(self._before_term):
            self._before_term(number, frame)
        else:
            signal.signal(number, self._before_term)
            signal.raise_signal(number)
