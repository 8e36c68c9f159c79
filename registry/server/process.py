"""A process that gunicorn forks for the server: what those that serve and the one for jobs have in common."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

from gunicorn.workers import base

from drivers.base import DriverError
from registry.server.allocator import share_arenas
from registry.server.waiting import ask_once

if TYPE_CHECKING:
    from collections.abc import Callable

_CLOSING_SECONDS: Final = 2.0
_log = logging.getLogger(__name__)


class Process(base.Worker):
    """Runs until it is told to stop, or until the server that forked it has ended."""

    slot: int = 0
    """Which of the server's processes it is: the one that replaces it has the same."""

    def init_process(self) -> None:
        """Prepare what must not be shared with the server that forked."""
        share_arenas()
        super().init_process()

    def goes_on(self) -> bool:
        """Tell whether this process is to go on."""
        return self.alive and self.ppid == os.getppid()

    def stopping(self) -> bool:
        """Tell whether this process was told to stop."""
        return not self.alive

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop; the signal itself has woken the main thread."""
        del sig, frame
        self.alive = False

    def let_go(self, close: Callable[[], None]) -> None:
        """Let go, by `close`, of what others wait for, for as long as a storage usually takes to answer."""
        try:
            ask_once(close, seconds=_CLOSING_SECONDS)
        except DriverError as error:
            _log.warning("worker %d has not let go of the storage: %s", os.getpid(), error)
