"""The audit log as periodic work: what the journal has is added to it, it is kept within its limits, and told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.audit.consumer import NAME
from registry.audit.outputs import Telling, configured
from registry.audit.retention import Retention
from registry.audit.writer import OutrunError, Writer
from registry.jobs.job import Job, JobFailedError
from registry.journal.cursors import Cursor, Cursors
from registry.journal.reader import NEAR, Reader
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.audit.head import Head
    from registry.config.events import Audit
    from registry.config.values import Configuration
    from registry.journal.reader import Page

_POLL_SECONDS: Final = 1.0
_SLOW_POLL_SECONDS: Final = 2.0
_BROKEN_SECONDS: Final = 5.0
_PAGE: Final = 500
"""Entries that are added by one write."""
_KEEP_SECONDS: Final = 60.0
"""How often the cursor is stored, and what is too old is looked for."""


def jobs(
    configuration: Configuration, driver: StorageDriver, held: Callable[[], bool], hold_seconds: Callable[[], float]
) -> Iterator[Job]:
    """Yield what the audit log needs; nothing if it is off, or the registry is read-only.

    `held` tells whether it is this process that reads the journal; `hold_seconds` is as for a Reader.
    """
    section = configuration.audit
    if not section.enabled or configuration.storage.maintenance.readonly.enabled:
        return
    outputs = dict(configured(section))
    writing = _Writing(driver, section, held, hold_seconds)
    writing.tellings = [Telling(driver, name, output, held, writing.seen) for name, output in outputs.items()]
    yield Job("audit", writing.run, _BROKEN_SECONDS)
    for name, telling in zip(outputs, writing.tellings, strict=True):
        yield Job(f"audit_{name}", telling.run, _BROKEN_SECONDS)


@dataclass
class _Writing:
    driver: StorageDriver
    section: Audit
    held: Callable[[], bool]
    hold_seconds: Callable[[], float]
    tellings: list[Telling] = field(default_factory=list)
    head: Head | None = None
    position: str | None = None
    """Where the journal was read to; None if that is as the log says."""
    kept_at: float = float("-inf")

    def seen(self) -> Head | None:
        """Return how far the log has come."""
        return self.head

    def run(self) -> float:
        """Add what the journal has, and return how many seconds to pause.

        Raises:
            JobFailedError: the storage fails.
        """
        try:
            if self.held():
                self._add_all()
        except OutrunError:
            # Another process has written: it holds the lease by now, or will not go on.
            self._forget()
        except DriverError as error:
            self._forget()
            raise JobFailedError(f"the audit log waits for the storage: {error}") from error
        return _POLL_SECONDS if self.driver.name in NEAR else _SLOW_POLL_SECONDS

    def _add_all(self) -> None:
        if self.head is None:
            for telling in self.tellings:
                telling.begin_at(self._writer.head)
        page = None
        while page is None or (page.full and self.held()):
            page = self._reader.page(
                self._writer.head.position if self.position is None else self.position, limit=_PAGE
            )
            self._writer.add(page.entries, page.position)
            self.position = page.position
            self.head = self._writer.head
        self._writer.store_head()
        if time.monotonic() - self.kept_at >= _KEEP_SECONDS:
            self._keep(page)

    def _keep(self, page: Page) -> None:
        """Let the journal know what is not needed any more, and the log have no more than it may."""
        Cursors(self.driver).put(NAME, Cursor(page.position, page.through_ns, self._writer.head.at_cursor()))
        self._retention.trim(self._writer, time.time_ns())
        self._writer.store_head()
        self.head = self._writer.head
        self.kept_at = time.monotonic()

    def _forget(self) -> None:
        self._writer.forget()
        self.position = None

    @cached_property
    def _writer(self) -> Writer:
        return Writer(self.driver)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.driver.log(paths.JOURNAL), NAME, hold_seconds=self.hold_seconds)

    @cached_property
    def _retention(self) -> Retention:
        return Retention(self.driver, self.section)
