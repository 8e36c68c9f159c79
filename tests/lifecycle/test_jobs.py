"""When a server collects garbage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from registry.lifecycle.jobs import Schedule
from registry.lifecycle.reports import Report, Result, write_report
from tests.config.forms import configure

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver

HOUR = 3600.0


def pause(driver: InMemoryDriver, *results: Result, hours: float = 0, dryrun: bool = False) -> float | None:
    """Return how many seconds a server waits, so many hours after runs that have ended so."""
    for number, result in enumerate(results, 1):
        write_report(driver, Report(number, "host", 0.0, result=result))
    section = f"{{enabled: true, interval: 24h, dryrun: {str(dryrun).lower()}}}"
    configuration = configure(f"storage: {{inmemory: {{}}, maintenance: {{garbagecollection: {section}}}}}")
    return Schedule(configuration, driver, None, now=lambda: time.time() + hours * HOUR).pause()


@pytest.mark.parametrize(
    "results",
    [(), (Result.FAILED,), (Result.DRY_RUN,), (Result.FAILED, Result.DRY_RUN, Result.DRY_RUN)],
)
def test_a_run_that_did_nothing_puts_off_none_that_is_due(driver: InMemoryDriver, results: tuple[Result, ...]) -> None:
    assert pause(driver, *results) is None


@pytest.mark.parametrize("later", [(), (Result.DRY_RUN,), (Result.FAILED,), (Result.REFUSED,)])
def test_the_next_run_is_due_an_interval_after_the_last_one_that_was_done(
    driver: InMemoryDriver, later: tuple[Result, ...]
) -> None:
    waits = pause(driver, Result.DONE, *later, hours=20)
    assert waits is not None
    assert 3 * HOUR < waits < 5 * HOUR


def test_after_a_refusal_an_hour_passes_and_not_a_day(driver: InMemoryDriver) -> None:
    waits = pause(driver, Result.REFUSED)
    assert waits is not None
    assert 0.5 * HOUR < waits < 2 * HOUR
    assert pause(driver, hours=2) is None


def test_where_all_runs_are_dry_a_dry_run_is_what_was_due(driver: InMemoryDriver) -> None:
    waits = pause(driver, Result.DRY_RUN, hours=20, dryrun=True)
    assert waits is not None
    assert 3 * HOUR < waits < 5 * HOUR
