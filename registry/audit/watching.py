"""Tells the audit log when the server starts, and when its configuration or a file that decides over access changes.

What was seen before is kept in the storage, for each host: fingerprints, from which no secret can be told.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, ObjectTooLargeError, PathNotFoundError
from registry import __version__
from registry.audit.record import CONFIGURATION, CONFIGURE, FILE, SERVER, START
from registry.config.changes import values_by_key
from registry.jobs.cluster import member_name
from registry.jobs.job import Job, JobFailedError
from registry.journal.entry import Origin
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drivers.base import StorageDriver
    from registry.audit.trail import Trail
    from registry.config.values import Configuration

_INTERVAL_SECONDS: Final = 10.0
_LIMIT_BYTES: Final = 1024 * 1024
_LARGEST_FILE: Final = 64 * 1024 * 1024
_CLUSTER_KEY: Final = "http.secret"
_REGISTRY: Final = Origin(actor="registry")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a host: which start of its server, and the fingerprints of keys and of files by their keys."""

    server: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def jobs(configuration: Configuration, driver: StorageDriver, trail: Trail | None) -> Iterator[Job]:
    """Yield the job that looks at the configuration and its files; none where `trail` is None."""
    if trail:
        yield Job("audit_configuration", _Watching(configuration, driver, trail).run, _INTERVAL_SECONDS)


@dataclass
class _Watching:
    configuration: Configuration
    driver: StorageDriver
    trail: Trail
    seen: Seen | None = None
    _signatures: dict[str, object] = field(default_factory=dict)

    def run(self) -> None:
        """Look once.

        Raises:
            JobFailedError: the storage fails.
        """
        try:
            # As the cluster's members do: what holds nothing may be the mount point of a storage that is missing.
            if any(map(self.driver.holds, (paths.ROOT, paths.JOURNAL))):
                self._look()
        except DriverError as error:
            raise JobFailedError(f"the audit log is not told of the configuration: {error}") from error

    def _look(self) -> None:
        before = self.seen or self._load()
        files = dict(self._files(before.files if self.seen else {}))
        now = Seen(self.trail.instance.id, self._keys, files)
        if now == before:
            self.seen = now
            return
        changed = ", ".join(name for name in sorted({*now.keys, *before.keys}) if _differ(now.keys, before.keys, name))
        about = {"changed": changed} if changed and before.keys else {}
        if now.server != before.server:
            self.trail.record(START, SERVER, {"version": __version__, **about}, _REGISTRY)
        elif about:
            self.trail.record(CONFIGURE, CONFIGURATION, about, _REGISTRY)
        for key in sorted({*now.files, *before.files} if before.server else ()):
            if _differ(now.files, before.files, key):
                self.trail.record(CONFIGURE, FILE, {"key": key, "sha256": now.files.get(key, "none")}, _REGISTRY)
        self.driver.put(self._path, json.dumps(asdict(now)).encode())
        self.seen = now

    def _load(self) -> Seen:
        try:
            content = json.loads(self.driver.get(self._path, limit=_LIMIT_BYTES))
            return Seen(str(content["server"]), dict(content["keys"]), dict(content["files"]))
        except (PathNotFoundError, ObjectTooLargeError, RecursionError, ValueError, KeyError, TypeError):
            return Seen()

    def _files(self, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the fingerprint of each file that the section ``auth`` names; read is only what has changed."""
        auth = self.configuration.auth
        for name, value in auth.parameters.items() if auth else ():
            key = f"auth.{auth.name if auth else ''}.{name}"
            signature = _signature(value) if isinstance(value, str) else None
            if signature is None:
                continue
            if self._signatures.get(key) != signature or key not in known:
                with suppress(OSError):
                    yield key, _hash_of(str(value))
                    self._signatures[key] = signature
            else:
                yield key, known[key]

    @property
    def _path(self) -> str:
        return paths.audit_seen(member_name(self.configuration.http.addr))

    @cached_property
    def _keys(self) -> dict[str, str]:
        """The fingerprints of what is configured, computed in the elected process only: that of a secret takes long."""
        keys = {key: _fingerprint(key, value) for key, value in values_by_key(self.configuration)}
        origins = self.configuration.origins
        if _CLUSTER_KEY not in (*origins.lines, *origins.sources):  # then it is another one at each start
            del keys[_CLUSTER_KEY]
        return keys


def _differ(now: Mapping[str, str], before: Mapping[str, str], name: str) -> bool:
    return now.get(name) != before.get(name)


def _fingerprint(key: str, value: object) -> str:
    """Return what differs between values; it is too slow for a secret to be guessed by it, which any text may be."""
    if not value or isinstance(value, bool | int | float):
        return repr(value)
    text, salt = repr(value).encode(), f"audit {key}".encode()
    return hashlib.scrypt(text, salt=salt, n=2**14, r=8, p=1, dklen=16).hex()


def _signature(path: str) -> object:
    """Return what changes with a file; None if there is no regular file."""
    with suppress(OSError, ValueError):
        found = os.stat(path)  # noqa: PTH116  any text may stand there
        if os.path.isfile(path):  # noqa: PTH113  as above
            return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return None


def _hash_of(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123  as above
        return hashlib.sha256(file.read(_LARGEST_FILE)).hexdigest()
