"""What a storage has and does not give: a link, a directory, a size. The rest of it is checked all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.base import DriverError
from registry.fsck.damage import Damage
from registry.fsck.graph import Affected
from registry.storage.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registry.fsck.contents import Contents
    from registry.fsck.store import Store


@dataclass(frozen=True, slots=True)
class Unreadable(Damage):
    """What lies at `path`, or below it, and cannot be read; `why` is what the storage says."""

    kind = "unreadable"
    repository: str
    path: str
    why: str
    affected: Affected

    @property
    def where(self) -> str:
        return self.path

    @property
    def text(self) -> str:
        return f"it cannot be read, and what depends on it was not checked: {self.why}"

    @property
    def advice(self) -> str:
        return "look at the disk, and at its owner and mode"

    def is_there(self, store: Store) -> bool:
        del store
        return True


def told(contents: Contents, repository: str, path: str, error: DriverError) -> Iterator[Damage]:
    """Yield that `path` cannot be read, once.

    Raises:
        StorageFailsError: it is not this path, but the storage as a whole.
    """
    contents.bear(error)
    if contents.tell_once(path):
        yield Unreadable(repository, path, str(error), Affected())


def borne(contents: Contents, repository: str, path: str, damages: Iterable[Damage]) -> Iterator[Damage]:
    """Yield `damages`; if they end because something cannot be read at `path` or below it, yield that.

    Raises:
        StorageFailsError: as told().
    """
    try:
        yield from damages
    except DriverError as error:
        yield from told(contents, repository, path, error)


def readable_names(store: Store, walk: Callable[[Catalog], Iterator[str]]) -> Iterator[str | Damage]:
    """Yield the names of a `walk` over the catalog, and each directory that cannot be listed.

    Raises:
        StorageFailsError: as told().
    """
    failed: list[tuple[str, DriverError]] = []
    readable = Catalog(store.driver).readable(DriverError, lambda path, error: failed.append((path, error)))
    for name in walk(readable):
        while failed:
            yield from told(store.contents, "", *failed.pop(0))
        yield name
    for each in failed:
        yield from told(store.contents, "", *each)
