from __future__ import annotations

import pytest

from auth.base import RecordsError
from auth.identities.ended_sessions import EndedSessions
from auth.identities.logouts import SEEN_SECONDS
from drivers.inmemory import InMemoryDriver
from registry.storage.records import StorageRecords
from tests.auth.files import Clock
from tests.drivers.failing import FailingDriver

LIFETIME = 43_200
DAY = 86_400


@pytest.fixture
def driver() -> FailingDriver:
    return FailingDriver(InMemoryDriver(), fail_at=0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sessions_of(driver: FailingDriver, clock: Clock) -> EndedSessions:
    sessions = EndedSessions(clock, clock)
    sessions.keep(StorageRecords(driver))
    return sessions


def test_one_session_ends_at_once_here_and_within_seconds_elsewhere(driver: FailingDriver, clock: Clock) -> None:
    here, there, begun = sessions_of(driver, clock), sessions_of(driver, clock), clock.now
    for host in (here, there):
        assert not host.has("-one_", begun)
    here.add("-one_", begun, LIFETIME)
    assert here.has("-one_", begun)
    assert not here.has("other", begun)
    calls = driver.calls
    assert not there.has("-one_", begun)
    assert driver.calls == calls
    clock.now += SEEN_SECONDS
    assert there.has("-one_", begun)
    calls = driver.calls
    clock.now += SEEN_SECONDS
    assert there.has("-one_", begun)
    assert driver.calls == calls


def test_records_of_sessions_that_can_be_good_no_longer_are_deleted(driver: FailingDriver, clock: Clock) -> None:
    clock.now = 20_000.5 * DAY
    here, records = sessions_of(driver, clock), StorageRecords(driver)
    for number in range(3):
        here.add(f"old-{number}", clock.now, LIFETIME)
    clock.now += DAY
    here.add("yesterday", clock.now, LIFETIME)
    assert len(list(records.names("ended"))) == 4
    clock.now += DAY + LIFETIME
    here.add("new", clock.now, LIFETIME)
    assert sorted(records.names("ended")) == ["ended/20001/yesterday", "ended/20003/new"]
    assert sessions_of(driver, clock).has("new", clock.now)


def test_a_storage_that_fails_ends_a_session_here_and_says_so(driver: FailingDriver, clock: Clock) -> None:
    here = sessions_of(driver, clock)
    driver.fail_from_now_on()
    with pytest.raises(RecordsError):
        here.has("one", clock.now)
    with pytest.raises(RecordsError):
        here.add("one", clock.now, LIFETIME)
    assert here.has("one", clock.now)


def test_without_a_storage_a_session_ends_here_alone() -> None:
    here = EndedSessions()
    assert not here.has("one", 0)
    with pytest.raises(RecordsError):
        here.add("one", 0, LIFETIME)
    assert here.has("one", 0)
