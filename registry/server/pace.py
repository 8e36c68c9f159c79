"""How fast a client sends a body, or takes an answer, while the worker waits for it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """What a client that is waited for has to do: move a byte in `stall_seconds`, and `rate` bytes a second.

    The rate is that over `window_seconds` of waiting; 0 asks for none.
    """

    stall_seconds: float
    rate: int
    window_seconds: float = 60.0

    @property
    def look_seconds(self) -> float:
        """How often to look how much of what the kernel keeps for a client that one has taken."""
        return min(self.stall_seconds, self.window_seconds) / 4


class Pace:
    """The bytes that a client has moved, and the time that it was waited for meanwhile.

    What the storage takes does not count, nor what a client does between its requests. One thread waits for the client
    and another watches. They take no lock: the worst is that a few bytes are not counted.
    """

    __slots__ = ("_bytes", "_drained_at", "_since", "_waited")

    def __init__(self) -> None:
        self._since = math.inf
        self._drained_at = 0.0
        self._waited = 0.0
        self._bytes = 0

    @property
    def waits(self) -> bool:
        """Whether the client is waited for."""
        return self._since != math.inf

    def begin(self) -> None:
        """Note that the client is waited for from now on."""
        self._since = time.monotonic()

    def moved(self, count: int) -> None:
        """Note that so many bytes went to or came from the client."""
        if count:
            self._bytes += count
            if self._since != math.inf:
                now = time.monotonic()
                self._waited += now - self._since
                self._since = now

    def end(self) -> None:
        """Note that the client is not waited for any more."""
        self._waited += max(time.monotonic() - self._since, 0)
        self._since = math.inf

    def drained(self, count: int) -> None:
        """Note that the client has taken so many of the bytes that the kernel keeps for it; for the one who watches."""
        self._drained_at = time.monotonic()
        self._bytes += count

    def is_too_slow(self, limits: PaceLimits, now: float) -> bool:
        """Tell whether the client breaks `limits`."""
        since = self._since
        if since == math.inf:
            return False
        if now - max(since, self._drained_at) > limits.stall_seconds:
            return True
        waited = self._waited + now - since
        if waited < limits.window_seconds:
            return False
        too_slow = self._bytes < limits.rate * waited
        # The next window begins now: what the wait that lasts has taken so far is not counted twice.
        self._waited, self._bytes = since - now, 0
        return too_slow
