"""What the workers that serve one configuration share: made by the server before it forks them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from registry.foundation.shared_set import SharedSet
from registry.health.board import Board
from registry.health.threads import ThreadBoard
from registry.jobs.board import JobBoard
from registry.jobs.runner import Elections, Runner
from registry.observation.metrics import Slots, exposition
from registry.server import binding, debug
from registry.server.periodic import periodic_jobs
from registry.services import Remembered

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from registry.config import Configuration
    from registry.observation.metrics import Metrics
    from registry.services import Services

_FINISH_SECONDS: Final = 1.5
"""How long a worker that ends waits for jobs that end soon: for a delivery to an endpoint, say."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """State that belongs to no single worker."""

    board: Board
    jobs: JobBoard
    elections: Elections
    remembered: Remembered
    threads: ThreadBoard
    debug_addr: str = ""
    debug_listener: socket.socket | None = None
    slots: Slots | None = None
    """Where the workers count; None if metrics are off."""
    jobs_apart: bool = False
    """Whether jobs have a process of their own; else an elected worker does them."""


def share(configuration: Configuration, previous: Shared | None, *, jobs_apart: bool = False) -> Shared:
    """Return what the workers of `configuration` are to share; `previous` is what those before them did.

    Raises:
        ConfigurationError: the debug server cannot listen.
        OSError: there are no file descriptors or no memory for it; `previous` is still of use.
    """
    addr = configuration.http.debug.addr
    kept = previous if previous and previous.debug_addr == addr else None
    listener = kept.debug_listener if kept else _listen(addr)
    slots = previous.slots if previous else None
    if listener and configuration.http.debug.prometheus.enabled:
        slots = slots or Slots()
    elections = previous.elections.renewed() if previous else Elections()
    # The workers before go on writing on their own board, so it is copied.
    jobs = JobBoard(previous.jobs.read() if previous else ())
    remembered = Remembered()
    if previous:
        before = previous.remembered
        remembered = replace(before, told=SharedSet(), reloads=before.reloads + 1)
    # The threads of the workers before end with them, so what happened to them is of the past.
    shared = Shared(Board(), jobs, elections, remembered, ThreadBoard(), addr, listener, slots, jobs_apart)
    if previous:
        _close(previous, listener)
    return shared


def _close(previous: Shared, listener: socket.socket | None) -> None:
    """Close what only the workers before share: each of them has descriptors of its own."""
    previous.elections.configuration.close()
    previous.threads.close()
    if previous.debug_listener and previous.debug_listener is not listener:
        previous.debug_listener.close()


def start(
    shared: Shared, services: Services, metrics: Metrics | None, stopping: Callable[[], bool]
) -> Callable[[], None]:
    """Start the threads of this worker, after the fork: pulls, the debug server, jobs without a process of their own.

    The rest is as for start_jobs().
    """
    close = services.close if shared.jobs_apart else start_jobs(shared, services, metrics, stopping)
    shared.threads.watch()
    if services.pulls:
        services.pulls.start()
    if shared.debug_listener:
        _start_debug_server(shared, services, shared.debug_listener)
    return close


def start_jobs_apart(
    shared: Shared, services: Services, metrics: Metrics | None, stopping: Callable[[], bool]
) -> Callable[[], None]:
    """Start the threads of the process that does the jobs and serves nothing; the rest is as for start_jobs()."""
    if shared.debug_listener:
        shared.debug_listener.close()
    return start_jobs(shared, services, metrics, stopping)


def start_jobs(
    shared: Shared, services: Services, metrics: Metrics | None, stopping: Callable[[], bool]
) -> Callable[[], None]:
    """Have this process do the jobs if it is elected.

    No job begins once `stopping` is true. What is returned is to be called after that, as the process ends; it may
    raise DriverError.
    """
    shared.threads.watch()
    runner = Runner(periodic_jobs(services, stopping), shared.elections, shared.jobs, metrics, stopping)
    runner.start()

    def close() -> None:
        runner.finish(_FINISH_SECONDS)
        services.close()

    return close


def _start_debug_server(shared: Shared, services: Services, listener: socket.socket) -> None:
    pages = debug.health_pages(shared.board, shared.jobs, shared.threads)
    prometheus = services.configuration.http.debug.prometheus
    if shared.slots and prometheus.enabled:
        pages[prometheus.path] = debug.metrics_page(exposition(shared.slots.directory))
    debug.start(listener, pages)


def _listen(addr: str) -> socket.socket | None:
    if not addr:
        return None
    address = binding.tcp_address(addr, binding.DEBUG_KEY)
    try:
        listener = debug.listen(address.host, address.port)
    except OSError as error:
        raise binding.refusal(error, address, binding.DEBUG_KEY) from error
    _log.info("debug server listening %s", addr)
    return listener
