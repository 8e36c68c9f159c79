"""When an endpoint is tried again that has not taken events."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry.config.events import Endpoint

_MOST_DOUBLINGS: Final = 60
_JITTER: Final = 0.25
"""How much longer than it has to be a pause may be, so that what has failed at one time is not tried again at one."""


class Retries:
    """At once as often as ``threshold`` says, as the Go registry does; then after pauses that double.

    A pause is not slept: pause_seconds() tells what is left of it.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._not_before = 0.0
        self.failures = 0
        """Attempts that have failed since one was successful."""

    @property
    def pause_seconds(self) -> float:
        """How long to wait until the next attempt; 0 if it may be made now."""
        return max(0.0, self._not_before - time.monotonic())

    def succeeded(self) -> None:
        """Note that the endpoint has taken events."""
        self.failures, self._not_before = 0, 0.0

    def failed(self, *, asked_seconds: float = 0.0) -> None:
        """Note that it has not; `asked_seconds` is how long it wants to be left alone, which ``maxbackoff`` limits."""
        self.failures += 1
        longest = self._endpoint.maxbackoff_seconds
        pause = min(asked_seconds, longest)
        doublings = self.failures - self._endpoint.threshold
        if doublings >= 0:
            pause = max(pause, min(self._endpoint.backoff_seconds * 2.0 ** min(doublings, _MOST_DOUBLINGS), longest))
        # Chance spreads load, and protects nothing.
        self._not_before = time.monotonic() + pause * random.uniform(1, 1 + _JITTER)  # noqa: S311
