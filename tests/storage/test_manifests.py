from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestUnknownError
from registry.oci.manifest import MAX_SIZE, parse_manifest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.repository import Repositories, Repository
from tests.content import descriptor, image
from tests.drivers.backwards import BackwardsDriver
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from drivers.filesystem.driver import FilesystemDriver
    from drivers.inmemory import InMemoryDriver

CONTENT = image()
DIGEST = Digest.of(CONTENT)


@pytest.fixture
def repository(driver: InMemoryDriver) -> Repository:
    return Repositories(driver).open("a")


def put(repository: Repository, content: bytes, algorithm: str = "sha256") -> Digest:
    digest = Digest.of(content, algorithm)
    repository.manifests.put(parse_manifest(content), digest)
    return digest


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_manifest_comes_back_byte_for_byte(driver: InMemoryDriver, algorithm: str) -> None:
    content = b'{ "mediaType":\t"application/x",\r\n"unknown": 1.0e0, "unknown": 2 }\n'
    digest = put(Repositories(driver).open("a"), content, algorithm)

    for repositories in (Repositories(driver), Repositories(driver)):
        repository = repositories.open("a")
        assert repository.manifests.serve(digest).content == content
        assert repository.manifests.get(digest).content == content
        assert repository.manifests.serve(digest).content == content
        assert list(repository.manifests.digests()) == [digest]


def test_a_manifest_is_known_in_its_repository_only_even_when_it_is_in_memory(driver: InMemoryDriver) -> None:
    repositories = Repositories(driver)
    put(repositories.open("a"), CONTENT)

    other = repositories.open("b")

    assert not other.manifests.has(DIGEST)
    with pytest.raises(ManifestUnknownError):
        other.manifests.get(DIGEST)
    with pytest.raises(ManifestUnknownError):
        other.manifests.serve(DIGEST)


def test_a_manifest_that_another_process_deleted_is_gone_at_once(driver: InMemoryDriver) -> None:
    here, there = Repositories(driver).open("a"), Repositories(driver).open("a")
    put(here, CONTENT)

    there.manifests.delete(DIGEST)

    with pytest.raises(ManifestUnknownError):
        here.manifests.get(DIGEST)
    with pytest.raises(ManifestUnknownError):
        here.manifests.serve(DIGEST)


def test_manifest_from_memory_is_read_as_one_from_storage(driver: InMemoryDriver) -> None:
    content = image(b"{}", b"layer", subject=descriptor(CONTENT), annotations={"a": "b"})
    repositories = Repositories(driver)
    put(repositories.open("a"), content)

    read = [each.open("a").manifests.get(Digest.of(content)) for each in (repositories, Repositories(driver))]

    assert read[0] == read[1] == parse_manifest(content)


def test_a_manifest_under_another_digest_is_refused_and_not_stored(
    driver: InMemoryDriver,
    repository: Repository,
) -> None:
    with pytest.raises(DigestInvalidError):
        repository.manifests.put(parse_manifest(CONTENT), Digest.of(b"other"))

    assert driver.list("/docker", limit=1) == []


@pytest.mark.parametrize("stored", [b"", CONTENT[:-1], CONTENT.replace(b"2", b"3"), b"x" * (MAX_SIZE + 1)], ids=len)
def test_a_manifest_that_is_stored_damaged_counts_as_absent_until_it_is_pushed_again(
    driver: InMemoryDriver,
    stored: bytes,
) -> None:
    put(Repositories(driver).open("a"), CONTENT)
    driver.put(paths.blob_data(DIGEST), stored)
    repository = Repositories(driver).open("a")

    with pytest.raises(ManifestUnknownError):
        repository.manifests.get(DIGEST)
    assert repository.manifests.has(DIGEST), "has() looks at the link only"

    put(repository, CONTENT)
    assert Repositories(driver).open("a").manifests.get(DIGEST).content == CONTENT


def test_what_is_stored_whole_and_is_no_manifest_is_not_served_and_can_be_deleted(
    driver: InMemoryDriver,
    repository: Repository,
) -> None:
    digest = Digest.of(b"no manifest")
    driver.put(paths.blob_data(digest), b"no manifest")
    driver.put(paths.revision_link("a", digest), str(digest).encode())

    with pytest.raises(ManifestUnknownError, match="cannot be served"):
        repository.manifests.get(digest)

    assert repository.manifests.subject(digest) is None
    repository.manifests.delete(digest)
    assert not repository.manifests.has(digest)


def test_a_tag_that_another_registry_moves_by_writing_into_its_file_takes_nothing_along(
    filesystem: FilesystemDriver,
) -> None:
    repository, tag, moved = (
        Repositories(filesystem).open("a"),
        Tag("v1"),
        put_tagged(filesystem, image(b"other"), "v2"),
    )
    put_tagged(filesystem, CONTENT, "v1")

    pointer = Path(filesystem.local_path(paths.tag_link("a", "v1")))
    with pointer.open("r+b") as file:
        file.write(str(moved).encode())

    assert repository.tags.resolve(tag) == moved
    assert repository.manifests.serve(DIGEST).content == CONTENT
    assert filesystem.get(paths.tag_history_link("a", "v1", DIGEST), limit=99) == str(DIGEST).encode()
    assert filesystem.get(paths.tag_link("a", "v2"), limit=99) == str(moved).encode()


def put_tagged(driver: StorageDriver, content: bytes, tag: str) -> Digest:
    digest = Digest.of(content)
    Repositories(driver).open("a").manifests.put(parse_manifest(content), digest, [Tag(tag)])
    return digest


def test_deleting_a_manifest_takes_the_tags_that_point_to_it_and_no_others(repository: Repository) -> None:
    other = put(repository, image(b"other"))
    put(repository, CONTENT)
    for tag in ("v1", "v1.0", "latest"):
        repository.tags.point(Tag(tag), DIGEST)
    repository.tags.point(Tag("latest"), other)

    untagged = repository.manifests.delete(DIGEST)

    assert untagged == ["v1", "v1.0"]
    assert repository.tags.page(limit=10) == ["latest"]
    assert list(repository.manifests.digests()) == [other]
    with pytest.raises(ManifestUnknownError):
        repository.manifests.delete(DIGEST)


class TestReferrers:
    def test_a_manifest_with_a_subject_is_listed_until_it_is_deleted(self, repository: Repository) -> None:
        subject = put(repository, CONTENT)
        signature = put(repository, image(b"signature", subject=descriptor(CONTENT)))

        assert list(repository.referrers.after(subject)) == [signature]

        repository.manifests.delete(signature)
        assert list(repository.referrers.after(subject)) == []

    def test_the_subject_need_not_exist(self, repository: Repository) -> None:
        signature = put(repository, image(b"signature", subject=descriptor(CONTENT)), "sha512")

        assert list(repository.referrers.after(DIGEST)) == [signature]

    def test_the_list_goes_on_after_any_of_its_entries(self, repository: Repository) -> None:
        listed = [
            put(repository, image(b"%d" % number, subject=descriptor(CONTENT)), algorithm)
            for algorithm in ("sha512", "sha256")
            for number in range(4)
        ]
        listed.sort()

        assert list(repository.referrers.after(DIGEST)) == listed
        for position, digest in enumerate(listed):
            assert list(repository.referrers.after(DIGEST, digest)) == listed[position + 1 :]
        assert list(repository.referrers.after(DIGEST, Digest("sha384", "0" * 96))) == listed[4:]

    def test_what_another_registry_stored_is_listed_after_a_rebuild(self, driver: InMemoryDriver) -> None:
        repositories = Repositories(driver)
        repository = repositories.open("a")
        signature = put(repository, image(b"signature", subject=descriptor(CONTENT)))
        put(repository, CONTENT)
        driver.delete(paths.referrers("a", DIGEST))

        rebuilt = list(repositories.rebuild_referrers())

        assert rebuilt == [("a", 1)]
        assert list(repository.referrers.after(DIGEST)) == [signature]


def test_the_bytes_that_were_stored_beside_the_check_are_not_stored_again(driver: InMemoryDriver) -> None:
    counting = FailingDriver(driver, fail_at=0)
    manifests = Repositories(counting).open("a").manifests
    manifests.check_first(lambda: None, parse_manifest(CONTENT), DIGEST)
    assert counting.calls == 1

    manifests.put(parse_manifest(CONTENT), DIGEST)
    assert counting.calls == 2
    driver.delete(paths.blob_data(DIGEST))
    manifests.put(parse_manifest(CONTENT), DIGEST)
    assert manifests.get(DIGEST).content == CONTENT


def test_what_fails_its_check_leaves_nothing_where_steps_are_done_one_after_the_other(driver: InMemoryDriver) -> None:
    def refuse() -> None:
        raise ManifestUnknownError("no")

    with pytest.raises(ManifestUnknownError):
        Repositories(driver).open("a").manifests.check_first(refuse, parse_manifest(CONTENT), DIGEST)

    assert driver.list("/docker", limit=1) == []


@pytest.mark.parametrize(("size", "is_stored"), [(65_536, True), (65_537, False)])
def test_a_long_manifest_that_fails_its_check_leaves_nothing(size: int, is_stored: bool) -> None:
    def refuse() -> None:
        raise ManifestUnknownError("no")

    driver = BackwardsDriver()
    content = CONTENT.ljust(size)
    digest = Digest.of(content)
    manifests = Repositories(driver).open("a").manifests

    with pytest.raises(ManifestUnknownError):
        manifests.check_first(refuse, parse_manifest(content), digest)

    assert (driver.list("/docker", limit=1) != []) is is_stored
    manifests.put(parse_manifest(content), digest)
    assert manifests.get(digest).content == content


def test_bytes_are_never_stored_under_a_digest_that_is_not_theirs(driver: InMemoryDriver) -> None:
    manifests = Repositories(driver).open("a").manifests
    wrong = Digest.of(b"something else")

    manifests.check_first(lambda: None, parse_manifest(CONTENT), wrong)

    assert driver.list("/docker", limit=1) == []
    with pytest.raises(DigestInvalidError):
        manifests.put(parse_manifest(CONTENT), wrong)


def test_files_are_stored_after_the_check_and_all_at_once(filesystem: FilesystemDriver) -> None:
    manifests = Repositories(filesystem).open("a").manifests

    manifests.check_first(lambda: None, parse_manifest(CONTENT), DIGEST)

    assert filesystem.list("/docker", limit=1) == []
