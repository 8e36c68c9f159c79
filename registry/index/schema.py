"""The file of the index: its tables, its version, and whether a file is one.

It is in the write-ahead mode of SQLite, so readers and the one writer do not wait for each other. A loss of power may
take the last changes away, the position in the journal that they came to included.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry.config import Configuration

VERSION: Final = 2
"""Of the tables, and of what is found out about an image. A file of another version is thrown away."""

_NAME: Final = "index.sqlite"
_DAMAGED: Final = ".damaged"
_BESIDE: Final = ("-wal", "-shm", "-journal", _DAMAGED)
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_READ_CACHE_KIB: Final = 1024
_BUSY_SECONDS: Final = 5.0
_TABLES: Final = """
    CREATE TABLE state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

    -- `ordering` sorts as the catalog does. `stale` are those whose sums are not those of their tags any more.
    CREATE TABLE repositories (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, ordering TEXT NOT NULL UNIQUE,
        generation INTEGER NOT NULL, stale INTEGER NOT NULL DEFAULT 1,
        tags INTEGER NOT NULL DEFAULT 0, pushed REAL, size INTEGER
    );
    CREATE INDEX repositories_by_pushed ON repositories (coalesce(pushed, 0) DESC, ordering);
    CREATE INDEX repositories_by_size ON repositories (coalesce(size, -1) DESC, ordering);
    CREATE INDEX repositories_stale ON repositories (id) WHERE stale;

    -- `ordering` sorts as people count, v1.9 before v1.10. `version` is what the storage says of the link,
    -- "" if that was not asked; an `unread` link is to be read. It is `dangling` if the repository has no such
    -- manifest; of `suspect` ones that is to be asked.
    CREATE TABLE tags (
        repository INTEGER NOT NULL, name TEXT NOT NULL, ordering TEXT NOT NULL, manifest INTEGER, pushed REAL,
        version TEXT NOT NULL DEFAULT '', unread INTEGER NOT NULL DEFAULT 0, generation INTEGER NOT NULL,
        suspect INTEGER NOT NULL DEFAULT 0, dangling INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (repository, name)
    ) WITHOUT ROWID;
    CREATE INDEX tags_by_name ON tags (name, repository);
    CREATE INDEX tags_by_ordering ON tags (repository, ordering);
    CREATE INDEX tags_by_manifest ON tags (manifest);
    CREATE INDEX tags_unread ON tags (repository, name) WHERE unread;
    CREATE INDEX tags_suspect ON tags (repository, name) WHERE suspect;
    CREATE TABLE tag_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

    -- What is known of a manifest by its digest, which never changes; `unread` are those of which nothing is yet.
    -- It is `complete` if nothing was missing that may be pushed later.
    CREATE TABLE manifests (
        id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, unread INTEGER NOT NULL DEFAULT 1,
        complete INTEGER NOT NULL DEFAULT 0, media_type TEXT, size INTEGER, platforms TEXT NOT NULL DEFAULT '[]'
    );
    CREATE INDEX manifests_unread ON manifests (id) WHERE unread;
    CREATE TABLE blobs (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL);
    CREATE TABLE contents (manifest INTEGER, blob INTEGER, PRIMARY KEY (manifest, blob)) WITHOUT ROWID;

    -- The manifests that the last scan has found in each repository.
    CREATE TABLE revisions (repository INTEGER, digest TEXT, PRIMARY KEY (repository, digest)) WITHOUT ROWID;

    -- What the journal has told of since the scan began: what the scan has listed before may not be true any more.
    CREATE TABLE touched (repository TEXT, tag TEXT, PRIMARY KEY (repository, tag)) WITHOUT ROWID;

    CREATE TRIGGER tag_added AFTER INSERT ON tags BEGIN
        INSERT INTO tag_names (name) SELECT new.name WHERE new.name NOT IN (SELECT name FROM tag_names);
        UPDATE repositories SET stale = 1 WHERE id = new.repository AND NOT stale;
    END;
    CREATE TRIGGER tag_moved AFTER UPDATE OF manifest, pushed, unread, dangling ON tags
    WHEN new.manifest IS NOT old.manifest OR new.pushed IS NOT old.pushed OR new.unread IS NOT old.unread
        OR new.dangling IS NOT old.dangling
    BEGIN
        UPDATE repositories SET stale = 1 WHERE id = new.repository AND NOT stale;
    END;
    CREATE TRIGGER tag_removed AFTER DELETE ON tags BEGIN
        DELETE FROM tag_names WHERE name = old.name AND NOT EXISTS (SELECT 1 FROM tags WHERE name = old.name);
        UPDATE repositories SET stale = 1 WHERE id = old.repository AND NOT stale;
    END;
"""
_WORDS: Final = """
    CREATE VIRTUAL TABLE {table}_words USING fts5(
        name, content='{table}', content_rowid='id', tokenize='trigram', columnsize=0
    );
    CREATE TRIGGER {table}_word_added AFTER INSERT ON {table} BEGIN
        INSERT INTO {table}_words (rowid, name) VALUES (new.id, new.name);
    END;
    CREATE TRIGGER {table}_word_removed AFTER DELETE ON {table} BEGIN
        INSERT INTO {table}_words ({table}_words, rowid, name) VALUES ('delete', old.id, old.name);
    END;
"""


class NotAnIndexError(Exception):
    """The file is not an index of this version and of this storage; the text says what it is."""


def path_in(directory: str) -> Path:
    """Return where the file of the index is in its directory."""
    return Path(directory, _NAME)


def damaged_mark(path: Path) -> Path:
    """Return where a reader leaves word that the index at `path` is damaged."""
    return path.with_name(f"{_NAME}{_DAMAGED}")


def identity_of(configuration: Configuration) -> str:
    """Return what tells the storage of a configuration from others, and nothing of its secrets."""
    storage = configuration.storage
    text = f"{storage.driver} {sorted(storage.parameters.items())!r}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def create(path: Path, identity: str) -> sqlite3.Connection:
    """Return a connection, to write, to a new and empty index in the place of what is at `path`.

    Raises:
        sqlite3.Error, OSError: it cannot be made.
    """
    remove(path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = _connect(path)
    connection.executescript(f"BEGIN; {_TABLES}")
    has_words = _add_words(connection)
    connection.executemany(
        "INSERT INTO state VALUES (?, ?)", [("identity", identity), ("words", has_words), ("generation", 0)]
    )
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
    return connection


def _add_words(connection: sqlite3.Connection) -> bool:
    """Add the tables in which a part of a name is found without a look at all names; tell whether SQLite has such."""
    try:
        connection.execute("CREATE VIRTUAL TABLE temp.words USING fts5(name, tokenize='trigram')")
    except sqlite3.OperationalError:
        return False
    connection.execute("DROP TABLE temp.words")
    for table in ("repositories", "tag_names"):
        # Not executescript(), which would commit.
        for statement in _statements(_WORDS.format(table=table)):
            connection.execute(statement)
    return True


def _statements(script: str) -> list[str]:
    statements, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements


def open_to_write(path: Path, identity: str) -> sqlite3.Connection:
    """Return a connection, to write, to the index at `path`, all of which was looked at.

    Raises:
        NotAnIndexError: there is none, or it is damaged.
        sqlite3.Error, OSError: it cannot be opened.
    """
    if not is_whole(path):
        raise NotAnIndexError("there is none, or it is cut off")
    connection = _connect(path)
    try:
        _require_index(connection, identity)
        check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path, identity: str) -> sqlite3.Connection:
    """Return a connection, to read, to the index at `path`.

    Raises:
        NotAnIndexError: it is something else.
        sqlite3.Error: there is none, or it cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute(f"PRAGMA cache_size = -{_READ_CACHE_KIB}")
        _require_index(connection, identity)
    except BaseException:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection) -> None:
    """Return if the index is not damaged; it is read as a whole.

    Raises:
        NotAnIndexError: it is.
        sqlite3.Error: it cannot be read.
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise NotAnIndexError(f"it is damaged: {found}")


def is_whole(path: Path) -> bool:
    """Tell whether the file at `path` begins as one of SQLite does, and is as long as it says; this costs little."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    return header.startswith(_MAGIC) and size >= page_size * int.from_bytes(header[28:32], "big")


def remove(path: Path) -> None:
    """Delete the index at `path`, if there is one; who has it open keeps what was there.

    Raises:
        OSError: it cannot be deleted.
    """
    for each in (path, *(path.with_name(f"{_NAME}{suffix}") for suffix in _BESIDE)):
        with suppress(FileNotFoundError):
            each.unlink()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _require_index(connection: sqlite3.Connection, identity: str) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        raise NotAnIndexError(f"its version is {version}, not {VERSION}")
    if connection.execute("SELECT value FROM state WHERE key = 'identity'").fetchone() != (identity,):
        raise NotAnIndexError("it is that of another storage")
