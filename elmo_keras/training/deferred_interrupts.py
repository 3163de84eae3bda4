"""Signals that wait for the end of a training step."""

import signal
import threading
from typing import Any


class DeferredInterrupts:
    """A context in which SIGINT and SIGTERM only set `is_pending`, so that a step is finished.

    Args:
        enabled: bool. Whether to change the signals' handlers.
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.is_pending = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "DeferredInterrupts":
        # Python allows only the main thread to set handlers.
        if self.enabled and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: Any) -> None:
        self.is_pending = True

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
