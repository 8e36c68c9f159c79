"""The process for periodic work, which gunicorn forks beside the workers where there are jobs that work all the time.

A thread that delivers events beside threads that answer requests makes both wait for the interpreter's lock: it then
costs twice as much as in a process of its own.
"""

from __future__ import annotations

import logging
import os
import select
from typing import TYPE_CHECKING, Final, Protocol

from registry.server.gunicorn_internals import wake_up_pipe, worker_listeners
from registry.server.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

_WATCH_SECONDS: Final = 1.0
_MOST_SIGNALS: Final = 4096
_log = logging.getLogger(__name__)


class JobsSource(Protocol):
    """What this process asks of the application object that gunicorn hands it."""

    def start_jobs(self, slot: int, stopping: Callable[[], bool]) -> Callable[[], None]:
        """Start the jobs, in the process in `slot`; return what to call as it ends, which may raise DriverError.

        `stopping` tells whether the process was told to stop.
        """


class JobsProcess(Process):
    """Does periodic work and accepts no connections. Threads do the work; the main thread says that they can."""

    app: JobsSource  # type: ignore[assignment]  # gunicorn hands its own application class through

    def load_wsgi(self) -> None:
        """Start the jobs, after the fork."""
        for listener in worker_listeners(self):
            listener.close()  # when the workers have ended, clients are to find nobody here
        self._close = self.app.start_jobs(self.slot, self.stopping)

    def run(self) -> None:
        """Keep the process until it is told to stop; then runs that end soon may end."""
        _log.info("periodic work has a process of its own: %d", os.getpid())
        wake_up, _ = wake_up_pipe(self)
        while self.goes_on():
            self.notify()
            if select.select([wake_up], [], [], _WATCH_SECONDS)[0]:
                os.read(wake_up, _MOST_SIGNALS)
        self.let_go(self._close)
