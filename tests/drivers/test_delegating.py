from __future__ import annotations

import inspect
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import pytest

from drivers.base import StorageDriver
from drivers.delegating import DelegatingDriver
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from tests.drivers.conformance import PATIENT_SECONDS, DriverConformance
from tests.drivers.filesystem.test_driver import Directory

if TYPE_CHECKING:
    from pathlib import Path

METHODS = sorted(name for name, _ in inspect.getmembers(StorageDriver, inspect.isfunction) if not name.startswith("_"))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_contract_is_handed_on(name: str) -> None:
    assert name in vars(DelegatingDriver)


def test_what_the_contract_has_a_default_for_is_asked_of_the_driver_behind() -> None:
    class Bucket(InMemoryDriver):
        def probe(self, *, read_only: bool = False) -> None:
            raise ZeroDivisionError(read_only)

        def purge(self, before: float) -> int:
            return int(before)

        def local_path(self, path: str) -> str | None:
            return f"/local{path}"

        def open_local(self, path: str) -> BinaryIO | None:
            return BytesIO(path.encode())

        def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
            return f"{method} {path} {client}"

        def object_key(self, path: str) -> str | None:
            return f"key{path}"

    driver = DelegatingDriver(DelegatingDriver(Bucket()))

    with pytest.raises(ZeroDivisionError, match="True"):
        driver.probe(read_only=True)
    assert driver.purge(7.0) == 7
    assert driver.local_path("/a") == "/local/a"
    file = driver.open_local("/a")
    assert file
    assert file.read() == b"/a"
    assert driver.redirect_url("/a", method="GET", client="192.0.2.1") == "GET /a 192.0.2.1"
    assert driver.object_key("/a") == "key/a"
    assert (driver.name, driver.shared_between_processes) == ("inmemory", False)


class TestDelegatingDriver(DriverConformance):
    """Standing before a driver changes nothing of what it does."""

    @pytest.fixture
    def medium(self, tmp_path: Path) -> Directory:
        root = tmp_path / "root"
        root.mkdir()
        return Directory(root)

    @pytest.fixture
    def driver(self, medium: Directory) -> StorageDriver:
        return DelegatingDriver(FilesystemDriver(str(medium.root), lock_seconds=PATIENT_SECONDS))

    @pytest.fixture
    def impatient(self, medium: Directory) -> StorageDriver:
        return DelegatingDriver(FilesystemDriver(str(medium.root), lock_seconds=0.2))
