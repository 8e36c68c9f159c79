"""The hosts of a cluster, as a run sees them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.jobs.cluster import FORGOTTEN_SECONDS, SILENT_SECONDS, Member
from registry.lifecycle.own_run import test_storage
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

_LIMIT_BYTES: Final = 4096


def is_served(driver: StorageDriver) -> bool:
    """Tell whether any host has said within a day, by the clock of the storage, that it serves this storage.

    One that has been silent since may be paused, or may have lost its way to the storage for a while, and take pushes
    again at any moment. An object that cannot be read may be that of a later version.

    Raises:
        DriverError: the storage does not answer.
    """
    return next(_heard(driver, FORGOTTEN_SECONDS), None) is not None


def outdated(driver: StorageDriver) -> list[str]:
    """Return the hosts that serve this storage and whose version takes no notice of a run.

    Raises:
        DriverError: the storage does not answer.
    """
    return [member.name for member in _living(driver) if not member.collects]


def _living(driver: StorageDriver) -> Iterator[Member]:
    for path in _heard(driver, SILENT_SECONDS):
        with suppress(PathNotFoundError, ObjectTooLargeError, ValueError, TypeError, RecursionError):
            yield Member.parse(driver.get(path, limit=_LIMIT_BYTES))


def _heard(driver: StorageDriver, seconds: float) -> Iterator[str]:
    """Yield the objects that hosts have written within the last `seconds`."""
    names = list(objects_below(driver, paths.CLUSTER, is_member))
    since = test_storage(driver) - seconds if names else 0.0
    for path in map(paths.cluster_member, names):
        with suppress(PathNotFoundError):
            if driver.stat(path).modified >= since:
                yield path
