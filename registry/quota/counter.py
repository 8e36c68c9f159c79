"""How much each group has, as a process knows it: exactly what it has added itself, and a few seconds late the rest.

What the process adds is kept in memory. A thread writes it down every few seconds, and reads what others have written:
so what one has added all know five seconds later. It does so for groups that are pushed to, and rests while none is. A
process that is killed loses what it had not written down, until the group is counted again.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from drivers.base import DriverError
from registry.foundation.sizes import spelled
from registry.foundation.threads import LastingThread
from registry.quota.ledger import Base
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.quota.groups import Group
    from registry.quota.ledger import Ledger

RENAMED_SECONDS: Final = 12 * 3600.0
"""How long a process may have nothing to say until it takes a new name; what it said under the old one may then go."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, in seconds, what was added is written down and what others have added is read: `beat`.

    `stale` is how old what is known of the others may be when it is needed, `active` for how long after that the thread
    reads it again and again, and `warned` the least time between two warnings.
    """

    beat: float = 2.5
    stale: float = 6.0
    active: float = 60.0
    warned: float = 60.0


class Meter(Protocol):
    """Who is told of the figures, for metrics. `quota` is the pattern of the group."""

    def quota_stands(self, quota: str, *, limit: int, used: int) -> None:
        """Take note of how much the group has."""

    def quota_refused(self, quota: str) -> None:
        """Take note that something was refused."""


@dataclass(slots=True)
class _Sum:
    """What is known of a group; `others` is what it has beyond the `total` of this process."""

    others: int = 0
    total: int = 0
    written: int = 0
    read_at: float = -math.inf
    needed_at: float = -math.inf
    warned_at: float = -math.inf
    base: Base | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    adding: threading.Lock = field(default_factory=threading.Lock)
    working: threading.Lock = field(default_factory=threading.Lock)


class Counter:
    """What this process has added to the groups in `ledger`, and what all have; its threads share it."""

    def __init__(self, ledger: Ledger, meter: Meter | None = None, pace: Pace = Pace()) -> None:
        self._ledger = ledger
        self._meter = meter
        self._pace = pace
        self._sums: dict[Group, _Sum] = {}
        self._name = _new_name()
        self._said_at = time.monotonic()
        self._beginning = threading.Lock()
        self._begun = False
        self._needed = threading.Event()

    def used(self, group: Group) -> int:
        """Return how many bytes the group has.

        Raises:
            DriverError: this is asked for the first time, and the storage does not tell.
        """
        known = self._sums.get(group) or self._sums.setdefault(group, _Sum())
        known.needed_at = now = time.monotonic()
        if now - known.read_at > self._pace.stale:
            self._read_if_stale(group, known)
        self._wake()
        return known.others + known.total

    def add(self, group: Group, size: int) -> None:
        """Count `size` bytes that are durable, and that the group did not have."""
        known = self._sums.get(group) or self._sums.setdefault(group, _Sum())
        with known.adding:
            known.total += size
        self._wake()
        self._tell(group, known)

    def refused(self, group: Group) -> None:
        """Take note that something was refused."""
        if self._meter:
            self._meter.quota_refused(group.pattern)

    def write(self) -> None:
        """Write down what was added and is not written yet.

        Raises:
            DriverError: the storage fails.
        """
        sums = list(self._sums.items())
        if time.monotonic() - self._said_at >= RENAMED_SECONDS:
            self._rename(known for _, known in sums)
        for group, known in sums:
            with known.working:
                self._write(group, known)

    def read(self, group: Group) -> int:
        """Return how many bytes the group has, after a look at what others have written.

        Raises:
            DriverError: the storage fails.
        """
        known = self._sums.setdefault(group, _Sum())
        with known.working:
            self._read(group, known)
        return known.others + known.total

    def _read_if_stale(self, group: Group, known: _Sum) -> None:
        with known.working:
            if time.monotonic() - known.read_at <= self._pace.stale:
                return
            try:
                self._read(group, known)
            except DriverError as error:
                if known.read_at == -math.inf:
                    raise
                _log.warning("what the quota of %s has is not known exactly: %s", group.pattern, error)

    def _read(self, group: Group, known: _Sum) -> None:
        asked = time.monotonic()
        found = dict(self._ledger.look(group.label))
        counted = found.pop("", None)
        if known.base is None or (counted and counted.version != known.versions.get("")):
            # What was said by processes that have ended may be gone: it is in the new count.
            known.numbers.clear()
            known.versions.clear()
            known.base = self._ledger.base(group.label)
            if counted:
                known.versions[""] = counted.version
        for process, each in found.items():
            if each.version != known.versions.get(process):
                known.numbers[process] = self._ledger.added(group.label, process)
                known.versions[process] = each.version
        base = known.base or Base()
        others = sum(base.since(process, number) for process, number in known.numbers.items() if process != self._name)
        known.others = base.used + others - base.seen.get(self._name, 0)
        known.read_at = asked
        self._tell(group, known)

    def _write(self, group: Group, known: _Sum) -> None:
        number = known.total
        if number == known.written:
            return
        self._ledger.put_added(group.label, self._name, number)
        known.written = number
        self._said_at = time.monotonic()

    def _rename(self, sums: Iterable[_Sum]) -> None:
        self._name = _new_name()
        self._said_at = time.monotonic()
        for known in sums:
            with known.working, known.adding:
                known.others += known.written
                known.total -= known.written
                known.written = 0

    def _tell(self, group: Group, known: _Sum) -> None:
        used = known.others + known.total
        if self._meter:
            self._meter.quota_stands(group.pattern, limit=group.limit, used=used)
        percent, now = group.percent(used), time.monotonic()
        if group.warn and percent >= group.warn and now - known.warned_at >= self._pace.warned:
            known.warned_at = now
            figures = spelled(used), spelled(group.limit)
            _log.warning("the quota of %s is used to %d %%: %s of %s", group.pattern, percent, *figures)

    def _wake(self) -> None:
        """Have the thread work; it is begun when it is needed first, so that it is not forked."""
        if not self._needed.is_set():
            self._needed.set()
        if not self._begun:
            with self._beginning:
                if not self._begun:
                    self._begun = True
                    LastingThread("quotas", self._work).begin()

    def _work(self) -> None:
        while True:
            self._needed.wait()
            time.sleep(self._pace.beat)
            self._needed.clear()  # before it is looked whether there is more to do
            try:
                self.write()
                for group, known in list(self._sums.items()):
                    if time.monotonic() - known.needed_at < self._pace.active:
                        self._needed.set()
                        self.read(group)
            except DriverError as error:
                self._needed.set()
                _log.warning("what is used of quotas cannot be kept up to date: %s", error)


def _new_name() -> str:
    """Return what the storage calls a process that begins to count."""
    return paths.label(f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}")
