"""Keeps the lease of the journal, and the journal within its bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.jobs.job import Job, JobFailedError
from registry.journal.cursors import Cursors
from registry.journal.retention import trim
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.base import StorageDriver
    from drivers.log import Log
    from registry.config import Configuration
    from registry.lease import Lease

_RENEWAL_SECONDS: Final = 5.0
"""How often the lease is asked for, though all consumers may pause for longer."""
_TRIM_SECONDS: Final = 300.0


def jobs(configuration: Configuration, driver: StorageDriver, lease: Lease, consumers: Sequence[str]) -> Iterator[Job]:
    """Yield the job that keeps `lease` and, while it is held, deletes what none of `consumers` waits for any more.

    None if there are no consumers, or if the registry is read-only.
    """
    if consumers and not configuration.storage.maintenance.readonly.enabled:
        keep_seconds = configuration.notifications.journal.keep_seconds
        yield Job("journal", _Keeping(driver, lease, consumers, keep_seconds).run, _RENEWAL_SECONDS)


def jobs_without_cursors(configuration: Configuration, driver: StorageDriver) -> Iterator[Job]:
    """Yield the job that deletes what is old, where all who read the journal remember themselves how far they are.

    None if the registry is read-only.
    """
    if not configuration.storage.maintenance.readonly.enabled:
        keep_seconds = configuration.notifications.journal.keep_seconds
        yield Job("journal", partial(_trim_old, driver, keep_seconds), _TRIM_SECONDS)


def _trim_old(driver: StorageDriver, keep_seconds: float) -> None:
    try:
        trim_unread(driver, keep_seconds=keep_seconds)
    except DriverError as error:
        raise JobFailedError(f"the journal waits for the storage: {error}") from error


def trim_unread(driver: StorageDriver, *, keep_seconds: float) -> None:
    """Delete what is old in a journal that no consumer of this configuration has a cursor in, if there is one.

    It needs no lease, which a host with consumers could then not get; and what such a host waits for stays.

    Raises:
        DriverError: the storage fails.
    """
    if driver.holds(paths.JOURNAL):
        trim(driver.log(paths.JOURNAL), Cursors(driver), (), keep_seconds=keep_seconds)


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
                trim(self._journal, Cursors(self.driver), self.consumers, keep_seconds=self.keep_seconds)
                self.trimmed = time.monotonic()
        except DriverError as error:
            raise JobFailedError(f"the journal waits for the storage: {error}") from error

    @cached_property
    def _journal(self) -> Log:
        """The journal, opened in the elected process only."""
        return self.driver.log(paths.JOURNAL)
