from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.base import UnavailableError
from registry.config.quotas import Quota
from registry.jobs import quotas as counting
from registry.jobs.job import JobFailedError
from registry.oci.digest import Digest
from registry.publishing import Operator, Publishing
from registry.quota.allowance import Quotas
from registry.quota.counter import Counter
from registry.quota.groups import Groups
from registry.quota.ledger import Ledger
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.content import chunk

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from drivers.inmemory import InMemoryDriver
    from registry.jobs.job import Job

LIMIT = 1000


@pytest.fixture(autouse=True)
def nobody_else_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "WRITTEN_SECONDS", 0.0)


def push(driver: StorageDriver, name: str, content: bytes) -> None:
    """Push as a registry without quotas."""
    repository = Repositories(driver).open(name)
    publishing = Publishing(ValidationPolicy(), Operator())
    publishing.finish_upload(repository, repository.uploads.start(), chunk(content), Digest.of(content))


def job_of(driver: StorageDriver, *patterns: str) -> tuple[Job, Quotas]:
    quotas = Quotas(Groups([Quota(pattern, LIMIT) for pattern in patterns]), Counter(Ledger(driver)))
    (job,) = counting.jobs(driver, quotas)
    return job, quotas


def used(quotas: Quotas) -> list[int]:
    return [quotas.counter.read(group) for group in quotas.groups]


def test_there_is_no_job_without_quotas(driver: StorageDriver) -> None:
    assert list(counting.jobs(driver, None)) == []


def test_what_was_there_before_the_quota_is_counted_at_once(driver: StorageDriver) -> None:
    push(driver, "team/a", bytes(300))
    job, quotas = job_of(driver, "team/**")

    job.run()

    assert used(quotas) == [300]


def test_it_is_not_counted_again_while_the_count_is_young(driver: StorageDriver) -> None:
    push(driver, "team/a", bytes(300))
    job, quotas = job_of(driver, "team/**")
    job.run()
    push(driver, "team/a", b"x" * 100)

    job.run()

    assert used(quotas) == [300]


@pytest.mark.parametrize(
    ("age_seconds", "size", "expected"), [("_COUNTED_SECONDS", 300, 400), ("_FULL_SECONDS", LIMIT, 1100)]
)
def test_it_is_counted_again_after_a_day_and_when_it_is_full_after_an_hour(
    driver: StorageDriver, monkeypatch: pytest.MonkeyPatch, age_seconds: str, size: int, expected: int
) -> None:
    push(driver, "team/a", bytes(size))
    monkeypatch.setattr("registry.jobs.quotas.random.uniform", lambda *_: 0.0)
    job, quotas = job_of(driver, "team/**")
    job.run()
    push(driver, "team/a", b"x" * 100)
    monkeypatch.setattr(counting, age_seconds, -1.0)

    job.run()

    assert used(quotas) == [expected]


def test_a_new_pattern_has_those_counted_from_which_it_takes_repositories(driver: StorageDriver) -> None:
    push(driver, "team/a", bytes(300))
    push(driver, "team/b", bytes(200))
    job_of(driver, "team/**")[0].run()

    job, quotas = job_of(driver, "team/**", "team/b")
    job.run()

    assert used(quotas) == [300, 200]


def test_nothing_is_written_to_a_storage_that_holds_nothing(driver: InMemoryDriver) -> None:
    job_of(driver, "team/**")[0].run()

    assert driver.list("/registry", limit=1) == []


def test_a_storage_that_does_not_answer_fails_the_run(driver: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    push(driver, "team/a", bytes(300))
    job, _ = job_of(driver, "team/**")

    def refuse(*_: object) -> None:
        raise UnavailableError("the disk is asleep")

    monkeypatch.setattr(driver, "walk", refuse)
    with pytest.raises(JobFailedError, match="quotas are not counted: the disk is asleep"):
        job.run()


def test_labels_of_quotas_lie_beside_the_tree_of_the_go_registry(driver: StorageDriver) -> None:
    push(driver, "team/a", bytes(300))
    job_of(driver, "team/**")[0].run()

    assert driver.list(paths.USAGE, limit=10) == [paths.label("team/**")]
