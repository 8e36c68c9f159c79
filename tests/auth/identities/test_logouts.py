from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from auth.base import ControllerError, Grant, RecordsError
from auth.controllers.htpasswd import HtpasswdController
from auth.controllers.local import LocalController
from auth.identities.logouts import SEEN_SECONDS, Logouts
from drivers.inmemory import InMemoryDriver
from registry.storage.records import StorageRecords
from tests.auth.asking import request
from tests.auth.files import Clock, line
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from pathlib import Path

    from auth.base import AccessController


@pytest.fixture
def driver() -> FailingDriver:
    return FailingDriver(InMemoryDriver(), fail_at=0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def logouts_of(driver: FailingDriver, clock: Clock) -> Logouts:
    logouts = Logouts(clock, clock)
    logouts.keep(StorageRecords(driver))
    return logouts


def test_sessions_that_have_begun_before_end_and_later_ones_stand(driver: FailingDriver, clock: Clock) -> None:
    logouts = logouts_of(driver, clock)
    assert not logouts.ended("alice", clock.now)
    logouts.end("alice")
    assert logouts.ended("alice", clock.now)
    assert not logouts.ended("alice", clock.now + 0.001)
    assert not logouts.ended("bob", clock.now)


def test_other_hosts_know_within_seconds_and_do_not_ask_all_the_time(driver: FailingDriver, clock: Clock) -> None:
    here, there = logouts_of(driver, clock), logouts_of(driver, clock)
    begun = clock.now
    assert not there.ended("alice", begun)
    here.end("alice")
    calls = driver.calls
    assert not there.ended("alice", begun)
    assert driver.calls == calls
    clock.now += SEEN_SECONDS
    assert there.ended("alice", begun)
    assert SEEN_SECONDS <= 10


@pytest.mark.parametrize("user", ["a/b", "../x", "", "A", "ü", "\n", "x" * 5000, "\udc80"])
def test_users_may_be_called_anything(driver: FailingDriver, clock: Clock, user: str) -> None:
    logouts = logouts_of(driver, clock)
    logouts.end(user)
    assert logouts_of(driver, clock).ended(user, clock.now)
    assert not logouts.ended("a", clock.now)


def test_what_cannot_be_told_ends_no_session_silently_nor_lets_one_go_on(driver: FailingDriver, clock: Clock) -> None:
    logouts = logouts_of(driver, clock)
    logouts.end("alice")
    driver.fail_from_now_on()
    fresh = logouts_of(driver, clock)
    for ask in (lambda: fresh.ended("alice", 0), lambda: fresh.end("alice")):
        with pytest.raises(RecordsError):
            ask()
    driver.work_again()
    records = StorageRecords(driver)
    (name,) = records.names("logouts")
    records.put(name, b"{")
    with pytest.raises(ControllerError):
        fresh.ended("alice", 0)


def test_without_a_storage_nobody_logs_out_everywhere() -> None:
    assert not Logouts().ended("alice", 0)
    with pytest.raises(RecordsError):
        Logouts().end("alice")


@pytest.mark.parametrize("kind", [HtpasswdController, LocalController])
def test_controllers_end_sessions_everywhere(
    driver: FailingDriver, tmp_path: Path, kind: type[AccessController]
) -> None:
    (tmp_path / "htpasswd").write_text(line("alice", "wonderland"))
    path = str(tmp_path / "htpasswd")
    hosts = [kind.from_parameters({"realm": "r", "path": path, "htpasswd": path, "rules": []}) for _ in range(2)]
    for host in hosts:
        host.keep(StorageRecords(driver))
    here, there = (host.sign_in for host in hosts)
    assert here
    assert there
    grant: Grant = here.log_in(request(), "alice", b"wonderland")
    here.log_out_everywhere("alice")
    assert not here.stands(grant, 0.0)
    assert not there.stands(grant, 0.0)
    assert here.stands(grant, 4e9)
