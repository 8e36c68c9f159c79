"""The worker process, which gunicorn forks: its parts put together, its start and its end."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from registry.server.gunicorn_internals import Settings, wake_up_pipe, worker_listeners
from registry.server.poller import Poller
from registry.server.process import Process
from registry.server.responder import Outcome, Responder
from registry.server.turns import MOST_WORKING, Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication

    from registry.observation.metrics import Metrics
    from registry.server.access_log import AccessLog
    from registry.server.connection import Connection, ConnectionLimits
    from registry.server.listening import ListeningLimits
    from registry.server.tls.certificates import Certificates

_log = logging.getLogger(__name__)
_WATCH_SECONDS: Final = 1.0
_STOPPING_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a worker is handed after the fork: what it serves, where it counts, what it says of certificates.

    `close` is called when the worker has served its last request; it may raise DriverError.
    """

    application: WSGIApplication
    close: Callable[[], None]
    limits: ConnectionLimits
    listening: ListeningLimits
    metrics: Metrics | None = None
    certificates: Certificates | None = None


class ContextSource(Protocol):
    """What a worker asks of the application object that gunicorn hands it."""

    def start_worker(self, slot: int, stopping: Callable[[], bool]) -> WorkerContext:
        """Return what the worker in `slot` works with; called in its process.

        `stopping` tells whether the worker was told to stop.
        """


class Worker(Process):
    """Serves HTTP/1.1.

    The poller has the connections; threads take turns at asking it for one, and have the responder answer its
    requests. The main thread watches over them.
    """

    app: ContextSource  # type: ignore[assignment]  # gunicorn hands its own application class through
    log: AccessLog

    def load_wsgi(self) -> None:
        """Ask the server what to work with, after the fork: clients and threads of an SDK do not survive one."""
        self._context = self.app.start_worker(self.slot, self.stopping)

    def run(self) -> None:
        """Serve until told to stop, then let requests finish; the main thread only keeps watch."""
        context, settings = self._context, Settings(self.cfg)
        self._poller = Poller(worker_listeners(self), settings, context.limits, context.listening)
        self._responder = Responder(context.application, settings, self.log, self.stopping, context.limits.head_size)
        self._turns = Turns(self._poller, self._serve, wake_up_pipe(self), threads=self.cfg.threads)
        self._turns.start()
        while self.goes_on():
            self._keep_watch(at_most=_WATCH_SECONDS)
        self._poller.stop_listening()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        told = False
        while len(self._poller) and time.monotonic() < deadline:
            self._keep_watch(at_most=_STOPPING_SECONDS)
            if not told:
                told = True
                self._tell_what_it_waits_for()
        self.let_go(context.close)

    def _tell_what_it_waits_for(self) -> None:
        requests, seconds = self._poller.count_in_progress(), self.cfg.graceful_timeout
        if requests:
            _log.info("worker %d waits for requests in progress: %d, %d s at most", os.getpid(), requests, seconds)

    def notify(self) -> None:
        """Say that this process lives, and how much of it is in use."""
        super().notify()
        metrics, certificates = self._context.metrics, self._context.certificates
        if metrics:
            metrics.worker_loaded(threads=MOST_WORKING, busy=self._turns.busy, connections=len(self._poller))
            if certificates:
                metrics.certificate_served(certificates.section.certificate, certificates.not_after())

    def _keep_watch(self, *, at_most: float) -> None:
        self.notify()
        self._poller.watch()
        self._turns.watch(at_most)

    def _serve(self, connection: Connection, hand_over: Callable[[], None] | None) -> bool:
        """Do for the connection what there is to do, then have it wait or end; return whether it needs a thread."""
        outcome = self._responder.serve(connection, hand_over)
        connection.channel.ticket.end()
        if outcome is Outcome.WAIT:
            self._poller.keep(connection)
        elif outcome is Outcome.CLOSE:
            self._poller.close(connection)
        return outcome is Outcome.NEEDS_THREAD
