"""What holds for everybody who publishes; that it holds for a push over HTTP is tested in tests/handlers."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.journal.entry import Origin
from registry.oci.digest import Digest
from registry.oci.errors import (
    BlobUnknownError,
    DeniedError,
    ManifestDependenciesError,
    ManifestInvalidError,
    ManifestUnknownError,
    NameUnknownError,
)
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.publishing import Guard, Operator, Publishing
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.content import chunk, image
from tests.drivers.backwards import BackwardsDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.oci.manifest import Manifest
    from registry.ports import Repository

POLICY = ValidationPolicy()
FIRST, SECOND = parse_manifest(image(b"{}")), parse_manifest(image(b"{}", annotations={"number": "2"}))
TWO_LAYERS = parse_manifest(image(b"{}", b"one", b"two"))
V1, V2 = Tag("v1"), Tag("v2")


class Newcomer:
    """A caller who may push and never move a tag."""

    origin = Origin(actor="newcomer")
    moves_every_tag = False

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        raise DeniedError(f"{repository}:{tag} points to {current}")

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        raise DeniedError(f"{repository}:{tag} points to {current}")


class Keeper(Newcomer):
    """A caller who may move a tag, and is asked whether."""

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        pass

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        pass


OPERATOR, NEWCOMER, KEEPER = (Publishing(POLICY, caller) for caller in (Operator(), Newcomer(), Keeper()))


@pytest.fixture
def repository(driver: InMemoryDriver) -> Repository:
    """A repository with the config of both images."""
    repository = Repositories(driver).open("a")
    OPERATOR.finish_upload(repository, repository.uploads.start(), chunk(b"{}"), Digest.of(b"{}"))
    return repository


def digest_of(manifest: Manifest) -> Digest:
    return Digest.of(manifest.content)


@pytest.mark.parametrize("publishing", [OPERATOR, KEEPER], ids=["operator", "keeper"])
def test_a_tag_is_moved_by_who_may(repository: Repository, publishing: Publishing) -> None:
    publishing.push_manifest(repository, FIRST, digest_of(FIRST), [V1, V2])

    publishing.push_manifest(repository, SECOND, digest_of(SECOND), [V1])
    publishing.move_tag(repository, V2, SECOND, digest_of(SECOND))

    assert repository.tags.resolve(V1) == repository.tags.resolve(V2) == digest_of(SECOND)


def test_a_tag_is_not_moved_by_who_may_not_and_nothing_of_the_push_is_stored(repository: Repository) -> None:
    NEWCOMER.push_manifest(repository, FIRST, digest_of(FIRST), [V1])
    NEWCOMER.push_manifest(repository, FIRST, digest_of(FIRST), [V1])

    with pytest.raises(DeniedError, match=f"a:v1 points to {digest_of(FIRST)}"):
        NEWCOMER.push_manifest(repository, SECOND, digest_of(SECOND), [V2, V1])

    assert list(repository.manifests.digests()) == [digest_of(FIRST)]
    NEWCOMER.push_manifest(repository, SECOND, digest_of(SECOND), [V2])
    with pytest.raises(DeniedError):
        NEWCOMER.move_tag(repository, V1, SECOND, digest_of(SECOND))
    assert repository.tags.resolve(V1) == digest_of(FIRST)


@pytest.mark.parametrize(
    "policy", [ValidationPolicy(classes=frozenset({"plugin"})), ValidationPolicy(reference_limit=1)]
)
def test_nothing_is_stored_of_a_manifest_that_is_refused_whatever_the_storage_holds(policy: ValidationPolicy) -> None:
    driver = BackwardsDriver()  # which stores bytes before they are checked

    with pytest.raises((DeniedError, ManifestInvalidError)):
        Publishing(policy, Operator()).push_manifest(Repositories(driver).open("a"), TWO_LAYERS, digest_of(TWO_LAYERS))

    assert driver.list("/docker", limit=1) == []


def pushed(driver: StorageDriver, manifest: Manifest) -> float:
    return driver.stat(paths.revision_link("a", digest_of(manifest))).modified


@pytest.mark.parametrize("touches", [False, True])
def test_a_manifest_counts_as_pushed_now_when_its_tag_is_deleted_or_moved_where_that_is_asked_for(
    driver: InMemoryDriver, repository: Repository, *, touches: bool
) -> None:
    publishing = replace(OPERATOR, touches_untagged=touches)
    losing: list[Callable[[], None]] = [
        lambda: publishing.push_manifest(repository, SECOND, digest_of(SECOND), [V1]),
        lambda: publishing.push_manifest(repository, SECOND, digest_of(SECOND), [V1], Guard(V1, Anything())),
        lambda: publishing.move_tag(repository, V1, SECOND, digest_of(SECOND)),
        lambda: publishing.remove_tag(repository, V1),
        lambda: publishing.remove_tag(repository, V1, Anything()),
    ]

    touched = []
    for lose in losing:
        OPERATOR.push_manifest(repository, SECOND, digest_of(SECOND))
        OPERATOR.push_manifest(repository, FIRST, digest_of(FIRST), [V1])
        before = pushed(driver, FIRST)
        lose()
        touched.append(pushed(driver, FIRST) > before)

    assert touched == [touches] * 5


def test_a_push_of_a_tag_that_stays_where_it_is_touches_no_other_manifest(
    driver: InMemoryDriver, repository: Repository
) -> None:
    publishing = replace(OPERATOR, touches_untagged=True)
    publishing.push_manifest(repository, FIRST, digest_of(FIRST), [V1])
    publishing.push_manifest(repository, SECOND, digest_of(SECOND), [V2])
    before = pushed(driver, FIRST)

    publishing.push_manifest(repository, SECOND, digest_of(SECOND), [V2])
    publishing.move_tag(repository, V2, SECOND, digest_of(SECOND))

    assert pushed(driver, FIRST) == before


class Anything:
    """A condition that always holds."""

    def require(self, current: Digest | None) -> None:
        pass


def test_a_condition_that_holds_lets_nobody_move_a_tag_who_may_not(repository: Repository) -> None:
    guard = Guard(V1, Anything())
    NEWCOMER.push_manifest(repository, FIRST, digest_of(FIRST), [V1], guard)
    NEWCOMER.push_manifest(repository, FIRST, digest_of(FIRST), [V1], guard)

    for tags in ([V1], [V1, V2], [V2, V1]):
        with pytest.raises(DeniedError):
            NEWCOMER.push_manifest(repository, SECOND, digest_of(SECOND), tags, guard)
    assert list(repository.manifests.digests()) == [digest_of(FIRST)]
    assert list(repository.tags.names()) == ["v1"]

    KEEPER.push_manifest(repository, SECOND, digest_of(SECOND), [V1], guard)
    assert repository.tags.resolve(V1) == digest_of(SECOND)


def test_of_two_first_pushes_under_a_condition_by_callers_who_may_not_move_the_tag_one_is_refused() -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        repository, guard, refused = Repositories(medium).open("a"), Guard(V1, Anything()), []
        OPERATOR.finish_upload(repository, repository.uploads.start(), chunk(b"{}"), Digest.of(b"{}"))

        def push(driver: StorageDriver, manifest: Manifest) -> None:
            pushed_to = Repositories(driver).open("a")
            try:
                NEWCOMER.push_manifest(pushed_to, manifest, digest_of(manifest), [V1], guard)  # noqa: B023
            except DeniedError:
                refused.append(manifest)  # noqa: B023 - called in this very round

        between = InterleavingDriver(medium, moment, lambda: push(medium, FIRST))  # noqa: B023
        push(between, SECOND)

        if between.calls < moment:
            break
        [loser] = refused
        assert repository.tags.resolve(V1) == digest_of(SECOND if loser is FIRST else FIRST)


def test_a_manifest_that_names_what_is_not_there_is_refused(repository: Repository) -> None:
    incomplete = parse_manifest(image(b"{}", b"no such layer"))

    with pytest.raises(ManifestDependenciesError):
        OPERATOR.push_manifest(repository, incomplete, digest_of(incomplete), [V1])

    assert list(repository.manifests.digests()) == []


def test_what_is_removed_is_unknown(repository: Repository) -> None:
    for manifest in (FIRST, SECOND):
        OPERATOR.push_manifest(repository, manifest, digest_of(manifest), [V1, V2])

    OPERATOR.remove_tag(repository, V1)
    OPERATOR.remove_untagged_manifest(repository, digest_of(FIRST))
    OPERATOR.remove_manifest(repository, digest_of(SECOND))
    OPERATOR.remove_blob(repository, Digest.of(b"{}"))

    assert list(repository.manifests.digests()) == []
    assert not repository.blobs.has(Digest.of(b"{}"))
    for digest in map(digest_of, (FIRST, SECOND)):
        for remove in (OPERATOR.remove_manifest, OPERATOR.remove_untagged_manifest):
            with pytest.raises(ManifestUnknownError):
                remove(repository, digest)
    for tag in (V1, V2):
        with pytest.raises(ManifestUnknownError):
            OPERATOR.remove_tag(repository, tag)
    with pytest.raises(BlobUnknownError):
        OPERATOR.remove_blob(repository, Digest.of(b"{}"))


def test_a_tag_is_not_taken_away_by_who_may_not_neither_by_its_name_nor_with_its_manifest(
    driver: InMemoryDriver, repository: Repository
) -> None:
    first, second = digest_of(FIRST), digest_of(SECOND)
    OPERATOR.push_manifest(repository, FIRST, first, [V1, V2])
    OPERATOR.push_manifest(repository, SECOND, second)

    with pytest.raises(DeniedError, match=f"points to {first}"):
        NEWCOMER.remove_tag(repository, V2)
    with pytest.raises(DeniedError, match=f"points to {first}"):
        NEWCOMER.remove_manifest(repository, first)
    assert repository.tags.resolve(V1) == repository.tags.resolve(V2) == first
    assert repository.manifests.has(first)

    NEWCOMER.remove_manifest(repository, second)
    assert not repository.manifests.has(second)
    with pytest.raises(ManifestUnknownError):
        NEWCOMER.remove_tag(repository, Tag("v3"))
    driver.put(paths.tag_link("a", "torn"), b"")
    NEWCOMER.remove_tag(repository, Tag("torn"))
    KEEPER.remove_tag(repository, V1)
    KEEPER.remove_manifest(repository, first)
    for tag in (V1, V2):
        with pytest.raises(ManifestUnknownError):
            repository.tags.resolve(tag)


def test_a_blob_that_is_mounted_is_there_and_stays_when_its_source_is_removed(
    driver: InMemoryDriver, repository: Repository
) -> None:
    other = Repositories(driver).open("other")

    OPERATOR.mount_blob(other, Digest.of(b"{}"), lambda: repository.blobs.stat(Digest.of(b"{}")))
    OPERATOR.push_manifest(other, FIRST, digest_of(FIRST), [V1])
    OPERATOR.remove_repository(repository)

    assert other.blobs.has(Digest.of(b"{}"))
    with pytest.raises(NameUnknownError):
        OPERATOR.remove_repository(repository)
    assert list(Repositories(driver).catalog.linking()) == ["other"]


@pytest.mark.parametrize("publishing", [OPERATOR, NEWCOMER], ids=["operator", "newcomer"])
@pytest.mark.parametrize("rival", ["manifest", "tag"])
def test_a_tag_that_is_moved_while_its_manifest_is_deleted_leads_somewhere(publishing: Publishing, rival: str) -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        repository = Repositories(medium).open("a")
        OPERATOR.finish_upload(repository, repository.uploads.start(), chunk(b"{}"), Digest.of(b"{}"))
        OPERATOR.push_manifest(repository, FIRST, digest_of(FIRST), [V2])

        def remove() -> None:
            same = Repositories(medium).open("a")  # noqa: B023 - called in this very round
            if rival == "manifest":
                OPERATOR.remove_manifest(same, digest_of(FIRST))
            elif "v1" in same.tags.names():
                OPERATOR.remove_tag(same, V1)

        between = InterleavingDriver(medium, moment, remove)
        publishing.move_tag(Repositories(between).open("a"), V1, FIRST, digest_of(FIRST))

        assert_nothing_dangles(medium, "a")
        assert repository.manifests.has(digest_of(FIRST))
        if between.calls < moment:
            break
    assert moment > 3
