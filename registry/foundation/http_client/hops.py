"""One request of an exchange, and what stands between it and its answer."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import HTTPError

from registry.foundation.http_client.connections import Connection, Exchange, PlainConnection, SecureConnection
from registry.foundation.http_client.deadlines import UnsentError
from registry.foundation.http_client.destinations import Guard, addresses_of
from registry.foundation.http_client.errors import HttpError, is_silence, line

if TYPE_CHECKING:
    from registry.foundation.http_client.destinations import Address
    from registry.foundation.http_client.proxies import Proxy
    from registry.foundation.http_client.requests import Request
    from registry.foundation.http_client.trust import Trust

ENDED: Final = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What the end of a connection looks like to who sends or waits."""

UNANSWERED: Final = (OSError, ValueError, http.client.HTTPException, HTTPError)
"""What may be raised where there is no answer."""


@dataclass(slots=True)
class Hop:
    """One request of an exchange; more follow where it is redirected, and are `redirected`.

    It is `foreign` where a peer has named its place, as with each redirect.

    `trust` says whose certificates it takes; `timeout_seconds` is for the text of errors.
    """

    request: Request
    exchange: Exchange
    trust: Trust
    timeout_seconds: float | None
    guard: Guard | None = None
    redirected: bool = False
    foreign: bool = False
    proxy: Proxy | None = None

    def require_way(self, proxy: Proxy | None) -> None:
        """Return if the request may go by `proxy`, or without one: from now on it does.

        Raises:
            HttpError: the proxy may not be asked for this.
        """
        self.proxy = proxy
        if proxy is None:
            self.exchange.guard = self.guard
        elif self.guard and self.foreign:
            self.guard.require_allowed_by_proxy(self.request.location.host)

    def connection(self, context: ssl.SSLContext | None) -> Connection:
        """Return a connection that is not open yet, with TLS if there is a `context`."""
        location, proxy = self.request.location, self.proxy
        host, port = (proxy.host, proxy.port) if proxy else (location.host, location.port)
        if context is None:
            return PlainConnection(host, port, self.exchange)
        connection = SecureConnection(host, port, self.exchange, ssl_context=context)
        if proxy:
            connection.set_tunnel(location.host, location.port, _login(proxy))
        return connection

    def send(self, connection: Connection) -> bool:
        """Send the request; tell whether all of it went: a peer may answer and close before it has read the body."""
        connection.exchange = self.exchange
        if connection.sock is None:
            connection.connect()
        elif self.exchange.guard:
            self.exchange.guard.require_allowed(connection.peer)
        self.exchange.peer = connection.peer
        request = self.request
        target = request.location.target
        if self.proxy and request.location.scheme == "http":
            target = request.location.url
            for name, value in _login(self.proxy).items():
                request = request.with_header(name, value)
        try:
            connection.send_request(request.head(target), request.body or b"")
        except ENDED:
            return False
        return True

    def addresses(self) -> frozenset[Address]:
        """Return the address that was connected to; behind a proxy, those that it may have connected to."""
        if self.proxy:
            return addresses_of(self.request.location.host)
        return frozenset({ip_address(self.exchange.peer)})

    def told(self, error: Exception) -> HttpError:
        """Return what `error`, which stands between this and an answer, is to the caller; it names a redirected hop."""
        if isinstance(error, HttpError):
            error.redirected = self.redirected
            return error
        location, proxy = self.request.location, self.proxy
        asked = f"redirected to {location.scheme}://{location.host}:{location.port}: " if self.redirected else ""
        by = f"by the proxy {proxy.host}:{proxy.port}: " if proxy else ""
        host = proxy.host if proxy else location.host
        # What caused it may hold what the peer has sent, which may be what it was sent.
        told = HttpError(asked + by + line(error, host, self.timeout_seconds, self.trust.authorities))
        told.silent, told.redirected = is_silence(error), self.redirected
        told.unsent = isinstance(error, UnsentError)
        return told


def _login(proxy: Proxy) -> dict[str, str]:
    return {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
