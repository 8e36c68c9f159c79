"""The line to a store, as bytes: whoever uses it may break it in several ways, and mend it."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Fault = Callable[[socket.socket, threading.Event], None]

_LOOK_MILLISECONDS: Final = 50
_HEAD: Final = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 100000\r\n\r\n'


def hang(_: socket.socket, mended: threading.Event) -> None:
    """Never answer."""
    mended.wait()


def stall(connection: socket.socket, mended: threading.Event) -> None:
    """Answer with a head, and then nothing."""
    connection.sendall(_HEAD)
    mended.wait()


def trickle(connection: socket.socket, mended: threading.Event) -> None:
    """Answer with a head, and then a byte each second."""
    connection.sendall(_HEAD)
    while not mended.wait(1):
        connection.sendall(b"x")


FAULTS: Final[tuple[Fault, ...]] = (hang, stall, trickle)


class Line:
    """Passes what comes on `port` on to the port `store`, until it is broken."""

    def __init__(self, store: int) -> None:
        self.requests = 0
        """What has come on any connection since it was broken: about as many requests."""
        self._store = store
        self._fault: Fault | None = None
        self._mended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]

    def broken(self, fault: Fault) -> None:
        """Have `fault` done to each connection on which something comes."""
        self._mended.clear()
        self.requests, self._fault = 0, fault

    def refused(self) -> None:
        """Take no connections, and break those that there are."""
        self.broken(lambda _connection, _mended: None)
        self._listener.close()

    def mended(self) -> None:
        """Pass all on again, on new connections."""
        self._fault = None
        self._mended.set()
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
            self.begin()

    def begin(self) -> None:
        """Take connections."""
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def end(self) -> None:
        """Break all."""
        self.mended()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._store)) as store:
            others = {client.fileno(): (client, store), store.fileno(): (store, client)}
            poll = select.poll()  # of select() the descriptors have to be small
            for fd in others:
                poll.register(fd, select.POLLIN)
            while True:
                for fd, _ in poll.poll(_LOOK_MILLISECONDS):
                    source, other = others[fd]
                    piece = source.recv(65536)
                    if not piece:
                        return
                    if self._fault:
                        self.requests += source is client
                        self._fault(client, self._mended)
                        return
                    other.sendall(piece)
                if self._fault and self._listener.fileno() < 0:
                    return


@contextmanager
def line_to(store: int) -> Iterator[Line]:
    """Give a line to the store at a port of this machine."""
    line = Line(store)
    line.begin()
    try:
        yield line
    finally:
        line.end()
