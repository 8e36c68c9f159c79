"""Slows down a caller that keeps failing to log in."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final

from auth.base import ThrottledError
from registry.foundation.proxies import customer_of
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_LONGEST_DELAY_SECONDS: Final = 5.0


class FailureThrottle:
    """Counts failures by address and user, and by address, in this process.

    A user is refused only for failures of this very user from this very address, so nobody can lock out a user who
    comes from elsewhere. Many failures from one address, whoever the users are, only make its next attempts wait: the
    address may be that of a proxy, with a whole company behind it. Whether there is such a user makes no difference.
    Addresses of IPv6 count by /64, which is what one customer of a provider has.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._pairs = _Failures(burst=20, interval_seconds=2, clock=clock)
        self._addresses = _Failures(burst=60, interval_seconds=1, clock=clock)
        self._delayed = _Failures(burst=1, interval_seconds=1, clock=clock)

    def check(self, address: str, user: str) -> None:
        """Return if an attempt may be made.

        Raises:
            ThrottledError: too many of this user from this address have failed.
        """
        with self._lock:
            wait = self._pairs.wait_seconds((customer_of(address), user))
        if wait > 0:
            raise ThrottledError(math.ceil(wait))

    def delay_seconds(self, address: str, user: str) -> float | None:
        """Return for how long one attempt has to wait; None if not too many from this address have failed.

        Raises:
            ThrottledError: too many of this user from this address have failed, or too many wait there already.
        """
        self.check(address, user)
        network = customer_of(address)
        with self._lock:
            if not self._addresses.wait_seconds(network):
                return None
            delay = self._delayed.wait_seconds(network)
            if delay <= _LONGEST_DELAY_SECONDS:
                self._delayed.add(network)
                return delay
        raise ThrottledError(math.ceil(delay))

    def failed(self, address: str, user: str) -> None:
        """Count a failure."""
        network = customer_of(address)
        with self._lock:
            self._pairs.add((network, user))
            self._addresses.add(network)


class _Failures:
    """Failures by key, as the time at which they will have been forgotten (a leaky bucket in one number)."""

    def __init__(self, *, burst: int, interval_seconds: float, clock: Callable[[], float]) -> None:
        self._full_seconds = burst * interval_seconds
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._forgotten_at: RecentlyUsed[Hashable, float] = RecentlyUsed()

    def wait_seconds(self, key: Hashable) -> float:
        level = (self._forgotten_at.get(key) or 0.0) - self._clock()
        return max(0.0, level + self._interval_seconds - self._full_seconds)

    def add(self, key: Hashable) -> None:
        start = max(self._forgotten_at.get(key) or 0.0, self._clock())
        self._forgotten_at.put(key, start + self._interval_seconds)
