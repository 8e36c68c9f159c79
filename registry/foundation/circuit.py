"""A circuit breaker: a server that does not answer is left alone for a while, so that nobody waits for it."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_WAITING: Final = 64
"""Calls that may wait for a storage of which nothing is heard: half of the threads of a worker."""

_FAILURES: Final = 5
_SHORTEST_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 60.0
_CROWD_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 5.0


class CircuitOpenError(Exception):
    """The server is not asked now; `retry_seconds` says for how long."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(f"not asked for the next {retry_seconds} s, as it has not answered")
        self.retry_seconds = retry_seconds


class Circuit:
    """Whether a server may be asked; watch() has somebody told when that changes.

    Five failures in a row open it for 10 seconds. Then one call tries, while others are still refused: if it fails,
    too, that is for twice as long, up to 60 seconds.

    A server that hangs makes nothing fail for a while, and meanwhile calls pile up. So while `most_waiting` of them
    wait and nothing was heard for a second, there is no room for another one, which may come a second later; once it
    was 5 seconds, that opens it. `clock` gives seconds.
    """

    def __init__(
        self,
        *,
        most_waiting: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watchers: list[Callable[[bool], None]] = []
        self._most_waiting = most_waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._seconds = 0.0
        """For how long it was opened the last time, 0 while it is closed."""
        self._open_until = 0.0
        self._trying = False
        self._waiting = 0
        self._heard_at = 0.0
        """When the server answered last, or when somebody began to wait for it, if nobody did before."""

    def watch(self, tell: Callable[[bool], None]) -> None:
        """Have `tell` called with True when the server may be asked no more, and with False when it may again."""
        self._watchers.append(tell)

    def enter(self) -> None:
        """Return if the server may be asked; succeeded(), failed() or left() must follow.

        Raises:
            CircuitOpenError: it may not.
        """
        with self._lock:
            opens = False
            if self._seconds:
                retry_seconds = self._try()
            else:
                retry_seconds = self._make_room() if self._waiting >= self._most_waiting else 0.0
                opens = bool(self._seconds)
            if not retry_seconds:
                if not self._waiting:
                    self._heard_at = self._clock()
                self._waiting += 1
        if opens:
            self._tell(is_open=True)
        if retry_seconds:
            raise CircuitOpenError(max(1, math.ceil(retry_seconds)))

    def succeeded(self) -> None:
        """Take note of an answer, whatever it says."""
        with self._lock:
            self._waiting -= 1
            closes = self._hear()
        if closes:
            self._tell(is_open=False)

    def failed(self) -> None:
        """Take note that there was no answer, or one that says that the server does not work."""
        with self._lock:
            self._waiting -= 1
            opens = self._count_failure()
        if opens:
            self._tell(is_open=True)

    def left(self) -> None:
        """Take note that nothing was learnt: somebody else is to try."""
        with self._lock:
            self._waiting -= 1
            self._trying = False

    def close(self) -> None:
        """Have the server asked again at once, whatever was before: nobody can wait for it but the caller."""
        with self._lock:
            self._failures, self._seconds, self._trying = 0, 0.0, False

    def require_closed(self) -> None:
        """Return if the server may be asked for what rightly takes long, so that nothing follows from others who wait.

        heard() or missed() should follow.

        Raises:
            CircuitOpenError: it may not.
        """
        with self._lock:
            left = self._open_until - self._clock() if self._seconds else 0.0
        if left > 0:
            raise CircuitOpenError(math.ceil(left))

    def heard(self) -> None:
        """Take note of an answer to one who did not enter(), or who goes on waiting, as the call is made again."""
        with self._lock:
            closes = self._hear()
        if closes:
            self._tell(is_open=False)

    def missed(self) -> None:
        """Take note that there was no answer to one who did not enter()."""
        with self._lock:
            opens = self._count_failure()
        if opens:
            self._tell(is_open=True)

    def _hear(self) -> bool:
        """Take note of an answer; return whether it has closed the circuit."""
        was_open, self._failures, self._seconds, self._trying = bool(self._seconds), 0, 0.0, False
        self._heard_at = self._clock()
        return was_open

    def _count_failure(self) -> bool:
        """Count one; return whether it has opened the circuit."""
        self._failures += 1
        was_open = bool(self._seconds)
        # Calls that were waiting when it was opened fail later on, and say nothing new.
        if self._trying or (not was_open and self._failures >= _FAILURES):
            self._open()
        return bool(self._seconds) and not was_open

    def _tell(self, *, is_open: bool) -> None:
        for tell in self._watchers:
            tell(is_open)

    def _try(self) -> float:
        """Return 0 if the caller is to try, as it is time and nobody does; else for how many seconds not to ask."""
        left = self._open_until - self._clock()
        if left <= 0 and not self._trying:
            self._trying = True
            return 0.0
        return max(left, 1.0)

    def _make_room(self) -> float:
        """Return 0 if another call may wait, as there are answers; else for how many seconds not to ask."""
        silent_seconds = self._clock() - self._heard_at
        if silent_seconds >= _SILENCE_SECONDS:
            self._open()
            return self._seconds
        return 1.0 if silent_seconds >= _CROWD_SECONDS else 0.0

    def _open(self) -> None:
        self._seconds = min(max(self._seconds * 2, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        self._open_until = self._clock() + self._seconds
        self._trying = False
