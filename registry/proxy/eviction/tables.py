"""The tables of an eviction, on disk: what is cached may not fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.foundation.temporary_database import temporary_database

if TYPE_CHECKING:
    import sqlite3

_SCHEMA: Final = """
    CREATE TABLE repositories (
        id INTEGER PRIMARY KEY, name TEXT UNIQUE, upstream TEXT, classic INTEGER, mixed INTEGER, kept INTEGER,
        is_read INTEGER DEFAULT 0
    );
    -- The target is under which digest the bytes lie.
    CREATE TABLE links (
        id INTEGER PRIMARY KEY, repository INTEGER, kind TEXT, digest TEXT, target TEXT, size INTEGER, modified REAL,
        version TEXT, used REAL, kept INTEGER DEFAULT 0, chosen INTEGER DEFAULT 0,
        UNIQUE (repository, kind, digest)
    );
    CREATE INDEX links_by_digest ON links (digest, repository);
    CREATE INDEX links_by_target ON links (target);
    CREATE TABLE tags (
        repository INTEGER, tag TEXT, target TEXT, used REAL, pushed INTEGER, chosen INTEGER DEFAULT 0,
        PRIMARY KEY (repository, tag)
    ) WITHOUT ROWID;
    CREATE INDEX tags_by_target ON tags (repository, target);
    -- What is known upstream of tags, and the manifests that were fetched where others are pushed.
    CREATE TABLE known (repository INTEGER, tag TEXT, modified REAL, PRIMARY KEY (repository, tag)) WITHOUT ROWID;
    CREATE TABLE fetched (repository INTEGER, digest TEXT, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
    -- What a Go registry has fetched, and what it is to forget: NAME@DIGEST.
    CREATE TABLE scheduled (key TEXT PRIMARY KEY) WITHOUT ROWID;
    -- What manifests lead to, and subjects.
    CREATE TABLE edges (source TEXT, target TEXT, PRIMARY KEY (source, target)) WITHOUT ROWID;
    CREATE INDEX edges_by_target ON edges (target);
    CREATE TABLE unreadable (digest TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
    -- How many links of an upstream lead to the bytes of a digest.
    CREATE TABLE holding (upstream TEXT, target TEXT, links INTEGER, size INTEGER, PRIMARY KEY (upstream, target))
    WITHOUT ROWID;
"""
SIZES: Final = """
    DELETE FROM holding;
    INSERT INTO holding SELECT upstream, target, count(*), coalesce(blobs.size, 0)
    FROM links JOIN repositories ON repositories.id = repository LEFT JOIN blobs ON blobs.digest = target
    WHERE NOT chosen GROUP BY upstream, target;
"""
"""How much is held, but for what is chosen."""


def open_tables() -> sqlite3.Connection:
    """Return a connection to empty tables, which are gone when it is closed."""
    connection = temporary_database(_SCHEMA)
    # One transaction for all, for none can be rolled back.
    connection.execute("BEGIN")
    return connection
