"""One request of an exchange, and what stands between it and its answer."""

from __future__ import annotations

import http.client
import ssl
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import HTTPError

from registry.foundation.http_client.connections import Connection, Exchange, SecureConnection
from registry.foundation.http_client.destinations import Guard, addresses_of
from registry.foundation.http_client.errors import HttpError, is_silence, line
from registry.foundation.http_client.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.foundation.http_client.destinations import Address
    from registry.foundation.http_client.proxies import Proxy
    from registry.foundation.http_client.requests import Request
    from registry.foundation.http_client.trust import Trust

ENDED: Final = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What the end of a connection looks like to who sends or waits."""


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
    reach: Reach = field(default_factory=Reach)
    guard: Guard | None = None
    redirected: bool = False
    foreign: bool = False
    proxy: Proxy | None = None

    def find_proxy(self) -> None:
        """Look for a proxy, by the environment as it is by now.

        Raises:
            HttpError: there is one that cannot be used, or that may not be asked for this.
        """
        self.proxy = self.reach.proxy_for(self.request.location)
        if self.proxy is None:
            self.exchange.guard = self.guard
        elif self.guard and self.foreign:
            self.guard.require_allowed_by_proxy(self.request.location.host)

    def connection(self, context: ssl.SSLContext | None) -> Connection:
        """Return a connection that is not open yet, with TLS if there is a `context`."""
        location, proxy = self.request.location, self.proxy
        host, port = (proxy.host, proxy.port) if proxy else (location.host, location.port)
        if context is None:
            return Connection(host, port, self.exchange)
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

    @contextmanager
    def errors_in_one_line(self) -> Iterator[None]:
        """Turn whatever stands between this and an answer into an HttpError, which names a hop behind a redirect."""
        try:
            yield
        except HttpError as error:
            error.redirected = self.redirected
            raise
        except (OSError, ValueError, http.client.HTTPException, HTTPError) as error:
            location, proxy = self.request.location, self.proxy
            asked = f"redirected to {location.scheme}://{location.host}:{location.port}: " if self.redirected else ""
            by = f"by the proxy {proxy.host}:{proxy.port}: " if proxy else ""
            host = proxy.host if proxy else location.host
            # What caused it may hold what the peer has sent, which may be what it was sent.
            told = HttpError(asked + by + line(error, host, self.timeout_seconds, self.trust.authorities))
            told.silent, told.redirected = is_silence(error), self.redirected
            raise told from None


def _login(proxy: Proxy) -> dict[str, str]:
    return {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
