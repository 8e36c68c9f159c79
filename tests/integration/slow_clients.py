"""Crowds of slow clients: each kind of them, and one thread that drives all connections of a crowd."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.integration.raw_socket import head

if TYPE_CHECKING:
    from collections.abc import Sequence

AUTHORIZED = "Authorization: Bearer anything"
"""What the access controller `silly` wants."""
REPOSITORY = "slow/clients"
TAG = "large"
UPLOAD = "/UPLOAD"
BLOB = "/BLOB"
"""Targets that the trial knows: an upload session of the client's own, and a large blob."""
ENDLESS = 10 << 30
HEADERS_BYTES = 3_000_000
_TICK_SECONDS = 0.05
_OPENED_IN_A_TICK = 8
_TICKS_BETWEEN_STEPS = 8
"""So a client sends or reads a byte every 0.4 s, and 160 come in a second: they are slow, not many requests."""
_WINDOW_BYTES = 4096
"""The smallest buffer to receive in, so that what a client does not read stays with the server."""
_AT_ONCE_BYTES = 65536
_SEGMENT_BYTES = 536
"""As on a network: the server's kernel keeps some segments, which are of 64 KiB between programs of one machine."""
_DESCRIPTORS_TO_SPARE = 1000


def coming_seconds(count: int) -> float:
    """Tell how long it takes until all clients of a crowd are there."""
    return count / _OPENED_IN_A_TICK * _TICK_SECONDS


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to be slow.

    A client sends `opening` as fast as the server takes it, and then `piece` again and again, or reads one byte again
    and again; one that is `quick` reads all that comes. `ends` tells whether a deadline ends it for sure; `most` is how
    many there are at most. A server may end one `at_once`; it has to wait for the others. If to answer one is `work`,
    others wait for longer beside as many quick clients, too.
    """

    name: str
    opening: str
    piece: bytes = b""
    reads: bool = False
    quick: bool = False
    half_handshake: bool = False
    ends: bool = True
    at_once: bool = False
    work: bool = False
    most: int | None = None

    @property
    def needs_upload(self) -> bool:
        return UPLOAD in self.opening


def _get(target: str) -> str:
    return head("GET", target, AUTHORIZED)


def _patch(*fields: str, target: str = UPLOAD) -> str:
    return head("PATCH", target, "Content-Type: application/octet-stream", *fields)


_LENGTH = f"Content-Length: {ENDLESS}"
_HEADER = "X-Filler: " + "a" * 990 + "\r\n"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("request line", "G"),
        Kind("half a header", "GET /v2/ HTTP/1.1\r\nHost: registry\r\nX-Slow: "),
        Kind("endless header", "GET /v2/ HTTP/1.1\r\nHost: registry\r\n", piece=b"X-Slow: a\r\n"),
        Kind(
            "large headers",
            "GET /v2/ HTTP/1.1\r\nHost: registry\r\n" + _HEADER * (HEADERS_BYTES // 1002),
            most=60,
            at_once=True,
        ),
        Kind("body", _patch(AUTHORIZED, _LENGTH), piece=b"x"),
        Kind("chunked body", _patch(AUTHORIZED, "Transfer-Encoding: chunked"), piece=b"1\r\nx\r\n"),
        Kind("body after 401", _patch(_LENGTH, target=f"/v2/{REPOSITORY}/blobs/uploads/1"), piece=b"x", at_once=True),
        Kind("blob", _get(BLOB), reads=True),
        Kind("manifest", _get(f"/v2/{REPOSITORY}/manifests/{TAG}"), reads=True, work=True),
        Kind("tags", _get(f"/v2/{REPOSITORY}/tags/list"), reads=True, work=True),
        # The kernel takes all of this at once; the server has done its work then, and the connection is idle.
        Kind("catalog", _get("/v2/_catalog?n=200"), reads=True, work=True, ends=False),
        Kind("idle", _get("/v2/"), ends=False),
        Kind("half a handshake", "", half_handshake=True),
    )
}


@dataclass(slots=True)
class _Client:
    """One slow client; each step does what can be done without waiting."""

    kind: Kind
    plain: socket.socket
    unsent: memoryview
    context: ssl.SSLContext | None
    tls: ssl.SSLSocket | None = None
    connected: bool = False
    secured: bool = False
    over: bool = False

    def step(self, *, silent: bool) -> None:
        """Go on: nothing is done when the server has ended the connection, or is not ready for more."""
        if self.over:
            return
        try:
            if not self.connected:
                # Raises OSError while the connection waits for a place in the server's queue.
                self.plain.getpeername()
                self.connected = True
        except OSError:
            return
        try:
            self._go_on(silent=silent)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self.over = True

    def close(self) -> None:
        (self.tls or self.plain).close()

    def _go_on(self, *, silent: bool) -> None:
        if self.context and not self.secured:
            self._shake_hands(self.context)
        connection = self.tls or self.plain
        if self.unsent:
            self.unsent = self.unsent[connection.send(self.unsent) :]
        elif silent:
            return
        elif self.kind.reads:
            self._read(connection)
        elif self.kind.piece:
            connection.send(self.kind.piece)

    def _read(self, connection: socket.socket) -> None:
        """Read a byte; one that is quick reads until nothing is there, and then raises BlockingIOError."""
        while connection.recv(_AT_ONCE_BYTES if self.kind.quick else 1):
            if not self.kind.quick:
                return
        self.over = True

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        if self.tls is None:
            self.tls = context.wrap_socket(self.plain, server_hostname="localhost", do_handshake_on_connect=False)
        self.tls.do_handshake()
        self.secured = True


@dataclass(slots=True)
class Crowd:
    """Slow clients of one kind: they come when the block is entered, a few at a time, and leave at its end.

    There is one opening for each. Each has an address of its own, as those of an attack have.
    """

    kind: Kind
    port: int
    openings: Sequence[bytes]
    tls: ssl.SSLContext | None = None
    _clients: list[_Client] = field(default_factory=list)
    _silent: threading.Event = field(default_factory=threading.Event)
    _leaving: threading.Event = field(default_factory=threading.Event)
    _complete: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._drive, name="slow clients")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        assert self._thread is not None
        self._thread.join()
        for client in self._clients:
            client.close()

    def wait_until_complete(self, seconds: float) -> None:
        """Return when all of them are there.

        Raises:
            TimeoutError: they were not within `seconds`.
        """
        if not self._complete.wait(seconds):
            raise TimeoutError(f"{len(self._clients)} of {len(self.openings)} clients came within {seconds} s")

    def fall_silent(self) -> None:
        """Have all of them send and read nothing from now on."""
        self._silent.set()

    def _drive(self) -> None:
        tick = 0
        while not self._leaving.wait(_TICK_SECONDS):
            tick += 1
            for number in range(len(self._clients), min(len(self._clients) + _OPENED_IN_A_TICK, len(self.openings))):
                self._clients.append(self._come(number))
            if len(self._clients) == len(self.openings):
                self._complete.set()
            for number, client in enumerate(self._clients):
                # A step is due, or the client has not done its opening.
                if client.unsent or self.kind.quick or (tick + number) % _TICKS_BETWEEN_STEPS == 0:
                    client.step(silent=self._silent.is_set())

    def _come(self, number: int) -> _Client:
        plain = socket.socket()
        plain.setblocking(False)
        if self.kind.reads and not self.kind.quick:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW_BYTES)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        plain.bind((_address_of(number), 0))
        with contextlib.suppress(BlockingIOError):
            plain.connect(("127.0.0.1", self.port))
        if self.kind.half_handshake:
            return _Client(self.kind, plain, memoryview(_client_hello(self.tls)), None)
        return _Client(self.kind, plain, memoryview(self.openings[number]), self.tls)


def _address_of(number: int) -> str:
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def _client_hello(context: ssl.SSLContext | None) -> bytes:
    """Give the first message of a handshake, which the server answers and then waits for the second."""
    assert context is not None
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def allow_descriptors(connections: int) -> None:
    """Let this process, and the servers that it starts, have so many connections at both their ends.

    Raises:
        OSError: the machine does not allow it.
    """
    wanted = 2 * connections + _DESCRIPTORS_TO_SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard > 0 else wanted, hard))
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        raise OSError(f"{wanted} file descriptors are needed; the limit is {hard}")
