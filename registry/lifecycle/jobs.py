"""Garbage collection as periodic work: of the hosts of a cluster the first one whose time has come does a run."""

from __future__ import annotations

import logging
import math
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.config.collection import window_of
from registry.jobs.child import run_in_child
from registry.jobs.due import seconds_left
from registry.jobs.job import Job, JobFailedError
from registry.lifecycle.own_run import supersede
from registry.lifecycle.reports import Report, Result, ended
from registry.storage import paths, runs
from registry.storage.evictions import evictions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.lifecycle.reports import Ended
    from registry.observation.metrics import Metrics
    from registry.storage.runs import Pace

CHILD: Final = "registry.server.collecting"
"""What runs in a process of its own."""
_LOOK_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 3600.0
"""After a run that has failed or was refused."""
_SPREAD_SECONDS: Final = 60.0
"""So that hosts do not begin at the same moment."""
_EVICTED_SECONDS: Final = 6 * 3600.0
"""Between runs that are due for what was evicted: with the least grace, all of it is deleted within a day."""
_EVICTIONS_SECONDS: Final = 3600.0
"""How often it is looked whether something was evicted."""
_log = logging.getLogger(__name__)


def jobs(configuration: Configuration, driver: StorageDriver, metrics: Metrics | None) -> Iterator[Job]:
    """Yield the job that collects garbage, and the one that opens what a dead run has closed.

    Garbage is collected if that is enabled; and where other registries are cached, what was evicted of that, so that
    the size of a cache holds without more ado.

    None if the storage belongs to one process, or is not to be written to.
    """
    maintenance = configuration.storage.maintenance
    if maintenance.readonly.enabled or not driver.shared_between_processes:
        return
    yield Job("garbage_collection_watch", partial(_watch, driver), _LOOK_SECONDS)
    section = maintenance.garbagecollection
    if section.enabled or configuration.upstreams:
        schedule = Schedule(configuration, driver, metrics)
        interval = schedule.interval_seconds
        yield Job(
            "garbage_collection", schedule.run, interval, partial(random.uniform, 0, min(interval, _SPREAD_SECONDS))
        )


def _watch(driver: StorageDriver) -> None:
    try:
        supersede(driver)
    except DriverError as error:
        raise JobFailedError(f"it is not known whether a garbage collection was cut short: {error}") from error


@dataclass(frozen=True, slots=True)
class Task:
    """What the child is to do, and how fast."""

    configuration: Configuration
    pace: Pace


class Schedule:
    """Begins a run when it is time to."""

    def __init__(
        self,
        configuration: Configuration,
        driver: StorageDriver,
        metrics: Metrics | None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._configuration = configuration
        self._section = configuration.storage.maintenance.garbagecollection
        self.interval_seconds = max(self._section.interval_seconds, 1.0)
        self._window = window_of(self._section)
        self._caches = bool(configuration.upstreams)
        self._driver = driver
        self._metrics = metrics
        self._now = now

    def run(self) -> float | None:
        """Do a run if it is time to; return how many seconds to pause until the next look.

        Raises:
            JobFailedError: the run has failed, or was refused.
        """
        try:
            pause = self.pause()
            if pause is not None:
                return pause
            if not self._driver.holds(paths.ROOT):
                return min(self.interval_seconds, _LOOK_SECONDS)
        except DriverError as error:
            raise JobFailedError(f"the reports of garbage collections cannot be read: {error}") from error
        return self._collect()

    def pause(self) -> float | None:
        """Return how many seconds to wait until it is time; None if it is."""
        now = self._now()
        at = time.localtime(now)
        if self._window and not self._window.holds(at.tm_hour, at.tm_min):
            return _LOOK_SECONDS
        last, refused = self._last()
        if self._metrics and last:
            self._metrics.collection_seen(last.at, last.report.waiting_bytes)
        left = self._until_due(last, now)
        if refused:
            # The next one would be refused, too, until somebody has looked at why.
            left = max(left, seconds_left(refused.at, self._again, now))
        if not left:
            return None
        return self._soon(left + random.uniform(0, min(self._section.interval_seconds, _SPREAD_SECONDS)))  # noqa: S311  spreads load only

    def _last(self) -> tuple[Ended | None, Ended | None]:
        """Return the last run that has done what was due, and the last one since then that was refused."""
        refused = None
        for each in ended(self._driver):
            if each.report.result in self._successes:
                return each, refused
            if each.report.result is Result.REFUSED:
                refused = refused or each
        return None, refused

    def _until_due(self, last: Ended | None, now: float) -> float:
        """Return in how many seconds a run is due, by the last one that has done what was due."""
        interval = self._section.interval_seconds
        left = math.inf
        if self._section.enabled:
            left = seconds_left(last.at, interval, now) if last else 0.0
        if left and self._caches:
            left = min(left, self._until_evicted(last, now))
        return left

    def _until_evicted(self, last: Ended | None, now: float) -> float:
        """Return in how many seconds what was evicted may be deleted that the last run had to leave; infinite for none.

        After a run, the next one of this kind waits for a while, however often something is evicted.
        """
        age = runs.age_seconds(self._section.grace_seconds)
        done = last.report.began - age if last else 0.0
        waiting = next((at for at in evictions(self._driver) if at >= done), None)
        if waiting is None:
            return math.inf
        rest = seconds_left(last.at, _EVICTED_SECONDS, now) if last else 0.0
        return max(rest, waiting + age + _SPREAD_SECONDS - now, 0.0)

    def _soon(self, pause: float) -> float:
        """Return a pause that is not so long that an eviction would be seen too late."""
        return min(pause, _EVICTIONS_SECONDS) if self._caches else pause

    @property
    def _successes(self) -> frozenset[Result]:
        """What counts as a run that was due: a dry run does only where all that are due are dry runs."""
        return frozenset({Result.DONE, Result.DRY_RUN} if self._section.dryrun else {Result.DONE})

    @property
    def _again(self) -> float:
        """After how many seconds to try again what has failed or was refused."""
        return min(self._section.interval_seconds, _AGAIN_SECONDS)

    def _collect(self) -> float | None:
        answer = run_in_child(CHILD, Task(self._configuration, runs.PACE))
        if "busy" in answer:
            _log.info("no garbage is collected now: %s", answer["busy"])
            return _LOOK_SECONDS
        if "error" in answer:
            self._count(Result.FAILED)
            raise JobFailedError(f"the garbage collection broke off: {answer['error']}", pause_seconds=self._again)
        report = Report.of(answer["report"])
        self._count(report.result, report)
        if report.result is Result.REFUSED:
            raise JobFailedError(f"no garbage is collected: {report.reason}", pause_seconds=self._again)
        return self._soon(self._section.interval_seconds)

    def _count(self, result: Result, report: Report | None = None) -> None:
        if self._metrics:
            self._metrics.collection_ended(result.value.replace(" ", "_"))
            if report:
                self._metrics.collection_did(
                    seconds=report.ended - report.began,
                    manifests=report.condemned_manifests,
                    links=report.condemned_blobs,
                    blobs=report.deleted_blobs,
                    size=report.deleted_bytes,
                )
                if result in self._successes:
                    self._metrics.collection_seen(report.ended, report.waiting_bytes)
