"""Threads that have waited, for their clients or for what others do, go on a few at a time."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from registry.oci.errors import UpstreamBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_PARKED: Final = 512
"""Threads of a process that wait for what others do. Each takes 16 KiB and more, and a client of its own."""
_AGAIN_SECONDS: Final = 5

_MOST: Final = 32
_BRIEF_SECONDS: Final = 0.001


class Gate:
    """Lets `most` threads of a process go on that have waited, and `most_parked` wait for something else than a client.

    Thousands may wait, and their clients may all send, or all leave, at one moment. If all went on at once, each new
    request would have to contend with all of them for the interpreter's lock.
    """

    def __init__(self, most: int = _MOST, most_parked: int = MOST_PARKED) -> None:
        self._slots = threading.Semaphore(most)
        self._parking = _Parking(most_parked)

    def ticket(self) -> Ticket:
        """Return what the threads that serve one connection pass with."""
        return Ticket(self._slots, self._parking)


class _Parking:
    """How many threads are parked."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._changing = threading.Lock()

    def enter(self) -> bool:
        """Count one more, if there is room."""
        with self._changing:
            has_room = self._count < self._most
            self._count += has_room
        return has_room

    def enter_again(self) -> None:
        """Count one more."""
        with self._changing:
            self._count += 1

    def leave(self) -> None:
        """Count one less."""
        with self._changing:
            self._count -= 1


class Ticket:
    """The way of one connection's thread through the gate.

    `queues` tells whether it stands before it, or is parked.
    """

    __slots__ = ("_has_parked", "_parking", "_passed", "_slots", "queues")

    def __init__(self, slots: threading.Semaphore, parking: _Parking) -> None:
        self._slots = slots
        self._parking = parking
        self._passed = False
        self._has_parked = False
        self.queues = False

    @contextmanager
    def parked(self, hand_over: Callable[[], None]) -> Iterator[None]:
        """Wait in this block for what others do, after another thread leads; go on behind it when there is room.

        Raises:
            UpstreamBusyError: too many are parked. Who was parked before for the same request, and may have sent a part
                of its answer, is always let in.
        """
        if self._has_parked:
            self._parking.enter_again()
        elif not self._parking.enter():
            raise UpstreamBusyError("too many clients wait for an upstream", retry_seconds=_AGAIN_SECONDS)
        self._has_parked = True
        try:
            self.leave()
            began = time.monotonic()
            # First: who takes the lead may be a thread that is started only if not too many work.
            self.queues = True
            hand_over()
            yield
        finally:
            self._parking.leave()
            self.queues = False
            self.enter(time.monotonic() - began)

    def enter(self, waited_seconds: float) -> None:
        """Go on after so long a wait: at once if it was brief, else when there is room."""
        if waited_seconds > _BRIEF_SECONDS and not self._passed:
            self.queues = True
            self._slots.acquire()
            self.queues = False
            self._passed = True

    def leave(self) -> None:
        """Make room for others: before the client is waited for again."""
        if self._passed:
            self._passed = False
            self._slots.release()

    def end(self) -> None:
        """Make room for others, as the client has been served."""
        self._has_parked = False
        if self._passed:
            self.leave()
