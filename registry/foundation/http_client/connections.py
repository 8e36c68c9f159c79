"""Connections of urllib3 whose every wait ends at the deadline of the exchange, and that dial what a guard allows."""

from __future__ import annotations

import http.client
import io
import socket
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from urllib3.connection import HTTPConnection, HTTPSConnection

from registry.foundation.http_client.deadlines import TimeUpError
from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.heads import (
    WITHOUT_CONTENT,
    Response,
    content_length,
    read_headers,
    whole_response,
)

if TYPE_CHECKING:
    from urllib3 import HTTPHeaderDict

    from registry.foundation.http_client.deadlines import Patience
    from registry.foundation.http_client.destinations import Guard

_MOST_AT_ONCE: Final = 16 * 1024
_PIECE: Final = 16 * 1024
"""What is sent at once: a record of TLS, as a timeout of Python holds for each."""

_LEAST_SECONDS: Final = 2.0
"""What an address is given to take a connection, if it has others behind it and there is as much time (as in Go)."""

_MOST_FAMILIES: Final = 64
"""Hosts of which the family is remembered: redirects lead to any number."""

_MOST_INTERIM: Final = 5
"""Interim answers before an answer, as in Go: to read those of a peer that never ends them takes all of a core."""
_SWITCHING_PROTOCOLS: Final = 101
_OK: Final = 200


@dataclass(slots=True)
class Exchange:
    """A request on a connection: until when, what may be dialled, what was, and whether a byte of an answer came.

    An address is waited for no longer than `connect_seconds`, None without such a limit. `families` says by host which
    family of addresses has worked, and is tried first.
    """

    deadline: Patience
    connect_seconds: float | None = None
    families: dict[str, int] = field(default_factory=dict)
    guard: Guard | None = None
    peer: str = ""
    answered: bool = False


class Connection(HTTPConnection):
    """A connection to ``HOST:PORT``, of the peer or of a proxy, for one exchange after the other.

    `peer` is the address that it is connected to.
    """

    peer = ""
    received = b""
    """What the next response begins with."""

    def __init__(self, host: str, port: int, exchange: Exchange, **options: Any) -> None:
        super().__init__(host, port, **options)
        self.exchange = exchange
        self._dialled = host, port
        self.response_class = partial(_Response, self)  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        """Return a connection to the first address that takes one."""
        host, port = self._dialled
        found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM)
        worked = self.exchange.families.get(host)
        if worked is not None:
            found.sort(key=lambda each: each[0] != worked)
        for index, (family, _, _, _, address) in enumerate(found):
            try:
                connected = self._connected(family, address, self._share(len(found) - index))
            except OSError:
                if index == len(found) - 1:
                    raise
            else:
                if worked != family and len(found) > 1:
                    self._remember(host, family)
                return connected
        raise HttpError(f"{host} has no address")

    def _connected(self, family: int, address: tuple[Any, ...], seconds: float | None) -> socket.socket:
        if self.exchange.guard:
            self.exchange.guard.require_allowed(address[0])
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connecting.settimeout(seconds)
            self._connect(connecting, address, seconds)
            connecting.settimeout(self.exchange.deadline.remaining_seconds())
            self.peer = connecting.getpeername()[0]
        except OSError:
            connecting.close()
            raise
        return connecting

    def _connect(self, connecting: socket.socket, address: tuple[Any, ...], seconds: float | None) -> None:
        try:
            connecting.connect(address)
        except TimeoutError as error:
            if seconds is not None and seconds == self.exchange.connect_seconds:
                raise TimeUpError(f"{address[0]} takes no connection within {seconds:g} s") from error
            raise

    def _remember(self, host: str, family: int) -> None:
        families = self.exchange.families
        if len(families) >= _MOST_FAMILIES:
            families.clear()
        families[host] = family

    def _share(self, addresses: int) -> float | None:
        """Return for how long to wait for the first of so many addresses."""
        remaining, most = self.exchange.deadline.remaining_seconds(), self.exchange.connect_seconds
        if remaining is None:
            return most
        share = min(remaining, max(remaining / addresses, _LEAST_SECONDS))
        return share if most is None else min(share, most)

    def send_request(self, head: bytes, body: bytes) -> None:
        """Send a request: its head together with its body, if that is short, so that the peer is woken up once."""
        if len(body) <= _PIECE:
            self.send(head + body)
        else:
            self.send(head)
            self.send(body)

    def send(self, data: Any) -> None:
        """Send bytes, all of them by the deadline."""
        view = memoryview(data)
        for at in range(0, len(view), _PIECE):
            self.sock.settimeout(self.exchange.deadline.remaining_seconds())
            self.sock.sendall(view[at : at + _PIECE])

    def response(self, method: str) -> Response:
        """Return the answer to a request that was sent, of which the head has come; the rest comes on this connection.

        That of urllib3 would be decoded, and if malformed be logged with the URL.
        """
        piece = self._receive()
        if method != "HEAD" and (whole := whole_response(piece)):
            return whole
        self.received = piece
        response = cast("_Response", self.response_class(self.sock, method=method))
        try:
            response.begin()
        except BaseException:
            response.close()
            raise
        return response

    def _receive(self) -> bytes:
        """Return the beginning of an answer, b"" if the peer has closed the connection."""
        self.sock.settimeout(self.exchange.deadline.remaining_seconds())
        piece = self.sock.recv(_MOST_AT_ONCE)
        self.exchange.answered = self.exchange.answered or bool(piece)
        self.exchange.deadline.received(len(piece))
        return piece


class SecureConnection(Connection, HTTPSConnection):
    """The same with TLS."""


class _Response(http.client.HTTPResponse):
    headers: HTTPHeaderDict  # type: ignore[assignment]  # the base asks it for get() and items()
    _answers = 0

    def __init__(self, connection: Connection, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        received, connection.received = connection.received, b""
        super().__init__(cast("socket.socket", _TimedSocket(sock, connection.exchange, received)), *args, **kwargs)

    def _read_status(self) -> tuple[str, int, str]:
        self._answers += 1
        if self._answers > _MOST_INTERIM + 1:
            raise HttpError(f"there is no answer, but more than {_MOST_INTERIM} interim ones")
        found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # http.client has it for itself
        return found

    def begin(self) -> None:
        version, status, reason = self._read_status()
        headers = read_headers(self.fp)
        # The base passes over 100 only; more of RFC 9110 section 15.2 may come before an answer.
        while status < _OK and status != _SWITCHING_PROTOCOLS:
            version, status, reason = self._read_status()
            headers = read_headers(self.fp)
        if not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.version = 10 if version == "HTTP/1.0" else 11
        self.code = self.status = status
        self.reason = reason.strip()
        self.headers = self.msg = headers  # type: ignore[assignment]
        self._find_end()

    def _find_end(self) -> None:
        """Find where the content ends (RFC 9112 section 6.3)."""
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = None if self.chunked else content_length(self.headers)
        if self.status in WITHOUT_CONTENT or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        self.will_close = self._check_close() or (not self.chunked and self.length is None)  # type: ignore[attr-defined]


class _TimedSocket:
    """Of a socket what HTTPResponse asks for: a file to read from, which begins with what was `received` already."""

    def __init__(self, sock: socket.socket, exchange: Exchange, received: bytes) -> None:
        self._reader = _TimedReader(sock, exchange, received)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)


class _TimedReader(io.RawIOBase):
    """Reads from a socket, each time for no longer than remains."""

    def __init__(self, sock: socket.socket, exchange: Exchange, received: bytes) -> None:
        self._sock = sock
        self._exchange = exchange
        self._received = received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._received:
            count = min(len(buffer), len(self._received))
            buffer[:count], self._received = self._received[:count], self._received[count:]
            return count
        self._sock.settimeout(self._exchange.deadline.remaining_seconds())
        count = self._sock.recv_into(buffer)
        self._exchange.answered = self._exchange.answered or bool(count)
        self._exchange.deadline.received(count)
        return count
