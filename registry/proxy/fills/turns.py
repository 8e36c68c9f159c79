"""The connections for what is passed on and not kept, of which slow clients take none from others."""

from __future__ import annotations

import time
from threading import Condition
from typing import TYPE_CHECKING, Final, Self

from registry.oci.errors import UpstreamBusyError

if TYPE_CHECKING:
    from registry.config.upstreams import Network
    from registry.upstream.streams import BlobStream

_REST_SECONDS: Final = 1.0
"""For how long a client may take nothing before another one gets its connection."""


def shares(network: Network) -> tuple[int, int]:
    """Return how many connections are for blobs that are kept, and how many for those that are passed on.

    Of both there is at least one, so that none can keep the others waiting.
    """
    kept = min(network.fills, max(network.connections - 1, 1))
    return kept, max(network.connections - kept, 1)


class Turns:
    """Who of many threads may have a stream from the upstream `name`: `most` at a time."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._free = most
        self._changed = Condition()
        self._resting: dict[Turn, float] = {}
        """Whose clients take a piece, since when: first the one that does so longest."""

    def take(self, timeout_seconds: float) -> Turn:
        """Return a turn, perhaps one of a client that has taken nothing for a second.

        Raises:
            UpstreamBusyError: there is none in time.
        """
        until = time.monotonic() + timeout_seconds
        slowest: Turn | None = None
        with self._changed:
            while not self._free:
                now = time.monotonic()
                slowest, since = next(iter(self._resting.items()), (None, now))
                if slowest and now - since >= _REST_SECONDS:
                    del self._resting[slowest]
                    break
                if now >= until:
                    raise UpstreamBusyError(f"too many downloads from {self._name} go on", retry_seconds=1)
                self._changed.wait(min(until, since + _REST_SECONDS) - now)
            else:
                slowest = None
                self._free -= 1
        if slowest:
            slowest.lose()
        return Turn(self)

    def rest(self, turn: Turn) -> None:
        """Let another one have the connection of `turn` if its client takes long."""
        with self._changed:
            self._resting[turn] = time.monotonic()
            self._changed.notify()

    def resume(self, turn: Turn) -> bool:
        """Tell whether nobody else has got the connection of `turn`, which rests no more."""
        with self._changed:
            return self._resting.pop(turn, None) is not None

    def end(self) -> None:
        """Take note that a connection is free."""
        with self._changed:
            self._free += 1
            self._changed.notify()


class Turn:
    """One of the threads that may have a stream, until it leaves the context or loses it while it rests."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._stream: BlobStream | None = None
        self._is_resting = False
        self._is_lost = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_resting:  # its client has gone
            self.resumes()
        if self._stream:
            self._stream.close()
        if not self._is_lost:
            self._turns.end()

    def has(self, stream: BlobStream) -> None:
        """Close `stream` at its end."""
        self._stream = stream

    def rests(self) -> None:
        """Let another one have it if what follows takes long."""
        self._is_resting = True
        self._turns.rest(self)

    def resumes(self) -> bool:
        """Tell whether it goes on: nobody else has got it meanwhile."""
        self._is_resting, self._is_lost = False, not self._turns.resume(self)
        return not self._is_lost

    def lose(self) -> None:
        """Close the stream of another thread, which rests, and learns of it when it resumes."""
        if self._stream:
            self._stream.close()
