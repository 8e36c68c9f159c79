"""``/scheduler-state.json``, by which a Go registry that caches another one knows when to forget what (its ``Entry``).

The last use of what is cached is the time of its link, so nothing is expired by this. It is written for the section
``proxy``, so that the Go registry can go back on the storage and expires what is there. It is read because only it
tells which tags a Go registry has fetched: others may have been pushed, before that section was there.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.foundation import times
from registry.storage import paths
from registry.storage.parts import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.base import StorageDriver
    from registry.config.upstreams import Upstream
    from registry.proxy.eviction.usage import Usage

_MOST_ENTRIES: Final = 100_000
"""That of the Go registry has one for each blob and manifest, and is read as a whole. Those that expire first count."""
_MOST_BYTES: Final = 64 * 1024 * 1024
_TYPES: Final = {Kind.LAYER: 0, Kind.REVISION: 1}
_log = logging.getLogger(__name__)


def write_scheduler_state(driver: StorageDriver, upstreams: Iterable[Upstream], usage: Usage) -> None:
    """Write when what is held of that of `upstreams` which is of ``proxy`` is to be forgotten if nobody uses it.

    Nothing is written if there is none, or its content stays for ever.

    Raises:
        DriverError: the storage failed.
    """
    for each in upstreams:
        if each.classic and each.cache.ttl_seconds > 0:
            _write(driver, each, usage)


def scheduled(driver: StorageDriver) -> Iterable[str]:
    """Return the keys of what a registry has fetched and not yet forgotten, ``NAME@DIGEST`` each; none if unreadable.

    Raises:
        DriverError: the storage failed.
    """
    try:
        entries = json.loads(driver.get(paths.SCHEDULER, limit=_MOST_BYTES))
    except PathNotFoundError:
        return ()
    except (ObjectTooLargeError, ValueError) as error:
        _log.warning("%s cannot be read; what a Go registry has cached counts as pushed: %s", paths.SCHEDULER, error)
        return ()
    return entries if isinstance(entries, dict) else ()


def _write(driver: StorageDriver, upstream: Upstream, usage: Usage) -> None:
    ttl = upstream.cache.ttl_seconds
    entries = {}
    for repository, kind, digest, used in usage.last_uses(upstream.name, _MOST_ENTRIES):
        key = f"{repository}@{digest}"
        expires = times.spell(int((used + ttl) * 10**9))
        # A manifest may be linked as a blob as well, by the same key: it expires as a manifest.
        if key not in entries or kind is Kind.REVISION:
            entries[key] = {"Key": key, "ExpiryData": expires, "EntryType": _TYPES[kind]}
    driver.put(paths.SCHEDULER, json.dumps(entries, separators=(",", ":")).encode("ascii"))
