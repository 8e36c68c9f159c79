"""When manifests were pulled, as all processes have noted it, in tables on disk.

Each process writes what it has noted as objects of a day (registry.retention.pulls). Now and then these are folded:
what they say, and what earlier foldings say, is written anew, sorted, in parts, and then they are deleted. Whoever
deletes has first written all of it, and what several have written is read together. So nothing is lost if it breaks
off, or if two fold at a time.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_day, is_folding, is_pulls_batch

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver

HOUR_SECONDS: Final = 3600
TABLES: Final = """
CREATE TABLE pull (
    repository TEXT, reference TEXT, hour INTEGER NOT NULL, PRIMARY KEY (repository, reference)
) WITHOUT ROWID;
CREATE TABLE source (path TEXT PRIMARY KEY) WITHOUT ROWID;
"""
EARLIEST: Final = 1_577_836_800.0
"""The beginning of 2020, in seconds since the epoch: a clock that shows an earlier time was never set."""
_AT_ONCE: Final = 100
_ABANDONED_SECONDS: Final = 24 * 3600.0
_SINCE_BYTES: Final = 100
_LINES: Final = 50_000
_LIMIT_BYTES: Final = 64 * 1024 * 1024
_INSERT: Final = "INSERT INTO pull VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET hour = max(hour, excluded.hour)"
_log = logging.getLogger(__name__)

Pulled = tuple[str, str, int]
"""A repository, a tag or a digest in it, and the hour since the epoch in which that was pulled last."""


def dump(rows: Iterable[Pulled], *, lost: bool = False) -> bytes:
    """Return the object that says when something was pulled; `lost` is whether more was, which is not known."""
    return "\n".join(map(json.dumps, [{"lost": lost}, *rows])).encode()


def load(content: bytes) -> tuple[list[Pulled], bool]:
    """Return what dump() was given.

    Raises:
        ValueError: it is something else.
    """
    try:
        head, *rows = map(json.loads, content.splitlines())
        return [(str(repository), str(reference), int(hour)) for repository, reference, hour in rows], bool(
            head["lost"]
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"{error!r}") from error


class History:
    """The pulls that the storage of `driver` knows of, read into `connection`, which has TABLES."""

    def __init__(self, driver: StorageDriver, connection: sqlite3.Connection) -> None:
        self._driver = driver
        self._connection = connection
        self._noted_since: float | None = None
        self._whole_since = float("-inf")

    def reaches(self, at: float) -> bool:
        """Tell whether all is known that was pulled from `at` on, in seconds since the epoch."""
        return self._noted_since is not None and max(self._noted_since, self._whole_since) <= at

    def read(self, now: float) -> None:
        """Read all that is known.

        Raises:
            DriverError: the storage failed.
        """
        self._noted_since = read_since(self._driver)
        # A folding is read after what it may have been made of: what has gone by now is in one that is listed then.
        # They are listed again, since one that a later one was made of may go while it is read.
        for day in objects_below(self._driver, paths.PULLS, is_day):
            prefix = paths.pulls_of_day(day)
            names = objects_below(self._driver, prefix, is_pulls_batch)
            self._read_objects((paths.below(prefix, name) for name in names), now)
        seen: set[str] = set()
        while new := [each for each in objects_below(self._driver, paths.PULLS_FOLDED, is_folding) if each not in seen]:
            for folding in new:
                self._read_folding(folding, now)
            seen.update(new)

    def fold(self, now: float, keep_seconds: float) -> None:
        """Write what was read anew, without what is older than `keep_seconds`, and delete what it was read from.

        Raises:
            DriverError: the storage failed; nothing is lost.
        """
        if not self._connection.execute("SELECT 1 FROM source LIMIT 1").fetchone():
            return
        first_hour = max(now - keep_seconds, self._whole_since) // HOUR_SECONDS
        found = objects_below(self._driver, paths.PULLS_FOLDED, is_folding)
        number = max((int(name.partition("-")[0]) for name in found), default=0) + 1
        folding = f"{number:012}-{secrets.token_hex(8)}"
        query = "SELECT repository, reference, hour FROM pull WHERE hour >= ? ORDER BY repository, reference"
        rows, parts = self._connection.execute(query, (first_hour,)), 0
        while lines := rows.fetchmany(_LINES):
            self._driver.put(paths.folded_part(folding, parts), dump(lines))
            parts += 1
        since = max(first_hour * HOUR_SECONDS, self._whole_since)
        self._driver.put(paths.folded_whole(folding), json.dumps({"since": since, "parts": parts}).encode())
        for (path,) in self._connection.execute("SELECT path FROM source"):
            with suppress(PathNotFoundError):
                self._driver.delete(path)

    def _read_folding(self, folding: str, now: float) -> None:
        try:
            told = json.loads(self._driver.get(paths.folded_whole(folding), limit=_LIMIT_BYTES))
            since, parts = float(told["since"]), int(told["parts"])
        except PathNotFoundError:
            # It broke off, and what it would have been made of is still there; or another process is at it.
            if self._is_abandoned(folding, now):
                self._note_source(paths.folded_pulls(folding))
            return
        except (ObjectTooLargeError, ValueError, TypeError, KeyError) as error:
            self._lose(f"{paths.folded_whole(folding)} cannot be understood ({error!r})", now)
        else:
            self._whole_since = max(self._whole_since, since)
            found = [paths.folded_part(folding, part) for part in range(parts)]
            if not self._read_objects(iter(found), now, are_sources=False) and self._is_there(folding):
                self._lose(f"a part of {paths.folded_pulls(folding)} is missing", now)
        self._note_source(paths.folded_pulls(folding))

    def _note_source(self, path: str) -> None:
        self._connection.execute("INSERT OR IGNORE INTO source VALUES (?)", (path,))

    def _is_abandoned(self, folding: str, now: float) -> bool:
        """Tell whether a folding that is not whole was begun so long ago that nobody is at it any more."""
        with suppress(PathNotFoundError):
            return self._driver.stat(paths.folded_part(folding, 0)).modified < now - _ABANDONED_SECONDS
        return False

    def _is_there(self, folding: str) -> bool:
        """Tell whether a folding was not deleted by another process, which has made a later one of it before."""
        with suppress(PathNotFoundError):
            self._driver.stat(paths.folded_whole(folding))
            return True
        return False

    def _read_objects(self, found: Iterator[str], now: float, *, are_sources: bool = True) -> bool:
        """Read each object that is there still; tell whether all are."""
        are_there = True
        while names := list(islice(found, _AT_ONCE)):
            if are_sources:
                self._connection.executemany("INSERT OR IGNORE INTO source VALUES (?)", ((name,) for name in names))
            for name, content in zip(names, self._driver.get_each(names, limit=_LIMIT_BYTES), strict=True):
                try:
                    # What is longer than the limit is not given, either.
                    rows, lost = load(self._driver.get(name, limit=_LIMIT_BYTES) if content is None else content)
                except PathNotFoundError:
                    are_there = False
                    continue
                except (ObjectTooLargeError, ValueError) as error:
                    self._lose(f"{name} cannot be understood ({error})", now)
                    continue
                self._connection.executemany(_INSERT, rows)
                if lost:
                    self._lose(f"{name} says that others were not noted", now)
        return are_there

    def _lose(self, why: str, now: float) -> None:
        """Take nothing for known that was pulled before now."""
        _log.warning("pulls were lost, so that a rule with pulledwithin keeps all tags for as long: %s", why)
        self._whole_since = max(self._whole_since, now)


def read_since(driver: StorageDriver) -> float | None:
    """Return since when pulls are noted, in seconds since the epoch; None if they are not.

    It is not before that was written: where it says so, the clock of the host was slow, or this is a copy of another
    storage, at whose servers more was pulled.
    """
    try:
        told = float(driver.get(paths.PULLS_SINCE, limit=_SINCE_BYTES))
        since = max(told, driver.stat(paths.PULLS_SINCE).modified)
    except (PathNotFoundError, ObjectTooLargeError, ValueError):
        return None
    return since if EARLIEST <= since < math.inf else None


def begin(driver: StorageDriver, now: float) -> None:
    """Let it be known that from `now` on pulls are noted, if they were not before; not before the clock is set.

    Raises:
        DriverError: the storage failed.
    """
    if now >= EARLIEST and read_since(driver) is None:
        driver.put(paths.PULLS_SINCE, repr(now).encode())


def forget(driver: StorageDriver) -> None:
    """Delete all that is known of pulls: a server that does not note them serves this storage.

    Raises:
        DriverError: the storage failed.
    """
    if not driver.holds(paths.PULLS):
        return
    # What they are known since goes first: without it nothing is taken for known.
    for path in (paths.PULLS_SINCE, paths.PULLS):
        with suppress(PathNotFoundError):
            driver.delete(path)
