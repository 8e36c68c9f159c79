"""The registries of a cluster learn from each other, through the storage they share, whether they agree.

One elected process of each host keeps a small object beside the Go registry's tree: a fingerprint of
``http.secret``, the name of the driver, the version. It reads the others' and logs each difference once. Nothing
else depends on these objects; those of hosts that fell silent are removed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import socket
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry import __version__
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.background import Election
    from registry.config import Configuration

_INTERVAL_SECONDS: Final = 600.0
_ELECTION_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 3 * _INTERVAL_SECONDS
_FORGOTTEN_SECONDS: Final = 24 * 3600.0
_LIMIT_BYTES: Final = 4096
_MOST_HOSTS: Final = 1000
_CONSEQUENCES: Final = {
    "secret": "has another http.secret: uploads that go from one to the other are refused",
    "driver": "keeps its content with another storage driver: it may not be the same content",
    "version": "runs another version of the registry",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """What a host says of itself; `seen` is when, in seconds since 1970 by its own clock."""

    name: str
    secret: str
    driver: str
    version: str
    seen: float

    @staticmethod
    def of(configuration: Configuration) -> Member:
        """Return what this host has to say now."""
        http = configuration.http
        # Two registries on one host differ in their addresses.
        address = hashlib.sha256(http.addr.encode()).hexdigest()[:8]
        host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()).strip("-") or "host"
        return Member(
            name=f"{host}-{address}",
            secret=_fingerprint(http.secret),
            driver=configuration.storage.driver,
            version=__version__,
            seen=time.time(),
        )


@dataclass(slots=True)
class Cluster:
    """The objects of all hosts in one storage."""

    driver: StorageDriver
    _told: set[tuple[str, str, str]] = field(default_factory=set)

    def announce(self, me: Member) -> None:
        """Write what `me` says.

        Raises:
            DriverError: it cannot be written.
        """
        self.driver.put(paths.cluster_member(me.name), json.dumps(asdict(me)).encode())

    def disagreements(self, me: Member) -> Iterator[str]:
        """Yield a line for each difference to another living host that was not told before.

        Raises:
            DriverError: the objects cannot be read.
        """
        for other in self._others(me):
            for key, consequence in _CONSEQUENCES.items():
                theirs = getattr(other, key)
                difference = (other.name, key, theirs)
                if theirs != getattr(me, key) and difference not in self._told:
                    self._told.add(difference)
                    yield f"{other.name} {consequence}"

    def _others(self, me: Member) -> Iterator[Member]:
        for name in self.driver.list(paths.CLUSTER, limit=_MOST_HOSTS):
            path = f"{paths.CLUSTER}/{name}"
            if path == paths.cluster_member(me.name):
                continue
            other = self._read(path)
            age = me.seen - other.seen if other else _FORGOTTEN_SECONDS
            if age >= _FORGOTTEN_SECONDS:
                self.driver.delete(path)
            elif other and age < _SILENT_SECONDS:
                yield other

    def _read(self, path: str) -> Member | None:
        """Return the member at `path`, or None for what no registry of this kind has written."""
        try:
            return Member(**json.loads(self.driver.get(path, limit=_LIMIT_BYTES)))
        except (ValueError, TypeError):
            return None


def start(election: Election, driver: StorageDriver, configuration: Configuration) -> None:
    """Announce this host and look at the others, now and every ten minutes, if and when this process is elected."""
    if driver.shared_between_processes and not configuration.storage.maintenance.readonly.enabled:
        arguments = (election, Cluster(driver), configuration)
        threading.Thread(target=_run, args=arguments, name="cluster", daemon=True).start()


def _run(election: Election, cluster: Cluster, configuration: Configuration) -> None:
    while not election.won():
        time.sleep(_ELECTION_SECONDS)
    while True:
        me = Member.of(configuration)
        try:
            cluster.announce(me)
            for line in cluster.disagreements(me):
                _log.warning("%s", line)
        except DriverError as error:
            _log.warning("the other registries of the cluster cannot be looked at: %s", error)
        time.sleep(_INTERVAL_SECONDS)


def _fingerprint(secret: str) -> str:
    """Return what tells secrets apart and is too dear to be guessed from."""
    salt = b"registry cluster"
    return hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()
