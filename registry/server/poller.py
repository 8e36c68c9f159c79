"""The connections of a worker: accepted, waiting, given out, kept or ended."""

from __future__ import annotations

import heapq
import logging
import math
import select
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from registry.server.channel import limit_waiting
from registry.server.connection import Connection, Phase
from registry.server.gate import Gate
from registry.server.listening import Clients, Listeners
from registry.server.refusal import refuse_crowd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.server.connection import ConnectionLimits
    from registry.server.listening import ListeningLimits

_LINGER_SECONDS: Final = 2.0
"""How long a worker that stops waits for a request that may be under way already on a kept connection."""
_LOOK_SECONDS: Final = 0.1
_LOOK_SECONDS_EACH: Final = 20e-6
_BATCH: Final = 64
_ONCE: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
_WRITABLE: Final = select.EPOLLOUT | select.EPOLLONESHOT
_ENDED: Final = select.EPOLLRDHUP | select.EPOLLONESHOT
_AT_ONCE: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLONESHOT
_SHARE_ENDED: Final = 64
"""When there is no room, one in so many connections is ended, so that they are not looked through each time."""
_OVERFULL: Final = 1.25
"""Times the limit of connections, at which clients have to wait for those to go that were ended to make room."""
_log = logging.getLogger(__name__)

_IN_PROGRESS: Final = frozenset({Phase.HEAD, Phase.SERVED, Phase.SENDING})


class Poller:
    """Owns the connections of a worker and knows for which of them there is something to do.

    A connection is armed for one event at a time. So the thread that is given it has it alone, until that thread keeps
    or closes it. Several threads may call the methods, but only one at a time waits, and only one stops listening.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        settings: Any,
        limits: ConnectionLimits,
        listening: ListeningLimits,
    ) -> None:
        """Accept clients on `listeners`, and end those that break `limits`."""
        self._settings = settings
        self._limits = limits
        self._most = listening.connections
        self._clients = Clients(listening)
        self._gate = Gate()
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._ready: deque[int] = deque()
        self._changing = threading.Lock()
        self._next_look = 0.0
        self._stopped_at = math.inf
        self._leaving = 0
        """How many connections have been ended and are still to be closed."""
        self._listeners = Listeners(listeners, self._epoll)

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)

    @property
    def has_ready(self) -> bool:
        """Whether next_ready() has something without waiting."""
        return bool(self._ready)

    def wait(self, seconds: float | None = None) -> list[int]:
        """Wait until there is something to do; return for what, to be given to add_ready() or give_back()."""
        return [fd for fd, _ in self._epoll.poll(seconds, maxevents=_BATCH)]

    def add_ready(self, found: list[int]) -> None:
        """Have next_ready() return the connections of `found`."""
        self._ready.extend(found)

    def give_back(self, found: list[int]) -> None:
        """Have a later wait() return the connections of `found`; listeners are returned again in any case."""
        for fd in found:
            connection = self._connections.get(fd)
            if connection:
                self.keep(connection)

    def next_ready(self) -> Connection | None:
        """Return a connection for which there is something to do.

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
        """Wait until there is something to do for a connection."""
        events = _ONCE
        if connection.phase is Phase.SERVED:
            # Its head has been read: a thread is to go on with it at once.
            events = _AT_ONCE
        elif connection.waits_to_write:
            events = _WRITABLE
        elif connection.reads_no_more:
            events = _ENDED
        self._epoll.modify(connection.fd, events)

    def close(self, connection: Connection) -> None:
        """Close a connection that has been served, as soon as its client has had the time to read the answer."""
        if not connection.has_lingered():
            self.keep(connection)
            return
        with self._changing:
            # Before it is closed: its descriptor may be another connection's right after.
            del self._connections[connection.fd]
            self._leaving -= connection.was_ended
        self._clients.leave(connection.client)
        connection.channel.close()
        if len(self._connections) < self._most * _OVERFULL:
            self._listeners.resume()

    def watch(self) -> None:
        """End the connections that take longer than they may, and accept clients again after a pause."""
        now = time.monotonic()
        if now < self._next_look:
            return
        # To look at 10,000 connections takes some milliseconds.
        self._next_look = now + max(_LOOK_SECONDS, len(self._connections) * _LOOK_SECONDS_EACH)
        limits, stopping = self._limits, now > self._stopped_at
        for connection in list(self._connections.values()):
            late = connection.is_late(now, limits)
            if stopping and connection.phase in {Phase.IDLE, Phase.HEAD}:
                late = late or max(connection.since, self._stopped_at) + _LINGER_SECONDS < now
            if late:
                self._end(connection)
        if len(self._connections) < self._most * _OVERFULL:
            self._listeners.resume()

    def stop_listening(self) -> None:
        """Accept the clients that wait already, refuse those that come later, and keep idle ones for less long."""
        self._stopped_at = time.monotonic()
        for fd in self._listeners.stop():
            self._accept(fd)

    def count_in_progress(self) -> int:
        """Return how many connections have a request that is not answered, as far as has been noticed."""
        return sum(each.phase in _IN_PROGRESS for each in list(self._connections.values()))

    def _accept(self, fd: int) -> None:
        accepted = self._listeners.accept(fd)
        if accepted is None:
            return
        client, address, own_address = accepted
        if not self._clients.admit(address):
            refuse_crowd(client, address, is_tls=self._settings.is_ssl)
            return
        if client.family == socket.AF_UNIX:
            # TCP connections inherit it from the listener.
            limit_waiting(client, self._limits.pace.stall_seconds)
        connection = Connection(self._settings, client, address, own_address, self._gate)
        self._connections[connection.fd] = connection
        try:
            self._epoll.register(connection.fd, _ONCE)
        except OSError as error:
            _log.error("a client cannot be served: %s", error)
            connection.phase = Phase.LINGERING
            connection.end()
            self.close(connection)
            return
        if len(self._connections) - self._leaving > self._most:
            self._make_room(connection)
        if len(self._connections) >= self._most * _OVERFULL:
            self._listeners.pause()

    def _make_room(self, newest: Connection) -> None:
        """End the connections that have waited longest: idle ones if there are any, or with a part of a request."""
        waiting = [each for each in list(self._connections.values()) if each is not newest and each.may_make_room]
        for each in heapq.nsmallest(
            max(self._most // _SHARE_ENDED, 1), waiting, key=lambda each: (each.phase is not Phase.IDLE, each.since)
        ):
            self._end(each)

    def _end(self, connection: Connection) -> None:
        """End a connection. Another thread may be given it at this moment, so that one finds its end and closes it."""
        with self._changing:
            if connection.was_ended or self._connections.get(connection.fd) is not connection:
                return
            connection.was_ended = True
            self._leaving += 1
            connection.end()
