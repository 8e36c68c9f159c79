"""Tables on disk for what a command finds and may not fit into memory."""

from __future__ import annotations

import sqlite3


def temporary_database(schema: str) -> sqlite3.Connection:
    """Return a connection to a database of its own with the tables of `schema`; it is gone when that is closed.

    It lies in ``TMPDIR``, and in memory as long as it is small. Nothing is synced and nothing can be rolled back.
    """
    # An empty name is a temporary file, which SQLite deletes when the connection is closed.
    connection = sqlite3.connect("", isolation_level=None)
    connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {schema}")
    return connection
