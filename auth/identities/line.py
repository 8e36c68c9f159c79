"""A line for work that takes a processor long, so that a flood of it leaves processors to everything else."""

from __future__ import annotations

import math
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class LineFullError(Exception):
    """So many wait already that it is better to come again."""


class Line:
    """Lets one thread of the process work at a time; the others wait.

    At most `most` wait, and `most_of_one` for one key. Keys are served in turn, so whoever makes many wait only waits
    longer.
    """

    def __init__(self, most: float = math.inf, most_of_one: float = math.inf) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._lock = threading.Lock()
        self._occupied = False
        self._waiting: dict[str, deque[threading.Event]] = {}
        """By key, in the order in which they are served; nobody's line is empty."""

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Wait for a turn on behalf of `key`; it ends with the block.

        Raises:
            LineFullError: too many wait.
        """
        called = self._stand(key)
        if called:
            called.wait()
        try:
            yield
        finally:
            self._call_next()

    def _stand(self, key: str) -> threading.Event | None:
        """Return what to wait for, or None if it is one's turn now."""
        with self._lock:
            if not self._occupied:
                self._occupied = True
                return None
            line = self._waiting.get(key, deque())
            if len(line) >= self._most_of_one or sum(map(len, self._waiting.values())) >= self._most:
                raise LineFullError
            called = threading.Event()
            line.append(called)
            self._waiting[key] = line
            return called

    def _call_next(self) -> None:
        with self._lock:
            key = next(iter(self._waiting), None)
            if key is None:
                self._occupied = False
                return
            line = self._waiting.pop(key)
            line.popleft().set()
            if line:
                self._waiting[key] = line
