from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.config.retention import Keep, Retention, RetentionRule, Untagged
from registry.config.values import Configuration, Maintenance, ReadOnly, Storage, UploadPurging
from registry.jobs.job import Job, JobFailedError
from registry.journal.entry import Entry, Instance
from registry.journal.recorder import Recorder
from registry.publishing import Publishing
from registry.retention.history import begin, read_since
from registry.retention.jobs import Meter, RetentionOperator, jobs
from registry.retention.reports import Reports
from registry.retention.rules import untagged_keepfor
from registry.server.periodic import periodic_jobs
from registry.services import build_services
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.drivers.failing import FailingDriver
from tests.retention.stores import DAY, NOW, DatedDriver, of_rule, push, tags
from tests.test_telling import Everything

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver

APP = "team/app"
ON = replace(of_rule(Keep(newest=1)), enabled=True, dryrun=False)


def jobs_of(
    driver: StorageDriver,
    section: Retention,
    *,
    readonly: bool = False,
    stopping: bool = False,
    meter: Meter | None = None,
) -> dict[str, Job]:
    maintenance = Maintenance(retention=section, readonly=ReadOnly(enabled=readonly))
    configuration = Configuration("0.1", Storage("inmemory", {}, maintenance=maintenance))
    recorder = Recorder(InMemoryDriver().log(paths.JOURNAL), [Everything()], Instance())
    publishing = Publishing(ValidationPolicy(), RetentionOperator(), recorder)
    made = jobs(configuration, driver, Repositories(driver), publishing, stopping=lambda: stopping, meter=meter)
    return {job.name: job for job in made}


class Counts:
    """Notes what is counted."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, int]] = []

    def retention_ended(self, result: str, untagged: int = 0) -> None:
        self.ended.append((result, untagged))


def filled() -> DatedDriver:
    driver = DatedDriver()
    for age in (3, 2, 1):
        push(driver, APP, f"v{age}", age=age * DAY)
    driver.now = time.time()
    return driver


def test_it_runs_once_in_an_interval_on_whatever_host() -> None:
    driver = filled()

    pause = jobs_of(driver, ON)["retention"].run()

    assert tags(driver, APP) == {"v1"}
    assert pause is not None
    assert ON.interval_seconds - 60 < pause <= ON.interval_seconds
    push(driver, APP, "v0")
    other = jobs_of(driver, ON)["retention"]
    other.run()
    assert tags(driver, APP) == {"v0", "v1"}
    jobs_of(driver, replace(ON, interval_seconds=1e-9))["retention"].run()
    assert tags(driver, APP) == {"v0"}


@pytest.mark.parametrize(("ahead", "left"), [(-2 * DAY, 1), (-DAY / 2, 3), (30, 3), (365 * DAY, 1)])
def test_run_is_due_an_interval_after_the_last_one_and_at_once_if_that_lies_in_the_future(
    ahead: float, left: int
) -> None:
    driver = filled()
    driver.now = time.time() + ahead
    Reports(driver).begin("host", scheduled=True)
    driver.now = time.time()

    pause = jobs_of(driver, ON)["retention"].run()

    assert len(tags(driver, APP)) == left
    assert pause is not None
    assert DAY / 2 - 60 < pause <= DAY


def test_storage_whose_clock_is_fast_has_no_run_after_another() -> None:
    driver = filled()
    driver.now = time.time() + DAY

    pause = jobs_of(driver, ON)["retention"].run()

    assert pause == ON.interval_seconds


def test_listeners_are_told_who_took_a_tag_away_and_where_it_pointed() -> None:
    driver, log = filled(), InMemoryDriver().log(paths.JOURNAL)
    recorder = Recorder(log, [Everything()], Instance())
    configuration = Configuration("0.1", Storage("inmemory", {}, maintenance=Maintenance(retention=ON)))
    publishing = Publishing(ValidationPolicy(), RetentionOperator(), recorder)
    (job,) = jobs(configuration, driver, Repositories(driver), publishing, stopping=lambda: False)

    job.run()

    told = [Entry.decode(record.content) for record in log.after("", before_ns=2**62, limit=10).records]
    assert [(each.action, each.kind, *each.tags, each.origin.actor) for each in told] == [
        ("delete", "tag", "v2", "registry retention"),
        ("delete", "tag", "v3", "registry retention"),
    ]


def test_dry_run_says_what_would_go_and_takes_nothing_away() -> None:
    driver = filled()

    jobs_of(driver, replace(ON, dryrun=True))["retention"].run()

    assert tags(driver, APP) == {"v1", "v2", "v3"}
    (report,) = Reports(driver).all()
    assert (report.dry_run, report.scheduled, report.untagged) == (True, True, 2)
    assert [each.tag for each in Reports(driver).tags(1)] == ["v2", "v3"]
    repository = Repositories(driver).open(APP)
    assert all(driver.stat(paths.revision_link(APP, each)).modified < NOW for each in repository.manifests.digests())


def test_runs_and_the_tags_that_they_take_away_are_counted() -> None:
    counts = Counts()

    jobs_of(filled(), replace(ON, dryrun=True), meter=counts)["retention"].run()
    jobs_of(filled(), ON, stopping=True, meter=counts)["retention"].run()
    jobs_of(filled(), ON, meter=counts)["retention"].run()
    calls = FailingDriver(filled(), fail_at=0)
    jobs_of(calls, ON)["retention"].run()
    with pytest.raises(JobFailedError):
        jobs_of(FailingDriver(filled(), fail_at=calls.calls), ON, meter=counts)["retention"].run()

    assert counts.ended == [("dry_run", 0), ("stopped", 0), ("done", 2), ("failed", 2)]


def test_what_a_person_has_run_does_not_count_as_the_run_of_the_interval() -> None:
    driver = filled()
    Reports(driver).begin("host")

    jobs_of(driver, ON)["retention"].run()

    assert tags(driver, APP) == {"v1"}


def test_run_ends_when_the_server_stops() -> None:
    driver = filled()

    jobs_of(driver, ON, stopping=True)["retention"].run()

    assert tags(driver, APP) == {"v1", "v2", "v3"}


def test_storage_that_fails_is_told_in_a_line() -> None:
    with pytest.raises(JobFailedError, match="broke off: power lost"):
        jobs_of(FailingDriver(filled(), fail_at=1), ON)["retention"].run()


@pytest.mark.parametrize(
    ("section", "readonly", "names"),
    [
        (Retention(), False, []),
        (Retention(enabled=True), False, []),
        (replace(ON, enabled=False), False, []),
        (ON, True, []),
        (ON, False, ["retention"]),
        (of_rule(Keep(pulledwithin_seconds=DAY)), False, ["pulls"]),
        (of_rule(Keep(pulledwithin_seconds=DAY)), True, ["pulls"]),
    ],
)
def test_jobs_are_those_that_the_configuration_asks_for(
    section: Retention, names: list[str], *, readonly: bool
) -> None:
    assert list(jobs_of(filled(), section, readonly=readonly)) == names


def test_since_when_pulls_are_noted_is_said_once() -> None:
    driver = filled()
    job = jobs_of(driver, of_rule(Keep(pulledwithin_seconds=DAY)))["pulls"]
    job.run()
    since = read_since(driver)
    job.run()

    assert since is not None
    assert since == read_since(driver)
    assert abs(since - time.time()) < 60
    with pytest.raises(JobFailedError):
        jobs_of(FailingDriver(filled(), fail_at=1), of_rule(Keep(pulledwithin_seconds=DAY)))["pulls"].run()


@pytest.mark.parametrize("name", ["retention", "pulls"])
def test_nothing_is_written_to_a_storage_without_content(name: str) -> None:
    driver = DatedDriver()
    section = replace(of_rule(Keep(pulledwithin_seconds=DAY)), enabled=True, dryrun=False)
    job = jobs_of(driver, section)[name]

    assert job.run() == 10
    assert driver.list("/registry", limit=10) == []
    push(driver, APP, "v1")
    job.run()
    assert driver.list("/registry", limit=10) == [name]


@pytest.mark.parametrize("readonly", [True, False])
def test_server_without_a_rule_that_asks_for_pulls_forgets_them_whatever_else_it_does(
    tmp_path: Path, *, readonly: bool
) -> None:
    driver = FilesystemDriver(str(tmp_path))
    maintenance = Maintenance(readonly=ReadOnly(enabled=readonly), uploadpurging=UploadPurging(enabled=False))
    services = build_services(Configuration("0.1", Storage("filesystem", {}, maintenance=maintenance)), driver=driver)
    begin(driver, time.time())
    (job,) = (job for job in periodic_jobs(services) if job.name == "pulls")

    for _ in range(2):
        job.run()
        assert read_since(driver) is None
        assert driver.list(paths.PULLS, limit=1) == []
    services.close()


def test_pulls_that_cannot_be_forgotten_are_told_of_in_a_line(tmp_path: Path) -> None:
    driver = FilesystemDriver(str(tmp_path))
    begin(driver, time.time())
    with pytest.raises(JobFailedError, match=r"no rule of this server asks for pulls.*: power lost"):
        jobs_of(FailingDriver(driver, fail_at=2), Retention())["pulls"].run()


def test_how_long_untagged_manifests_are_kept_is_said_by_the_rule_of_a_repository() -> None:
    rules = (
        RetentionRule(("ci/**",), untagged=Untagged(DAY)),
        RetentionRule(("ci/keep",), (Keep(newest=1),)),
    )
    section = Retention(enabled=True, dryrun=False, rules=rules)

    assert [untagged_keepfor(section)(name) for name in ("ci/app", "ci/keep", "other")] == [DAY, None, None]
    for off in (replace(section, enabled=False), replace(section, dryrun=True)):
        assert untagged_keepfor(off)("ci/app") is None


def test_storage_error_is_not_swallowed_by_a_run() -> None:
    with pytest.raises(DriverError):
        list(Reports(FailingDriver(filled(), fail_at=1)).all())
