from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.delegating import DelegatingDriver
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError
from registry.storage import paths
from registry.storage.descriptors import LIFETIME_SECONDS, InMemoryDescriptors
from registry.storage.repository import Repositories, Repository
from tests.content import chunk

if TYPE_CHECKING:
    from collections.abc import Generator

    from drivers.base import StorageDriver
    from drivers.filesystem.driver import FilesystemDriver
    from drivers.inmemory import InMemoryDriver

CONTENT = b"content"
DIGEST = Digest.of(CONTENT)
SHA512 = Digest.of(CONTENT, "sha512")


@pytest.fixture
def repositories(driver: InMemoryDriver) -> Repositories:
    return Repositories(driver)


@pytest.fixture
def repository(repositories: Repositories) -> Repository:
    repository = repositories.open("a")
    repository.uploads.finish(repository.uploads.start(), chunk(CONTENT), DIGEST)
    return repository


def test_a_blob_is_known_in_its_repository_and_not_in_others(
    repositories: Repositories,
    repository: Repository,
) -> None:
    other = repositories.open("a/b")

    assert repository.blobs.stat(DIGEST).size == len(CONTENT)
    assert not other.blobs.has(DIGEST)
    with pytest.raises(BlobUnknownError):
        other.blobs.stat(DIGEST)


def test_a_mounted_blob_outlives_the_one_it_was_mounted_from(
    repositories: Repositories,
    repository: Repository,
) -> None:
    other = repositories.open("other")

    other.blobs.mount(repository.blobs.stat(DIGEST))
    repository.blobs.delete(DIGEST)

    assert not repository.blobs.has(DIGEST)
    assert b"".join(other.blobs.read(other.blobs.stat(DIGEST), 2, 5)) == b"nte"


def test_deleting_takes_the_link_and_leaves_the_bytes(driver: InMemoryDriver, repository: Repository) -> None:
    repository.blobs.delete(DIGEST)

    assert driver.stat(paths.blob_data(DIGEST)).size == len(CONTENT)
    with pytest.raises(BlobUnknownError):
        repository.blobs.delete(DIGEST)


def test_a_link_whose_bytes_are_gone_is_no_blob(driver: InMemoryDriver, repository: Repository) -> None:
    blob = repository.blobs.stat(DIGEST)
    driver.delete(paths.blob_data(DIGEST))

    assert not repository.blobs.has(DIGEST)
    with pytest.raises(BlobUnknownError):
        repository.blobs.read(blob, 0, 1)


def test_a_blob_that_the_go_registry_took_by_sha512_is_served_from_its_sha256(
    driver: InMemoryDriver,
    repositories: Repositories,
    repository: Repository,
) -> None:
    driver.put(paths.layer_link("a", SHA512), str(DIGEST).encode())

    blob = repository.blobs.stat(SHA512)
    repositories.open("other").blobs.mount(blob)

    assert (blob.digest, blob.target, blob.size) == (SHA512, DIGEST, len(CONTENT))
    assert b"".join(repository.blobs.read(blob, 0, blob.size)) == CONTENT
    assert repositories.open("other").blobs.stat(SHA512) == blob


def test_any_stored_blob_is_found_for_those_who_may_read_all(
    repositories: Repositories, repository: Repository
) -> None:
    assert repositories.stat_blob(DIGEST) == repository.blobs.stat(DIGEST)
    with pytest.raises(BlobUnknownError):
        repositories.stat_blob(SHA512)


def test_a_local_file_is_opened_where_there_is_one(filesystem: FilesystemDriver, repository: Repository) -> None:
    local = Repositories(filesystem).open("a")
    local.uploads.finish(local.uploads.start(), chunk(CONTENT), DIGEST)
    blob = local.blobs.stat(DIGEST)

    file = local.blobs.open_local(blob)

    assert file
    with file:
        assert file.read() == CONTENT
    assert repository.blobs.open_local(blob) is None
    filesystem.delete(paths.blob_data(DIGEST))
    with pytest.raises(BlobUnknownError):
        local.blobs.open_local(blob)


def test_a_damaged_blob_on_a_file_system_is_repaired_by_a_push(filesystem: FilesystemDriver) -> None:
    repositories = Repositories(filesystem)
    for name, damaged in (("a", b""), ("b", CONTENT[::-1])):
        if damaged:
            filesystem.put(paths.blob_data(DIGEST), damaged)
        uploads = repositories.open(name).uploads
        uploads.finish(uploads.start(), chunk(CONTENT), DIGEST)

    assert filesystem.get(paths.blob_data(DIGEST), limit=99) == CONTENT


class _Opened(DelegatingDriver):
    """Counts what is open."""

    def __init__(self, inner: StorageDriver) -> None:
        super().__init__(inner)
        self.opened = self.open = 0

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Generator[bytes]:
        pieces = self._inner.read(path, start, stop)
        self.opened += 1
        self.open += 1

        def read() -> Generator[bytes]:
            try:
                yield b""
                yield from pieces
            finally:
                self.open -= 1

        reading = read()
        next(reading)
        return reading


@pytest.mark.usefixtures("repository")
def test_a_blob_that_is_opened_while_its_link_is_looked_at_is_opened_once_and_closed(driver: InMemoryDriver) -> None:
    opened = _Opened(driver)
    blobs = Repositories(opened).open("a").blobs

    blobs.serve_range(DIGEST, 2, 5)
    assert opened.opened == 0  # it is not known yet that the repository has it
    blob = blobs.serve_range(DIGEST, 2, 5)
    assert (opened.opened, opened.open) == (1, 1)
    assert b"".join(blobs.read(blob, 2, 5)) == CONTENT[2:5]
    assert (opened.opened, opened.open) == (1, 0)
    blobs.serve_range(DIGEST, 0, None)
    assert b"".join(blobs.read(blob, 1, 2)) == CONTENT[1:2]
    assert (opened.opened, opened.open) == (3, 0)
    pieces = blobs.read(blobs.serve_range(DIGEST, 0, None), 0, 3)
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # the contract asks for it, Iterator does not have it
    assert (opened.opened, opened.open) == (4, 0)


@pytest.mark.usefixtures("repository")
def test_a_blob_that_another_repository_has_is_not_opened(driver: InMemoryDriver) -> None:
    opened = _Opened(driver)
    repositories = Repositories(opened)
    for _ in range(2):
        repositories.open("a").blobs.serve_range(DIGEST, 0, None)

    with pytest.raises(BlobUnknownError):
        repositories.open("b").blobs.serve_range(DIGEST, 0, None)

    assert (opened.opened, opened.open) == (1, 0)


def test_a_blob_that_was_replaced_by_a_longer_one_is_read_as_far_as_it_was_told(
    driver: InMemoryDriver, repository: Repository
) -> None:
    blob = repository.blobs.serve(DIGEST)
    driver.put(paths.blob_data(DIGEST), CONTENT + b"more")

    repository.blobs.serve_range(DIGEST, 0, None)

    assert b"".join(repository.blobs.read(blob, 0, blob.size)) == CONTENT


def test_a_size_that_is_remembered_is_not_remembered_for_longer_by_being_used(driver: InMemoryDriver) -> None:
    now = 0.0
    descriptors = InMemoryDescriptors(10, lambda: now)
    repository = Repositories(driver, descriptors=descriptors).open("a")
    repository.uploads.finish(repository.uploads.start(), chunk(CONTENT), DIGEST)

    now = LIFETIME_SECONDS - 1
    assert repository.blobs.serve(DIGEST) == repository.blobs.serve_range(DIGEST, 0, None)
    now = LIFETIME_SECONDS + 1
    assert descriptors.get(DIGEST) is None
