"""Slows down a caller that keeps failing to log in."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from auth.base import ThrottledError
from registry.foundation.proxies import customer_of
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class FailureThrottle:
    """Counts failures by address and user, by address, and by user, in this process.

    Once a user has logged in from an address, only failures of this user from this address count for that pair:
    a stranger who guesses at the password, or a broken job behind the same front end, does not lock the user out.
    Addresses of IPv6 count by /64, which is what one customer of a provider has.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._pairs = _Failures(burst=20, interval_seconds=2, clock=clock)
        self._addresses = _Failures(burst=60, interval_seconds=1, clock=clock)
        self._users = _Failures(burst=100, interval_seconds=1, clock=clock)
        # A set: each pair is its own value.
        self._known: RecentlyUsed[tuple[str, str], tuple[str, str]] = RecentlyUsed()

    def check(self, address: str, user: str) -> None:
        """Return if an attempt may be made now.

        Raises:
            ThrottledError: too many failed before.
        """
        network = customer_of(address)
        with self._lock:
            wait = self._pairs.wait_seconds((network, user))
            if (network, user) not in self._known:
                wait = max(wait, self._addresses.wait_seconds(network), self._users.wait_seconds(user))
        if wait > 0:
            raise ThrottledError(math.ceil(wait))

    def failed(self, address: str, user: str) -> None:
        """Count a failure."""
        network = customer_of(address)
        with self._lock:
            self._pairs.add((network, user))
            self._addresses.add(network)
            self._users.add(user)

    def succeeded(self, address: str, user: str) -> None:
        """Remember that `user` comes from `address`."""
        pair = (customer_of(address), user)
        self._known.put(pair, pair)


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
