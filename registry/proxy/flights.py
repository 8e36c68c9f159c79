"""Work that several threads of a process want done at the same time, and that one of them does for all."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from contextlib import AbstractContextManager

T = TypeVar("T")


class Flights(Generic[T]):
    """What is being done at present, by its key. Nothing is remembered of what is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Future[T]] = {}

    def share(
        self,
        key: Hashable,
        work: Callable[[], T],
        waiting: Callable[[], AbstractContextManager[None]],
        *,
        begun: bool = True,
    ) -> T:
        """Return what `work` does, or what another thread is given that does it under the same `key` now.

        A thread that waits for another does so within ``waiting()``. Without `begun` it takes nothing from work that
        had begun when this was called, for that may have looked too early: it waits for the end of that, and shares
        the next. A failure is shared in any case, so nobody waits for more than two.

        Raises:
            What `work` raises, here or in the other thread.
        """
        early: Future[T] | None = None
        while True:
            with self._lock:
                flight = self._flights.get(key)
                if flight is None:
                    own = self._flights[key] = Future()
                    break
            with waiting():
                result = flight.result()
            if begun or early:
                return result
            early = flight
        return self._lead(key, own, work)

    def _lead(self, key: Hashable, own: Future[T], work: Callable[[], T]) -> T:
        try:
            result = work()
        except BaseException as error:
            self._land(key)
            own.set_exception(error)
            raise
        # Whoever comes from now on begins anew, so nobody who waits meets this one twice.
        self._land(key)
        own.set_result(result)
        return result

    def _land(self, key: Hashable) -> None:
        with self._lock:
            del self._flights[key]
