"""Sets of digests on disk: a registry may hold more of them than fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEMA = """
    CREATE TABLE marked (digest TEXT PRIMARY KEY, young INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE reached (digest TEXT PRIMARY KEY, followed INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX to_follow ON reached (digest) WHERE NOT followed;
    CREATE TABLE waiting (digest TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE leads (source TEXT, digest TEXT, PRIMARY KEY (source, digest)) WITHOUT ROWID;
    CREATE TABLE manifests (repository TEXT, digest TEXT, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
    CREATE TABLE history (repository TEXT, digest TEXT, tag TEXT, PRIMARY KEY (repository, digest, tag)) WITHOUT ROWID;
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
"""


class Sets:
    """What one garbage collection has found so far; a context manager, because it has a file of its own.

    Of the whole registry: the digests that are marked, and the manifests and blobs to be deleted. Of one repository,
    until the next is begun: the digests that are reached, those that are to be later, and which leads to which others.
    """

    def __init__(self) -> None:
        self._connection = temporary_database(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def begin_repository(self) -> None:
        """Forget what was reached in the repository before."""
        self._connection.execute("DELETE FROM reached")
        self._connection.execute("DELETE FROM leads")
        self._connection.execute("DELETE FROM waiting")

    def reach(self, digest: Digest) -> None:
        """Note that something leads to `digest`."""
        self._connection.execute("INSERT OR IGNORE INTO reached VALUES (?, 0)", (str(digest),))

    def wait(self, digest: Digest) -> None:
        """Note a digest that is to be reached later."""
        self._connection.execute("INSERT OR IGNORE INTO waiting VALUES (?)", (str(digest),))

    def waiting(self) -> Iterator[Digest]:
        """Yield each digest that is to be reached later."""
        for (digest,) in self._connection.execute("SELECT digest FROM waiting"):
            yield Digest.parse(digest)

    def is_reached(self, digest: Digest) -> bool:
        """Tell whether something in this repository leads to `digest`."""
        return self._has("reached", digest)

    def lead(self, source: Digest, digest: Digest) -> None:
        """Note that `digest` is reached where `source` is."""
        self._connection.execute("INSERT OR IGNORE INTO leads VALUES (?, ?)", (str(source), str(digest)))

    def follow(self) -> Iterator[Digest]:
        """Yield each digest that is reached, once, those too that are reached meanwhile."""
        while row := self._connection.execute("SELECT digest FROM reached WHERE NOT followed LIMIT 1").fetchone():
            self._connection.execute("UPDATE reached SET followed = 1 WHERE digest = ?", row)
            self._connection.execute(
                "INSERT OR IGNORE INTO reached SELECT digest, 0 FROM leads WHERE source = ?",
                row,
            )
            yield Digest.parse(row[0])

    def mark(self, digest: Digest, *, only_young: bool) -> bool:
        """Mark `digest`, to be kept, perhaps for no other reason than that something is young; tell if it is new."""
        row = (str(digest), only_young)
        new = self._connection.execute("INSERT OR IGNORE INTO marked VALUES (?, ?)", row).rowcount > 0
        if not new and not only_young:
            self._connection.execute("UPDATE marked SET young = 0 WHERE digest = ? AND young", row[:1])
        return new

    def is_marked(self, digest: Digest) -> bool:
        """Tell whether `digest` is to be kept."""
        return self._has("marked", digest)

    def is_only_young(self, digest: Digest) -> bool:
        """Tell whether a marked `digest` is kept for no other reason than that something is young."""
        query = "SELECT young FROM marked WHERE digest = ?"
        return bool(self._connection.execute(query, (str(digest),)).fetchone()[0])

    def marked(self) -> int:
        """Return how many digests are to be kept."""
        return self._count("marked")

    def add_unreferenced_manifest(self, repository: str, digest: Digest) -> None:
        """Note a manifest to be deleted."""
        self._connection.execute("INSERT OR IGNORE INTO manifests VALUES (?, ?)", (repository, str(digest)))

    def unreferenced_manifests(self) -> Iterator[tuple[str, Digest]]:
        """Yield repository and digest of each manifest to be deleted."""
        for repository, digest in self._connection.execute("SELECT * FROM manifests"):
            yield repository, Digest.parse(digest)

    def remember_tag(self, repository: str, digest: Digest, tag: str) -> None:
        """Note that the history of `tag` names `digest`."""
        self._connection.execute("INSERT OR IGNORE INTO history VALUES (?, ?, ?)", (repository, str(digest), tag))

    def tags(self, repository: str, digest: Digest) -> list[str]:
        """Return the tags whose history names `digest`."""
        query = "SELECT tag FROM history WHERE repository = ? AND digest = ? ORDER BY tag"
        return [tag for (tag,) in self._connection.execute(query, (repository, str(digest)))]

    def manifests(self) -> int:
        """Return how many manifests are to be deleted."""
        return self._count("manifests")

    def add_unreferenced_blob(self, digest: Digest, size: int) -> None:
        """Note a blob to be deleted."""
        self._connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (str(digest), size))

    def unreferenced_blobs(self) -> Iterator[tuple[Digest, int]]:
        """Yield digest and size of each blob to be deleted."""
        for digest, size in self._connection.execute("SELECT * FROM blobs"):
            yield Digest.parse(digest), size

    def blobs(self) -> int:
        """Return how many blobs are to be deleted."""
        return self._count("blobs")

    def _has(self, table: str, digest: Digest) -> bool:
        query = f"SELECT 1 FROM {table} WHERE digest = ?"  # noqa: S608 - the table's name is ours
        return self._connection.execute(query, (str(digest),)).fetchone() is not None

    def _count(self, table: str) -> int:
        found: int = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - as above
        return found
