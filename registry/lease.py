"""Leadership through the storage that hosts share: of those who ask for a lease one holds it, for as long as it lives.

A term of a lease is an object, ``/registry/leases/<name>/<epoch>``, and the highest epoch is the term that counts. The
holder writes its object again every few seconds. Another one, a challenger, who has seen no change for ``TERM_SECONDS``
on its own clock creates the next epoch: that needs no comparison of clocks and no conditional write but create(). The
holder looks for a higher epoch again and again, and stops when it finds one.

Before the new holder relies on its term it waits for as long as the one before may rely on its last look. Only two
terms begin at once: that of a holder after one who has released the lease, and that of a server which was started again
and finds the term of its former process. There may be two for a moment if that process is about to end and has not, or
if one is stopped between a look and what it does then. So what a lease guards must be harmless when two do it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, ObjectTooLargeError, PathExistsError, PathNotFoundError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_epoch

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver

TERM_SECONDS: Final = 30.0
"""For how long a holder may not be seen to live."""
_RENEWAL_SECONDS: Final = 8.0
_LIMIT_BYTES: Final = 4096
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pace:
    """How often the storage is looked at, and for how long a holder relies on what it has seen, both in seconds."""

    looks: float
    relies: float


_FILES: Final = _Pace(looks=1.0, relies=5.0)
_OBJECTS: Final = _Pace(looks=5.0, relies=10.0)


@dataclass(frozen=True, slots=True)
class _Term:
    """What a holder writes: who it is, which of its processes, how often it has written this, whether it has ended."""

    holder: str = ""
    process: str = ""
    beat: int = 0
    released: bool = False

    @classmethod
    def load(cls, content: bytes) -> _Term:
        """Return the term of that content; one of nobody if it cannot be read."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return cls()

    def dump(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class _Seen:
    """The highest epoch in the storage and the content of its object; 0 where there is none."""

    epoch: int
    content: bytes

    @property
    def term(self) -> _Term:
        return _Term.load(self.content)


def _clock() -> float:
    """Return the seconds since this machine was started: nobody sets them, and they pass while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """The lease called `name` in the storage of `driver`, as `holder` may hold it.

    A storage that belongs to one process needs none, and is always held. Nothing is written to a storage that has no
    content yet, and no lease is held there: it may be the bare mount point of one that is not mounted.
    """

    def __init__(self, driver: StorageDriver, name: str, holder: str, *, clock: Callable[[], float] = _clock) -> None:
        self._driver = driver
        self._name = name
        self._holder = holder
        self._clock = clock
        self._process = secrets.token_hex(8)
        self._pace = _FILES if driver.name == "filesystem" else _OBJECTS
        self._looking = threading.Lock()
        self._released = False
        self._epoch = 0
        self._current = False
        self._looked = self._renewed = self._begins = float("-inf")
        self._beat = 0
        self._seen: tuple[_Seen, float] | None = None
        self._may_succeed_itself = True

    def held(self) -> bool:
        """Tell whether this is the holder, which it becomes and stays by being asked every few seconds.

        What the lease guards may be done at once after that, for some seconds; then ask again.

        Raises:
            DriverError: the storage does not answer. It is not held then.
        """
        if not self._driver.shared_between_processes:
            return not self._released
        with self._looking:
            began = self._clock()
            if began - self._looked >= self._pace.looks:
                self._looked, self._current = began, False
                self._current = not self._released and self._look()
            # What was seen may be old by now, if the storage was slow or this process was stopped.
            now = self._clock()
            return self._current and not self._released and self._begins <= now < self._looked + self._pace.relies

    def release(self) -> None:
        """Let another one hold it at once; this one never holds it again.

        Raises:
            DriverError: the storage does not answer. The others have to wait until the term has passed.
        """
        self._released = True
        with self._looking:
            if self._epoch:
                self._write()
                self._epoch = 0

    def _look(self) -> bool:
        """Renew the term if it is time to, and tell whether it counts; if none does that somebody has, begin one."""
        if self._epoch and self._clock() - self._renewed >= _RENEWAL_SECONDS:
            self._write()
        seen = self._highest()
        if self._is_mine(seen):
            if not self._epoch:  # it was created by a call whose answer was lost
                self._begin(seen.epoch, waits=True)
            return True
        if self._epoch:
            _log.warning("the lease %s is lost: %s has taken it over", self._name, seen.term.holder or "nobody known")
            self._epoch, self._may_succeed_itself = 0, False
        former = seen.term
        is_own = former.holder == self._holder and self._may_succeed_itself
        if not seen.epoch or former.released or is_own:
            return self._take_over(seen.epoch + 1, waits=False)
        if self._seen is None or self._seen[0] != seen:
            self._seen = seen, self._clock()
        if self._clock() - self._seen[1] < TERM_SECONDS:
            return False
        return self._take_over(seen.epoch + 1, waits=True)

    def _take_over(self, epoch: int, *, waits: bool) -> bool:
        if not any(map(self._driver.holds, (paths.ROOT, paths.JOURNAL))):
            return False
        self._beat += 1
        with suppress(PathExistsError):  # of another, or of this one if the answer to the first request was lost
            self._driver.create(paths.lease_epoch(self._name, epoch), self._term().dump())
        # There may be a higher one by now, if this process was stopped meanwhile; or one of another's, if the storage
        # has let two create it.
        if not self._is_mine(self._highest()):
            return False
        self._begin(epoch, waits=waits)
        _log.info("the lease %s is held by this process, in term %d", self._name, epoch)
        return True

    def _begin(self, epoch: int, *, waits: bool) -> None:
        self._epoch = epoch
        now = self._clock()
        self._renewed = float("-inf") if waits else now
        self._begins = now + self._pace.relies if waits else now

    def _write(self) -> None:
        """Say that this holder lives, or that it has released the lease.

        If another has taken over meanwhile, a term that does not count is written, which its holder deletes.
        """
        began = self._clock()
        self._beat += 1
        self._driver.put(paths.lease_epoch(self._name, self._epoch), self._term().dump())
        self._renewed = began

    def _term(self) -> _Term:
        return _Term(self._holder, self._process, self._beat, self._released)

    def _is_mine(self, seen: _Seen) -> bool:
        return seen.term.process == self._process and self._epoch in {0, seen.epoch}

    def _highest(self) -> _Seen:
        """Return the term that counts; a holder deletes those before its own."""
        epochs = [int(each) for each in objects_below(self._driver, paths.lease(self._name), is_epoch)]
        if not epochs:
            return _Seen(0, b"")
        highest = epochs.pop()
        if highest == self._epoch:
            for epoch in epochs:
                with suppress(DriverError):  # if it cannot be deleted it stays, and does no harm
                    self._driver.delete(paths.lease_epoch(self._name, epoch))
        try:
            return _Seen(highest, self._driver.get(paths.lease_epoch(self._name, highest), limit=_LIMIT_BYTES))
        except (PathNotFoundError, ObjectTooLargeError):  # gone by now, or another program's
            return _Seen(highest, b"")


def this_server(addr: str) -> str:
    """Return what the server listening on `addr` is called as a holder, the same when it is started again.

    Two servers of one machine differ in their addresses, or in the network in which they listen there.
    """
    return hashlib.sha256(f"{_machine()} {addr}".encode()).hexdigest()[:32]


@cache
def _machine() -> str:
    """Return what differs between machines that run, and between their networks."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.stat('/proc/self/ns/net').st_ino}"  # noqa: PTH116  stat() follows the link, which leads to no path
    except OSError:  # a sandbox without /proc: the server is another one after each start
        return secrets.token_hex(16)
