"""What the workers that serve one configuration share: made by the server before it forks them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.config import ConfigurationError
from registry.foundation import addresses as address
from registry.health import checks, monitor
from registry.health.board import Board
from registry.jobs.purge import Election
from registry.observation.metrics import Slots, exposition
from registry.server import debug

if TYPE_CHECKING:
    import socket

    from registry.config import Configuration
    from registry.services import Services

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """State that belongs to no single worker."""

    board: Board
    election: Election
    """Elects who looks after health."""
    debug_addr: str = ""
    debug_listener: socket.socket | None = None
    slots: Slots | None = None
    """Where the workers count; None if metrics are off."""


def share(configuration: Configuration, previous: Shared | None) -> Shared:
    """Return what the workers of `configuration` are to share; `previous` is what those before them did.

    Raises:
        ConfigurationError: the debug server cannot listen.
    """
    addr = configuration.http.debug.addr
    if previous and previous.debug_addr == addr:
        listener = previous.debug_listener
    else:
        listener = _listen(addr) if addr else None
        if previous and previous.debug_listener:
            previous.debug_listener.close()
    slots = previous.slots if previous else None
    if listener and configuration.http.debug.prometheus.enabled:
        slots = slots or Slots()
    return Shared(Board(), Election(), addr, listener, slots)


def start(shared: Shared, services: Services) -> None:
    """Start this worker's part of it, after the fork."""
    looked_at = list(checks.configured_checks(services.configuration.health, services.driver))
    if services.redis:
        looked_at.append(checks.optional_check("redis", services.redis.look))
    monitor.start(shared.election, shared.board, looked_at)
    if not shared.debug_listener:
        return
    pages = debug.health_pages(shared.board)
    prometheus = services.configuration.http.debug.prometheus
    if shared.slots and prometheus.enabled:
        pages[prometheus.path] = debug.metrics_page(exposition(shared.slots.directory))
    debug.start(shared.debug_listener, pages)


def _listen(addr: str) -> socket.socket:
    host, port = address.parse(addr, "http.debug.addr")
    try:
        listener = debug.listen(host, port)
    except OSError as error:
        raise ConfigurationError("http.debug.addr", f"cannot listen on {addr}: {error.strerror}") from error
    _log.info("debug server listening %s", addr)
    return listener
