"""Tells the audit log when the server starts, and when its configuration or a file that decides over access changes.

What was seen before is kept in the storage, for each host: fingerprints, from which no secret can be told. So whoever
switches the audit log off has that recorded, too.
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
from registry.audit.trail import Trail
from registry.config.changes import values_by_key
from registry.jobs.cluster import host_name
from registry.jobs.job import Job, JobFailedError
from registry.journal.entry import Origin
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drivers.base import StorageDriver
    from registry.config.values import Configuration
    from registry.journal.entry import Instance

_INTERVAL_SECONDS: Final = 10.0
_OFF_SECONDS: Final = 24 * 3600.0
_EMPTY_SECONDS: Final = 1.0
"""How soon an empty storage is looked at again: the first push to it may be soon, and the next change, too."""
_LIMIT_BYTES: Final = 1024 * 1024
_LARGEST_FILE: Final = 64 * 1024 * 1024
_CLUSTER_KEY: Final = "http.secret"
_ENABLED_KEY: Final = "audit.enabled"
_REGISTRY: Final = Origin(actor="registry")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a host: which start of its server, and the fingerprints of keys and of files by their keys.

    `reloads` is how often that server had read its configuration again.
    """

    server: str = ""
    reloads: int = 0
    keys: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def jobs(configuration: Configuration, driver: StorageDriver, instance: Instance, reloads: int) -> Iterator[Job]:
    """Yield the job that looks at the configuration of `instance` and its files; none if it is read-only.

    Without an audit log it looks once, whether there was one before.
    """
    if not configuration.storage.maintenance.readonly.enabled:
        watching = _Watching(configuration, driver, Trail(driver.log(paths.JOURNAL), instance), reloads)
        yield Job("audit_configuration", watching.run, _INTERVAL_SECONDS, exclusive=False)


@dataclass
class _Watching:
    configuration: Configuration
    driver: StorageDriver
    trail: Trail
    reloads: int
    seen: Seen | None = None
    _signatures: dict[str, object] = field(default_factory=dict)

    def run(self) -> float:
        """Look once, and return how many seconds to pause.

        Raises:
            JobFailedError: the storage fails.
        """
        enabled = self.configuration.audit.enabled
        try:
            # As the cluster's members do: what holds nothing may be the mount point of a storage that is missing.
            if not any(map(self.driver.holds, (paths.ROOT, paths.JOURNAL))):
                return _EMPTY_SECONDS if enabled and self.seen is None else _INTERVAL_SECONDS
            self._look()
        except DriverError as error:
            raise JobFailedError(f"the audit log is not told of the configuration: {error}") from error
        return _INTERVAL_SECONDS if enabled else _OFF_SECONDS

    def _look(self) -> None:
        before = self.seen or self._load()
        if self.configuration.audit.enabled:
            files = dict(self._files(before.files if self.seen else {}))
        elif before.keys.get(_ENABLED_KEY) == _fingerprint(_ENABLED_KEY, value=True):
            files = dict(before.files)
        else:
            return
        now = Seen(self.trail.instance.id, self.reloads, self._keys, files)
        if now == before:
            self.seen = now
            return
        # Where nothing was seen yet, a server that has read its configuration again was started without an audit log.
        is_switched_on = not before.server and self.reloads > 0
        keys = before.keys or ({**now.keys, _ENABLED_KEY: ""} if is_switched_on else now.keys)
        changed = ", ".join(name for name in sorted({*now.keys, *keys}) if _differ(now.keys, keys, name))
        about = {"changed": changed} if changed else {}
        if now.server != before.server and not is_switched_on:
            self.trail.record(START, SERVER, {"version": __version__, **about}, _REGISTRY)
        elif about or now.reloads != before.reloads:
            self.trail.record(CONFIGURE, CONFIGURATION, about, _REGISTRY)
        for key in sorted({*now.files, *before.files} if before.server else ()):
            if _differ(now.files, before.files, key):
                self.trail.record(CONFIGURE, FILE, {"key": key, "sha256": now.files.get(key, "none")}, _REGISTRY)
        self.driver.put(self._path, json.dumps(asdict(now)).encode())
        self.seen = now

    def _load(self) -> Seen:
        try:
            content = json.loads(self.driver.get(self._path, limit=_LIMIT_BYTES))
            reloads = int(content.get("reloads", 0))
            return Seen(str(content["server"]), reloads, dict(content["keys"]), dict(content["files"]))
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
        return paths.audit_seen(host_name(self.configuration.http.addr))

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
