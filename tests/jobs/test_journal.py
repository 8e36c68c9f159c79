from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.config.values import UploadPurging
from registry.jobs import journal, purge
from registry.jobs.job import JobFailedError
from registry.journal.cursors import Cursor, Cursors
from registry.lease import Lease
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.config.forms import configure
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from drivers.base import StorageDriver
    from registry.jobs.job import Job

DAYS_NS = 24 * 3600 * 10**9


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StorageDriver:
    """A storage with a journal whose one entry is three days old."""
    driver = FilesystemDriver(str(tmp_path / "root"))
    driver.put(f"{paths.REPOSITORIES}/content", b"")
    now_ns = time.time_ns()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now_ns - 3 * DAYS_NS)
        driver.log(paths.JOURNAL).append(b"{}")
        driver.log(paths.JOURNAL).append(b"{}")
    return driver


def jobs(driver: StorageDriver, consumers: Sequence[str], text: str = "") -> list[Job]:
    return list(journal.jobs(configure(text), driver, Lease(driver, "journal", "me"), consumers))


def entries(driver: StorageDriver) -> int:
    return driver.log(paths.JOURNAL).count("")


def test_the_holder_of_the_lease_trims_and_no_other(driver: StorageDriver) -> None:
    Cursors(driver).put("ci", Cursor("", time.time_ns()))
    holder = Lease(driver, "journal", "other")
    assert holder.held()
    [job] = jobs(driver, ["ci"])

    job.run()
    assert entries(driver) == 2

    holder.release()
    [job] = jobs(driver, ["ci"])
    job.run()
    assert entries(driver) == 0


def test_a_journal_whose_readers_have_no_cursors_is_trimmed_by_age_and_without_a_lease(driver: StorageDriver) -> None:
    [job] = journal.jobs_without_cursors(configure(""), driver)
    driver.log(paths.JOURNAL).append(b"{}")
    job.run()
    assert entries(driver) == 1
    assert not driver.holds(paths.LEASES)
    read_only = "storage: {inmemory: {}, maintenance: {readonly: {enabled: true}}}"
    assert not list(journal.jobs_without_cursors(configure(read_only), driver))


def test_a_journal_whose_readers_have_no_cursors_waits_for_the_storage(driver: StorageDriver) -> None:
    [job] = journal.jobs_without_cursors(configure(""), FailingDriver(driver, fail_at=1))
    with pytest.raises(JobFailedError, match="the journal waits for the storage"):
        job.run()


def test_it_keeps_the_lease(driver: StorageDriver) -> None:
    lease = Lease(driver, "journal", "me")
    [job] = journal.jobs(configure(""), driver, lease, ["ci"])

    job.run()

    assert lease.held()
    assert not Lease(driver, "journal", "other").held()
    assert job.interval_seconds < 10


def test_without_a_consumer_no_lease_is_taken_and_the_purge_lets_an_old_journal_go(driver: StorageDriver) -> None:
    assert jobs(driver, []) == []
    unread = partial(journal.trim_unread, driver, keep_seconds=24 * 3600)
    purging = partial(purge.jobs, Repositories(driver), also=[unread])

    for section in (UploadPurging(dryrun=True), UploadPurging()):
        assert entries(driver) == 2
        [job] = purging(section)
        job.run()
    assert entries(driver) == 0

    [job] = purging(UploadPurging())
    job.run()


def test_entries_stay_for_as_long_as_the_configuration_says(driver: StorageDriver) -> None:
    Cursors(driver).put("ci", Cursor("", time.time_ns()))
    [job] = jobs(driver, ["ci"], "notifications: {journal: {keep: 96h}}")

    job.run()

    assert entries(driver) == 2


def test_a_registry_that_is_read_only_leaves_it_alone(driver: StorageDriver) -> None:
    assert jobs(driver, ["ci"], "storage: {inmemory: {}, maintenance: {readonly: {enabled: true}}}") == []


def test_a_storage_that_fails_is_a_run_that_fails(driver: StorageDriver) -> None:
    [job] = jobs(FailingDriver(driver, fail_at=1), ["ci"])

    with pytest.raises(JobFailedError, match=r"the journal.*power lost"):
        job.run()
