from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.oci.errors import NameUnknownError
from registry.storage import paths
from registry.storage.descriptors import InMemoryDescriptors
from registry.storage.repository import Repositories
from tests.drivers.failing import FailingDriver
from tests.ports.conformance import MANIFEST, V1, V2, RepositoriesConformance, push, put, signature_of
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from drivers.filesystem.driver import FilesystemDriver


class TestOverMemory(RepositoriesConformance):
    @pytest.fixture
    def repositories(self, driver: InMemoryDriver) -> Repositories:
        return Repositories(driver)


class TestOverFiles(RepositoriesConformance):
    @pytest.fixture
    def repositories(self, filesystem: FilesystemDriver) -> Repositories:
        return Repositories(filesystem)


class TestWithDescriptorsRemembered(RepositoriesConformance):
    @pytest.fixture
    def repositories(self, driver: InMemoryDriver) -> Repositories:
        return Repositories(driver, descriptors=InMemoryDescriptors(0))


def test_a_deletion_of_a_repository_that_breaks_off_anywhere_leaves_nothing_dangling_and_goes_on() -> None:
    moment, broke_off = 1, True
    while broke_off:
        medium = InMemoryDriver()
        repository = Repositories(medium).open("a")
        push(repository)
        put(repository, MANIFEST, V1, V2)
        put(repository, signature_of(MANIFEST))
        repository.uploads.start()
        failing = FailingDriver(medium, fail_at=moment)

        with suppress(DriverError):
            Repositories(failing).open("a").delete()

        assert_nothing_dangles(medium, "a")
        with suppress(NameUnknownError):
            repository.delete()
        assert medium.list(paths.REPOSITORIES, limit=1) == []
        moment, broke_off = moment + 1, failing.power_is_gone
    assert moment > 5
