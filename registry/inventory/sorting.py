"""Sorting on disk, of more than fits into memory."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from registry.foundation.temporary_database import temporary_database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SCHEMA: Final = "CREATE TABLE rows (number INTEGER PRIMARY KEY, key REAL NOT NULL, value TEXT NOT NULL)"


def largest_first(rows: Iterable[tuple[float, Any]]) -> Iterator[Any]:
    """Yield what comes with the keys `rows`, JSON values, the largest key first, equal ones in their order."""
    with closing(temporary_database(_SCHEMA)) as connection:
        encoded = ((key, json.dumps(value)) for key, value in rows)
        connection.executemany("INSERT INTO rows (key, value) VALUES (?, ?)", encoded)
        for (value,) in connection.execute("SELECT value FROM rows ORDER BY key DESC, number"):
            yield json.loads(value)
