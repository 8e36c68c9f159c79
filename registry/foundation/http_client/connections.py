"""Connections of urllib3 whose every wait ends at the deadline of the exchange, and that dial what a guard allows."""

from __future__ import annotations

import select
import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from urllib3.connection import HTTPConnection, HTTPSConnection

from registry.foundation.http_client.deadlines import TimeUpError, UnsentError
from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.responses import GeneralResponse

if TYPE_CHECKING:
    from registry.foundation.http_client.deadlines import Patience
    from registry.foundation.http_client.destinations import Guard

_MOST_AT_ONCE: Final = 256 * 1024
"""What is received at once: a socket has hardly more."""

_PIECE: Final = 16 * 1024
"""What TLS sends and receives at once: a record of it, as a timeout of Python holds for each."""

_MOST_MILLISECONDS: Final = 2**31 - 1
"""What poll() takes: 24 days."""

_LEAST_SECONDS: Final = 2.0
"""What an address is given to take a connection, if it has others behind it and there is as much time (as in Go)."""

_MOST_FAMILIES: Final = 64
"""Hosts of which the family is remembered: redirects lead to any number."""


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


class Connection(HTTPConnection, ABC):
    """A connection to ``HOST:PORT``, of the peer or of a proxy, for one exchange after the other.

    `peer` is the address that it is connected to.
    """

    peer = ""

    def __init__(self, host: str, port: int, exchange: Exchange, **options: Any) -> None:
        super().__init__(host, port, **options)
        self.exchange = exchange
        self._dialled = host, port
        self.response_class = self._answer_of_proxy  # type: ignore[assignment]  # to CONNECT

    def _answer_of_proxy(self, _: socket.socket, method: str | None) -> GeneralResponse:
        return GeneralResponse(self, b"", method)

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

    @abstractmethod
    def send(self, data: Any) -> None:
        """Send bytes, all of them by the deadline.

        Raises:
            UnsentError: the time was up before.
        """

    @abstractmethod
    def receive(self, most_bytes: int) -> bytes:
        """Return up to so many bytes that have come by the deadline, b"" if the peer has closed the connection."""


class PlainConnection(Connection):
    """One without TLS: its socket never blocks, as a timeout of Python costs two more system calls each time."""

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(0)
        self._readable = select.poll()
        self._readable.register(self.sock, select.POLLIN)

    @property
    def is_connected(self) -> bool:
        """Whether the peer has neither closed it nor sent what nobody has asked for."""
        return self.sock is not None and not self._readable.poll(0)

    def send(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except BlockingIOError:
                self._wait_to_send()

    def _wait_to_send(self) -> None:
        writable = select.poll()
        writable.register(self.sock, select.POLLOUT)
        try:
            self._wait(writable)
        except TimeoutError as error:
            raise UnsentError(*error.args) from error

    def receive(self, most_bytes: int) -> bytes:
        while True:
            self._wait(self._readable)
            try:
                piece = self.sock.recv(min(most_bytes, _MOST_AT_ONCE))
            except BlockingIOError:  # the kernel may say so of a piece that it then throws away
                continue
            self.exchange.deadline.received(len(piece))
            return piece

    def _wait(self, poll: select.poll) -> None:
        seconds = self.exchange.deadline.remaining_seconds()
        if not poll.poll(None if seconds is None else min(seconds * 1000, _MOST_MILLISECONDS)):
            raise TimeoutError("timed out")


class SecureConnection(Connection, HTTPSConnection):
    """One with TLS."""

    def send(self, data: Any) -> None:
        view = memoryview(data)
        try:
            for at in range(0, len(view), _PIECE):
                self.sock.settimeout(self.exchange.deadline.remaining_seconds())
                self.sock.sendall(view[at : at + _PIECE])
        except TimeoutError as error:
            raise UnsentError(*error.args) from error

    def receive(self, most_bytes: int) -> bytes:
        self.sock.settimeout(self.exchange.deadline.remaining_seconds())
        piece = self.sock.recv(min(most_bytes, _PIECE))
        self.exchange.deadline.received(len(piece))
        return piece
