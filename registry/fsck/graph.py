"""What one repository says of itself, on disk: its tags, its manifests and what they name, and its links to blobs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLES: Final = ("tags", "manifests", "layers", "named", "subjects", "faults", "hidden")
_SCHEMA: Final = """
    CREATE TABLE tags (tag TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX pointing ON tags (digest);
    CREATE TABLE manifests (digest TEXT PRIMARY KEY, target TEXT NOT NULL, is_read INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE layers (digest TEXT PRIMARY KEY, target TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE named (child TEXT, parent TEXT, kind TEXT, size INTEGER, required INTEGER,
                        PRIMARY KEY (child, parent, kind)) WITHOUT ROWID;
    CREATE TABLE subjects (number INTEGER PRIMARY KEY, subject TEXT, digest TEXT, is_listed INTEGER NOT NULL,
                           UNIQUE (subject, digest));
    CREATE TABLE faults (kind TEXT, name TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID;
    CREATE TABLE hidden (path TEXT PRIMARY KEY, name TEXT NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX hidden_names ON hidden (name);
"""
_SHOWN: Final = 10
_PAGE: Final = 1000
_ABOVE: Final = """
    WITH RECURSIVE above (digest) AS (VALUES (?) UNION SELECT parent FROM named JOIN above ON child = above.digest)
    SELECT tag FROM tags JOIN above USING (digest) ORDER BY tag LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Affected:
    """The first of the tags that something concerns, in order, and whether there are more."""

    tags: tuple[str, ...] = ()
    more: bool = False

    def __str__(self) -> str:
        """For people: ``tags v1, v2 and more``."""
        if not self.tags:
            return "no tag"
        return f"tag{'s' * (len(self.tags) > 1)} {', '.join(self.tags)}{' and more' if self.more else ''}"


@dataclass(frozen=True, slots=True)
class Named:
    """Something that the manifest `parent` names: `child`, of `size` bytes as the manifest says."""

    child: Digest
    parent: Digest
    kind: str
    size: int
    required: bool


class Fault(StrEnum):
    """What can be wrong with what is read: the link of a tag, a manifest or a blob, the bytes of a manifest."""

    TAG = "tag"
    MANIFEST = "manifest"
    LAYER = "layer"
    BYTES = "bytes"


class Graph:
    """One repository at a time; a context manager, because it has a file of its own."""

    def __init__(self) -> None:
        self._connection = temporary_database(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def clear(self) -> None:
        """Forget the repository before."""
        for table in _TABLES:
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608  a name of _TABLES

    def add_tag(self, tag: str, digest: Digest) -> None:
        """Note where a tag points."""
        self._connection.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (tag, str(digest)))

    def add_manifest(self, digest: Digest, target: Digest) -> None:
        """Note a manifest that the repository lists, whose bytes lie under `target`, and that it is not read yet."""
        row = (str(digest), str(target), False)
        self._connection.execute("INSERT OR IGNORE INTO manifests VALUES (?, ?, ?)", row)

    def drop_manifest(self, digest: Digest) -> None:
        """Forget a manifest that the repository does not list any more, and the tags that point to it."""
        self._connection.execute("DELETE FROM tags WHERE digest = ?", (str(digest),))
        self._connection.execute("DELETE FROM manifests WHERE digest = ?", (str(digest),))
        self._connection.execute("DELETE FROM faults WHERE kind = ? AND name = ?", (Fault.MANIFEST, str(digest)))

    def note_read(self, digest: Digest) -> None:
        """Note that all that a manifest names is known."""
        self._connection.execute("UPDATE manifests SET is_read = 1 WHERE digest = ?", (str(digest),))

    def add_layer(self, digest: Digest, target: Digest) -> None:
        """Note a link to a blob, whose bytes lie under `target`."""
        self._connection.execute("INSERT OR REPLACE INTO layers VALUES (?, ?)", (str(digest), str(target)))

    def add_named(self, named: Named) -> None:
        """Note what a manifest names."""
        row = (str(named.child), str(named.parent), named.kind, named.size, named.required)
        self._connection.execute("INSERT OR IGNORE INTO named VALUES (?, ?, ?, ?, ?)", row)

    def add_subject(self, subject: Digest, digest: Digest) -> None:
        """Note that the manifest `digest` is a referrer of `subject`."""
        self._connection.execute(
            "INSERT OR IGNORE INTO subjects (subject, digest, is_listed) VALUES (?, ?, 0)", (str(subject), str(digest))
        )

    def add_fault(self, kind: Fault, name: str) -> None:
        """Note that something is wrong with a tag or a digest, to be looked at later."""
        self._connection.execute("INSERT OR IGNORE INTO faults VALUES (?, ?)", (kind, name))

    def faults(self, kind: Fault) -> Iterator[str]:
        """Yield, in order, the tags or digests with which this is wrong."""
        for (name,) in self._rows("SELECT name FROM faults WHERE kind = ? AND name > ? ORDER BY name LIMIT ?", kind):
            yield name

    def has_fault(self, kind: Fault, digest: Digest) -> bool:
        """Tell whether this is wrong with a digest."""
        query = "SELECT 1 FROM faults WHERE kind = ? AND name = ?"
        return self._connection.execute(query, (kind, str(digest))).fetchone() is not None

    def hide(self, path: str, name: str, why: str) -> None:
        """Note that the link at `path`, of a tag or a digest, cannot be read, and why."""
        self._connection.execute("INSERT OR REPLACE INTO hidden VALUES (?, ?, ?)", (path, name, why))

    def hidden(self) -> Iterator[tuple[str, str]]:
        """Yield, in order, the path of each link that cannot be read, and why."""
        yield from self._rows("SELECT path, why FROM hidden WHERE path > ? ORDER BY path LIMIT ?")

    def is_hidden(self, digest: Digest) -> bool:
        """Tell whether a link of a digest cannot be read."""
        return self._one("SELECT 1 FROM hidden WHERE name = ?", digest)

    def may_have_manifest(self, digest: Digest) -> bool:
        """Tell whether the repository lists a manifest, or has a link for it that is malformed or cannot be read."""
        return self.has_manifest(digest) or self.has_fault(Fault.MANIFEST, digest) or self.is_hidden(digest)

    def has_manifest(self, digest: Digest) -> bool:
        """Tell whether the repository lists a manifest."""
        return self._one("SELECT 1 FROM manifests WHERE digest = ?", digest)

    def layer(self, digest: Digest) -> Digest | None:
        """Return under which digest the bytes of a blob lie; None if the repository has no link to it."""
        found = self._connection.execute("SELECT target FROM layers WHERE digest = ?", (str(digest),)).fetchone()
        return Digest.parse(found[0]) if found else None

    def names(self, digest: Digest) -> bool:
        """Tell whether any manifest that was read names `digest`."""
        return self._one("SELECT 1 FROM named WHERE child = ?", digest)

    def is_whole(self) -> bool:
        """Tell whether every manifest was read; if not, a blob that none names may be named all the same."""
        query = "SELECT 1 FROM manifests WHERE NOT is_read UNION ALL SELECT 1 FROM hidden"
        return self._connection.execute(query).fetchone() is None

    def manifests(self) -> Iterator[tuple[Digest, Digest]]:
        """Yield each manifest in order, and under which digest its bytes lie."""
        query = "SELECT digest, target FROM manifests WHERE digest > ? ORDER BY digest LIMIT ?"
        for digest, target in self._rows(query):
            yield Digest.parse(digest), Digest.parse(target)

    def layers(self) -> Iterator[tuple[Digest, Digest]]:
        """Yield each link to a blob in order, and under which digest its bytes lie."""
        query = "SELECT digest, target FROM layers WHERE digest > ? ORDER BY digest LIMIT ?"
        for digest, target in self._rows(query):
            yield Digest.parse(digest), Digest.parse(target)

    def note_listed(self, subject: Digest, digest: Digest) -> None:
        """Note that `digest` is in the list of the referrers of `subject`."""
        query = "UPDATE subjects SET is_listed = 1 WHERE subject = ? AND digest = ?"
        self._connection.execute(query, (str(subject), str(digest)))

    def unlisted(self) -> Iterator[tuple[Digest, Digest]]:
        """Yield each subject with a referrer that is not in its list."""
        query = (
            "SELECT number, subject, digest FROM subjects WHERE NOT is_listed AND number > ? ORDER BY number LIMIT ?"
        )
        for _, subject, digest in self._rows(query, first=0):
            yield Digest.parse(subject), Digest.parse(digest)

    def tags_of(self, digest: Digest) -> Iterator[str]:
        """Yield, in order, the tags that point to the manifest `digest` itself."""
        query = "SELECT tag FROM tags WHERE digest = ? AND tag > ? ORDER BY tag LIMIT ?"
        for (tag,) in self._rows(query, str(digest)):
            yield tag

    def tags(self) -> Iterator[tuple[str, Digest]]:
        """Yield each tag that points somewhere, in order, and where."""
        for tag, digest in self._rows("SELECT tag, digest FROM tags WHERE tag > ? ORDER BY tag LIMIT ?"):
            yield tag, Digest.parse(digest)

    def named(self) -> Iterator[Named]:
        """Yield what manifests name, by one of them each, the one that requires it if any does."""
        # Of the columns without an aggregate SQLite takes those of the row that has the maximum.
        query = (
            "SELECT child, parent, kind, size, max(required) FROM named"
            " WHERE child > ? GROUP BY child ORDER BY child LIMIT ?"
        )
        for child, parent, kind, size, required in self._rows(query):
            yield Named(Digest.parse(child), Digest.parse(parent), kind, size, bool(required))

    def sizes_of(self, digest: Digest) -> list[int]:
        """Return sizes that manifests say `digest` has."""
        query = "SELECT DISTINCT size FROM named WHERE child = ? ORDER BY size LIMIT ?"
        return [size for (size,) in self._connection.execute(query, (str(digest), _SHOWN))]

    def affected(self, digest: Digest) -> Affected:
        """Return the tags from which something leads to `digest`."""
        found = [tag for (tag,) in self._connection.execute(_ABOVE, (str(digest), _SHOWN + 1))]
        return Affected(tuple(found[:_SHOWN]), len(found) > _SHOWN)

    def _rows(self, query: str, *parameters: str, first: str | int = "") -> Iterator[tuple[Any, ...]]:
        """Yield the rows of `query`, a page at a time, so that others may change tables meanwhile.

        It selects by what is greater than its last parameter but one, which is the first column of the row before.
        """
        last = first
        while page := self._connection.execute(query, (*parameters, last, _PAGE)).fetchall():
            yield from page
            last = page[-1][0]

    def _one(self, query: str, digest: Digest) -> bool:
        return self._connection.execute(query, (str(digest),)).fetchone() is not None
