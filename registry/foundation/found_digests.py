"""Digests in the order in which they were found, on disk: an index may lead to more of them than fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class FoundDigests:
    """Each digest once, with a size in bytes; a context manager, because it has a file of its own."""

    def __init__(self) -> None:
        self._connection = temporary_database(
            "CREATE TABLE found (number INTEGER PRIMARY KEY, digest TEXT UNIQUE, size INTEGER NOT NULL)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, digest: Digest, size: int = 0) -> None:
        """Add a digest, unless it is there."""
        self._connection.execute("INSERT OR IGNORE INTO found (digest, size) VALUES (?, ?)", (str(digest), size))

    def add_all(self, digests: Iterable[Digest]) -> None:
        """Add each digest that is not there, without a size."""
        for digest in digests:
            self.add(digest)

    def follow(self) -> Iterator[Digest]:
        """Yield the digests in the order in which they were added, those too that are added meanwhile."""
        number = 0
        query = "SELECT number, digest FROM found WHERE number > ? ORDER BY number LIMIT 1"
        while row := self._connection.execute(query, (number,)).fetchone():
            number = row[0]
            yield Digest.parse(row[1])

    def all(self) -> Iterator[tuple[Digest, int]]:
        """Yield the digests, each with its size."""
        for digest, size in self._connection.execute("SELECT digest, size FROM found ORDER BY number"):
            yield Digest.parse(digest), size

    def size(self) -> int:
        """Return the sum of all sizes."""
        total: int = self._connection.execute("SELECT coalesce(sum(size), 0) FROM found").fetchone()[0]
        return total
