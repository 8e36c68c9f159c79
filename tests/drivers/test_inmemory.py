from __future__ import annotations

from typing import ClassVar

import pytest

from drivers.base import DriverError, NotWritableError, StorageDriver, UploadBusyError
from drivers.inmemory import InMemoryDriver
from tests.drivers.conformance import BLOB, ROOT, UPLOAD, DriverConformance, Medium


class _Memory(Medium):
    def __init__(self, driver: InMemoryDriver) -> None:
        self.driver = driver
        self._store = self.driver._store

    def everything(self) -> set[str]:
        return {*self._store.objects, *(f"upload {path}" for path in self._store.uploads)}

    def content(self, path: str) -> bytes:
        return bytes(self._store.objects[path].content)

    def write(self, path: str, content: bytes) -> None:
        self.driver.put(path, content)  # no other program reaches this memory


class TestInMemoryDriver(DriverConformance):
    memory_bound: ClassVar[int] = 160 * 1024 * 1024  # memory is what it stores in

    @pytest.fixture
    def medium(self) -> _Memory:
        return _Memory(InMemoryDriver(lock_seconds=0.2))

    @pytest.fixture
    def driver(self, medium: _Memory) -> InMemoryDriver:
        return medium.driver


class _ByDefault(InMemoryDriver):
    """Has what the contract has a default for, as a driver of somebody else's may."""

    walk = StorageDriver.walk
    scan = StorageDriver.scan
    discard = StorageDriver.discard
    read_upload = StorageDriver.read_upload
    claim = StorageDriver.claim
    touch = StorageDriver.touch


class TestTheDefaultsOfTheContract(DriverConformance):
    memory_bound: ClassVar[int] = TestInMemoryDriver.memory_bound
    reads_along: ClassVar[bool] = False

    @pytest.fixture
    def medium(self) -> _Memory:
        return _Memory(_ByDefault(lock_seconds=0.2))

    @pytest.fixture
    def driver(self, medium: _Memory) -> InMemoryDriver:
        return medium.driver


def test_by_default_one_deletion_that_fails_is_told_after_all_others() -> None:
    class Forbidding(_ByDefault):
        def delete(self, path: str) -> None:
            if path == BLOB:
                raise NotWritableError(path)
            super().delete(path)

    driver = Forbidding()
    for path in (f"{ROOT}/a", BLOB, f"{ROOT}/z"):
        driver.put(path, b"x")

    with pytest.raises(NotWritableError, match=BLOB):
        driver.discard(sorted(driver.walk(ROOT), key=lambda found: found.path))

    assert [each.path for each in driver.walk(ROOT)] == [BLOB]


def test_an_upload_has_one_writer() -> None:
    driver = InMemoryDriver(lock_seconds=0.05)
    driver.create_upload(UPLOAD)

    with driver.open_upload(UPLOAD), pytest.raises(UploadBusyError):
        driver.open_upload(UPLOAD)


def test_a_closed_writer_writes_and_commits_no_more() -> None:
    driver = InMemoryDriver()
    driver.create_upload(UPLOAD)
    with driver.open_upload(UPLOAD) as writer:
        pass

    with pytest.raises(DriverError):
        writer.write(b"late")
    with pytest.raises(DriverError):
        writer.commit(BLOB)
    assert driver.upload_size(UPLOAD) == 0


def test_two_drivers_share_nothing() -> None:
    first, second = InMemoryDriver.from_parameters({}), InMemoryDriver.from_parameters({})

    first.put(BLOB, b"x")

    assert not InMemoryDriver.shared_between_processes
    assert second.list("/docker", limit=1) == []
