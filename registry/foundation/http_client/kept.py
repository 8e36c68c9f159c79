"""Connections that wait for the next request."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry.foundation.http_client.connections import Connection

_LONGEST_SECONDS: Final = 90
"""How long a connection may wait (as in Go): what lies between may have forgotten it."""

_PLACES: Final = 4
"""Connections are kept to this many places if to each there are as many as may be: redirects lead to any number."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    key: object
    connection: Connection
    since: float


class KeptConnections:
    """At most `most` connections for each key, which is a place and how it is reached; for all threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []  # from the one that has waited longest

    def take(self, key: object) -> Connection | None:
        """Return the connection of `key` that was used last and that the peer has not closed, if there is one."""
        while True:
            with self._lock:
                entry = next((entry for entry in reversed(self._waiting) if entry.key == key), None)
                if entry is None:
                    return None
                self._waiting.remove(entry)
            if entry.connection.is_connected and time.monotonic() - entry.since < _LONGEST_SECONDS:
                return entry.connection
            entry.connection.close()

    def put(self, key: object, connection: Connection) -> None:
        """Keep `connection`; where there are too many, the one that has waited longest is closed."""
        with self._lock:
            self._waiting.append(_Waiting(key, connection, time.monotonic()))
            own = [entry for entry in self._waiting if entry.key == key]
            too_many = own[:1] if len(own) > self._most else self._waiting[: -self._most * _PLACES]
            for entry in too_many:
                self._waiting.remove(entry)
        for entry in too_many:
            entry.connection.close()

    def close(self) -> None:
        """Close all of them, and from now on each that is put."""
        with self._lock:
            waiting, self._waiting, self._most = self._waiting, [], 0
        for entry in waiting:
            entry.connection.close()
