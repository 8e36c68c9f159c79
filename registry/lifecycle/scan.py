"""The scan: a walk over all that a storage has, and a look into what cannot be told by its path.

Bytes come before links: what is pushed meanwhile has its link seen or its bytes not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.lifecycle.cache import Cache
from registry.lifecycle.references import References, read_references
from registry.lifecycle.tables import Appended, batches, pack, packed_length, unpack
from registry.oci.digest import DEFAULT_ALGORITHM, Digest
from registry.storage import paths
from registry.storage.links import read_links
from registry.storage.parts import Kind, leaf_in, part_at

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from drivers.base import Found, StorageDriver
    from registry.lifecycle.cache import Remembered
    from registry.lifecycle.findings import Findings, Policy

_LINK_SIZE: Final = len(str(Digest.of(b"")))
_LINKS: Final = {
    Kind.LAYER: "layers",
    Kind.REVISION: "revisions",
    Kind.CONDEMNED_LAYER: "condemned",
    Kind.CONDEMNED_REVISION: "condemned",
}
_PATHS: Final = {
    Kind.LAYER: paths.layer_link,
    Kind.REVISION: paths.revision_link,
    Kind.CONDEMNED_LAYER: paths.condemned_layer_link,
    Kind.CONDEMNED_REVISION: paths.condemned_revision_link,
}
_STORED_MANIFESTS: Final = """
    INSERT OR IGNORE INTO stored_manifests
    SELECT digest FROM blobs WHERE digest IN (
        SELECT coalesce(target, digest) FROM revisions
        UNION SELECT target FROM tags
        UNION SELECT coalesce(target, digest) FROM condemned WHERE kind = :condemned
    ) ORDER BY digest
"""
_MANIFESTS: Final = """
    SELECT packed, packed IN stored_manifests FROM (
        SELECT coalesce(target, digest) AS packed FROM revisions
        UNION SELECT coalesce(target, digest) FROM condemned WHERE kind = :condemned
        UNION SELECT digest FROM stored_manifests
    ) ORDER BY packed
"""
_TORN_TAGS: Final = """
    INSERT INTO tags SELECT repository, tag, digest FROM torn_tags JOIN history USING (repository, tag)
"""
"""A tag whose link is torn may have pointed to whatever it ever has."""
_SETTLED_SECONDS: Final = 3600.0
"""How old a tag's link is at least before its version is relied on: two links of a moment may have the same one."""


def silent(what: str) -> None:
    """Tell nobody."""
    del what


def scan(
    driver: StorageDriver,
    findings: Findings,
    policy: Policy,
    progress: Callable[[str], None] = silent,
    *,
    cache: Cache | None = None,
) -> None:
    """Find all that `driver` stores, and mark what is to be kept by `policy`; `progress` is given what is looked at.

    Raises:
        drivers.base.DriverError: the storage failed, or a part of it may not be looked into.
    """
    _find_blobs(driver, findings.connection, progress)
    seen = _find_links(driver, findings.connection, progress)
    findings.lacks_repositories = not seen and findings.has_blobs()
    findings.lacks_blobs = seen and not findings.has_blobs()
    _read_links(driver, findings.connection, progress)
    with cache or Cache() as known:
        settled = policy.cutoff - _SETTLED_SECONDS
        _read_tags(driver, findings.connection, known.tags, progress, settled)
        _read_manifests(driver, findings.connection, known.manifests, progress)
    findings.conclude(policy)


def _find_blobs(driver: StorageDriver, connection: sqlite3.Connection, progress: Callable[[str], None]) -> None:
    blobs = Appended(connection, "blobs", 4)
    for found in driver.walk(paths.BLOBS, leaf_in=leaf_in):
        part = part_at(found.path)
        if part and part.digest:
            progress(str(part.digest))
            blobs.add(pack(part.digest), found.size, found.modified, found.version)
    blobs.flush()


def _find_links(driver: StorageDriver, connection: sqlite3.Connection, progress: Callable[[str], None]) -> bool:
    """Note all links and tags; tell whether there is anything at all."""
    numbers, links = _Numbers(connection), _Links(connection)
    history, tags = Appended(connection, "history", 3), Appended(connection, "unread_tags", 4)
    seen = False
    for found in driver.walk(paths.REPOSITORIES, leaf_in=leaf_in):
        seen = True
        part = part_at(found.path)
        if part is None:
            continue
        progress(part.repository)
        number = numbers.of(part.repository)
        if part.digest is None:
            tags.add(number, part.tag, found.modified, found.version)
        elif part.kind is Kind.HISTORY:
            history.add(number, part.tag, pack(part.digest))
        else:
            links.add(part.kind, number, part.digest, found)
    for each in (links, history, tags):
        each.flush()
    return seen


class _Numbers:
    """The numbers of repositories in the tables. Those of one lie together in most walks, so the last is remembered."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last = ("", 0)

    def of(self, name: str) -> int:
        """Return the number of the repository called `name`, which is made if there is none."""
        if self._last[0] != name:
            self._connection.execute("INSERT OR IGNORE INTO repositories (name) VALUES (?)", (name,))
            query = "SELECT id FROM repositories WHERE name = ?"
            self._last = (name, self._connection.execute(query, (name,)).fetchone()[0])
        return self._last[1]


class _Links:
    """The tables of links, and of those links that have to be read because their path does not tell what they hold."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._unread = Appended(connection, "unread_links", 6)
        self._condemned = Appended(connection, "condemned", 7)
        self._standing = {
            Kind.LAYER: Appended(connection, "layers", 6),
            Kind.REVISION: Appended(connection, "revisions", 6),
        }

    def add(self, kind: Kind, repository: int, digest: Digest, found: Found) -> None:
        """Note a link as it was found.

        One below sha256 holds what its path says if it is as long: both registries write no other. One below another
        algorithm may hold the sha256 under which the Go registry keeps the bytes.
        """
        stat = (found.size, found.modified, found.version)
        if digest.algorithm == DEFAULT_ALGORITHM and found.size == _LINK_SIZE:
            self.add_read(kind, repository, pack(digest), None, stat)
        else:
            self._unread.add(kind, repository, pack(digest), *stat)

    def add_read(
        self, kind: Kind, repository: int, digest: bytes, target: bytes | None, stat: tuple[int, float, str]
    ) -> None:
        """Note a link that holds `target`, None if that is what its path says."""
        table = self._standing.get(kind)
        if table:
            table.add(repository, digest, target, *stat)
        else:
            self._condemned.add(kind, repository, digest, target, *stat)

    def flush(self) -> None:
        """Write what was noted."""
        for each in (self._unread, self._condemned, *self._standing.values()):
            each.flush()


def _read_links(driver: StorageDriver, connection: sqlite3.Connection, progress: Callable[[str], None]) -> None:
    links, torn = _Links(connection), Appended(connection, "torn_revisions", 2)
    query = """
        SELECT kind, name, repository, digest, size, modified, version
        FROM unread_links JOIN repositories ON repository = repositories.id ORDER BY unread_links.rowid
    """
    for rows in batches(connection.execute(query)):
        link_paths = [_PATHS[Kind(kind)](name, unpack(digest)) for kind, name, _, digest, *_ in rows]
        for (kind, name, number, digest, *stat), target in zip(rows, read_links(driver, link_paths), strict=True):
            progress(name)
            if kind == Kind.REVISION and not target:
                torn.add(number, digest)
            # A manifest is what the path says, in case its link can be repaired. Another malformed link is none.
            if target or kind == Kind.REVISION:
                held = pack(target) if target else digest
                links.add_read(Kind(kind), number, digest, None if held == digest else held, tuple(stat))
    links.flush()
    torn.flush()


def _read_tags(
    driver: StorageDriver,
    connection: sqlite3.Connection,
    known: Remembered,
    progress: Callable[[str], None],
    settled: float,
) -> None:
    """Note what tags point to; what was written before `settled` is remembered by its version."""
    tags, torn = Appended(connection, "tags", 3), Appended(connection, "torn_tags", 2)
    query = """
        SELECT name, repository, tag, modified, version
        FROM unread_tags JOIN repositories ON repository = repositories.id ORDER BY name, tag
    """
    for rows in batches(connection.execute(query)):
        former = [_target_of(known.find(_key(name, tag)), version) for name, _, tag, _, version in rows]
        unknown = [row for row, target in zip(rows, former, strict=True) if not target]
        read = read_links(driver, [paths.tag_link(name, tag) for name, _, tag, *_ in unknown])
        for (name, number, tag, modified, version), remembered in zip(rows, former, strict=True):
            progress(name)
            digest = None if remembered else next(read)
            target = remembered or (digest and pack(digest))
            if target:
                tags.add(number, tag, target)
                if modified < settled:
                    known.keep(_key(name, tag), target + version.encode())
            else:
                torn.add(number, tag)
    tags.flush()
    torn.flush()
    connection.execute(_TORN_TAGS)


def _key(name: str, tag: str) -> bytes:
    return f"{name}\0{tag}".encode()


def _target_of(remembered: bytes | None, version: str) -> bytes | None:
    """Return what a tag points to, if that is remembered of this version of its link."""
    if not remembered:
        return None
    length = packed_length(remembered[0])
    return remembered[:length] if remembered[length:] == version.encode() else None


def _read_manifests(
    driver: StorageDriver, connection: sqlite3.Connection, known: Remembered, progress: Callable[[str], None]
) -> None:
    """Note what manifests lead to. What is remembered counts only if the bytes were found."""
    manifests, references = Appended(connection, "manifests", 4), Appended(connection, "refs", 3)
    subjects = Appended(connection, "subjects", 2)
    number = 0
    condemned = {"condemned": Kind.CONDEMNED_REVISION}
    connection.execute(_STORED_MANIFESTS, condemned)
    for rows in batches(connection.execute(_MANIFESTS, condemned)):
        former = [known.find(packed) if is_stored else None for packed, is_stored in rows]
        unknown = [unpack(packed) for (packed, _), remembered in zip(rows, former, strict=True) if not remembered]
        read = read_references(driver, unknown)
        for (packed, _), remembered in zip(rows, former, strict=True):
            progress(str(unpack(packed)))
            found = References.load(remembered) if remembered else next(read)
            number += 1
            manifests.add(number, packed, found.media, found.problem)
            for child, kind in found.children.items():
                references.add(number, child, kind)
            for subject in found.subjects:
                subjects.add(number, subject)
            if not found.problem:
                known.keep(packed, remembered or found.dump())
    for table in (manifests, references, subjects):
        table.flush()
