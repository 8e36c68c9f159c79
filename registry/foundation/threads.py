"""Threads that go on for as long as their process lives."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_SECONDS: Final = 10.0
_START_PAUSE_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


class LastingThread(threading.Thread):
    """Does `work`, and again after a pause whenever that fails, until it returns.

    A failure is handed to ``threading.excepthook``, as that of any thread is: whoever wants to know of threads that
    fail sets that.
    """

    def __init__(self, name: str, work: Callable[[], object], *, pause_seconds: float = PAUSE_SECONDS) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._pause_seconds = pause_seconds

    def run(self) -> None:
        """Do the work until it returns."""
        while True:
            try:
                self._work()
            except Exception:  # noqa: BLE001  nobody would notice that the thread has ended
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self)))
                time.sleep(self._pause_seconds)
            else:
                return

    def begin(self) -> None:
        """Start. Where this process may have no more threads, wait until it may: without this one it is of no use."""
        while True:
            try:
                return self.start()
            except RuntimeError as error:
                _log.error("the thread %s has to wait: %s", self.name, error)
                time.sleep(_START_PAUSE_SECONDS)
                # In Python 3.13 a thread that could not be started takes itself for one that was.
                threading.Thread.__init__(self, name=self.name, daemon=True)
