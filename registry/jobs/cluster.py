"""The registries of a cluster learn from each other, through the storage they share, whether they agree.

One elected process of each host keeps a small object beside the Go registry's tree: the name of the driver, the
version, the time, fingerprints of ``http.secret``, ``notifications`` and ``audit``. It reads the others', logs each
difference once and posts them where ``/debug/health`` is answered from. Those of hosts that fell silent are removed; a
server that stops removes its own. How old an object is the storage tells, as the clocks of hosts may be wrong.

Nothing is ever written to a storage that holds nothing: it may be the bare mount point of one that is not mounted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from drivers.base import ChangedError, DriverError, ObjectTooLargeError, PathNotFoundError
from registry import __version__
from registry.jobs import fingerprints
from registry.jobs.job import Job, JobFailedError
from registry.lease import this_server
from registry.storage import paths
from registry.storage.names import is_member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.health.board import Board

_INTERVAL_SECONDS: Final = 600.0
_EMPTY_SECONDS: Final = 10.0
"""How long to wait for the first content of a storage that has none."""
SILENT_SECONDS: Final = 3 * _INTERVAL_SECONDS
"""For how long a host may say nothing."""
FORGOTTEN_SECONDS: Final = 24 * 3600.0
"""After how long without a word a host is taken for one that is gone for good."""
_LIMIT_BYTES: Final = 4096
_MOST_HOSTS: Final = 1000
_CLOCKS_SECONDS: Final = 60.0
"""By how much clocks may differ."""
_CONSEQUENCES: Final = {
    "secret": "has another http.secret: uploads that go from one to the other are refused",
    "driver": "keeps its content with another storage driver: it may not be the same content",
    "version": "runs another version of the registry",
    "notifications": "has other notifications: which events are sent depends on which of the hosts sends them",
    "audit": "has another audit section: what is recorded, and kept, depends on which of the hosts does it",
}
_CLOCK: Final = "has a clock that is more than a minute {} this host's"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """What a host says of itself; `seen` is when, in seconds since 1970 by its own clock.

    `secret`, `notifications` and `audit` are fingerprints of what is configured; None is what an older version says.
    `collects` is 1 where its writers take notice of a garbage collection that is on (registry.storage.passage).
    `instance` is the server, until it is started again.
    """

    name: str
    secret: str
    driver: str
    version: str
    seen: float
    notifications: str | None = None
    audit: str | None = None
    collects: int = 0
    instance: str = ""

    @classmethod
    def parse(cls, content: bytes) -> Member:
        """Return what announce() has written, by this version or another one, which may say more or less.

        Raises:
            ValueError, TypeError, RecursionError: it is something else.
        """
        said = json.loads(content)
        member = cls(**{each.name: said[each.name] for each in fields(cls) if each.name in said})
        return replace(member, seen=float(member.seen))

    @staticmethod
    def of(configuration: Configuration, instance: str = "") -> Member:
        """Return what this host has to say now, of the server `instance`."""
        http = configuration.http
        return Member(
            name=member_name(http.addr),
            secret=fingerprints.of_secret(http.secret),
            driver=configuration.storage.driver,
            version=__version__,
            seen=time.time(),
            notifications=fingerprints.of_notifications(configuration.notifications),
            audit=fingerprints.of_audit(configuration.audit),
            collects=1,
            instance=instance,
        )


@dataclass(frozen=True, slots=True)
class Announced:
    """What a host has said, and when that was `written`, in seconds since 1970 by the clock of the storage."""

    member: Member
    written: float

    @property
    def ahead_seconds(self) -> float:
        """How far the host's clock is ahead of the storage's."""
        return self.member.seen - self.written


def member_name(addr: str) -> str:
    """Return what a cluster calls this host, where a registry listens on `addr`, while the machine or container runs.

    Hosts may be called the same, and listen on the same address.
    """
    return f"{host_name(addr)}-{this_server(addr)[:8]}"


def host_name(addr: str) -> str:
    """Return what this host is called, where a registry listens on `addr`; others may be called so, too."""
    # Two registries on one host differ in their addresses.
    address = hashlib.sha256(addr.encode()).hexdigest()[:8]
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()).strip("-") or "host"
    return f"{host}-{address}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What the host called `name` has otherwise than this one: what `key` says, and what comes of it."""

    name: str
    key: str
    theirs: str
    consequence: str


@dataclass(slots=True)
class Cluster:
    """The objects of all hosts in one storage."""

    driver: StorageDriver
    _told: set[Difference] = field(default_factory=set)

    def announce(self, me: Member) -> bool:
        """Write what `me` says, and return True; or False if the storage holds nothing, and so is left alone.

        Raises:
            DriverError: it cannot be written, or the storage does not answer.
        """
        self.driver.probe()
        if not self.driver.holds(paths.ROOT):
            return False
        self.driver.put(paths.cluster_member(me.name), json.dumps(asdict(me)).encode())
        return True

    def differences(self, me: Member) -> Iterator[Difference]:
        """Yield each difference to another living host; `me` was announced just now.

        Raises:
            DriverError: the objects cannot be read.
        """
        my_ahead_seconds = me.seen - self._now(me.name)
        for other in self.living(but=me.name):
            for key, consequence in _CONSEQUENCES.items():
                theirs = getattr(other.member, key)
                if theirs is not None and theirs != getattr(me, key):
                    yield Difference(other.member.name, key, theirs, consequence)
            ahead_seconds = other.ahead_seconds - my_ahead_seconds
            if abs(ahead_seconds) > _CLOCKS_SECONDS:
                way = "ahead of" if ahead_seconds > 0 else "behind"
                yield Difference(other.member.name, "clock", way, _CLOCK.format(way))

    def untold(self, differences: Iterable[Difference]) -> list[Difference]:
        """Return those of `differences` that were not among any before."""
        new = [difference for difference in differences if difference not in self._told]
        self._told.update(new)
        return new

    def leave(self, instance: str) -> None:
        """Delete what the server `instance` has announced, which is about to end.

        Raises:
            DriverError: it cannot be, or the storage does not answer.
        """
        for name in self.names():
            path = paths.cluster_member(name)
            with suppress(PathNotFoundError, ObjectTooLargeError, ValueError, TypeError, RecursionError, ChangedError):
                content = self.driver.get(path, limit=_LIMIT_BYTES)
                if Member.parse(content).instance == instance:
                    self.driver.delete_if(path, expected=content)

    def names(self) -> list[str]:
        """Return the names of the hosts that have an object, in order; some may be long gone.

        Raises:
            DriverError: they cannot be listed.
        """
        return list(filter(is_member, self.driver.list(paths.CLUSTER, limit=_MOST_HOSTS)))

    def living(self, *, but: str) -> Iterator[Announced]:
        """Yield each host but one that has said something lately; the objects of those that are forgotten are deleted.

        Raises:
            DriverError: the objects cannot be read.
        """
        now = self._now(but)
        for name in self.names():
            if name == but:
                continue
            try:
                other = self._read(name)
            except PathNotFoundError:  # another program's folder; or another host has just forgotten it
                continue
            age = now - other.written if other else FORGOTTEN_SECONDS
            if age >= FORGOTTEN_SECONDS:
                self.driver.delete(paths.cluster_member(name))
            elif other and age < SILENT_SECONDS:
                yield other

    def _now(self, name: str) -> float:
        """Return when the host called `name`, which is this one, has announced itself, as the storage says."""
        try:
            return self.driver.stat(paths.cluster_member(name)).modified
        except PathNotFoundError:  # another host has just forgotten it
            return time.time()

    def _read(self, name: str) -> Announced | None:
        """Return what the host called `name` has announced, or None for what no registry of this kind has written.

        Raises:
            PathNotFoundError: it has announced nothing.
        """
        path = paths.cluster_member(name)
        found = None
        while found != (stat := self.driver.stat(path)):  # it may be written again meanwhile
            found, content = stat, self.driver.get(path, limit=_LIMIT_BYTES)
        try:
            return Announced(Member.parse(content), stat.modified)
        except (ValueError, TypeError, RecursionError):
            return None


def jobs(driver: StorageDriver, configuration: Configuration, board: Board, instance: str) -> Iterator[Job]:
    """Yield the job that announces the server `instance` and looks at the others, at once and every ten minutes.

    None if the storage belongs to one process, or is not to be written to.
    """
    if is_announced(driver, configuration):
        yield Job("cluster", _Announcing(Cluster(driver), configuration, board, instance).run, _INTERVAL_SECONDS)


def is_announced(driver: StorageDriver, configuration: Configuration) -> bool:
    """Tell whether servers of `configuration` say anything of themselves."""
    return driver.shared_between_processes and not configuration.storage.maintenance.readonly.enabled


def look(cluster: Cluster, me: Member, board: Board) -> float:
    """Announce `me`, log and post what others say otherwise; return how many seconds to wait until the next look.

    Raises:
        JobFailedError: the storage does not answer.
    """
    try:
        if not cluster.announce(me):
            _log.debug("nothing is said to other registries: the storage holds nothing")
            return _EMPTY_SECONDS
        differences = list(cluster.differences(me))
    except DriverError as error:
        raise JobFailedError(f"the other registries of the cluster cannot be looked at: {error}") from error
    for difference in cluster.untold(differences):
        _log.warning("%s %s", difference.name, difference.consequence)
    # Nothing fails because of them: which host is wrong is not known, and refusing requests on all would not help.
    board.notice({f"cluster_{each.name}_{each.key}": each.consequence for each in differences})
    return _INTERVAL_SECONDS


@dataclass
class _Announcing:
    cluster: Cluster
    configuration: Configuration
    board: Board
    instance: str

    @cached_property
    def me(self) -> Member:
        """What this host says, computed in the elected process only: the fingerprint is made to be slow."""
        return Member.of(self.configuration, self.instance)

    def run(self) -> float:
        return look(self.cluster, replace(self.me, seen=time.time()), self.board)
