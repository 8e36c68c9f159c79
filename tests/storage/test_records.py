"""What access controllers keep, over drivers that behave as file systems and as object stores do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from auth.base import RecordsError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.storage.records import LIMIT_BYTES, StorageRecords
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from pathlib import Path

    from auth.base import Records
    from drivers.base import StorageDriver


@pytest.fixture(params=["filesystem", "inmemory"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> StorageDriver:
    if request.param == "inmemory":
        return InMemoryDriver()
    return FilesystemDriver.from_parameters({"rootdirectory": str(tmp_path)})


@pytest.fixture
def records(driver: StorageDriver) -> Records:
    return StorageRecords(driver)


def test_what_is_written_is_read_by_others(records: Records, driver: StorageDriver) -> None:
    assert records.get("users/alice") is None
    records.put("users/alice", b"one")
    records.put("users/alice", b"two")
    assert StorageRecords(driver).get("users/alice") == b"two"


def test_one_of_several_creates(records: Records) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: records.create("users/alice", b"%d" % number), range(8)))
    assert made.count(True) == 1
    assert records.get("users/alice") == b"%d" % made.index(True)


def test_what_is_deleted_is_gone(records: Records) -> None:
    records.put("keys/a/1", b"x")
    assert records.delete("keys/a/1")
    assert not records.delete("keys/a/1")
    assert records.get("keys/a/1") is None
    assert records.create("keys/a/1", b"y")


def test_names_are_those_below_and_no_others(records: Records) -> None:
    for name in ("keys/a/1", "keys/a/2", "keys/b/1", "keysafe/c", "users/a"):
        records.put(name, name.encode())
    assert sorted(records.names("keys")) == ["keys/a/1", "keys/a/2", "keys/b/1"]
    assert sorted(records.contents("keys/a")) == [("keys/a/1", b"keys/a/1"), ("keys/a/2", b"keys/a/2")]
    assert list(records.names("nothing")) == []


def test_any_number_is_listed(records: Records) -> None:
    for number in range(250):
        records.put(f"keys/a/{number}", b"%d" % number)
    assert {int(content) for _, content in records.contents("keys")} == set(range(250))


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a//b", "a b", "ü", "a/"])
def test_a_name_that_is_none_is_refused(records: Records, name: str) -> None:
    with pytest.raises(RecordsError):
        records.put(name, b"")


def test_what_is_too_long_is_refused(records: Records) -> None:
    records.put("a", b"x" * LIMIT_BYTES)
    with pytest.raises(RecordsError):
        records.put("a", b"x" * (LIMIT_BYTES + 1))
    assert records.get("a") == b"x" * LIMIT_BYTES


def test_a_read_only_registry_reads_and_does_not_write(records: Records, driver: StorageDriver) -> None:
    records.put("a", b"x")
    reading = StorageRecords(driver, read_only=True)
    assert reading.get("a") == b"x"
    for write in (lambda: reading.put("a", b"y"), lambda: reading.create("b", b""), lambda: reading.delete("a")):
        with pytest.raises(RecordsError, match="read-only"):
            write()
    assert records.get("a") == b"x"


def test_a_storage_that_fails_is_told_of_in_words_of_controllers(driver: StorageDriver) -> None:
    failing = FailingDriver(driver, fail_at=0)
    records = StorageRecords(failing)
    records.put("keys/a", b"")
    failing.fail_from_now_on()
    for ask in (
        lambda: records.get("keys/a"),
        lambda: records.put("keys/a", b""),
        lambda: records.create("keys/b", b""),
        lambda: records.delete("keys/a"),
        lambda: list(records.names("keys")),
        lambda: list(records.contents("keys")),
    ):
        with pytest.raises(RecordsError, match="storage"):
            ask()
