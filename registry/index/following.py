"""Follows the journal: what it names is looked up in the storage, and put into the index.

An entry says what has changed, not what is there now. So it does not matter in which order entries come, and whether
one comes twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from drivers.base import PathNotFoundError
from registry.index.writer import Place
from registry.journal.entry import DELETE, REPOSITORY
from registry.oci.errors import NameUnknownError
from registry.storage import paths
from registry.storage.at_once import each
from registry.storage.links import read_links

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from drivers.base import StorageDriver
    from registry.index.writer import Writer
    from registry.journal.entry import Entry
    from registry.journal.reader import Reader
    from registry.ports import Repositories

_PAGE: Final = 500
_LOST_SECONDS: Final = 45 * 60.0
"""For how long the journal may not have been read: it keeps everything for an hour, by the clocks of its writers."""
_CLOCKS_SECONDS: Final = 300.0
"""How far the clocks of hosts may be apart."""


class Follower:
    """Puts into the index what the journal tells.

    `reader` is that of the index in the journal, `repositories` are those of `driver`.
    """

    def __init__(self, driver: StorageDriver, repositories: Repositories, reader: Reader) -> None:
        self._driver = driver
        self._repositories = repositories
        self._reader = reader

    def has_lost(self, place: Place) -> bool:
        """Tell whether the journal may have had entries behind `place` that are gone, or will give none for long.

        The latter is so if a clock was far ahead when it was read.
        """
        since_seconds = time.time() - place.through_ns / 1e9
        return not -_CLOCKS_SECONDS < since_seconds < _LOST_SECONDS

    def skip(self, writer: Writer) -> bool:
        """Pass over some of what the journal has, as a scan is to come that finds it; tell whether there may be more.

        Raises:
            DriverError: the storage fails.
        """
        if writer.place.through_ns >= time.time_ns() - int(_CLOCKS_SECONDS * 1e9):
            return False
        page = self._reader.page(writer.place.position, limit=_PAGE)
        with writer.transaction():
            writer.move_to(Place(page.position, page.through_ns))
        return page.full

    def follow(self, writer: Writer) -> bool:
        """Put some of what the journal has into the index; tell whether there may be more.

        Raises:
            DriverError: the storage fails; the same entries are taken again.
        """
        page = self._reader.page(writer.place.position, limit=_PAGE)
        named = _Named.by(delivered.entry for delivered in page.entries)
        gone = {name for name in named.shrunk if not self._exists(name)}
        removed = [(name, tag) for name in named.removed - gone for tag in writer.tags_of(name)]
        tags = [each_tag for each_tag in dict.fromkeys([*named.tags, *removed]) if each_tag[0] not in gone]
        digests = list(read_links(self._driver, [paths.tag_link(name, tag) for name, tag in tags]))
        pushed = list(each(self._driver, self._pushed, tags))
        with writer.transaction():
            for name in gone:
                writer.gone(name)
            for name in named.pushed - gone:
                writer.pushed_to(name)
            for (name, tag), digest, since in zip(tags, digests, pushed, strict=True):
                writer.looked_up(name, tag, digest, since)
            writer.move_to(Place(page.position, page.through_ns))
        return page.full

    def _exists(self, name: str) -> bool:
        try:
            self._repositories.open(name).tags.page(limit=1)
        except NameUnknownError:
            return False
        return True

    def _pushed(self, tag: tuple[str, str]) -> float | None:
        try:
            return self._driver.stat(paths.tag_link(*tag)).modified
        except PathNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class _Named:
    """What entries name: repository and tag; repositories something was pushed to, something or all was deleted of."""

    tags: Sequence[tuple[str, str]]
    pushed: AbstractSet[str]
    shrunk: AbstractSet[str]
    removed: AbstractSet[str]

    @classmethod
    def by(cls, entries: Iterable[Entry]) -> Self:
        tags: list[tuple[str, str]] = []
        pushed: set[str] = set()
        shrunk: set[str] = set()
        removed: set[str] = set()
        for entry in entries:
            tags += [(entry.repository, tag) for tag in entry.tags]
            (shrunk if entry.action == DELETE else pushed).add(entry.repository)
            if entry.action == DELETE and entry.kind == REPOSITORY:
                removed.add(entry.repository)
        return cls(tags, pushed, shrunk, removed)
