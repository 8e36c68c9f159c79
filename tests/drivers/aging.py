"""A driver under which time passes when a test says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.delegating import DelegatingDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.base import Found, Stat, StorageDriver


class AgingDriver(DelegatingDriver):
    """Passes all calls on to `inner`, and tells older times of what was there when time has passed."""

    def __init__(self, inner: StorageDriver) -> None:
        super().__init__(inner)
        self._passed: dict[str, tuple[float, float]] = {}

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        for found in self._inner.walk(path, leaf_in=leaf_in):
            yield self._aged(found)

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        return [*map(self._aged, self._inner.scan(path, after=after, limit=limit))]

    def stat(self, path: str) -> Stat:
        stat = self._inner.stat(path)
        return replace(stat, modified=stat.modified - self._age(path, stat.modified))

    def pass_time(self, seconds: float) -> None:
        """Let all that is there now be older by so much."""
        self._passed = {
            found.path: (found.modified, self._age(found.path, found.modified) + seconds)
            for found in self._inner.walk("/docker")
        }

    def _aged(self, found: Found) -> Found:
        return found._replace(modified=found.modified - self._age(found.path, found.modified))

    def _age(self, path: str, modified: float) -> float:
        """Return how many seconds have passed since the object was written that has this time at `inner`."""
        written, age = self._passed.get(path, (0.0, 0.0))
        return age if written == modified else 0.0
