"""A circuit breaker: an upstream that fails again and again is left alone for a while."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final

from registry.oci.errors import UpstreamBusyError

if TYPE_CHECKING:
    from collections.abc import Callable

_FAILURES: Final = 5
_SHORTEST_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 60.0


class Circuit:
    """Whether the upstream `name` may be asked; `tell` is called with True when it may no more, with False when it may.

    Five failures in a row open it for 10 seconds. Then one request tries, while others are still refused: if it fails,
    too, that is for twice as long, up to 60 seconds. `clock` gives seconds.
    """

    def __init__(self, name: str, tell: Callable[[bool], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._seconds = 0.0
        self._closed_until = 0.0
        self._trying = False

    def enter(self) -> None:
        """Return if it may be asked; succeeded(), failed() or left() must follow.

        Raises:
            UpstreamBusyError: it may not; `retry_seconds` says for how long.
        """
        with self._lock:
            if not self._seconds:
                return
            left = self._closed_until - self._clock()
            if left <= 0 and not self._trying:
                self._trying = True
                return
        raise UpstreamBusyError(f"{self._name} has failed too often just before", retry_seconds=max(1, math.ceil(left)))

    def succeeded(self) -> None:
        """Take note of an answer, whatever it says."""
        with self._lock:
            was_open, self._failures, self._seconds, self._trying = bool(self._seconds), 0, 0.0, False
        if was_open:
            self._tell(False)  # noqa: FBT003  the fact is the argument

    def failed(self) -> None:
        """Take note that there was no answer, or one that says that the server does not work."""
        with self._lock:
            was_open, was_trying = bool(self._seconds), self._trying
            self._failures += 1
            if was_trying or (not was_open and self._failures >= _FAILURES):
                self._seconds = min(max(self._seconds * 2, _SHORTEST_SECONDS), _LONGEST_SECONDS)
                self._closed_until = self._clock() + self._seconds
                self._trying = False
            is_open = bool(self._seconds)
        if is_open and not was_open:
            self._tell(True)  # noqa: FBT003  as above

    def left(self) -> None:
        """Take note that nothing was learnt: somebody else is to try."""
        with self._lock:
            self._trying = False
