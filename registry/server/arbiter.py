"""gunicorn's master process, which says what it does: where it listens, that it stops, that it has stopped."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Final, Protocol

from registry import __version__
from registry.server import binding
from registry.server.channel import limit_waiting
from registry.server.gunicorn_internals import (
    Arbiter,
    accompanies_another,
    arbiter_listeners,
    listen_on,
    notify_systemd,
)
from registry.server.jobs_process import JobsProcess
from registry.server.worker import Worker

if TYPE_CHECKING:
    from registry.server.process import Process
    from registry.server.shared import Shared

_DEFER_SECONDS: Final = 30
_log = logging.getLogger(__name__)


class Served(Protocol):
    """What the arbiter asks of the application object."""

    @property
    def shared(self) -> Shared:
        """What the workers share that are forked now."""

    @property
    def drain_delay_seconds(self) -> float:
        """How long requests are welcome after the server was told to stop."""

    @property
    def stall_seconds(self) -> float:
        """How long a client may do nothing while it is waited for."""

    def take_listener(self) -> socket.socket | None:
        """Return the socket to listen on from now on; None if it is none of ours, or still the same."""

    def leave_cluster(self) -> None:
        """Tell the other hosts that this server has stopped."""

    def take_reload(self) -> bool:
        """Tell, once, whether the configuration was to be read again before the server listened."""


class ServerArbiter(Arbiter):
    """gunicorn's master process, which says that it stops before it does."""

    app: Served  # type: ignore[assignment]  # our own application class

    slot_taken: int = -1
    """The slot of the worker that is being forked, -1 if it has none."""

    _former_age: int = 0
    """The age of the last worker that was forked before the configuration was read again; gunicorn counts them."""

    _stopped_by: str = ""
    """The signal by which it was told to stop, until it has said so."""

    def spawn_worker(self) -> int:
        """Fork a worker and return its pid; 0 if that is not possible now: the server goes on, and tries again soon."""
        self.slot_taken = -1
        self.worker_class = JobsProcess if self._lacks_jobs_process() else Worker
        mask = os.umask(0o077)
        os.umask(mask)
        try:
            return super().spawn_worker()
        except OSError as error:
            _log.error("no worker can be started: %s", error)
            os.umask(mask)  # gunicorn changes it for a moment
            if self.app.shared.slots and self.slot_taken >= 0:
                self.app.shared.slots.leave(self.slot_taken)
            return 0

    def manage_workers(self) -> None:
        """Have as many workers as there are to be, one of them the process for jobs, if there is to be one."""
        # gunicorn ends the oldest worker where there are too many, whichever that is.
        if self._lacks_jobs_process() and len(self.WORKERS) >= self.num_workers:
            self.spawn_worker()
        super().manage_workers()

    def _lacks_jobs_process(self) -> bool:
        if not self.app.shared.jobs_apart:
            return False
        return not any(isinstance(each, JobsProcess) and each.age > self._former_age for each in self.WORKERS.values())

    def reload(self) -> None:
        """Replace all workers by those of the configuration as it is now."""
        self._former_age = self.worker_age
        super().reload()

    def handle_ttou(self) -> None:
        """End a worker, unless it is the last one that serves."""
        if self.num_workers - self.app.shared.jobs_apart > 1:
            super().handle_ttou()

    def handle_term(self) -> None:
        """Say that it stops, and do so when load balancers had ``http.draindelay`` to hear it, or when told again."""
        self._stopped_by = "SIGTERM"
        delay_seconds = self.app.drain_delay_seconds
        if self.app.shared.board.draining or not delay_seconds:
            super().handle_term()
        _log.info("stopping (SIGTERM): requests are served for %g s more (http.draindelay)", delay_seconds)
        self._say_that_it_stops()
        signal.signal(signal.SIGALRM, lambda *_: self.signal(signal.SIGTERM, None))
        signal.setitimer(signal.ITIMER_REAL, delay_seconds)

    def handle_int(self) -> None:
        """Stop at once."""
        self._stopped_by = "SIGINT"
        super().handle_int()

    def handle_quit(self) -> None:
        """Stop at once."""
        self._stopped_by = "SIGQUIT"
        super().handle_quit()

    def handle_hup(self) -> None:
        """Read the configuration again; not on the way out, where a new board would say that all is well."""
        if self.app.shared.board.draining:
            return
        notify_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        super().handle_hup()
        notify_systemd("READY=1")

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002  as it is called
        if self._stopped_by and graceful:
            seconds = self.cfg.graceful_timeout
            _log.info("stopping (%s): requests in progress have %d s (http.draintimeout)", self._stopped_by, seconds)
        elif self._stopped_by:
            _log.info("stopping (%s) at once", self._stopped_by)
        self._stopped_by = ""  # it is called again on the way out
        self._say_that_it_stops()
        super().stop(graceful)

    def _say_that_it_stops(self) -> None:
        if not self.app.shared.board.draining:
            self.app.shared.board.drain()
            notify_systemd("STOPPING=1")


def announce(arbiter: ServerArbiter) -> None:
    """Say that the server listens."""
    for listener in arbiter_listeners(arbiter):
        _protect(listener, arbiter.app.stall_seconds)
        secured = ", tls" if arbiter.cfg.is_ssl else ""
        # As the Go registry spells it: what waits for a registry looks for this line.
        _log.info("listening on %s%s", binding.name_of(listener), secured, extra={"version": __version__})
    if arbiter.app.take_reload():
        os.kill(os.getpid(), signal.SIGHUP)


def listen_elsewhere(arbiter: ServerArbiter) -> None:
    """Listen where the configuration that was read again says, if that is another address."""
    listener = arbiter.app.take_listener()
    if listener:
        for each in listen_on(arbiter, listener):
            binding.close(each)
        announce(arbiter)


def take_slot(arbiter: ServerArbiter, worker: Process) -> None:
    """Give a worker that is about to be forked a slot to count in."""
    slots = arbiter.app.shared.slots
    if slots:
        worker.slot = arbiter.slot_taken = slots.take()


def leave_slot(arbiter: ServerArbiter, worker: Process) -> None:
    """Have the slot of a worker that has ended back."""
    slots = arbiter.app.shared.slots
    if slots:
        slots.leave(worker.slot)


def say_that_it_has_stopped(arbiter: ServerArbiter) -> None:
    """Leave nothing behind, and say that the server has stopped."""
    if not accompanies_another(arbiter):
        arbiter.app.leave_cluster()
    slots = arbiter.app.shared.slots
    if slots:
        slots.remove()
    _log.info("stopped")


def _protect(listener: socket.socket, stall_seconds: float) -> None:
    """Set what accepted connections inherit."""
    limit_waiting(listener, stall_seconds)
    if listener.family != socket.AF_UNIX:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Wakes a worker only when a request has begun to arrive.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER_SECONDS)
