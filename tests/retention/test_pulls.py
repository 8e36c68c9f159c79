from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.config.retention import Keep, Retention
from registry.config.values import Configuration, Maintenance, Storage
from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import Digest
from registry.retention import history, pulls
from registry.retention.history import History, dump
from registry.retention.pulls import LastPulls
from registry.services import build_services
from registry.storage import paths
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.handlers.pushing import push_image
from tests.retention.stores import DAY, NOW, DatedDriver, of_rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.base import StorageDriver
    from registry.services import Services

HOUR = int(NOW) // 3600
APP = "team/app"
DIGEST = str(Digest.of(b"an image"))
Row = tuple[str, str, int]


def read(driver: StorageDriver, now: float = NOW) -> tuple[History, set[Row]]:
    connection = temporary_database(history.TABLES)
    found = History(driver, connection)
    found.read(now)
    return found, set(connection.execute("SELECT repository, reference, hour FROM pull"))


def batch(driver: StorageDriver, number: int, rows: Iterable[Row], *, lost: bool = False) -> None:
    driver.put(paths.pulls_batch("20231114", f"host-{number}-{number:020}"), dump(rows, lost=lost))


def noting(driver: DatedDriver, since: float = NOW - 1e6) -> DatedDriver:
    driver.now = since
    history.begin(driver, since)
    driver.now = NOW
    return driver


def fold(driver: StorageDriver, now: float = NOW, keep_seconds: float = 1e9) -> None:
    read(driver, now)[0].fold(now, keep_seconds)


def services(driver: StorageDriver, section: Retention) -> Services:
    storage = Storage("inmemory", {}, maintenance=Maintenance(retention=section))
    return build_services(Configuration("0.1", storage), driver=driver)


ASKING = of_rule(Keep(pulledwithin_seconds=3600.0))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("by_tag", [True, False])
def test_manifest_that_a_client_asks_for_is_noted_by_what_it_was_asked_for_and_digest(
    method: str, *, by_tag: bool
) -> None:
    driver = InMemoryDriver()
    made = services(driver, ASKING)
    client = create_app(made).test_client()
    digest = str(push_image(client, APP, "v1"))
    assert read(driver)[1] == set()

    client.open(f"/v2/{APP}/manifests/{'v1' if by_tag else digest}", method=method)
    made.close()

    found = read(driver)[1]
    assert {(repository, reference) for repository, reference, _ in found} == {(APP, digest)} | (
        {(APP, "v1")} if by_tag else set()
    )
    assert all(time.time() - 7200 < hour * 3600 <= time.time() for _, _, hour in found)


def test_client_that_has_the_manifest_already_uses_it_still() -> None:
    driver = InMemoryDriver()
    made = services(driver, ASKING)
    client = create_app(made).test_client()
    digest = push_image(client, APP, "v1")

    answer = client.get(f"/v2/{APP}/manifests/v1", headers={"If-None-Match": f'"{digest}"'})
    made.close()

    assert answer.status_code == 304
    assert {reference for _, reference, _ in read(driver)[1]} == {"v1", str(digest)}


def test_where_no_rule_asks_for_pulls_nothing_is_noted() -> None:
    assert services(InMemoryDriver(), of_rule(Keep(newest=1))).last_pulls is None
    assert services(InMemoryDriver(), Retention()).last_pulls is None


def test_what_cannot_be_written_is_noted_still() -> None:
    inner = InMemoryDriver()
    failing = FailingDriver(inner, fail_at=1)
    noted = LastPulls(failing)
    noted.note(APP, "v1", DIGEST)
    with pytest.raises(DriverError):
        noted.write()
    noted.note(APP, "v2", DIGEST)
    failing.work_again()

    noted.write()
    noted.write()

    assert {reference for _, reference, _ in read(inner)[1]} == {"v1", "v2", DIGEST}
    assert len(inner.list(paths.PULLS, limit=10)) == 1


def test_memory_of_what_cannot_be_written_is_bounded_and_what_is_lost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulls, "MOST", 10)
    driver = noting(DatedDriver())
    noted = LastPulls(driver)
    for number in range(100):
        noted.note(APP, f"t{number}", DIGEST)

    noted.write()
    found, rows = read(driver)

    assert 10 <= len(rows) <= 11
    assert not found.reaches(NOW - 1)


def test_pulls_are_known_from_when_they_were_noted_on() -> None:
    driver = DatedDriver()
    assert not read(driver)[0].reaches(NOW)
    history.begin(driver, NOW)
    history.begin(driver, NOW + 100)

    found = read(driver)[0]

    assert found.reaches(NOW)
    assert not found.reaches(NOW - 1)


def test_server_that_notes_no_pulls_makes_them_unknown() -> None:
    driver = noting(DatedDriver())
    batch(driver, 1, [(APP, "v1", HOUR)])
    fold(driver)

    history.forget(driver)
    history.forget(driver)

    found, rows = read(driver)
    assert (found.reaches(NOW), rows) == (False, set())
    assert driver.list(paths.PULLS, limit=10) == []


def test_folding_keeps_the_latest_pull_of_each_and_leaves_one_object() -> None:
    driver = noting(DatedDriver())
    for number in range(3):
        batch(driver, number, [(APP, "v1", HOUR - number), (APP, f"t{number}", HOUR - 9)])
    fold(driver)
    batch(driver, 7, [(APP, "v1", HOUR - 5), (APP, "t1", HOUR)])
    fold(driver)

    assert read(driver)[1] == {(APP, "v1", HOUR), (APP, "t0", HOUR - 9), (APP, "t1", HOUR), (APP, "t2", HOUR - 9)}
    assert driver.list(paths.PULLS, limit=10) == ["folded", "since"]
    assert len(driver.list(paths.PULLS_FOLDED, limit=10)) == 1


def test_what_is_too_old_to_be_asked_for_is_folded_away_and_then_not_known() -> None:
    driver = noting(DatedDriver())
    batch(driver, 1, [(APP, "old", HOUR - 11), (APP, "new", HOUR - 9)])

    fold(driver, keep_seconds=10 * 3600)
    fold(driver, keep_seconds=1e9)

    found, rows = read(driver)
    assert rows == {(APP, "new", HOUR - 9)}
    assert found.reaches((HOUR - 9) * 3600)
    assert not found.reaches((HOUR - 11) * 3600)


def filled() -> DatedDriver:
    """Return a storage with pulls that were folded, and others that were not yet."""
    driver = noting(DatedDriver())
    batch(driver, 1, [(APP, "v1", HOUR - 1)])
    fold(driver)
    batch(driver, 2, [(APP, "v2", HOUR)])
    return driver


def test_folding_that_breaks_off_at_any_call_loses_nothing() -> None:
    counting = FailingDriver(filled(), fail_at=0)
    fold(counting)
    for moment in range(1, counting.calls + 1):
        driver = filled()
        with pytest.raises(DriverError):
            fold(FailingDriver(driver, fail_at=moment))
        for _ in range(2):
            found, rows = read(driver)
            assert rows == {(APP, "v1", HOUR - 1), (APP, "v2", HOUR)}, moment
            assert found.reaches(NOW - 36_000), moment
            fold(driver)


def test_of_two_that_fold_at_a_time_none_loses_a_pull_without_knowing() -> None:
    counting = FailingDriver(filled(), fail_at=0)
    fold(counting)
    for moment in range(1, counting.calls + 1):
        driver = filled()

        def other(driver: DatedDriver = driver) -> None:
            batch(driver, 3, [(APP, "v3", HOUR)])
            fold(driver)

        fold(InterleavingDriver(driver, moment, other))

        found, rows = read(driver)
        assert rows == {(APP, "v1", HOUR - 1), (APP, "v2", HOUR), (APP, "v3", HOUR)}, moment
        assert found.reaches(NOW - 36_000), moment


def test_part_of_a_folding_that_is_missing_makes_pulls_unknown_until_now() -> None:
    driver = noting(DatedDriver())
    batch(driver, 1, [(APP, "v1", HOUR)])
    fold(driver)
    (folding,) = driver.list(paths.PULLS_FOLDED, limit=10)
    driver.delete(paths.folded_part(folding, 0))

    found = read(driver)[0]

    assert found.reaches(NOW)
    assert not found.reaches(NOW - 1)


def test_what_is_longer_than_a_note_can_be_makes_pulls_unknown_until_now(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = noting(DatedDriver())
    batch(driver, 1, [(APP, "v1", HOUR)])
    monkeypatch.setattr(history, "_LIMIT_BYTES", 10)

    assert not read(driver)[0].reaches(NOW - 1)


@pytest.mark.parametrize("content", [b"", b"{", b'{"lost": false}\n["a"]', b'{"lost": false}\n["a", "b", "c"]', b"[]"])
def test_damaged_object_makes_pulls_unknown_until_now(content: bytes) -> None:
    driver = noting(DatedDriver())
    batch(driver, 1, [(APP, "v1", HOUR)])
    driver.put(paths.pulls_batch("20231114", f"host-2-{2:020}"), content)

    fold(driver)

    found, rows = read(driver, NOW + 10)
    assert rows == {(APP, "v1", HOUR)}
    assert found.reaches(NOW)
    assert not found.reaches(NOW - 1)


@pytest.mark.parametrize("content", [b"", b"soon", b"x" * 1000])
def test_damaged_stamp_is_none(content: bytes) -> None:
    driver = InMemoryDriver()
    driver.put(paths.PULLS_SINCE, content)
    assert history.read_since(driver) is None


@pytest.mark.parametrize("since", [NOW - 100 * DAY, 86_400.5])
def test_pulls_are_not_known_from_before_it_was_written_since_when(since: float) -> None:
    """By a host whose clock was slow, or in a storage that this one is a copy of."""
    driver = DatedDriver()
    driver.put(paths.PULLS_SINCE, repr(since).encode())

    assert read(driver)[0].reaches(NOW)
    assert not read(driver)[0].reaches(NOW - 1)


def test_pulls_are_not_known_since_a_time_that_a_clock_shows_that_was_never_set() -> None:
    driver = noting(DatedDriver(), since=86_400.5)
    assert driver.list(paths.PULLS, limit=10) == []
    driver.now = 86_400.5
    driver.put(paths.PULLS_SINCE, b"86400.5")
    driver.now = NOW
    assert not read(driver)[0].reaches(NOW)

    noting(driver, NOW)

    assert read(driver)[0].reaches(NOW)
    assert not read(driver)[0].reaches(NOW - 1)


@pytest.mark.parametrize("since", ["inf", "nan", "-inf"])
def test_stamp_that_is_not_a_time_is_none(since: str) -> None:
    driver = DatedDriver()
    driver.put(paths.PULLS_SINCE, since.encode())
    assert history.read_since(driver) in {None, NOW}


def test_folding_that_broke_off_a_day_ago_is_deleted_by_the_next_one() -> None:
    driver = noting(DatedDriver())
    batch(driver, 1, [(APP, "v1", HOUR)])
    left = paths.folded_part(f"{9:012}-{'a' * 16}", 0)
    driver.put(left, dump([(APP, "v1", HOUR - 1)]))

    fold(driver, NOW + DAY - 1)
    assert left.split("/")[-2] in driver.list(paths.PULLS_FOLDED, limit=10)
    fold(driver, NOW + DAY + 1)

    assert len(driver.list(paths.PULLS_FOLDED, limit=10)) == 1
    assert read(driver)[1] == {(APP, "v1", HOUR)}
