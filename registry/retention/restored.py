"""When the tags were pushed that ``undo`` has given back: their links were written anew, which does not tell any more.

It holds for as long as the link is the one that was written then: whoever pushes the tag writes another one.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, ObjectTooLargeError, PathNotFoundError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_restored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from drivers.base import StorageDriver

TABLES: Final = """
CREATE TABLE restored (
    repository TEXT, tag TEXT, digest TEXT NOT NULL, pushed REAL NOT NULL, written REAL NOT NULL,
    PRIMARY KEY (repository, tag)
) WITHOUT ROWID;
"""
_INSERT: Final = (
    "INSERT INTO restored VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " digest = excluded.digest, pushed = excluded.pushed, written = excluded.written"
    " WHERE excluded.written > restored.written"
)
_LIMIT_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Restored:
    """A tag that points to the manifest `digest` again, was `pushed` before, and whose link was `written` by ``undo``.

    Both times are in seconds since the epoch, by the clock of the storage.
    """

    repository: str
    tag: str
    digest: str
    pushed: float
    written: float


def note(driver: StorageDriver, tags: Iterable[Restored]) -> None:
    """Write when `tags` were pushed, which have come back.

    Raises:
        DriverError: the storage failed.
    """
    path = paths.retention_restored(f"{time.time_ns():020}-{secrets.token_hex(8)}")
    driver.put(path, b"\n".join(json.dumps(astuple(tag)).encode() for tag in tags))


def read(driver: StorageDriver, connection: sqlite3.Connection) -> None:
    """Read all that was noted into `connection`, which has TABLES; of a tag what was noted last.

    Raises:
        DriverError: the storage failed, or what was noted cannot be understood.
    """
    for name in objects_below(driver, paths.RETENTION_RESTORED, is_restored):
        path = paths.retention_restored(name)
        try:
            rows = [json.loads(line) for line in driver.get(path, limit=_LIMIT_BYTES).splitlines()]
            connection.executemany(_INSERT, (astuple(Restored(*row)) for row in rows))
        except PathNotFoundError:
            continue
        except (ObjectTooLargeError, ValueError, TypeError) as error:
            raise DriverError(f"{path} cannot be understood, delete it: {error!r}") from error
