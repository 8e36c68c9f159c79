"""Connections that wait for the next request."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

    from registry.foundation.http_client.connections import Connection

_LONGEST_SECONDS: Final = 90
"""How long a connection may wait (as in Go): what lies between may have forgotten it."""

_PLACES: Final = 4
"""Connections are kept to this many places if to each there are as many as may be: redirects lead to any number."""


class KeptConnections:
    """At most `most` connections for each key, which is a place and how it is reached; for all threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, list[tuple[float, Connection]]] = {}  # by key, from the one that waits longest
        self._count = 0

    def take(self, key: Hashable) -> Connection | None:
        """Return the connection of `key` that was used last and that the peer has not closed, if there is one."""
        while True:
            with self._lock:
                if key not in self._waiting:
                    return None
                since, connection = self._pop(key, -1)
            if time.monotonic() - since < _LONGEST_SECONDS and connection.is_connected:
                return connection
            connection.close()

    def put(self, key: Hashable, connection: Connection) -> None:
        """Keep `connection`; where there are too many, the one that has waited longest is closed."""
        dropped = None
        with self._lock:
            waiting = self._waiting.setdefault(key, [])
            waiting.append((time.monotonic(), connection))
            self._count += 1
            if len(waiting) > self._most:
                _, dropped = self._pop(key, 0)
            elif self._count > self._most * _PLACES:
                _, dropped = self._pop(min(self._waiting, key=lambda each: self._waiting[each][0][0]), 0)
        if dropped:
            dropped.close()

    def drop(self, key: Hashable) -> None:
        """Close all that wait of `key`, of which one went silent: what lies between may have forgotten each of them.

        After a failover of an address, say, a request would else meet one that is dead after the other.
        """
        with self._lock:
            dropped = self._waiting.pop(key, [])
            self._count -= len(dropped)
        for _, connection in dropped:
            connection.close()

    def _pop(self, key: Hashable, at: int) -> tuple[float, Connection]:
        waiting = self._waiting[key]
        found = waiting.pop(at)
        self._count -= 1
        if not waiting:
            del self._waiting[key]
        return found

    def close(self) -> None:
        """Close all of them, and from now on each that is put."""
        with self._lock:
            waiting, self._waiting, self._count, self._most = self._waiting, {}, 0, 0
        for connections in waiting.values():
            for _, connection in connections:
                connection.close()
