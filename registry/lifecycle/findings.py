"""What a scan of the whole storage has found: what a garbage collection may condemn and delete, and how much there is.

It is on disk, in ``TMPDIR``: memory does not grow with the registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from drivers.base import Found
from registry.lifecycle.explaining import explain, losing
from registry.lifecycle.marking import mark
from registry.lifecycle.tables import open_tables, pack, unpack
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.links import FoundLink
from registry.storage.parts import Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from registry.lifecycle.explaining import Explanation

BATCH: Final = 1000
"""Links or blobs that are given at once."""

T = TypeVar("T")


def _every_revision_stays(_: str) -> float | None:
    return None


@dataclass(frozen=True, slots=True)
class Policy:
    """What stays although nothing leads to it; times in seconds since the epoch, by the clock of the storage.

    What was written at or after `cutoff` stays, and what it leads to. `untagged_before` gives for a repository before
    when a manifest has to have been written to go if no tag leads to it; None if all manifests of it stay.
    """

    cutoff: float
    untagged_before: Callable[[str], float | None] = _every_revision_stays


@dataclass(frozen=True, slots=True)
class Bytes:
    """A blob to which nothing leads, with the condemned links to it in all repositories."""

    digest: Digest
    found: Found
    condemned: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is; sizes in bytes. Blobs are the bytes of layers, configs and manifests.

    `marked` are the digests that are to be kept, stored or not. What is `young` is kept for no other reason than its
    age, or that of what leads to it. `unreferenced` is the rest: `loose` blobs, to which links stand that can be
    condemned, those to which all links are `condemned`, and `orphans`, to which there are none.
    """

    repositories: int
    blobs: int
    size: int
    marked: int
    young_blobs: int
    young_size: int
    unreferenced_blobs: int
    unreferenced_size: int
    links: int
    """Links to layers and manifests that are not condemned."""
    loose_revisions: int
    loose_layers: int
    loose_blobs: int
    loose_size: int
    condemned_blobs: int
    condemned_size: int
    orphans: int
    orphans_size: int


class Findings:
    """What a scan has found; a context manager, because it has a file of its own.

    registry.lifecycle.scan fills it; conclude() comes before everything below it.
    """

    def __init__(self) -> None:
        self.connection: Final[sqlite3.Connection] = open_tables()
        self.lacks_repositories = False
        """Whether there are blobs, but nothing at all where repositories lie: as if that were not mounted."""
        self.lacks_blobs = False
        """Whether it is the other way round."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def has_blobs(self) -> bool:
        """Tell whether any blob was found."""
        return self.connection.execute("SELECT 1 FROM blobs LIMIT 1").fetchone() is not None

    def missing_part(self) -> str:
        """Return which part of the storage seems not to be mounted, "" if none does."""
        if self.lacks_repositories:
            return "nothing lies where repositories do, but blobs are there: is a part of the storage not mounted?"
        if self.lacks_blobs and (self._count("layers") or self._count("revisions")):
            return "there are repositories, and no blobs at all: is a part of the storage not mounted?"
        return ""

    def conclude(self, policy: Policy) -> None:
        """Mark what is to be kept, when all is found."""
        mark(self.connection, policy.cutoff, policy.untagged_before)

    def repositories(self) -> Iterator[str]:
        """Yield the name of each repository that has anything, in the order of the catalog."""
        query = "SELECT name FROM repositories ORDER BY replace(name, '/', char(1))"
        return (name for (name,) in self.connection.execute(query))

    def roots(self, repository: str) -> Iterator[Digest]:
        """Yield the manifests of a repository that stay, whatever leads to them."""
        return self._digests(_ROOTS, repository)

    def marked_by(self, repository: str) -> Iterator[Digest]:
        """Yield what is kept because of a repository, and of none that was found before."""
        self.connection.execute("CREATE INDEX IF NOT EXISTS marked_by ON marked (repository, digest)")
        return self._digests(_MARKED_BY, repository)

    def loose_revisions(self, repository: str) -> Iterator[tuple[Digest, list[str]]]:
        """Yield the manifests of a repository that may go, each with the tags that have pointed to it."""
        for digest in self._digests(_LOOSE_REVISIONS, repository):
            yield digest, self.tags_that_pointed_to(repository, digest)

    def tags_that_pointed_to(self, repository: str, digest: Digest) -> list[str]:
        """Return the tags of a repository whose history names a manifest that may go."""
        row = (repository, pack(digest))
        return [tag for (tag,) in self.connection.execute(_TAGS_THAT_POINTED_TO, row)]

    def _digests(self, query: str, repository: str) -> Iterator[Digest]:
        return (unpack(row[0]) for row in self.connection.execute(query, (repository,)))

    def condemnable(self) -> Iterator[tuple[str, list[FoundLink]]]:
        """Yield the links to which nothing leads, by repository, at most BATCH at once; manifests before layers."""
        for name in self.repositories():
            for batch in _batches(self._links(name)):
                yield name, batch

    def restorable(self) -> Iterator[tuple[str, FoundLink]]:
        """Yield the condemned links to which something leads that is kept, each with its repository.

        What a manifest leads to comes before it.
        """
        for name, kind, packed, target, *stat in self.connection.execute(_RESTORABLE):
            digest = unpack(packed)
            found = _condemned_link((kind, name, packed, *stat))
            yield name, FoundLink(Kind(kind), digest, found, unpack(target) if target else digest)

    def led_to(self, repository: str, digest: Digest) -> Iterator[Digest]:
        """Yield what stays, too, if `digest` stays in a repository, as far as nothing that is kept leads to it."""
        rows = self.connection.execute(_LED_TO, {"repository": repository, "digest": pack(digest)})
        return (unpack(packed) for (packed,) in rows)

    def sweepable(self, condemned_before: float, orphans: Iterable[str]) -> Iterator[list[Bytes]]:
        """Yield the blobs that may be deleted, at most BATCH at once: no link leads to them, and none has for a time.

        All links to them were condemned before `condemned_before`, or there never was one and the blob is one of
        `orphans`, those that an earlier run has found. Manifests come before what they name, so that none is left
        without it.
        """
        if self.lacks_repositories:
            return
        self.connection.execute("CREATE TABLE IF NOT EXISTS known_orphans (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        rows = ((pack(Digest.parse(each)),) for each in orphans)
        self.connection.executemany("INSERT OR IGNORE INTO known_orphans VALUES (?)", rows)
        yield from self._bytes(_SWEEPABLE, condemned_before=condemned_before)

    def unreferenced(self) -> Iterator[list[Bytes]]:
        """Yield the blobs to which nothing leads and that are not young, at most BATCH at once, linked or not."""
        yield from self._bytes(_UNREFERENCED)

    def orphans(self) -> Iterator[str]:
        """Yield the digests of blobs that are not young, to which nothing leads, and no link, live or condemned."""
        if self.lacks_repositories:
            return
        for (packed,) in self.connection.execute(_ORPHANS):
            yield str(unpack(packed))

    def obsolete(self, condemned_before: float) -> Iterator[list[Found]]:
        """Yield the links condemned before `condemned_before` that wait for no blob: it is kept, live or gone."""
        rows = self.connection.execute(_OBSOLETE, (condemned_before,))
        return _batches(map(_condemned_link, rows))

    def explain(self, digest: Digest) -> Explanation:
        """Return why a digest is kept or not."""
        return explain(self.connection, digest)

    def losing(self, digest: Digest) -> Iterator[tuple[str, str]]:
        """Yield the repositories whose link to a digest may go, each with "layer" or "revision"."""
        return losing(self.connection, digest)

    def counts(self) -> Counts:
        """Return how much there is."""
        young_blobs, young_size = self._sum("blobs", "digest IN (SELECT digest FROM marked WHERE young)")
        unmarked_blobs, unmarked_size = self._sum("loose_blobs", f"NOT {_OLD}")
        unreferenced_blobs, unreferenced_size = self._sum("loose_blobs", _OLD)
        blobs, size = self._sum("blobs")
        loose_blobs, loose_size = self._sum("loose_blobs", f"{_OLD} AND links = 'live'")
        condemned_blobs, condemned_size = self._sum("loose_blobs", f"{_OLD} AND links = 'condemned'")
        orphans, orphans_size = self._sum("loose_blobs", f"{_OLD} AND links = 'none'")
        return Counts(
            repositories=self._count("repositories"),
            blobs=blobs,
            size=size,
            marked=self._count("marked"),
            young_blobs=young_blobs + unmarked_blobs,
            young_size=young_size + unmarked_size,
            unreferenced_blobs=unreferenced_blobs,
            unreferenced_size=unreferenced_size,
            links=self._count("layers") + self._count("revisions"),
            loose_revisions=self._count("loose_revisions"),
            loose_layers=self._count("loose_layers"),
            loose_blobs=loose_blobs,
            loose_size=loose_size,
            condemned_blobs=condemned_blobs,
            condemned_size=condemned_size,
            orphans=orphans,
            orphans_size=orphans_size,
        )

    def _count(self, table: str) -> int:
        found: int = self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
        return found

    def _sum(self, table: str, condition: str = "1") -> tuple[int, int]:
        """Return how many blobs of a table there are, and their size."""
        query = f"SELECT count(*), coalesce(sum(size), 0) FROM {table} WHERE {condition}"  # noqa: S608 - ours
        count, size = self.connection.execute(query).fetchone()
        return count, size

    def _links(self, name: str) -> Iterator[FoundLink]:
        for kind, path_of, query in (
            (Kind.REVISION, paths.revision_link, _LOOSE_REVISIONS),
            (Kind.LAYER, paths.layer_link, _LOOSE_LAYERS),
        ):
            for packed, target, *stat in self.connection.execute(query, (name,)):
                digest = unpack(packed)
                yield FoundLink(kind, digest, Found(path_of(name, digest), *stat), unpack(target) if target else digest)

    def _bytes(self, query: str, **values: float) -> Iterator[list[Bytes]]:
        rows = self.connection.execute(query, values)
        return _batches(
            Bytes(digest := unpack(packed), Found(paths.blob_data(digest), *stat), tuple(self._condemned(packed)))
            for packed, *stat in rows
        )

    def _condemned(self, packed: bytes) -> Iterator[Found]:
        return map(_condemned_link, self.connection.execute(_CONDEMNED, (packed,)))


_OLD: Final = "(modified < (SELECT cutoff FROM policy))"
_UNREFERENCED: Final = """
    SELECT digest, size, modified, version FROM loose_blobs WHERE modified < (SELECT cutoff FROM policy) ORDER BY digest
"""
_ORPHANS: Final = """
    SELECT digest FROM loose_blobs
    WHERE links = 'none' AND modified < (SELECT cutoff FROM policy) ORDER BY digest
"""
_SWEEPABLE: Final = """
    SELECT digest, size, modified, version FROM loose_blobs WHERE modified < (SELECT cutoff FROM policy) AND (
        (links = 'condemned' AND condemned < :condemned_before) OR (links = 'none' AND digest IN known_orphans)
    ) ORDER BY digest NOT IN stored_manifests, digest
"""
_ROOTS: Final = """
    SELECT digest FROM nodes JOIN reached ON node = nodes.id
    WHERE repository = (SELECT id FROM repositories WHERE name = ?) AND parent IS NULL AND manifest IS NOT NULL
    ORDER BY digest
"""
_MARKED_BY: Final = """
    SELECT digest FROM marked WHERE repository = (SELECT id FROM repositories WHERE name = ?) ORDER BY digest
"""
_LOOSE_REVISIONS: Final = """
    SELECT loose_revisions.digest, target, size, modified, version
    FROM loose_revisions JOIN revisions ON revision = revisions.rowid
    WHERE loose_revisions.repository = (SELECT id FROM repositories WHERE name = ?) ORDER BY loose_revisions.digest
"""
_LOOSE_LAYERS: Final = """
    SELECT digest, target, size, modified, version FROM loose_layers
    WHERE repository = (SELECT id FROM repositories WHERE name = ?) ORDER BY digest
"""
_TAGS_THAT_POINTED_TO: Final = """
    SELECT DISTINCT tag FROM loose_history
    WHERE repository = (SELECT id FROM repositories WHERE name = ?) AND digest = ? ORDER BY tag
"""
_CONDEMNED: Final = """
    SELECT kind, name, condemned.digest, size, modified, version
    FROM condemned JOIN repositories ON repository = repositories.id
    WHERE coalesce(target, condemned.digest) = ?
"""
_OBSOLETE: Final = """
    SELECT kind, name, condemned.digest, size, modified, version
    FROM condemned JOIN repositories ON repository = repositories.id
    WHERE modified < ? AND NOT EXISTS (
        SELECT 1 FROM loose_blobs
        WHERE loose_blobs.digest = coalesce(target, condemned.digest) AND links = 'condemned'
    ) AND NOT EXISTS (SELECT 1 FROM restorable WHERE restorable.condemned = condemned.rowid) ORDER BY name
"""
_RESTORABLE: Final = """
    SELECT name, kind, condemned.digest, target, size, modified, version
    FROM restorable JOIN condemned ON condemned.rowid = restorable.condemned
    JOIN repositories ON repository = repositories.id ORDER BY number IS NOT NULL, number DESC
"""
_LED_TO: Final = """
    WITH RECURSIVE led (node) AS (
        SELECT id FROM nodes
        WHERE repository = (SELECT id FROM repositories WHERE name = :repository) AND digest = :digest
        AND NOT EXISTS (SELECT 1 FROM reached WHERE node = nodes.id)
        UNION SELECT target FROM led JOIN edges ON source = led.node
        WHERE NOT EXISTS (SELECT 1 FROM reached WHERE reached.node = target)
    )
    SELECT digest FROM led JOIN nodes ON node = nodes.id
    UNION SELECT coalesce(target, condemned.digest) FROM led JOIN nodes ON node = nodes.id
    JOIN condemned ON condemned.rowid = nodes.condemned
    UNION SELECT child FROM led JOIN nodes ON node = nodes.id JOIN refs USING (manifest)
    UNION SELECT target FROM led JOIN nodes ON node = nodes.id JOIN refs USING (manifest)
    CROSS JOIN condemned ON condemned.digest = child AND target IS NOT NULL
"""


def _condemned_link(row: tuple[Any, ...]) -> Found:
    kind, name, packed, *stat = row
    path_of = paths.condemned_layer_link if kind == Kind.CONDEMNED_LAYER else paths.condemned_revision_link
    return Found(path_of(name, unpack(packed)), *stat)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    source = iter(items)
    while batch := list(islice(source, BATCH)):
        yield batch
