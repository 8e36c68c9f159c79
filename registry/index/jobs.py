"""The index as periodic work: the elected process of a host keeps it, in small steps, with rests between them."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.index import place, schema
from registry.index.consumer import NAME
from registry.index.following import Follower
from registry.index.scanning import catch_up, scan
from registry.index.writer import Writer
from registry.inventory.local import StorageReader
from registry.jobs.job import Job, JobFailedError
from registry.journal.reader import NEAR, Reader
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.ports import Repositories

_POLL_SECONDS: Final = 1.0
_SLOW_POLL_SECONDS: Final = 2.0
"""Where each look at the journal is a request that costs."""
_BROKEN_SECONDS: Final = 10.0
_BUSY_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 60.0
"""After a scan that has failed."""
_COUNT_SECONDS: Final = 10.0
"""How often all that the index has is counted at most, which takes half a second where there is much."""
_STEP_SECONDS: Final = 0.5
"""How long is worked until the next look at the journal."""
_REST: Final = 0.5
"""How long is rested after work, as a part of the time that it took: requests need the storage and the processor."""
_BROKEN_FILE: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR}
)
_log = logging.getLogger(__name__)


def jobs(
    configuration: Configuration,
    driver: StorageDriver,
    repositories: Repositories,
    hold_seconds: Callable[[], float],
) -> Iterator[Job]:
    """Yield the job that keeps the index; none where there is no index.

    `repositories` are what `driver` has; `hold_seconds` is as for registry.journal.reader.Reader.
    """
    section = configuration.ui
    if section.enabled and section.index.directory:
        keeping = Keeping(configuration, driver, repositories, hold_seconds)
        yield Job("index", keeping.run, _BROKEN_SECONDS, ends_soon=True)


class _LostError(Exception):
    """The file of the index is not the one any more that is written to; the text says why."""


@dataclass
class Keeping:
    """Keeps the index of this host."""

    configuration: Configuration
    driver: StorageDriver
    repositories: Repositories
    hold_seconds: Callable[[], float]
    _lock: int | None = None
    _writer: Writer | None = None
    _inode: int = 0
    _follower: Follower | None = None
    _scan: Iterator[None] | None = None
    _rest: Iterator[None] | None = None
    _has_scanned: bool = False
    _began: float = 0.0
    _not_before: float = 0.0
    _is_counted: bool = False
    _count_after: float = 0.0

    def run(self) -> float:
        """Do some of what there is to do; return how many seconds to pause.

        Raises:
            JobFailedError: the storage or the directory fails.
        """
        began = time.monotonic()
        try:
            busy = self._run()
        except DriverError as error:
            if self._scan:
                self._not_before = time.monotonic() + _AGAIN_SECONDS
            self._scan = self._rest = None
            raise JobFailedError(f"the index waits for the storage: {error}") from error
        except (schema.NotAnIndexError, _LostError) as error:
            self._forget(str(error), remove=True)
            return 0.0
        except sqlite3.Error as error:
            broken = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _BROKEN_FILE
            self._forget(str(error), remove=broken)
            raise JobFailedError(f"the index cannot be written: {error}") from error
        except OSError as error:
            self.close()
            raise JobFailedError(f"the index cannot be kept: {error}") from error
        if busy is None:
            return _BUSY_SECONDS
        if busy:
            return (time.monotonic() - began) * _REST
        return _POLL_SECONDS if self.driver.name in NEAR else _SLOW_POLL_SECONDS

    def close(self) -> None:
        """Let go of the file and of the directory, which another process may then have."""
        if self._writer:
            self._writer.close()
        self._writer = self._scan = self._rest = None
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def _run(self) -> bool | None:
        """Do some of the work; tell whether there is more, None if another process does it."""
        if not self._has_lock():
            return None
        writer = self._opened()
        follower = self._follower = self._follower or self._following()
        if follower.has_lost(writer.place):
            self._note_loss(writer)
        if not self._scan and self._is_due(writer):
            if follower.skip(writer):
                return True
            self._begin_scan(writer)
        more = follower.follow(writer)
        until = time.monotonic() + _STEP_SECONDS
        while self._step(writer):
            more = True
            if time.monotonic() >= until:
                break
        more = more or bool(self._scan)
        self._count(writer, more=more)
        return more

    def _count(self, writer: Writer, *, more: bool) -> None:
        """Let the file have how much is in it: now and then, and when there is no `more` to do."""
        self._is_counted = self._is_counted and not more
        if self._is_counted or (more and time.monotonic() < self._count_after):
            return
        with writer.transaction():
            writer.note_counts()
        self._is_counted = not more
        self._count_after = time.monotonic() + _COUNT_SECONDS

    def _step(self, writer: Writer) -> bool:
        """Do a step of the scan, and of what is found out behind it; tell whether there was any."""
        if self._scan:
            if _goes_on(self._scan):
                if writer.scanned is None:  # names first: they can be searched for
                    return True
            else:
                self._scan = None
                self._has_scanned = True
                self._tell(writer)
        self._rest = self._rest or catch_up(self.driver, StorageReader(self.repositories), writer)
        if _goes_on(self._rest):
            return True
        self._rest = None
        return bool(self._scan)

    def _note_loss(self, writer: Writer) -> None:
        if not writer.is_lost:
            _log.info("the index is to read all of the storage: it does not know what has changed")
            with writer.transaction():
                writer.note_loss()
        self._scan = None

    def _is_due(self, writer: Writer) -> bool:
        """Tell whether all of the storage is to be read.

        It is after each start: a registry that ran without the index has told the journal nothing for it.
        """
        if time.monotonic() < self._not_before:
            return False
        scanned = writer.scanned
        if scanned is None or writer.is_lost or not self._has_scanned:
            return True
        since = time.time() - scanned
        return not 0 <= since < self.configuration.ui.index.reconcile_seconds

    def _begin_scan(self, writer: Writer) -> None:
        writer.check()
        self._rest = None
        self._scan = scan(self.driver, writer)
        self._began = time.monotonic()

    def _tell(self, writer: Writer) -> None:
        repositories, tags = writer.counts()
        seconds = time.monotonic() - self._began
        _log.info("the index has %d repositories with %d tags, read in %.1f s", repositories, tags, seconds)

    def _following(self) -> Follower:
        reader = Reader(self.driver.log(paths.JOURNAL), NAME, hold_seconds=self.hold_seconds)
        return Follower(self.driver, self.repositories, reader)

    def _has_lock(self) -> bool:
        directory = self.configuration.ui.index.directory
        if self._lock is not None and not place.is_held(directory, self._lock):
            _log.warning("the directory of the index was deleted or replaced")
            self.close()
        if self._lock is None:
            place.make(directory)
            self._lock = place.lock(directory)
            if self._lock is None:
                _log.info("another process keeps the index in %s", directory)
        return self._lock is not None

    def _opened(self) -> Writer:
        """Return what writes to the file that is there.

        Raises:
            _LostError: it is not the one that was written to, or it is damaged.
        """
        path = self._path
        if self._writer is None:
            identity = schema.identity_of(self.configuration)
            try:
                self._writer = Writer.open(path, identity)
            except (schema.NotAnIndexError, sqlite3.Error) as error:
                _log.info("the index is made anew: %s", error)
                self._writer = Writer.create(path, identity)
            self._inode = os.stat(path).st_ino  # noqa: PTH116  as in _require_same()
        self._require_same(path)
        return self._writer

    def _require_same(self, path: Path) -> None:
        """Return if the file is the one that was opened, and nobody has met damage in it; this costs little."""
        try:
            inode = os.stat(path).st_ino  # noqa: PTH116  every second
        except FileNotFoundError:
            raise _LostError("it was deleted") from None
        if inode != self._inode:
            raise _LostError("it was replaced")
        if not schema.is_whole(path):
            raise _LostError("it is cut off")
        if schema.damaged_mark(path).exists():
            raise _LostError("a reader has met damage in it")

    def _forget(self, reason: str, *, remove: bool) -> None:
        """Let go of the file, so that the next run opens it, or makes a new one."""
        if self._writer:
            self._writer.close()
        self._writer = self._scan = self._rest = None
        if remove:
            _log.warning("the index is thrown away: %s", reason)
            schema.remove(self._path)

    @property
    def _path(self) -> Path:
        return schema.path_in(self.configuration.ui.index.directory)


def _goes_on(steps: Iterator[None]) -> bool:
    """Do one step; tell whether there was one."""
    return next(steps, steps) is not steps
