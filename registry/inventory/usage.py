"""How many bytes each repository takes, and how many of them no other one has.

On a storage these are the bytes of all blobs and manifests that a repository links, whether or not a tag leads to them.
Over HTTP they are those that tags lead to, with the sizes that manifests tell.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from drivers.base import PathNotFoundError
from registry.foundation.found_digests import FoundDigests
from registry.foundation.temporary_database import temporary_database
from registry.inventory.walking import walk
from registry.oci.digest import Digest
from registry.storage import enumeration, paths
from registry.storage.links import read_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.base import StorageDriver
    from registry.inventory.source import Source
    from registry.ports import Catalog

_SCHEMA = """
    CREATE TABLE repositories (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, chosen INTEGER NOT NULL,
        tags INTEGER NOT NULL DEFAULT 0, manifests INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE content (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE links (digest TEXT, repository INTEGER, PRIMARY KEY (digest, repository)) WITHOUT ROWID;
    CREATE TABLE used (repository INTEGER PRIMARY KEY, alone INTEGER NOT NULL, whole INTEGER NOT NULL);
"""
_SUM_UP = """
    INSERT INTO used
    SELECT repository, sum(CASE WHEN holders.count = 1 THEN size ELSE 0 END), sum(size)
    FROM links JOIN content USING (digest)
    JOIN (SELECT digest, count(*) AS count FROM links GROUP BY digest) AS holders USING (digest)
    GROUP BY repository
"""
_ROWS = """
    SELECT name, coalesce(alone, 0), coalesce(whole, 0), tags, manifests
    FROM repositories LEFT JOIN used ON repository = number WHERE chosen ORDER BY
"""
_CHOSEN_SIZE = """
    SELECT coalesce(sum(size), 0) FROM content WHERE EXISTS
    (SELECT 1 FROM links JOIN repositories ON repository = number WHERE links.digest = content.digest AND chosen)
"""
_NEXT_UNMEASURED = """
    SELECT digest FROM links WHERE digest > ? AND NOT EXISTS
    (SELECT 1 FROM content WHERE content.digest = links.digest) ORDER BY digest LIMIT 1
"""
_UNLINKED = """
    SELECT count(*), coalesce(sum(size), 0) FROM content
    WHERE NOT EXISTS (SELECT 1 FROM links WHERE links.digest = content.digest)
"""


@dataclass(frozen=True, slots=True)
class RepositoryUsage:
    """Bytes of a repository: those that no other one has, and all; and of a storage, how many tags and manifests."""

    name: str
    unique: int
    total: int
    tags: int
    manifests: int

    @property
    def shared(self) -> int:
        """Bytes that other repositories have, too."""
        return self.total - self.unique


class Usage:
    """What was found of all repositories, on disk; a context manager, because it has a file of its own.

    `chosen` tells which of them are asked for: what is unique depends on the others, too.
    """

    def __init__(self, chosen: Callable[[str], bool]) -> None:
        self._chosen = chosen
        self._connection = temporary_database(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add_repository(self, name: str) -> int:
        """Add a repository; return its number."""
        query = "INSERT INTO repositories (name, chosen) VALUES (?, ?) RETURNING number"
        number: int = self._connection.execute(query, (name, self._chosen(name))).fetchone()[0]
        return number

    def count(self, repository: int, *, tags: int, manifests: int) -> None:
        """Note how many tags and manifests a repository, by its number, has."""
        query = "UPDATE repositories SET tags = ?, manifests = ? WHERE number = ?"
        self._connection.execute(query, (tags, manifests, repository))

    def add_content(self, digest: Digest, size: int) -> None:
        """Note how large something is; of two who say it the first counts."""
        self._connection.execute("INSERT OR IGNORE INTO content VALUES (?, ?)", (str(digest), size))

    def has_content(self, digest: Digest) -> bool:
        """Tell whether the size of it is known."""
        query = "SELECT 1 FROM content WHERE digest = ?"
        return self._connection.execute(query, (str(digest),)).fetchone() is not None

    def link(self, repository: int, digest: Digest) -> None:
        """Note that a repository, by its number, has something."""
        self._connection.execute("INSERT OR IGNORE INTO links VALUES (?, ?)", (str(digest), repository))

    def unmeasured(self) -> Iterator[Digest]:
        """Yield what is linked and of which no size is known; sizes may be added meanwhile."""
        last = ""
        while row := self._connection.execute(_NEXT_UNMEASURED, (last,)).fetchone():
            last = row[0]
            yield Digest.parse(last)

    def sum_up(self) -> None:
        """Compute what the methods below tell; nothing may be added afterwards."""
        self._connection.execute(_SUM_UP)

    def repositories(self, *, largest_first: bool) -> Iterator[RepositoryUsage]:
        """Yield the chosen repositories, in the order in which they were added."""
        order = "whole DESC, number" if largest_first else "number"
        for row in self._connection.execute(f"{_ROWS} {order}"):
            yield RepositoryUsage(*row)

    def chosen_size(self) -> int:
        """Return the bytes of all chosen repositories together, each blob counted once."""
        size: int = self._connection.execute(_CHOSEN_SIZE).fetchone()[0]
        return size

    def unlinked(self) -> tuple[int, int]:
        """Return how much there is that no repository has: blobs and bytes."""
        count, size = self._connection.execute(_UNLINKED).fetchone()
        return count, size


def measure_storage(driver: StorageDriver, catalog: Catalog, usage: Usage, tell: Callable[[str], None]) -> None:
    """Add all that a storage holds; `tell` is given the name of what is looked at."""
    for blob in enumeration.blobs(driver):
        usage.add_content(blob.digest, blob.size)
        tell(str(blob.digest))
    for name in catalog.linking():
        tell(name)
        _add_repository(driver, name, usage)


def measure_repositories(driver: StorageDriver, names: Iterable[str], usage: Usage) -> None:
    """Add what the repositories called so hold; of the rest of the storage nothing is known, nor what is unique."""
    for name in names:
        _add_repository(driver, name, usage)
    for digest in usage.unmeasured():
        with suppress(PathNotFoundError):
            usage.add_content(digest, driver.stat(paths.blob_data(digest)).size)


def _add_repository(driver: StorageDriver, name: str, usage: Usage) -> None:
    number = usage.add_repository(name)
    for digest in enumeration.layers(driver, name):
        _link(driver, usage, number, digest, paths.layer_link(name, digest))
    manifests = 0
    for digest in enumeration.revisions(driver, name):
        manifests += _link(driver, usage, number, digest, paths.revision_link(name, digest))
    usage.count(number, tags=sum(1 for _ in enumeration.tags(driver, name)), manifests=manifests)


def _link(driver: StorageDriver, usage: Usage, repository: int, digest: Digest, path: str) -> bool:
    """Note what a link leads to, and tell whether it is one: the Go registry leaves folders of links it has deleted.

    It also keeps the bytes of what was pushed by sha512 under their sha256, which the link names.
    """
    target = read_link(driver, path)
    if target:
        usage.link(repository, digest if usage.has_content(digest) else target)
    return target is not None


def measure_source(source: Source, repositories: Iterator[str], usage: Usage, tell: Callable[[str], None]) -> None:
    """Add what tags lead to in `repositories` of a source."""
    for name in repositories:
        number = usage.add_repository(name)
        with FoundDigests() as manifests, FoundDigests() as content:
            for found in walk(source, name, manifests):
                tell(f"{name}@{found.digest}")
                usage.add_content(found.digest, len(found.stored.content))
                usage.link(number, found.digest)
                found.add_blobs_to(content)
            for digest, size in content.all():
                usage.add_content(digest, size)
                usage.link(number, digest)
