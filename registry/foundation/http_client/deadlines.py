"""How long an exchange may wait: up to one moment, or for as long as enough comes."""

from __future__ import annotations

import time
from typing import Final, Protocol

_MINUTE_SECONDS: Final = 60.0


class Patience(Protocol):
    """What says how long to wait for a socket, and is told how much has come."""

    def remaining_seconds(self) -> float | None:
        """Return for how long one may still wait, None without end.

        Raises:
            TimeoutError: no longer.
        """

    def received(self, count: int) -> None:
        """Take note that `count` bytes have come since remaining_seconds() was asked.

        Raises:
            TimeoutError: that is too little.
        """


class Deadline:
    """One for a whole exchange, as the timeouts of sockets begin anew with each byte.

    It is the moment `seconds` after this was made; with None it never comes.
    """

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def remaining_seconds(self) -> float | None:
        """Return for how long one may still wait, None without end.

        Raises:
            TimeoutError: the moment has come.
        """
        if self._at is None:
            return None
        remaining = self._at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining

    def received(self, count: int) -> None:
        """Take no note: the moment stays."""


class Pace:
    """No wait is longer than `stall_seconds`, and over `over_seconds` at least `slowest` bytes per second come.

    Only the time counts that is spent waiting: who reads slowly what has come is not the peer's fault.
    """

    def __init__(self, stall_seconds: float, slowest: int = 0, *, over_seconds: float = _MINUTE_SECONDS) -> None:
        self._stall_seconds = stall_seconds
        self._slowest = slowest
        self._over_seconds = over_seconds
        self._asked_at = 0.0
        self._waited_seconds = 0.0
        self._received = 0

    def remaining_seconds(self) -> float | None:
        """Return how long a wait may be."""
        self._asked_at = time.monotonic()
        return self._stall_seconds

    def received(self, count: int) -> None:
        """Take note of what has come.

        Raises:
            TimeoutError: it was too little for too long.
        """
        self._waited_seconds += time.monotonic() - self._asked_at
        self._received += count
        if self._waited_seconds < self._over_seconds:
            return
        if self._received < self._slowest * self._waited_seconds:
            raise TimeUpError(f"less than {self._slowest} bytes per second came over {self._over_seconds:g} s")
        self._waited_seconds, self._received = 0.0, 0


class UnsentError(TimeoutError):
    """The time was up before all of the request was sent."""


class TimeUpError(TimeoutError):
    """It takes too long, for a reason that the text says."""
