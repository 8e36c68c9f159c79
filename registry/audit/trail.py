"""What the audit log is told of besides changes: logins, denials, requests that have failed, and pulls.

It is noted in memory, which never holds up a request, and a thread adds it to the journal. What is alike is one entry a
minute, which says how often it happened; the first of a kind waits for SETTLE_SECONDS only. A process that is killed
loses what it has not added; one that stops adds it first.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.audit.consumer import NAME
from registry.audit.record import LONGEST_TEXT, OK
from registry.foundation import times
from registry.foundation.proxies import customer_of
from registry.foundation.threads import LastingThread
from registry.foundation.uuids import random_uuid
from registry.journal.entry import PULL, Entry, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from drivers.log import Log
    from registry.journal.entry import Instance

SETTLE_SECONDS: Final = 2.0
REPEAT_SECONDS: Final = 60.0
_ROUND_SECONDS: Final = 0.5
_MOST_STRANGERS: Final = 100
_MOST_OF_CLIENT: Final = 10
"""Of what strangers at one address do, which may make up any number of users."""
_SHORT_TEXT: Final = 64
"""Characters of one text that a stranger has sent: one takes up to 12 bytes in the log."""
_LONGEST_NAME: Final = 255
"""Of a repository, in ASCII; there are no longer ones."""
_MOST_KNOWN: Final = 5_000
_MOST_PULLS: Final = 10_000
_TOO_MANY: Final = "there were more than are told apart"
_TOO_MANY_OF_CLIENT: Final = "there were more of this client than are told apart"
_WARN_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that has happened; two that differ in their `origin` by no more than the request are alike.

    `known` tells that whoever has asked is who they say they are.
    """

    action: str
    kind: str
    outcome: str = OK
    repository: str = ""
    digest: str = ""
    tags: tuple[str, ...] = ()
    rule: str = ""
    code: str = ""
    status: int = 0
    known: bool = True
    origin: Origin = field(default_factory=Origin)

    @property
    def likeness(self) -> Hashable:
        """What is equal for what is alike."""
        who = self.origin.actor, self.origin.claimed_user, self.origin.client
        what = self.action, self.kind, self.outcome, self.repository, self.digest, self.tags
        return who, what, self.rule, self.code, self.status

    def shortened(self) -> Noted:
        """Return it with each text cut off that is longer than a stranger's may be."""
        origin, tags = bounded(self.origin, _SHORT_TEXT), tuple(map(_short_name, self.tags))
        return replace(
            self, repository=_short_name(self.repository), digest=_short_name(self.digest), tags=tags, origin=origin
        )

    def without_its_like(self, rule: str, client: str = "") -> Noted:
        """Return what is kept of it where there is too much of `client`, or in all, as `rule` says."""
        origin = Origin(client=client)
        return Noted(self.action, self.kind, self.outcome, rule=rule, known=self.known, origin=origin)


@dataclass(slots=True)
class _Counted:
    """How often it was noted since it was last added to the journal, since when, and when that is to be done again."""

    noted: Noted
    due: float
    count: int = 0
    since_ns: int = 0


class _Table:
    """What is alike, at most `most` of it, and `most_of_client` of one client.

    Of what there is no room for only action and outcome are kept, and the client if it is one that does too much.
    """

    def __init__(self, most: int, most_of_client: int) -> None:
        self._most = most
        self._most_of_client = most_of_client
        self._entries: dict[Hashable, _Counted] = {}
        self._clients: Counter[str] = Counter()

    def count(self, noted: Noted, now: float, number: int, since_ns: int) -> _Counted:
        """Note that it has happened so often, first at `since_ns`; return how often it was noted in all."""
        counted = self._entries.get(noted.likeness) or self._new(noted, now)
        counted.since_ns = min(since_ns, counted.since_ns) if counted.count else since_ns
        counted.count += number
        return counted

    def take(self, now: float) -> list[_Counted]:
        """Return what is due, which is not counted any more."""
        due = [(likeness, counted) for likeness, counted in self._entries.items() if counted.due <= now]
        for likeness, counted in due:
            if counted.count:
                self._entries[likeness] = _Counted(counted.noted, now + REPEAT_SECONDS)
            else:
                del self._entries[likeness]
                self._leave(customer_of(counted.noted.origin.client))
        return [counted for _, counted in due if counted.count]

    def _new(self, noted: Noted, now: float) -> _Counted:
        """Return what `noted` is counted by, which has no entry of its own; it gets one if there is room."""
        client = customer_of(noted.origin.client)
        if client and self._clients[client] >= self._most_of_client:
            noted = noted.without_its_like(_TOO_MANY_OF_CLIENT, client)
        if noted.likeness not in self._entries and len(self._entries) >= self._most:
            noted = noted.without_its_like(_TOO_MANY)
        counted = self._entries.get(noted.likeness)
        if counted is None:
            counted = self._entries[noted.likeness] = _Counted(noted, now + SETTLE_SECONDS)
            self._clients[customer_of(noted.origin.client)] += 1
        return counted

    def _leave(self, client: str) -> None:
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]

    def __len__(self) -> int:
        return len(self._entries)


class Trail:
    """Adds to `log` what is noted, for the audit log; any thread may note."""

    def __init__(self, log: Log, instance: Instance, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self.instance = instance
        self._clock = clock
        self._lock = threading.Lock()
        self._adding = threading.Lock()
        self._filled = threading.Event()
        self._thread: LastingThread | None = None
        self._warned = -_WARN_SECONDS
        # Strangers may make up any number of users, who must not take the room of what users do.
        self._strangers = _Table(_MOST_STRANGERS, _MOST_OF_CLIENT)
        self._known, self._pulls = _Table(_MOST_KNOWN, _MOST_KNOWN), _Table(_MOST_PULLS, _MOST_PULLS)

    def note(self, noted: Noted) -> None:
        """Note that this has happened; it will be in the journal within seconds."""
        if not noted.known:
            noted = noted.shortened()
        with self._lock:
            self._table(noted).count(noted, self._clock(), 1, time.time_ns())
        if self._thread is None:
            self._start()
        self._filled.set()

    def record(self, action: str, kind: str, details: Mapping[str, str], origin: Origin) -> None:
        """Add to the journal at once that this has happened.

        Raises:
            DriverError: it cannot be; it may be tried again.
        """
        entry = Entry(random_uuid(), action, kind, [NAME], details=details, origin=origin, instance=self.instance)
        self._log.append(entry.encode())

    def add(self, *, all_of_it: bool = False) -> None:
        """Add to the journal what is due, or all that was noted.

        Raises:
            DriverError: it cannot be; what was not added is kept.
        """
        with self._adding:
            now = math.inf if all_of_it else self._clock()
            with self._lock:
                due = [counted for table in self._tables for counted in table.take(now)]
            while due:
                try:
                    self._log.append(self._entry(due[-1]).encode())
                except DriverError:
                    self._put_back(due)
                    raise
                due.pop()

    def close(self) -> None:
        """Add all that was noted before the process ends, if the storage takes it."""
        try:
            self.add(all_of_it=True)
        except DriverError as error:
            _log.error("the audit log lacks what was noted last: %s", error)

    @property
    def _tables(self) -> tuple[_Table, ...]:
        return self._known, self._strangers, self._pulls

    def _table(self, noted: Noted) -> _Table:
        if noted.action == PULL and noted.outcome == OK:
            return self._pulls
        return self._known if noted.known else self._strangers

    def _put_back(self, taken: list[_Counted]) -> None:
        """Keep what could not be added, to be tried again soon."""
        with self._lock:
            now = self._clock()
            for each in taken:
                kept = self._table(each.noted).count(each.noted, now, each.count, each.since_ns)
                kept.due = min(kept.due, now + SETTLE_SECONDS)

    def _start(self) -> None:
        """Start the thread; not before there is work, as a process that forks must not have it."""
        with self._lock, suppress(RuntimeError):  # no more threads: the next one to note something tries again
            if self._thread is None:
                thread = LastingThread("audit", self._work)
                thread.start()
                self._thread = thread

    def _work(self) -> None:
        while True:
            self._filled.wait()
            time.sleep(_ROUND_SECONDS)
            self._filled.clear()
            try:
                self.add()
            except DriverError as error:
                self._warn(error)
            with self._lock:
                if any(map(len, self._tables)):
                    self._filled.set()

    def _warn(self, error: DriverError) -> None:
        now = self._clock()
        if now - self._warned >= _WARN_SECONDS:
            self._warned = now
            _log.error("logins and denials cannot be recorded for the audit log, they are kept for later: %s", error)

    def _entry(self, counted: _Counted) -> Entry:
        noted = counted.noted
        details = {"outcome": noted.outcome, "rule": noted.rule, "code": noted.code, "status": str(noted.status or "")}
        details |= {"count": str(counted.count), "since": times.spell(counted.since_ns)}
        return Entry(
            id=random_uuid(),
            action=noted.action,
            kind=noted.kind,
            consumers=[NAME],
            repository=noted.repository,
            digest=noted.digest,
            tags=list(noted.tags),
            details={name: value for name, value in details.items() if value},
            origin=noted.origin,
            instance=self.instance,
        )


def _short_name(name: str) -> str:
    return name[: _LONGEST_NAME if name.isascii() else _SHORT_TEXT]


def bounded(origin: Origin, most: int = LONGEST_TEXT) -> Origin:
    """Return `origin` with each text cut off that has more than `most` characters, to be kept by the thousand."""
    if max(map(len, origin)) <= most:
        return origin
    return Origin(*(text[:most] for text in origin))
