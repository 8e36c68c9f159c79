"""A start, a changed configuration and a changed file are recorded, without any of what is secret in them."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from registry.audit.consumer import NAME
from registry.audit.watching import jobs
from registry.config.loading import parse
from registry.jobs.job import JobFailedError
from registry.journal.entry import Entry, Instance
from registry.journal.reader import Reader
from registry.storage import paths
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.inmemory import InMemoryDriver
    from registry.jobs.job import Job

RULES = "rules: [{repositories: '**', anonymous: [pull]}]\n"


class Host:
    """A host whose server is started, configured and looked at."""

    def __init__(self, driver: InMemoryDriver, directory: Path) -> None:
        self.driver = FailingDriver(driver, fail_at=0)
        self.directory = directory
        self.server, self.reloads = "", 0
        (directory / "rules.yml").write_text(RULES)
        driver.put(paths.blob_prefixes("sha256"), b"the storage holds something")

    def start(self, more: str = "", password: str = "hunter2") -> Job:
        self.server, self.reloads = str(uuid.uuid4()), 0
        return self.job(more, password)

    def read_again(self, more: str = "", password: str = "hunter2") -> Job:
        self.reloads += 1
        return self.job(more, password)

    def job(self, more: str = "", password: str = "hunter2", *, enabled: bool = True) -> Job:
        text = (
            f"version: 0.1\nstorage: {{inmemory: {{}}}}\n"
            f"redis: {{addrs: ['localhost:6379'], password: {password}}}\n"
            f"auth: {{local: {{rules: {self.directory}/rules.yml, htpasswd: {self.directory}/htpasswd}}}}\n"
            f"audit: {{enabled: {str(enabled).lower()}}}\n{more}"
        )
        configuration = parse(text, "config.yml", {})
        (job,) = jobs(configuration, self.driver, Instance("host:5000", self.server), self.reloads)
        return job

    def entries(self) -> list[tuple[str, str, dict[str, Any]]]:
        reader = Reader(self.driver.log(paths.JOURNAL), NAME, hold_seconds=lambda: 0)
        found: list[Entry] = [each.entry for each in reader.page("", limit=100).entries]
        return [(each.action, each.kind, dict(each.details)) for each in found]


@pytest.fixture
def host(driver: InMemoryDriver, tmp_path: Path) -> Host:
    return Host(driver, tmp_path)


def test_a_start_is_recorded_once_also_if_another_process_is_elected(host: Host) -> None:
    host.start().run()
    host.job().run()
    job = host.job()
    job.run()
    job.run()
    ((action, kind, details),) = host.entries()
    assert (action, kind, [*details]) == ("start", "registry", ["version"])


def test_each_start_is_recorded(host: Host) -> None:
    host.start().run()
    host.start().run()
    assert [entry[0] for entry in host.entries()] == ["start", "start"]


def test_a_change_of_the_configuration_is_recorded_by_its_keys(host: Host) -> None:
    host.start().run()
    host.read_again("log: {level: debug}\nhttp: {draintimeout: 5s}\n").run()
    assert host.entries()[1:] == [("configure", "configuration", {"changed": "http.draintimeout, log.level"})]


OFF_AND_ON = [
    ("configure", "configuration", {"changed": "audit.enabled"}),
    ("configure", "configuration", {"changed": "audit.enabled"}),
]


def test_switching_the_audit_log_off_and_on_is_recorded(host: Host) -> None:
    host.start().run()
    host.reloads = 1
    host.job(enabled=False).run()
    assert host.entries()[1:] == OFF_AND_ON[:1]
    (host.directory / "rules.yml").write_text(RULES + "groups: {}\n")
    host.reloads = 2
    host.job(enabled=False).run()
    assert host.entries()[1:] == OFF_AND_ON[:1]
    host.read_again().run()
    assert host.entries()[1:3] == OFF_AND_ON
    assert [details["key"] for _, kind, details in host.entries()[3:] if kind == "file"] == ["auth.local.rules"]


def test_switching_it_off_for_a_moment_in_which_nobody_looks_is_recorded(host: Host) -> None:
    host.start().run()
    host.read_again()
    host.read_again().run()
    assert host.entries()[1:] == [("configure", "configuration", {})]


def test_a_start_without_it_is_recorded_after_one_with_it(host: Host) -> None:
    for enabled in (True, False, False, True):
        host.server = str(uuid.uuid4())
        host.job(enabled=enabled).run()
    assert [(action, details.get("changed")) for action, _, details in host.entries()] == [
        ("start", None),
        ("start", "audit.enabled"),
        ("start", "audit.enabled"),
    ]


def test_a_registry_that_never_had_one_writes_nothing(host: Host) -> None:
    before = host.driver.list(paths.ROOT, limit=100)
    job = host.job(enabled=False)
    assert job.run() == 24 * 3600
    assert (host.driver.list(paths.ROOT, limit=100), host.entries()) == (before, [])


def test_switching_it_on_for_the_first_time_is_a_change_and_no_start(host: Host) -> None:
    host.reloads = 1
    host.job().run()
    ((action, kind, details),) = host.entries()
    assert (action, kind, details) == ("configure", "configuration", {"changed": "audit.enabled"})


def test_what_was_changed_while_the_server_was_stopped_is_recorded_with_its_start(host: Host) -> None:
    host.start().run()
    (host.directory / "rules.yml").write_text(RULES + "groups: {}\n")
    host.start("log: {level: debug}\n").run()
    start, file = host.entries()[1:]
    assert (start[0], start[2]["changed"]) == ("start", "log.level")
    assert (file[0], file[1], file[2]["key"]) == ("configure", "file", "auth.local.rules")


def test_a_secret_that_is_changed_is_recorded_and_never_the_secret(host: Host) -> None:
    host.start().run()
    host.read_again(password="correct horse").run()
    assert host.entries()[1:] == [("configure", "configuration", {"changed": "redis.password"})]
    stored = b"".join(
        host.driver.get(f"{paths.AUDIT}/seen/{name}", limit=10**6)
        for name in host.driver.list(f"{paths.AUDIT}/seen", limit=10)
    )
    assert stored
    for secret in (b"hunter2", b"correct horse"):
        assert secret not in stored


def test_a_file_that_changes_is_recorded_when_it_does(host: Host) -> None:
    job = host.start()
    job.run()
    (host.directory / "htpasswd").write_text("alice:x\n")
    job.run()
    job.run()
    (host.directory / "htpasswd").write_text("alice:yy\n")
    job.run()
    (host.directory / "htpasswd").unlink()
    job.run()
    (host.directory / "htpasswd").write_text("alice:yy\n")
    job.run()
    changed = [details for action, kind, details in host.entries() if kind == "file"]
    assert [each["key"] for each in changed] == ["auth.local.htpasswd"] * 4
    first, second, gone, back = (each["sha256"] for each in changed)
    assert (first != second, gone, back) == (True, "none", second)
    assert "alice" not in str(host.entries())


def test_nothing_is_written_to_a_storage_that_holds_nothing(driver: InMemoryDriver, tmp_path: Path) -> None:
    host = Host(driver, tmp_path)
    driver.delete(paths.ROOT)
    host.start().run()
    assert host.entries() == []


def test_a_start_is_recorded_when_the_storage_is_back(host: Host) -> None:
    job = host.start()
    host.driver.fail_from_now_on()
    with pytest.raises(JobFailedError):
        job.run()
    host.driver.work_again()
    job.run()
    assert [entry[0] for entry in host.entries()] == ["start"]


def test_a_crash_between_the_record_and_the_note_of_it_repeats_it_and_never_loses_it(host: Host) -> None:
    job = host.start()
    for number in range(1, 8):
        host.driver.fail_at_call(number)
        with suppress(JobFailedError):
            job.run()
        host.driver.work_again()
    assert {entry[0] for entry in host.entries()} == {"start"}
