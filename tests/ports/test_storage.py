from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.delegating import DelegatingDriver
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, NameUnknownError
from registry.storage import paths
from registry.storage.descriptors import InMemoryDescriptors
from registry.storage.repository import Repositories
from tests.content import index
from tests.drivers.failing import FailingDriver
from tests.ports.conformance import BLOB, MANIFEST, V1, V2, RepositoriesConformance, push, put, signature_of
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from drivers.filesystem.driver import FilesystemDriver
    from registry.ports import Repository


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


class KeyByKey(DelegatingDriver):
    """Deletes as an object store does: one key at a time, in their order."""

    def delete(self, path: str) -> None:
        names = self._inner.list(path, limit=100)
        if not names:
            self._inner.delete(path)
        for name in names:
            self.delete(paths.below(path, name))


def test_a_deletion_key_by_key_that_breaks_off_anywhere_leaves_no_tag_referrer_or_manifest_without_what_it_needs() -> (
    None
):
    moment, broke_off = 1, True
    while broke_off:
        medium = InMemoryDriver()
        repository = Repositories(medium).open("a")
        for content in (b"{}", BLOB, b"0", b"1"):
            push(repository, content)
        put(repository, MANIFEST, V1)
        put(repository, index(MANIFEST), V2)
        for number in range(2):
            put(repository, signature_of(MANIFEST, number))
        failing = FailingDriver(medium, fail_at=moment)

        with suppress(DriverError):
            Repositories(KeyByKey(failing)).open("a").delete()

        assert_complete(repository)
        with suppress(NameUnknownError):
            repository.delete()
        assert medium.list(paths.REPOSITORIES, limit=1) == []
        moment, broke_off = moment + 1, failing.power_is_gone
    assert moment > 40


def assert_complete(repository: Repository) -> None:
    """Fail if a tag or a referrer leads to a manifest that is gone, or a manifest to a blob that is gone."""
    for tag in (V1, V2):
        with suppress(ManifestUnknownError):
            assert repository.manifests.has(repository.tags.resolve(tag))
    assert all(map(repository.manifests.has, repository.referrers.after(Digest.of(MANIFEST))))
    for digest in repository.manifests.digests():
        for kind, descriptor in repository.manifests.get(digest).references():
            assert kind == "manifest" or repository.blobs.has(descriptor.digest)


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
