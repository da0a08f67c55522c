"""Ctrl-C (and a notebook's stop button) held back for as long as a state is changed."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def interrupts_postponed() -> Iterator[None]:
    """Let the body finish before an interrupt takes effect, so that it happens completely.

    Python delivers interrupts to the main thread alone; in other threads this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def remember(number: int, frame: Any) -> None:
        waiting.append(number)

    before = signal.getsignal(signal.SIGINT)
    if before is None:  # installed by something other than Python: leave it alone
        yield
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            signal.raise_signal(signal.SIGINT)
