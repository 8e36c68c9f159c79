"""What the journal has is in the audit log soon, in one chain, whoever holds the lease and whatever fails."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from drivers.inmemory import InMemoryDriver
from registry.audit.consumer import NAME
from registry.audit.jobs import jobs
from registry.audit.segments import Segments
from registry.audit.verification import verify
from registry.config import Configuration
from registry.config.events import Audit
from registry.config.values import Maintenance, ReadOnly, Storage
from registry.jobs.job import JobFailedError
from registry.journal.cursors import Cursors
from registry.journal.entry import MANIFEST, PUSH, Entry
from registry.storage import paths
from tests.audit.logs import lines
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.jobs.job import Job


def configuration(*, readonly: bool = False, **section: Any) -> Configuration:
    maintenance = Maintenance(readonly=ReadOnly(enabled=readonly))
    return Configuration(
        "0.1", Storage("inmemory", {}, maintenance=maintenance), audit=Audit(**{"enabled": True, **section})
    )


def jobs_of(driver: StorageDriver, **section: Any) -> dict[str, Job]:
    found = jobs(configuration(**section), driver, held=lambda: True, hold_seconds=lambda: 0.0)
    return {job.name: job for job in found}


def append(driver: StorageDriver, *names: str, consumers: tuple[str, ...] = (NAME,)) -> None:
    log = driver.log(paths.JOURNAL)
    for name in names:
        log.append(Entry(name, PUSH, MANIFEST, consumers, repository="team/app").encode())


def recorded(driver: StorageDriver) -> list[str]:
    verdict = verify(driver, tell=lambda _: None)
    assert verdict.findings == []
    return [json.loads(line)["id"] for line in lines(driver)]


def test_what_the_journal_has_for_the_audit_log_is_added_to_it(driver: InMemoryDriver) -> None:
    job = jobs_of(driver)["audit"]
    append(driver, "a", "b")
    append(driver, "for another", consumers=("ci",))
    job.run()
    append(driver, "c")
    job.run()
    assert recorded(driver) == ["a", "b", "c"]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_log_that_was_removed_as_a_whole_is_missed_and_its_number_goes_on(
    driver: InMemoryDriver, caplog: pytest.LogCaptureFixture, *, restarted: bool
) -> None:
    job = jobs_of(driver)["audit"]
    append(driver, "a", "b", "c")
    job.run()
    driver.delete(paths.AUDIT)
    found = verify(driver, tell=lambda _: None).findings
    assert [str(each) for each in found][1:] == ["lines 1 to 3 are missing at the end"]
    append(driver, "d")
    for _ in range(2):
        (jobs_of(driver)["audit"] if restarted else job).run()
    assert "the audit log was removed, which had come to line 3" in caplog.text
    assert [(line["id"], line["seq"]) for line in map(json.loads, lines(driver))] == [("d", 4)]
    found = verify(driver, tell=lambda _: None).findings
    assert [str(each) for each in found] == ["lines 1 to 3 are missing at the beginning"]


def test_an_end_that_was_cut_off_while_the_server_runs_is_missed(driver: InMemoryDriver) -> None:
    job = jobs_of(driver)["audit"]
    append(driver, "a")
    job.run()
    kept = {path: driver.get(path, limit=10**6) for path in (paths.AUDIT_HEAD, next(Segments(driver).all()).path)}
    append(driver, "b")
    job.run()
    for path, content in kept.items():
        driver.put(path, content)
    append(driver, "c")
    for _ in range(2):
        job.run()
    assert [(line["id"], line["seq"]) for line in map(json.loads, lines(driver))] == [("a", 1), ("c", 3)]
    assert verify(driver, tell=lambda _: None).findings


def test_thousands_of_entries_are_added_in_one_run(driver: InMemoryDriver) -> None:
    names = [f"entry-{number}" for number in range(1700)]
    append(driver, *names)
    jobs_of(driver)["audit"].run()
    assert recorded(driver) == names


def test_the_journal_knows_what_is_not_needed_any_more(driver: InMemoryDriver) -> None:
    append(driver, "a")
    jobs_of(driver)["audit"].run()
    cursor = Cursors(driver).get(NAME)
    assert cursor
    assert cursor.through_ns > 0
    again = driver.log(paths.JOURNAL).after(cursor.position, before_ns=2**62, limit=10)
    assert again.records == []


def test_an_endpoint_called_audit_is_another_consumer(driver: InMemoryDriver) -> None:
    append(driver, "of an endpoint", consumers=("audit",))
    jobs_of(driver)["audit"].run()
    assert lines(driver) == []


def test_who_does_not_hold_the_lease_writes_nothing(driver: InMemoryDriver) -> None:
    append(driver, "a")
    (job,) = jobs(configuration(), driver, held=lambda: False, hold_seconds=lambda: 0.0)
    job.run()
    assert lines(driver) == []


@pytest.mark.parametrize("section", [{"enabled": False}, {"readonly": True}])
def test_where_it_is_off_or_must_not_write_there_is_no_job(driver: InMemoryDriver, section: dict[str, Any]) -> None:
    assert jobs_of(driver, **section, stdout=True) == {}


def test_each_output_is_a_job_of_its_own(driver: InMemoryDriver) -> None:
    assert [*jobs_of(driver, stdout=True, syslog="udp://siem.example")] == ["audit", "audit_stdout", "audit_syslog"]


def test_an_output_is_told_from_the_first_line_of_its_first_run_on(
    driver: InMemoryDriver, capfd: pytest.CaptureFixture[str]
) -> None:
    append(driver, "before")
    jobs_of(driver)["audit"].run()
    append(driver, "after")
    found = jobs_of(driver, stdout=True)
    found["audit_stdout"].run()
    found["audit"].run()
    found["audit_stdout"].run()
    assert [json.loads(line)["id"] for line in capfd.readouterr().out.splitlines()] == ["after"]


@pytest.mark.parametrize("seed", range(20))
def test_two_that_both_hold_the_lease_write_one_chain_with_each_entry_once(seed: int) -> None:
    driver, choose = InMemoryDriver(), random.Random(seed)
    leaders = [_Interrupted(driver, choose), _Interrupted(driver, choose)]
    writers = [jobs_of(leader)["audit"] for leader in leaders]
    names = [f"entry-{number}" for number in range(60)]
    for first in range(0, 60, 3):
        append(driver, *names[first : first + 3])
        for leader, other in (leaders, leaders[::-1]):
            other_job = writers[leaders.index(other)]
            leader.rival = other_job.run
        choose.choice(writers).run()
    for leader, writer in zip(leaders, writers, strict=True):
        leader.rival = None
        writer.run()
    assert recorded(driver) == names


class _Interrupted(FailingDriver):
    """Lets a rival run before some of its calls that write."""

    def __init__(self, inner: StorageDriver, choose: random.Random) -> None:
        super().__init__(inner, fail_at=0)
        self.rival: Any = None
        self._choose = choose

    def count(self) -> None:
        super().count()
        rival, self.rival = self.rival, None
        if rival and self._choose.random() < 0.7:
            rival()


def run_for_ever(job: Job) -> None:
    while True:
        job.run()


def test_while_the_storage_fails_nothing_is_lost(driver: InMemoryDriver) -> None:
    storage = FailingDriver(driver, fail_at=0)
    job = jobs_of(storage)["audit"]
    append(driver, "a")
    job.run()
    for number in range(1, 8):
        append(driver, f"entry-{number}")
        storage.fail_at_call(number)
        with pytest.raises(JobFailedError, match="the audit log waits for the storage"):
            run_for_ever(job)
        storage.work_again()
    job.run()
    assert recorded(driver) == ["a", *(f"entry-{number}" for number in range(1, 8))]
