"""Tables of a bounded size that keep what was used last, shared by the threads of a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")

MOST_ENTRIES: Final = 10_000
"""How many entries a table has unless it says otherwise; small ones take a few MiB."""


class RecentlyUsed(Generic[K, V]):
    """The entries used last, at most `most` of them; no limit if that is zero or less. None is not a value."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """Return the value of `key`, which is thereby used, or None if it is not there."""
        with self._lock:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
            return value

    def values(self) -> list[V]:
        """Return all values, which are not thereby used."""
        with self._lock:
            return [*self._entries.values()]

    def put(self, key: K, value: V) -> None:
        """Keep `value` in place of what `key` had. What was not used for longest makes room."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            if 0 < self._most < len(self._entries):
                self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Drop the entry of `key`, if there is one."""
        with self._lock:
            self._entries.pop(key, None)


class RecentlyUsedByWeight(RecentlyUsed[K, V]):
    """The entries used last, of at most `most` in weight together; nothing is kept if that is zero or less.

    `weigh` gives the weight of a value: more than zero, and always the same for one value.
    """

    def __init__(self, most: int, weigh: Callable[[V], int]) -> None:
        super().__init__(most)
        self._weigh = weigh
        self.weight = 0
        """The weight of all entries together."""

    def put(self, key: K, value: V) -> None:
        weight = self._weigh(value)
        with self._lock:
            former = self._entries.pop(key, None)
            if former is not None:
                self.weight -= self._weigh(former)
            self._entries[key] = value
            self.weight += weight
            while self._entries and self.weight > self._most:
                _, dropped = self._entries.popitem(last=False)
                self.weight -= self._weigh(dropped)

    def drop(self, key: K) -> None:
        with self._lock:
            former = self._entries.pop(key, None)
            if former is not None:
                self.weight -= self._weigh(former)
