from __future__ import annotations

import multiprocessing
import time
from datetime import UTC, datetime, timedelta

import pytest

from drivers.inmemory import InMemoryDriver
from registry.config.values import UploadPurging
from registry.jobs.board import JobBoard
from registry.jobs.purge import jobs, purge
from registry.jobs.runner import Elections, Runner
from registry.oci.errors import BlobUploadUnknownError
from registry.storage import paths
from registry.storage.repository import Repositories

AGE = timedelta(days=7)
UPLOAD_ID = "0b9aa6ee-0000-4000-8000-000000000000"


def repositories_with_uploads(*ages: timedelta) -> tuple[Repositories, list[str]]:
    driver = InMemoryDriver()
    repositories = Repositories(driver)
    ids = []
    for age in ages:
        upload_id = repositories.open("team/app").uploads.start().upload_id
        started = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        driver.put(paths.upload_started_at("team/app", upload_id), started)
        ids.append(upload_id)
    return repositories, ids


def test_purge_deletes_uploads_past_their_age_and_no_others() -> None:
    repositories, (old, young) = repositories_with_uploads(AGE + timedelta(minutes=1), AGE - timedelta(minutes=1))

    purged = purge(repositories, UploadPurging(age_seconds=AGE.total_seconds()))

    uploads = repositories.open("team/app").uploads
    assert purged == 1
    assert uploads.status(young).offset == 0
    with pytest.raises(BlobUploadUnknownError):
        uploads.status(old)


def test_dry_run_counts_and_deletes_nothing() -> None:
    repositories, (old,) = repositories_with_uploads(2 * AGE)

    purged = purge(repositories, UploadPurging(age_seconds=AGE.total_seconds(), dryrun=True))

    assert purged == 1
    assert repositories.open("team/app").uploads.status(old).offset == 0


def test_upload_that_does_not_say_when_it_started_is_left_alone() -> None:
    driver = InMemoryDriver()
    driver.create_upload(paths.upload_data("app", UPLOAD_ID))

    assert purge(Repositories(driver), UploadPurging(age_seconds=0)) == 0


def test_what_a_crash_has_left_of_an_upload_is_purged_when_it_has_been_seen_for_as_long_as_uploads_may_stay() -> None:
    driver = InMemoryDriver()
    driver.put(paths.upload_verified("app", UPLOAD_ID), b"x")
    repositories = Repositories(driver)

    assert purge(repositories, UploadPurging(age_seconds=-60, dryrun=True)) == 0
    assert purge(repositories, UploadPurging(age_seconds=-60, dryrun=True)) == 0
    for _ in range(2):
        assert purge(repositories, UploadPurging(age_seconds=60)) == 0
    assert driver.list(paths.uploads("app"), limit=9) == [UPLOAD_ID]
    assert purge(repositories, UploadPurging(age_seconds=-60)) == 1
    assert driver.list(paths.uploads("app"), limit=9) == []


def test_a_purge_does_not_change_when_an_upload_started_that_starts_at_the_same_time() -> None:
    driver = InMemoryDriver()
    uploads = Repositories(driver).open("app").uploads
    started_at = uploads.start(upload_id=UPLOAD_ID).started_at

    uploads.date(UPLOAD_ID)

    assert uploads.status(UPLOAD_ID).started_at == started_at


def purge_without_being_asked() -> None:
    repositories, _ = repositories_with_uploads(2 * AGE)
    deadline = time.monotonic() + 60
    section = UploadPurging(age_seconds=AGE.total_seconds(), interval_seconds=0.01)
    Runner(jobs(repositories, section), Elections(), JobBoard(), None, lambda: False).start()
    while list(repositories.abandoned_uploads(before=datetime.now(UTC))):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_elected_process_purges_without_being_asked() -> None:
    # In a process of its own, for the thread that purges never ends.
    process = multiprocessing.get_context("spawn").Process(target=purge_without_being_asked)
    process.start()
    process.join()

    assert process.exitcode == 0
