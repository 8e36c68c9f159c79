"""The tables of a garbage collection, on disk: a registry may hold more than fits into memory.

What a scan finds is appended without an index, and indexes are built when all of it is there: that is a sort, where an
index from the start would be a search for each row. A digest is kept as a byte for its algorithm and the bytes of its
hex, which takes half the room, and sorts as the text does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import ALGORITHMS, Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_CACHE_KIB: Final = 64 * 1024
_ROWS_AT_ONCE: Final = 1000
_READ_AT_ONCE: Final = 1000

SCHEMA: Final = f"""
    PRAGMA cache_size = -{_CACHE_KIB};
    -- What was written at or after cutoff is young.
    CREATE TABLE policy (cutoff REAL);
    -- What is stored. A target is what a link holds, NULL where that is the digest of its path.
    CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT UNIQUE, untagged_before REAL);
    CREATE TABLE blobs (digest BLOB, size INTEGER, modified REAL, version TEXT);
    CREATE TABLE layers (repository INTEGER, digest BLOB, target BLOB, size INTEGER, modified REAL, version TEXT);
    CREATE TABLE revisions (repository INTEGER, digest BLOB, target BLOB, size INTEGER, modified REAL, version TEXT);
    CREATE TABLE condemned (
        kind TEXT, repository INTEGER, digest BLOB, target BLOB, size INTEGER, modified REAL, version TEXT
    );
    CREATE TABLE history (repository INTEGER, tag TEXT, digest BLOB);
    CREATE TABLE tags (repository INTEGER, tag TEXT, target BLOB);
    -- Links that have to be read.
    CREATE TABLE unread_links (
        kind TEXT, repository INTEGER, digest BLOB, size INTEGER, modified REAL, version TEXT
    );
    -- Links that hold no digest: manifests, and tags. What they held is not known.
    CREATE TABLE torn_revisions (repository INTEGER, digest BLOB);
    CREATE TABLE torn_tags (repository INTEGER, tag TEXT);
    CREATE TABLE unread_tags (repository INTEGER, tag TEXT, modified REAL, version TEXT);
    CREATE TABLE stored_manifests (digest BLOB PRIMARY KEY) WITHOUT ROWID;
    -- What manifests lead to. A problem says why one that is stored cannot be read.
    CREATE TABLE manifests (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, media TEXT, problem TEXT);
    CREATE TABLE refs (manifest INTEGER, child BLOB, kind TEXT, PRIMARY KEY (manifest, child)) WITHOUT ROWID;
    CREATE TABLE subjects (manifest INTEGER, subject BLOB, PRIMARY KEY (manifest, subject)) WITHOUT ROWID;
"""

_CODES: Final = {name: bytes([code]) for code, name in enumerate(sorted(ALGORITHMS))}
_NAMES: Final = tuple(sorted(ALGORITHMS))
_LENGTHS: Final = tuple(1 + ALGORITHMS[name] // 2 for name in _NAMES)


def pack(digest: Digest) -> bytes:
    """Return a digest as it stands in tables."""
    return _CODES[digest.algorithm] + bytes.fromhex(digest.hex)


def unpack(packed: bytes) -> Digest:
    """Return the digest of which pack() has made `packed`."""
    return Digest(_NAMES[packed[0]], packed[1:].hex())


def packed_length(code: int) -> int:
    """Return how many bytes a packed digest has whose first byte is `code`."""
    return _LENGTHS[code]


class Appended:
    """A table to which rows are appended, many at once."""

    def __init__(self, connection: sqlite3.Connection, table: str, columns: int) -> None:
        self._connection = connection
        self._statement = f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - names are ours
        self._rows: list[tuple[object, ...]] = []

    def add(self, *row: object) -> None:
        """Append a row; it can be read after flush()."""
        self._rows.append(row)
        if len(self._rows) >= _ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was appended."""
        self._connection.executemany(self._statement, self._rows)
        self._rows.clear()


def open_tables() -> sqlite3.Connection:
    """Return a connection to empty tables of their own, which are gone when it is closed."""
    connection = temporary_database(SCHEMA)
    # One transaction for all, for none can be rolled back.
    connection.execute("BEGIN")
    return connection


def batches(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of `cursor`, some of them at once."""
    while rows := cursor.fetchmany(_READ_AT_ONCE):
        yield rows
