"""Keeps the lease of the journal, and the journal within its bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.jobs.job import Job, JobFailedError
from registry.journal.cursors import Cursors
from registry.journal.retention import trim
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.lease import Lease

_RENEWAL_SECONDS: Final = 5.0
"""How often the lease is asked for, though all consumers may pause for longer."""
_TRIM_SECONDS: Final = 300.0
_UNREAD_SECONDS: Final = 3600.0


def jobs(configuration: Configuration, driver: StorageDriver, lease: Lease, consumers: Sequence[str]) -> Iterator[Job]:
    """Yield the job that keeps `lease` and, while it is held, deletes what none of `consumers` waits for any more.

    Without a consumer, a journal that another configuration has left goes once it is old; no lease is taken then, which
    a host with consumers could not get. None if the registry is read-only, or if there can be no journal.
    """
    if configuration.storage.maintenance.readonly.enabled:
        return
    keep_seconds = configuration.notifications.journal.keep_seconds
    if consumers:
        yield Job("journal", _Keeping(driver, lease, consumers, keep_seconds).run, _RENEWAL_SECONDS)
    elif driver.shared_between_processes:
        yield Job("journal", _Leaving(driver, keep_seconds).run, _UNREAD_SECONDS)


@dataclass
class _Keeping:
    driver: StorageDriver
    lease: Lease
    consumers: Sequence[str]
    keep_seconds: float
    trimmed: float = float("-inf")

    def run(self) -> None:
        try:
            if self.lease.held() and time.monotonic() - self.trimmed >= _TRIM_SECONDS:
                _trim(self.driver, self.consumers, self.keep_seconds)
                self.trimmed = time.monotonic()
        except DriverError as error:
            raise JobFailedError(f"the journal waits for the storage: {error}") from error


@dataclass(frozen=True)
class _Leaving:
    driver: StorageDriver
    keep_seconds: float

    def run(self) -> None:
        try:
            if self.driver.holds(paths.JOURNAL):
                _trim(self.driver, (), self.keep_seconds)
        except DriverError as error:
            raise JobFailedError(f"the journal, which nobody reads, cannot be looked at: {error}") from error


def _trim(driver: StorageDriver, consumers: Sequence[str], keep_seconds: float) -> None:
    trim(driver.log(paths.JOURNAL), Cursors(driver), consumers, keep_seconds=keep_seconds)
