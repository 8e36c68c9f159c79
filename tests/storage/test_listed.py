"""A pull by tag of what is in memory: one look at the tag's link, and never what is not there any more."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.storage import listed, paths
from registry.storage.repository import Repositories
from tests.content import image
from tests.drivers.backwards import BackwardsDriver
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.ports import Repository

CONTENT = image()
DIGEST = Digest.of(CONTENT)
V1 = Tag("v1")


def push(driver: StorageDriver, *tags: Tag) -> None:
    Repositories(driver).open("a").manifests.put(parse_manifest(CONTENT), DIGEST, tags)


def pull(repository: Repository) -> bytes:
    return repository.manifests.serve(repository.tags.serve(V1)).content


def pulled(repositories: Repositories) -> bytes | None:
    """Give what a client gets by the tag; None if it is unknown."""
    with suppress(ManifestUnknownError):
        return pull(repositories.open("a"))
    return None


def delete_tag(driver: StorageDriver) -> None:
    Repositories(driver).open("a").tags.delete(V1)


def delete_manifest(driver: StorageDriver) -> None:
    Repositories(driver).open("a").manifests.delete(DIGEST)


def condemn_untagged(driver: StorageDriver) -> None:
    """Do as a user who deletes the tag, and then as a garbage collection."""
    delete_tag(driver)
    link = paths.revision_link("a", DIGEST)
    driver.put(paths.condemned_revision_link("a", DIGEST), driver.get(link, limit=100))
    driver.delete(link)


DELETIONS = [delete_tag, delete_manifest, condemn_untagged]


def warm(driver: StorageDriver) -> Repositories:
    """Give the repositories of a process that has the manifest in memory."""
    repositories = Repositories(driver)
    assert pulled(repositories) == CONTENT
    return repositories


def test_a_pull_by_tag_of_what_is_in_memory_is_one_look_and_so_is_one_by_digest(driver: InMemoryDriver) -> None:
    push(driver, V1)
    counting = FailingDriver(driver, fail_at=0)
    repositories = warm(counting)

    counting.calls = 0
    assert pulled(repositories) == CONTENT
    assert counting.calls == 1
    assert repositories.open("a").manifests.serve(DIGEST).content == CONTENT
    assert counting.calls == 2


def test_what_a_tag_has_led_to_counts_for_one_pull_only(driver: InMemoryDriver) -> None:
    push(driver, V1)
    repository = warm(driver).open("a")
    pull(repository)

    driver.delete(paths.revision_link("a", DIGEST))

    with pytest.raises(ManifestUnknownError):
        repository.manifests.serve(DIGEST)


def test_a_tag_of_another_repository_proves_nothing(driver: InMemoryDriver) -> None:
    push(driver, V1)
    repositories = warm(driver)
    driver.put(paths.tag_link("b", V1.name), str(DIGEST).encode())

    repository = repositories.open("b")
    assert repository.tags.serve(V1) == DIGEST
    with pytest.raises(ManifestUnknownError):
        repository.manifests.serve(DIGEST)


@pytest.mark.parametrize("delete", DELETIONS)
def test_what_another_process_has_deleted_is_unknown_at_once(
    driver: InMemoryDriver, delete: Callable[[StorageDriver], None]
) -> None:
    push(driver, V1)
    repositories = warm(driver)

    delete(driver)

    assert pulled(repositories) is None


@pytest.mark.parametrize("kind", [InMemoryDriver, BackwardsDriver])
@pytest.mark.parametrize("delete", DELETIONS)
def test_at_each_moment_of_a_deletion_a_pull_gives_the_manifest_or_nothing_and_then_nothing(
    delete: Callable[[StorageDriver], None], kind: type[InMemoryDriver]
) -> None:
    moment, calls = 0, 1
    while moment < calls:
        moment += 1
        driver = kind()
        push(driver, V1)
        repositories = warm(driver)
        during: list[bytes | None] = []
        between = InterleavingDriver(driver, moment, lambda: during.append(pulled(repositories)))  # noqa: B023  called in this very round
        delete(between)
        calls = between.calls
        assert during[0] in {CONTENT, None}
        assert pulled(repositories) is None, moment


@pytest.mark.parametrize("delete", DELETIONS)
@pytest.mark.parametrize("moment", [1, 2, 3])
def test_at_each_moment_of_a_pull_a_deletion_leaves_the_manifest_or_nothing(
    driver: InMemoryDriver, delete: Callable[[StorageDriver], None], moment: int
) -> None:
    push(driver, V1)
    between = InterleavingDriver(driver, moment, lambda: delete(driver))
    repositories = Repositories(between)

    assert pulled(repositories) in {CONTENT, None}
    if between.calls >= moment:
        assert pulled(repositories) is None


def test_a_tag_that_the_go_registry_left_without_its_manifest_is_unknown_when_that_was_not_seen_for_a_while(
    driver: InMemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(driver, V1)
    repositories = warm(driver)
    driver.delete(paths.revision_link("a", DIGEST))  # it deletes this first; then it was killed
    assert pulled(repositories) == CONTENT

    monkeypatch.setattr(listed, "SEEN_SECONDS", -1)
    push(driver, V1)
    repositories = warm(driver)
    driver.delete(paths.revision_link("a", DIGEST))
    assert pulled(repositories) is None


def test_a_deletion_by_digest_and_a_push_by_the_same_process_leave_what_came_last(driver: InMemoryDriver) -> None:
    push(driver, V1)
    repositories = warm(driver)
    repositories.open("a").manifests.delete(DIGEST)
    driver.put(paths.tag_link("a", V1.name), str(DIGEST).encode())
    assert pulled(repositories) is None

    repositories.open("a").manifests.put(parse_manifest(CONTENT), DIGEST, [V1])
    assert pulled(repositories) == CONTENT
