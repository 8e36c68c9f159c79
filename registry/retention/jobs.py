"""Retention as periodic work: a run every `interval`, by one of the hosts, and since when pulls are noted."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from drivers.base import DriverError
from registry.config.cached import Cached
from registry.jobs.cluster import member_name
from registry.jobs.due import seconds_left
from registry.jobs.job import Job, JobFailedError
from registry.journal.entry import Origin
from registry.publishing import Operator
from registry.retention import history
from registry.retention.reports import Reports
from registry.retention.rules import asks_for_pulls
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.config.retention import Retention
    from registry.ports import Repositories
    from registry.publishing import Publishing
    from registry.retention.reports import Report

ACTOR: Final = "registry retention"
"""Who takes tags away, as listeners and the audit log are told."""
_LONGEST_DELAY_SECONDS: Final = 3600.0
_LEAST_PAUSE_SECONDS: Final = 1.0
_STAMP_SECONDS: Final = 600.0
_EMPTY_SECONDS: Final = 10.0
"""How long to wait for the first content of a storage that has none: it may be a mount point without its mount."""
_CLOCKS_SECONDS: Final = 60.0
"""By how much clocks may differ."""
_AT_ONCE: Final = 2
"""Tags that go at a time: nobody waits for a run, and the server has other work to do."""
_log = logging.getLogger(__name__)


class Meter(Protocol):
    """Who counts what retention does."""

    def retention_ended(self, result: str, untagged: int = 0) -> None:
        """Count a run that has taken so many tags away; `result` is done, dry_run, stopped or failed."""


class RetentionOperator(Operator):
    """Retention as the caller of what it changes."""

    origin = Origin(actor=ACTOR)


def jobs(  # noqa: PLR0913  what it works on, and who is told
    configuration: Configuration,
    driver: StorageDriver,
    repositories: Repositories,
    publishing: Publishing,
    *,
    stopping: Callable[[], bool],
    meter: Meter | None = None,
) -> Iterator[Job]:
    """Yield what retention needs; no run of it if it is off, has no rules, or the registry is read-only.

    Where no rule asks for pulls, what other servers have noted of them is forgotten, also by one that is read-only: it
    serves pulls that nobody notes.

    A run ends early once `stopping` is true. `meter` is None where nobody counts.
    """
    maintenance = configuration.storage.maintenance
    section = maintenance.retention
    if section.enabled and section.rules and not maintenance.readonly.enabled:
        host, cached = member_name(configuration.http.addr), Cached(configuration.upstreams)
        work = _Running(driver, repositories, publishing, section, host, stopping, meter, cached)
        yield Job("retention", work.run, section.interval_seconds, first_pause=work.first_pause)
    if asks_for_pulls(section):
        yield Job("pulls", partial(_stamp, driver), _STAMP_SECONDS)
    elif driver.shared_between_processes:
        yield Job("pulls", partial(_forget, driver), _STAMP_SECONDS)


@dataclass
class _Running:
    driver: StorageDriver
    repositories: Repositories
    publishing: Publishing
    section: Retention
    host: str
    stopping: Callable[[], bool]
    meter: Meter | None
    cached: Cached

    def first_pause(self) -> float:
        return random.uniform(0, min(self.section.interval_seconds, _LONGEST_DELAY_SECONDS))  # noqa: S311  spreads load

    def run(self) -> float:
        """Run if no host has for the interval; return how many seconds to pause until it is time again."""
        try:
            if not self.driver.holds(paths.ROOT):
                return _EMPTY_SECONDS
            pause = self._due_in()
            if not pause:
                self._run()
                pause = self.section.interval_seconds
        except DriverError as error:
            raise JobFailedError(f"the run of retention broke off: {error}") from error
        return max(pause, _LEAST_PAUSE_SECONDS)

    def _due_in(self) -> float:
        """Return in how many seconds a run is due, by when the last one has begun, of whatever host.

        The clocks of this host and of the storage are taken for equal here, but for a minute. If the last run lies
        further in the future, the clock was fast then, and a run is due.
        """
        reports = Reports(self.driver)
        found = (reports.report(run) for run in reversed(reports.numbers()))
        last = next((report for report in found if report and report.scheduled), None)
        if last is None:
            return 0.0
        return seconds_left(last.begun, self.section.interval_seconds, time.time(), clocks=_CLOCKS_SECONDS)

    def _run(self) -> None:
        # The tables on disk are loaded only by the process that runs.
        from registry.retention.plan import Plan  # noqa: PLC0415
        from registry.retention.untagging import Untagging  # noqa: PLC0415

        report = Reports(self.driver).begin(self.host, dry_run=self.section.dryrun, scheduled=True)
        if report is None:
            return  # another host has begun it
        untagging = Untagging(
            self.driver,
            self.repositories,
            self.publishing,
            report,
            at_once=_AT_ONCE,
            going_on=lambda: not self.stopping(),
        )
        try:
            with Plan(self.driver, self.repositories, self.section, report.begun, self.cached) as plan:
                plan.read_pulls()
                for _ in untagging.run(plan):
                    pass
                plan.fold_pulls()
        except DriverError:
            self._count(untagging.report, "failed")
            raise
        done = "dry_run" if report.dry_run else "done"
        self._count(untagging.report, done if untagging.report.ended else "stopped")
        self._tell(untagging.report)

    def _count(self, report: Report, result: str) -> None:
        if self.meter:
            self.meter.retention_ended(result, untagged=0 if report.dry_run else report.untagged)

    def _tell(self, report: Report) -> None:
        for refused in report.refused:
            _log.warning(
                "retention of %s: %s, more than maxshare, %d %%: none goes",
                refused.repository,
                refused,
                self.section.maxshare,
            )
        told = {"run": report.run, "untagged": report.untagged, "refused": report.refusals, "dryrun": report.dry_run}
        _log.info("retention has run", extra=told)


def _stamp(driver: StorageDriver) -> float | None:
    try:
        if not driver.holds(paths.ROOT):
            return _EMPTY_SECONDS
        history.begin(driver, time.time())
    except DriverError as error:
        raise JobFailedError(f"pulls are not known to retention: {error}") from error
    return None


def _forget(driver: StorageDriver) -> None:
    try:
        history.forget(driver)
    except DriverError as error:
        why = "no rule of this server asks for pulls, so it notes none, and cannot delete what others have noted"
        raise JobFailedError(f"{why}: {error}") from error
