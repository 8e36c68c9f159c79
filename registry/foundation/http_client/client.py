"""Requests to other servers, and what they answer."""

from __future__ import annotations

import http.client
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, cast

from urllib3.exceptions import HTTPError

import registry
from registry.foundation.http_client.connections import Connection, Exchange, SecureConnection
from registry.foundation.http_client.deadlines import Deadline
from registry.foundation.http_client.destinations import Guard, addresses_of
from registry.foundation.http_client.errors import HttpError, line
from registry.foundation.http_client.heads import Answer, whole_answer
from registry.foundation.http_client.kept import KeptConnections
from registry.foundation.http_client.proxies import proxy_for
from registry.foundation.http_client.requests import REDIRECTS, Request
from registry.foundation.http_client.trust import Trust
from registry.foundation.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from urllib3 import HTTPHeaderDict

    from registry.foundation.http_client.destinations import Address
    from registry.foundation.http_client.proxies import Proxy

_OK: Final = 200
_ENDED: Final = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What the end of a connection looks like to who sends or waits."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of whatever status, the last one after redirects.

    `headers` are found in any case; of one that is repeated, ``headers.getlist(NAME)`` gives each. `content` is not
    decoded; if it was `truncated`, there is more.
    """

    status: int
    headers: HTTPHeaderDict
    content: bytes
    truncated: bool

    @property
    def reason(self) -> str:
        """The reason phrase that belongs to the status, as Go spells it; what the peer sends for it may be anything."""
        return reason(self.status)


class HttpClient:
    """A client for all threads, which keeps up to `connections` connections to each place.

    `cafile` names the authorities to trust in place of the system's, and is read again when it changes; `context`, if
    given, verifies instead. At most `follow` redirects are followed; with 0, a redirect is the answer. Proxies are
    those of the environment.

    Raises:
        ParameterError: `cafile` cannot be read, or holds no certificates.
    """

    def __init__(
        self,
        *,
        cafile: str = "",
        user_agent: str = f"registry/{registry.__version__}",
        connections: int = 1,
        follow: int = 10,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._trust = Trust(cafile, context)
        self._user_agent = user_agent
        self._follow = follow
        self._kept = KeptConnections(connections)

    def request(  # noqa: PLR0913 - what is sent, and how much and how long is waited for
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
        timeout_seconds: float | None,
        most_bytes: int = 65536,
    ) -> Reply:
        """Return the answer, with the first `most_bytes` of its content; all has come within `timeout_seconds`.

        Only to find the address of a host may take longer: that cannot be cut short. None is to wait for ever. The peer
        may get the request twice: where it closes a connection that was kept before anything of an answer has come,
        another one is used.

        `headers` are sent in their order; "Accept-Encoding: identity" is added if they have none. Length and
        connection are not theirs to say. A redirect to another origin gets but Accept, Content-Type and User-Agent of
        them. It is followed to addresses only that a Guard allows, wherever `url` itself leads.

        Raises:
            HttpError: there is no answer.
        """
        deadline = Deadline(timeout_seconds)
        request = Request.of(method, url, body, headers, user_agent=self._user_agent)
        hop = _Hop(request, Exchange(deadline))
        for _ in range(self._follow + 1):
            with self._errors_in_one_line(hop, timeout_seconds):
                reply = self._answer(hop, most_bytes)
            to = next(iter(reply.headers.getlist("Location")), "")
            if not self._follow or reply.status not in REDIRECTS or not to:
                return reply
            guard = hop.guard or Guard(hop.addresses())
            hop = _Hop(hop.request.redirected(reply.status, to), Exchange(deadline), guard)
        raise HttpError(f"the answer is still {reply.status} {reply.reason} after {self._follow} redirects")

    def close(self) -> None:
        """Close the connections that are kept, and those in use when they have their answers."""
        self._kept.close()

    @contextmanager
    def _errors_in_one_line(self, hop: _Hop, timeout_seconds: float | None) -> Iterator[None]:
        """Turn whatever stands between this and an answer into an HttpError, which names a hop behind a redirect."""
        try:
            yield
        except HttpError:
            raise
        except (OSError, ValueError, http.client.HTTPException, HTTPError) as error:
            location, proxy = hop.request.location, hop.proxy
            asked = f"redirected to {location.scheme}://{location.host}:{location.port}: " if hop.guard else ""
            by = f"by the proxy {proxy.host}:{proxy.port}: " if proxy else ""
            host = proxy.host if proxy else location.host
            # What caused it may hold what the peer has sent, which may be what it was sent.
            raise HttpError(asked + by + line(error, host, timeout_seconds, self._trust.authorities)) from None

    def _answer(self, hop: _Hop, most_bytes: int) -> Reply:
        """Return the answer of this hop.

        Raises:
            HttpError: it may not be asked.
            OSError: or HTTPException, there is no answer.
        """
        hop.find_proxy()
        location = hop.request.location
        context = self._trust.context() if location.scheme == "https" else None
        key = (location.origin, hop.proxy, context)
        connection = self._kept.take(key)
        if connection:
            try:
                return self._ask(connection, key, hop, most_bytes)
            except _ENDED:
                if hop.exchange.answered:
                    raise
        return self._ask(_connection(hop, context), key, hop, most_bytes)

    def _ask(self, connection: Connection, key: object, hop: _Hop, most_bytes: int) -> Reply:
        """Return the answer that comes on `connection`, which is kept or closed then."""
        keep = False
        try:
            whole = hop.send(connection)
            answer, keep = _answer_on(connection, hop.request.method, most_bytes)
            keep = keep and whole
        finally:
            if keep:
                self._kept.put(key, connection)
            else:
                connection.close()
        return Reply(answer.status, answer.headers, answer.content[:most_bytes], len(answer.content) > most_bytes)


def _answer_on(connection: Connection, method: str, most_bytes: int) -> tuple[Answer, bool]:
    """Return the answer, of whose content no more is read than shows that there is more than `most_bytes`.

    Tell also whether the connection may be used again.
    """
    piece = connection.receive()
    answer = whole_answer(piece) if method != "HEAD" else None
    if answer:
        return answer, True
    with connection.response(method, piece) as response:
        content = response.read(most_bytes + 1)
        if len(content) <= most_bytes and response.length:
            raise http.client.IncompleteRead(content, response.length)
        keep = response.isclosed() and response.status >= _OK and not response.will_close
    return Answer(response.status, cast("HTTPHeaderDict", response.headers), content), keep


@dataclass(slots=True)
class _Hop:
    """One request of an exchange; more follow where it is redirected, and have a `guard`."""

    request: Request
    exchange: Exchange
    guard: Guard | None = None
    proxy: Proxy | None = None

    def find_proxy(self) -> None:
        """Look for a proxy in the environment, as it is by now.

        Raises:
            HttpError: there is one that cannot be used, or that may not be asked for this.
        """
        self.proxy = proxy_for(self.request.location)
        if self.proxy is None:
            self.exchange.guard = self.guard
        elif self.guard:
            self.guard.require_allowed_by_proxy(self.request.location.host)

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
        except _ENDED:
            return False
        return True

    def addresses(self) -> frozenset[Address]:
        """Return the address that was connected to; behind a proxy, those that it may have connected to."""
        if self.proxy:
            return addresses_of(self.request.location.host)
        return frozenset({ip_address(self.exchange.peer)})


def _connection(hop: _Hop, context: ssl.SSLContext | None) -> Connection:
    location, proxy = hop.request.location, hop.proxy
    host, port = (proxy.host, proxy.port) if proxy else (location.host, location.port)
    if context is None:
        return Connection(host, port, hop.exchange)
    connection = SecureConnection(host, port, hop.exchange, ssl_context=context)
    if proxy:
        connection.set_tunnel(location.host, location.port, _login(proxy))
    return connection


def _login(proxy: Proxy) -> dict[str, str]:
    return {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
