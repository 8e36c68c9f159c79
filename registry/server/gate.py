"""Threads that have waited for their clients go on a few at a time."""

from __future__ import annotations

import threading
from typing import Final

_MOST: Final = 32
_BRIEF_SECONDS: Final = 0.001


class Gate:
    """Lets `most` threads of a process go on that have waited for their clients.

    Thousands may wait, and their clients may all send, or all leave, at one moment. If all went on at once, each new
    request would have to contend with all of them for the interpreter's lock.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._slots = threading.Semaphore(most)

    def ticket(self) -> Ticket:
        """Return what the threads that serve one connection pass with."""
        return Ticket(self._slots)


class Ticket:
    """The way of one connection's thread through the gate. `queues` tells whether it stands before it."""

    __slots__ = ("_passed", "_slots", "queues")

    def __init__(self, slots: threading.Semaphore) -> None:
        self._slots = slots
        self._passed = False
        self.queues = False

    def enter(self, waited_seconds: float) -> None:
        """Go on after so long a wait for the client: at once if it was brief, else when there is room."""
        if waited_seconds > _BRIEF_SECONDS and not self._passed:
            self.queues = True
            self._slots.acquire()
            self.queues = False
            self._passed = True

    def leave(self) -> None:
        """Make room for others: before the client is waited for again, and when it has been served."""
        if self._passed:
            self._passed = False
            self._slots.release()
