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

    torchrun answers a second Ctrl-C with SIGTERM to all processes. Where several train together that is ignored from
    the first Ctrl-C to the end of the context, so that the state is saved; torchrun kills after 30 seconds anyway.
    """

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False
        self._before: Any = None
        self._before_term: Any = None

    def __enter__(self) -> Interrupts:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
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
        if first and distributed.count() > 1:
            self._before_term = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if first and self._at_once:
            raise KeyboardInterrupt
