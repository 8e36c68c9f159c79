"""Lists of blobs to which no link leads, live or condemned: a run deletes only what an earlier one has listed.

Such blobs are what a push has stored before its link, or what a crash, a deletion of a whole repository or another
registry has left. There is one list at a time. When it is old enough its blobs are deleted, those that are still
without a link, and the same run makes the next list.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_part_of_list, is_run_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver

_AT_ONCE: Final = 10_000
"""Digests in one object."""
_LIMIT_BYTES: Final = 4 * 1024 * 1024


class OrphanLists:
    """The list in the storage of `driver`. Every method may raise DriverError."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def written_before(self, before: float) -> Iterator[str]:
        """Yield what was listed before `before`, in seconds since the epoch, by the clock of the storage."""
        for path in self._parts():
            with suppress(PathNotFoundError):
                if self._driver.stat(path).modified < before:
                    yield from self._driver.get(path, limit=_LIMIT_BYTES).decode("ascii").split()

    def wait(self, before: float) -> bool:
        """Tell whether there is a list that was not written before `before`."""
        for path in self._parts():
            with suppress(PathNotFoundError):
                if self._driver.stat(path).modified >= before:
                    return True
        return False

    def replace(self, run: int, digests: Iterable[str]) -> None:
        """Let `digests`, which `run` has found, be the list."""
        former = [*self._runs()]
        rest, number = iter(digests), 0
        while part := list(islice(rest, _AT_ONCE)):
            self._driver.put(paths.gc_orphans_part(run, number), "\n".join(part).encode("ascii"))
            number += 1
        for each in former:
            if each != run:
                with suppress(PathNotFoundError):
                    self._driver.delete(paths.gc_orphans(each))

    def _runs(self) -> Iterator[int]:
        return map(int, objects_below(self._driver, paths.GC_ORPHANS, is_run_number))

    def _parts(self) -> Iterator[str]:
        for run in self._runs():
            for name in objects_below(self._driver, paths.gc_orphans(run), is_part_of_list):
                yield paths.gc_orphans_part(run, int(name))
