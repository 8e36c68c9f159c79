"""The connections of a worker: accepted, waiting for a request, given out, kept or ended."""

from __future__ import annotations

import errno
import math
import select
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from registry.server.connection import Connection

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

_LINGER_SECONDS: Final = 2.0
"""How long a worker that stops waits for a request that may be under way already on a kept connection."""
_IDLE_LOOK_SECONDS: Final = 0.1
_BATCH: Final = 64
_ONCE: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
_WRITABLE: Final = select.EPOLLOUT | select.EPOLLONESHOT
_NOTHING_TO_ACCEPT: Final = frozenset({errno.EAGAIN, errno.ECONNABORTED, errno.EBADF})


class Poller:
    """Owns the connections of a worker and knows which of them have something to read.

    A connection is armed for one event at a time. So the thread that is given it has it alone, until that thread keeps
    or closes it. Several threads may call the methods, but only one at a time waits, and only one stops listening.
    """

    def __init__(self, listeners: Iterable[socket.socket], settings: Any, head_seconds: float) -> None:
        """Accept clients on `listeners`; a request's head has `head_seconds` to arrive."""
        self._settings = settings
        self._head_seconds = head_seconds
        self._epoll = select.epoll()
        self._listeners = {each.fileno(): each for each in listeners}
        self._connections: dict[int, Connection] = {}
        self._ready: deque[int] = deque()
        self._changing = threading.Lock()
        self._accepting = False
        self._next_look = 0.0
        self._stopped_at = math.inf
        for listener in self._listeners.values():
            listener.settimeout(0)
        self._accept_connections()

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)

    @property
    def has_ready(self) -> bool:
        """Whether next_ready() has something without waiting."""
        return bool(self._ready)

    def wait(self) -> list[int]:
        """Wait until something can be read; return what has it, for add_ready() or give_back()."""
        return [fd for fd, _ in self._epoll.poll(maxevents=_BATCH)]

    def add_ready(self, found: list[int]) -> None:
        """Have next_ready() return the connections of `found`."""
        self._ready.extend(found)

    def give_back(self, found: list[int]) -> None:
        """Have a later wait() return the connections of `found`; listeners are returned again in any case."""
        for fd in found:
            if fd in self._connections:
                self._epoll.modify(fd, _ONCE)

    def next_ready(self) -> Connection | None:
        """Return a connection with something to read.

        None if another thread was faster, or if it was a listener: then its next client is accepted.
        """
        try:
            fd = self._ready.popleft()
        except IndexError:
            return None
        connection = self._connections.get(fd)
        if connection is None:
            self._accept(fd)
        return connection

    def keep(self, connection: Connection) -> None:
        """Wait for the next request on a connection, or for the rest of one's head."""
        if connection.head_since == math.inf:
            connection.idle_since = time.monotonic()
        self._epoll.modify(connection.fd, _WRITABLE if connection.waits_to_write else _ONCE)

    def close(self, connection: Connection) -> None:
        """Close a connection that has been served."""
        del self._connections[connection.fd]
        connection.close(graceful=True)
        if not self._accepting:
            self._accept_connections()

    def end_idle(self) -> None:
        """End the connections that have waited too long for a request, or for the rest of one's head."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _IDLE_LOOK_SECONDS
        for connection in list(self._connections.values()):
            # Infinite while a request is served.
            since = min(connection.idle_since, connection.head_since)
            patience = self._settings.keepalive if connection.head_since == math.inf else self._head_seconds
            if min(since + patience, max(since, self._stopped_at) + _LINGER_SECONDS) < now:
                # Not closed here: another thread may be given it at this moment, and finds that it has ended.
                connection.end()

    def stop_listening(self) -> None:
        """Accept the clients that wait already, refuse those that come from now on, and keep idle ones for less long.

        While a socket listens, clients connect to it; when it is closed, those that were not accepted are cut off in
        the middle of their requests. So it is emptied and closed without a pause.
        """
        self._stopped_at = time.monotonic()
        self._refuse_connections()
        for fd, listener in self._listeners.items():
            while select.select([listener], [], [], 0)[0]:
                self._accept(fd)
            listener.close()

    def _accept(self, fd: int) -> None:
        listener = self._listeners.get(fd)
        if listener is None:
            return
        try:
            client, address = listener.accept()
            own_address = listener.getsockname()
        except OSError as error:
            if error.errno not in _NOTHING_TO_ACCEPT:
                raise
            return
        connection = Connection(self._settings, client, address, own_address)
        self._connections[connection.fd] = connection
        self._epoll.register(connection.fd, _ONCE)
        if len(self._connections) >= self._settings.worker_connections:
            self._refuse_connections()

    def _accept_connections(self) -> None:
        with self._changing:
            if not self._accepting and self._stopped_at == math.inf:
                self._accepting = True
                for fd in self._listeners:
                    self._epoll.register(fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def _refuse_connections(self) -> None:
        with self._changing:
            if self._accepting:
                self._accepting = False
                for fd in self._listeners:
                    self._epoll.unregister(fd)
