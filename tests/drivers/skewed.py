"""A driver whose storage has a clock that is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.delegating import DelegatingDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from drivers.base import Found, Stat, StorageDriver


class SkewedDriver(DelegatingDriver):
    """Passes all calls on to `inner`, and tells times by a clock that is `seconds` ahead."""

    def __init__(self, inner: StorageDriver, seconds: float) -> None:
        super().__init__(inner)
        self._seconds = seconds

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        return (
            found._replace(modified=found.modified + self._seconds) for found in self._inner.walk(path, leaf_in=leaf_in)
        )

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        found = self._inner.scan(path, after=after, limit=limit)
        return [each._replace(modified=each.modified + self._seconds) for each in found]

    def stat(self, path: str) -> Stat:
        stat = self._inner.stat(path)
        return replace(stat, modified=stat.modified + self._seconds)

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        return self._inner.discard(each._replace(modified=each.modified - self._seconds) for each in found)
