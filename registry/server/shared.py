"""What the workers that serve one configuration share: made by the server before it forks them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.config import ConfigurationError
from registry.foundation import addresses
from registry.foundation.election import Election
from registry.health import checks, monitor
from registry.health.board import Board
from registry.observation.metrics import Places, exposition
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
    places: Places | None = None
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
    places = previous.places if previous else None
    if listener and configuration.http.debug.prometheus.enabled:
        places = places or Places()
    return Shared(Board(), Election(), addr, listener, places)


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
    if shared.places and prometheus.enabled:
        pages[prometheus.path] = debug.metrics_page(exposition(shared.places.directory))
    debug.start(shared.debug_listener, pages)


def _listen(addr: str) -> socket.socket:
    try:
        host, port = addresses.parse_listening(addr)
    except (ValueError, OSError) as error:
        raise ConfigurationError("http.debug.addr", f"{addr!r} is not a HOST:PORT to listen on: {error}") from error
    try:
        listener = debug.listen(host, port)
    except OSError as error:
        raise ConfigurationError("http.debug.addr", f"cannot listen on {addr}: {error.strerror}") from error
    _log.info("debug server listening %s", addr)
    return listener
