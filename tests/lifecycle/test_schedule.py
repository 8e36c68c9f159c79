"""When a host begins a run: `interval` and `window` of storage.maintenance.garbagecollection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.config import Configuration
from registry.config.collection import GarbageCollection
from registry.config.upstreams import Upstream
from registry.config.values import Maintenance, Storage
from registry.lifecycle.jobs import Schedule, jobs
from registry.lifecycle.reports import Report, Result, write_report
from registry.storage.evictions import note_eviction
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from drivers.base import StorageDriver

DAY, HOUR, LOOK = 86400.0, 3600.0, 60.0
NEVER_STORED = LOOK
"""The pause where a run is due and nothing was ever stored, so that there is nothing to collect."""


AGE = 13 * HOUR
"""How old what was evicted has to be, with the least grace that is the default."""


def configuration(window: str = "", *, enabled: bool = True, caches: bool = False) -> Configuration:
    section = GarbageCollection(enabled=enabled, interval_seconds=DAY, window=window)
    storage = Storage("inmemory", {}, maintenance=Maintenance(garbagecollection=section))
    proxies = (Upstream(name="hub", remoteurl="https://hub.example"),) if caches else ()
    return Configuration("0.1", storage, proxies=proxies)


def schedule(
    driver: StorageDriver, at: float, window: str = "", *, enabled: bool = True, caches: bool = False
) -> Schedule:
    return Schedule(configuration(window, enabled=enabled, caches=caches), driver, None, now=lambda: at)


def local(hour: int) -> float:
    """Return when it is half past that hour here the next time."""
    at = time.mktime((*time.localtime()[:3], hour, 30, 0, 0, 0, -1))
    return at if at > time.time() else at + DAY


def reported(driver: StorageDriver, result: Result = Result.DONE) -> float:
    """Let a run of another host have ended; return when, by the clock of the storage."""
    write_report(driver, Report(2, "another", began=time.time(), ended=0, result=result))
    return time.time()


@pytest.mark.parametrize(("passed", "left"), [(0.0, DAY), (5 * HOUR, 19 * HOUR), (23.5 * HOUR, 0.5 * HOUR)])
def test_a_run_of_any_host_puts_off_the_next_one_by_the_interval(passed: float, left: float) -> None:
    driver = InMemoryDriver()
    pause = schedule(driver, reported(driver) + passed).run()

    assert pause is not None
    assert left - 5 <= pause <= left + LOOK + 5


def test_a_run_is_due_when_the_interval_is_over_or_no_run_was_done() -> None:
    driver = InMemoryDriver()
    assert schedule(driver, time.time()).run() == NEVER_STORED
    assert schedule(driver, reported(driver, Result.FAILED)).run() == NEVER_STORED
    assert schedule(driver, reported(driver) + DAY).run() == NEVER_STORED


def test_a_look_reads_no_more_reports_than_up_to_the_last_run_that_was_done() -> None:
    calls = []
    for before in (1, 20):
        driver = InMemoryDriver()
        for run in range(before):
            write_report(driver, Report(run, "another", began=0, ended=0))
        write_report(driver, Report(before, "another", began=0, ended=0, result=Result.REFUSED))
        counted = FailingDriver(driver, fail_at=0)
        assert schedule(counted, time.time()).pause() is not None
        calls.append(counted.calls)

    assert calls[0] == calls[1]


@pytest.mark.parametrize(
    ("window", "hour", "is_in"),
    [
        ("22:00-05:00", 23, True),
        ("22:00-05:00", 3, True),
        ("22:00-05:00", 12, False),
        ("22:00-05:00", 5, False),
        ("08:00-10:00", 8, True),
        ("08:00-10:00", 10, False),
    ],
)
def test_a_run_begins_in_the_window_alone(window: str, hour: int, *, is_in: bool) -> None:
    driver = InMemoryDriver()
    reported(driver)

    # In the window the run that has just been puts off the next one by hours, else it is until the next look.
    pause = schedule(driver, local(hour), window).run()

    assert pause is not None
    assert (pause > LOOK) == is_in


def freeing(driver: StorageDriver, at: float) -> float | None:
    """Return what a cache whose collection is not enabled pauses for; None if a run is due."""
    return schedule(driver, at, enabled=False, caches=True).pause()


def test_what_was_evicted_is_collected_without_more_configuration_when_it_has_waited_for_the_grace() -> None:
    driver, now = InMemoryDriver(), time.time()
    assert freeing(driver, now)
    note_eviction(driver, now)

    assert freeing(driver, now + AGE - HOUR)
    assert freeing(driver, now + AGE + LOOK + 1) is None


def test_a_run_that_came_too_early_for_an_eviction_leaves_it_to_the_next_and_one_that_did_not_to_none() -> None:
    driver, now = InMemoryDriver(), time.time()
    reported(driver)

    note_eviction(driver, now - AGE - HOUR)
    assert freeing(driver, now + 20 * HOUR)
    note_eviction(driver, now - AGE + HOUR)
    assert freeing(driver, now + 5 * HOUR)
    assert freeing(driver, now + 6 * HOUR + LOOK) is None


def test_where_a_cache_evicts_nothing_and_collecting_is_not_enabled_nothing_is_collected() -> None:
    driver = InMemoryDriver()

    assert freeing(driver, time.time() + 1000 * DAY)


def test_an_eviction_is_noticed_within_an_hour_however_long_the_interval_is() -> None:
    driver = InMemoryDriver()
    pause = schedule(driver, reported(driver), caches=True).pause()

    assert pause is not None
    assert pause <= HOUR


class Shared(InMemoryDriver):
    """A storage that several processes use, as far as anybody looks."""

    shared_between_processes = True


@pytest.mark.parametrize(("enabled", "caches", "collects"), [(0, 0, False), (1, 0, True), (0, 1, True), (1, 1, True)])
def test_a_cache_collects_garbage_also_where_that_is_not_enabled(enabled: int, caches: int, *, collects: bool) -> None:
    told = configuration(enabled=bool(enabled), caches=bool(caches))

    assert ("garbage_collection" in [job.name for job in jobs(told, Shared(), None)]) == collects


@pytest.mark.parametrize(("interval", "pause"), [(5.0, 5.0), (0.0, 1.0), (DAY, LOOK)])
def test_where_nothing_is_stored_yet_is_looked_again_after_the_interval_at_the_latest(
    interval: float, pause: float
) -> None:
    section = GarbageCollection(enabled=True, interval_seconds=interval)
    storage = Storage("inmemory", {}, maintenance=Maintenance(garbagecollection=section))

    assert Schedule(Configuration("0.1", storage), InMemoryDriver(), None).run() == pause
