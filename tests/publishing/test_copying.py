"""A copy within a registry is whole or cannot be seen, and moves no bytes."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.journal.entry import Origin
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import DeniedError, ManifestDependenciesError, ManifestInvalidError, ManifestUnknownError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.publishing import Copy, Operator, Publishing, copy_manifest, copy_with_referrers, copying
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.content import chunk, descriptor, image, index
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.ports import Repository
    from registry.publishing import Copied

OPERATOR = Publishing(ValidationPolicy(), Operator())
V1, LATEST = Tag("v1"), Tag("latest")
IMAGES = [image(b'{"os": "linux"}', b"base", b"one"), image(b'{"os": "windows"}', b"base", b"two")]
INDEX = index(*IMAGES)
ROOT = Digest.of(INDEX)
SIGNATURE = image(b"{}", b"signature", subject=descriptor(INDEX, media_types.OCI_INDEX))
OF_SIGNATURE = image(b"{}", b"of it", subject=descriptor(SIGNATURE, media_types.OCI_MANIFEST))
COSIGN = image(b"{}", b"cosign")
COSIGN_TAG = Tag(f"sha256-{Digest.of(IMAGES[0]).hex}.sig")


class Newcomer:
    """A caller who may push and never move a tag."""

    origin = Origin(actor="newcomer")
    moves_every_tag = False

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        raise DeniedError(f"{repository}:{tag} points to {current}")

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        raise DeniedError(f"{repository}:{tag} points to {current}")


def push(repository: Repository, manifest: bytes, *tags: Tag) -> None:
    OPERATOR.push_manifest(repository, parse_manifest(manifest), Digest.of(manifest), tags)


def push_all(driver: StorageDriver) -> None:
    """Let the repository ``here`` have an index of two images, signed in two ways."""
    here = Repositories(driver).open("here")
    for content in (b'{"os": "linux"}', b'{"os": "windows"}', b"{}", b"base", b"one", b"two", b"signature", b"of it"):
        OPERATOR.finish_upload(here, here.uploads.start(), chunk(content), Digest.of(content))
    OPERATOR.finish_upload(here, here.uploads.start(), chunk(b"cosign"), Digest.of(b"cosign"))
    for manifest in IMAGES:
        push(here, manifest)
    push(here, INDEX, V1)
    push(here, SIGNATURE)
    push(here, OF_SIGNATURE)
    push(here, COSIGN, COSIGN_TAG)


@pytest.fixture
def driver() -> InMemoryDriver:
    driver = InMemoryDriver()
    push_all(driver)
    return driver


def repositories(driver: StorageDriver) -> tuple[Repository, Repository]:
    opened = Repositories(driver)
    return opened.open("here"), opened.open("there")


def copy(driver: StorageDriver, publishing: Publishing = OPERATOR) -> Copied:
    return copy_manifest(publishing, Copy(*repositories(driver), ROOT, LATEST))


def copy_all(driver: StorageDriver, publishing: Publishing = OPERATOR) -> Copied:
    return copy_with_referrers(publishing, Copy(*repositories(driver), ROOT, LATEST))


def assert_whole(driver: StorageDriver) -> None:
    """Fail if what ``latest`` leads to in the repository ``there`` is not what it is in ``here``."""
    _, there = repositories(driver)
    assert there.tags.resolve(LATEST) == ROOT
    for manifest in (INDEX, *IMAGES):
        assert there.manifests.get(Digest.of(manifest)).content == manifest
    for manifest in IMAGES:
        for _, each in parse_manifest(manifest).references():
            assert there.blobs.has(each.digest)


def test_a_copy_has_all_that_the_manifest_leads_to_and_no_bytes_of_its_own(driver: InMemoryDriver) -> None:
    def stored() -> set[str]:
        return {each.path for each in driver.walk("/docker/registry/v2/blobs")}

    before = stored()

    copied = copy(driver)

    assert (copied.digest, copied.manifests, copied.blobs) == (ROOT, 3, 5)
    assert stored() == before
    assert_whole(driver)
    _, there = repositories(driver)
    assert not there.manifests.has(Digest.of(SIGNATURE))
    assert copy(driver).blobs == 0


def test_a_copy_stays_when_its_source_is_removed(driver: InMemoryDriver) -> None:
    copy(driver)

    OPERATOR.remove_repository(repositories(driver)[0])

    assert_whole(driver)
    assert_nothing_dangles(driver, "there")


def test_a_copy_with_referrers_has_those_of_each_manifest_and_the_tags_of_cosign(driver: InMemoryDriver) -> None:
    copied = copy_all(driver)

    assert copied.manifests == 6
    assert_whole(driver)
    _, there = repositories(driver)
    assert list(there.referrers.after(ROOT)) == [Digest.of(SIGNATURE)]
    assert list(there.referrers.after(Digest.of(SIGNATURE))) == [Digest.of(OF_SIGNATURE)]
    assert there.tags.resolve(COSIGN_TAG) == Digest.of(COSIGN)


def test_a_signature_that_the_target_has_by_its_tag_stays(driver: InMemoryDriver) -> None:
    _, there = repositories(driver)
    copy(driver)
    push(there, IMAGES[1], COSIGN_TAG)

    copy_all(driver)

    assert there.tags.resolve(COSIGN_TAG) == Digest.of(IMAGES[1])


def test_within_a_repository_only_the_tag_is_written(driver: InMemoryDriver) -> None:
    here, _ = repositories(driver)
    before = {each.path for each in driver.walk("/docker")}

    copied = copy_manifest(OPERATOR, Copy(here, here, ROOT, LATEST))

    assert (copied.manifests, copied.blobs) == (0, 0)
    assert here.tags.resolve(LATEST) == ROOT
    assert all("/_manifests/tags/latest/" in each.path for each in driver.walk("/docker") if each.path not in before)


def test_a_tag_that_the_caller_may_not_move_stays_and_nothing_is_copied(driver: InMemoryDriver) -> None:
    _, there = repositories(driver)
    OPERATOR.mount_blob(there, Digest.of(b"{}"), lambda: repositories(driver)[0].blobs.stat(Digest.of(b"{}")))
    push(there, image(), LATEST)
    before = list(driver.walk("/docker"))

    for each in (copy, copy_all):
        with pytest.raises(DeniedError, match="there:latest"):
            each(driver, Publishing(ValidationPolicy(), Newcomer()))

    assert list(driver.walk("/docker")) == before


def test_what_the_source_lacks_is_refused_as_for_a_push(driver: InMemoryDriver) -> None:
    here, there = repositories(driver)
    here.blobs.delete(Digest.of(b"two"))

    with pytest.raises(ManifestDependenciesError):
        copy(driver)

    with pytest.raises(ManifestUnknownError):
        there.tags.resolve(LATEST)
    assert_nothing_dangles(driver, "there")


def test_a_manifest_that_is_not_there_is_unknown(driver: InMemoryDriver) -> None:
    with pytest.raises(ManifestUnknownError):
        copy_manifest(OPERATOR, Copy(*repositories(driver), Digest.of(b"nothing"), LATEST))


def test_a_manifest_that_leads_to_more_than_a_request_can_wait_for_is_refused(
    driver: InMemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MOST", 7)

    with pytest.raises(ManifestInvalidError, match="more than 7"):
        copy(driver)


def test_manifests_that_lead_to_one_another_too_deep_are_refused(driver: InMemoryDriver) -> None:
    here, there = repositories(driver)
    manifest = INDEX
    for _ in range(17):
        manifest = index(manifest)
        push(here, manifest, V1)

    with pytest.raises(ManifestInvalidError, match="deep"):
        copy_manifest(OPERATOR, Copy(here, there, Digest.of(manifest), LATEST))


@pytest.mark.parametrize("make", [copy, copy_all])
def test_a_copy_that_breaks_off_leaves_nothing_that_dangles_and_can_be_repeated(
    make: Callable[[StorageDriver], Copied],
) -> None:
    for moment in count(1):
        driver = InMemoryDriver()
        push_all(driver)
        failing = FailingDriver(driver, fail_at=moment)
        with suppress(DriverError):
            make(failing)
        assert_nothing_dangles(driver, "there")
        with suppress(ManifestUnknownError):
            repositories(driver)[1].tags.resolve(LATEST)
            assert_whole(driver)
        make(driver)
        assert_whole(driver)
        if not failing.power_is_gone:
            break


@pytest.mark.parametrize("make", [copy, copy_all])
def test_what_is_copied_while_its_source_is_removed_is_whole_or_refused(
    make: Callable[[StorageDriver], Copied],
) -> None:
    for moment in count(1):
        driver = InMemoryDriver()
        push_all(driver)
        here, _ = repositories(driver)
        interleaving = InterleavingDriver(driver, moment, partial(OPERATOR.remove_repository, here))
        try:
            make(interleaving)
        except (ManifestDependenciesError, ManifestUnknownError):
            with pytest.raises(ManifestUnknownError):
                repositories(driver)[1].tags.resolve(LATEST)
        else:
            assert_whole(driver)
        assert_nothing_dangles(driver, "there")
        if interleaving.calls < moment:
            break
