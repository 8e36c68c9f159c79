"""When cached content was evicted: told by what evicts, so that what collects garbage knows when there is some."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import paths

if TYPE_CHECKING:
    from drivers.base import StorageDriver

_KEPT: Final = 1000
"""Evictions that are remembered: those of six weeks, if there is one each hour."""
_LIMIT_BYTES: Final = 64 * 1024


def evictions(driver: StorageDriver) -> list[float]:
    """Return when content was evicted, in seconds since the epoch by the clock of the storage, in order.

    Raises:
        DriverError: the storage failed.
    """
    try:
        told = json.loads(driver.get(paths.EVICTION_WAITING, limit=_LIMIT_BYTES))
        return sorted(map(float, told))
    except (PathNotFoundError, ObjectTooLargeError, ValueError, TypeError):
        return []


def note_eviction(driver: StorageDriver, at: float) -> None:
    """Remember that content was evicted at that time; only who has the claim of the eviction calls this.

    Raises:
        DriverError: the storage failed.
    """
    told = [*evictions(driver), round(at, 3)][-_KEPT:]
    driver.put(paths.EVICTION_WAITING, json.dumps(told).encode("ascii"))
