"""What was fetched becomes visible past a garbage collection, as what is pushed does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.base import CollectingError
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.ports import Blob, ChangedError
from registry.proxy.caching import Caching
from registry.storage import paths
from registry.storage.passage import Passage
from registry.storage.repository import Repositories
from registry.storage.runs import Phase, Run, Runs
from tests.content import image

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.inmemory import InMemoryDriver
    from registry.storage.repository import Repository

CONTENT = b"layer"
DIGEST = Digest.of(CONTENT)
BLOB = Blob(DIGEST, DIGEST, len(CONTENT))
MANIFEST = parse_manifest(image(CONTENT))


@pytest.fixture
def repository(driver: InMemoryDriver) -> Repository:
    return Repositories(driver).open("hub/a")


def adopt(caching: Caching, repository: Repository, driver: InMemoryDriver) -> None:
    path = paths.fill_data("hub", DIGEST)
    driver.create_upload(path)
    with driver.open_upload(path) as writer:
        writer.write(CONTENT)
        caching.adopt_blob(repository, writer, DIGEST)


def link(caching: Caching, repository: Repository, driver: InMemoryDriver) -> None:
    driver.put(paths.blob_data(DIGEST), CONTENT)
    caching.link_blob(repository, BLOB)


def put_manifest(caching: Caching, repository: Repository, driver: InMemoryDriver) -> None:
    del driver
    caching.put_manifest(repository, MANIFEST, Digest.of(MANIFEST.content), [Tag("v1")])


def move_tag(caching: Caching, repository: Repository, driver: InMemoryDriver) -> None:
    del driver
    caching.move_tag(repository, Tag("v1"), MANIFEST, Digest.of(MANIFEST.content), None)


@pytest.mark.parametrize("cache", [adopt, link, put_manifest, move_tag])
def test_a_garbage_collection_that_is_on_is_told_of_what_is_cached(
    cache: Callable[[Caching, Repository, InMemoryDriver], None], repository: Repository, driver: InMemoryDriver
) -> None:
    runs = Runs(driver)
    runs.write(Run(5, Phase.MARKING))

    cache(Caching(Passage(runs)), repository, driver)

    [notice] = [runs.notice(each) for each in runs.notice_ids()]
    assert notice
    assert str(DIGEST) in notice.digests
    assert repository.blobs.has(DIGEST) or repository.tags.resolve(Tag("v1")) == Digest.of(MANIFEST.content)


def test_what_a_garbage_collection_takes_away_meanwhile_is_not_acknowledged(
    repository: Repository, driver: InMemoryDriver
) -> None:
    runs = Runs(driver)
    runs.write(Run(5, Phase.MARKING))
    driver.put(paths.blob_data(DIGEST), CONTENT)
    caching = Caching(Passage(runs))
    mount = repository.blobs.mount

    def collected(blob: Blob) -> None:
        mount(blob)
        driver.delete(paths.blob_data(DIGEST))
        runs.write(Run(6, Phase.MARKING))

    repository.blobs.mount = collected  # type: ignore[method-assign]  # the run ends at this very moment

    with pytest.raises(CollectingError):
        caching.link_blob(repository, BLOB)


def test_a_link_is_not_made_to_bytes_that_are_not_there_or_of_another_size(
    repository: Repository, driver: InMemoryDriver
) -> None:
    caching = Caching(None)
    with pytest.raises(BlobUnknownError):
        caching.link_blob(repository, BLOB)
    driver.put(paths.blob_data(DIGEST), CONTENT + b".")
    with pytest.raises(BlobUnknownError):
        caching.link_blob(repository, BLOB)

    assert not repository.blobs.has(DIGEST)


def test_a_manifest_is_cached_without_what_it_names(repository: Repository) -> None:
    digest = Digest.of(MANIFEST.content)

    Caching(None).put_manifest(repository, MANIFEST, digest, [Tag("v1")])

    assert repository.manifests.serve(repository.tags.resolve(Tag("v1"))).content == MANIFEST.content


def test_a_tag_is_moved_only_from_where_it_was_seen_to_point(repository: Repository) -> None:
    caching, other = Caching(None), parse_manifest(image(b"another"))
    digest, other_digest = Digest.of(MANIFEST.content), Digest.of(other.content)
    caching.move_tag(repository, Tag("v1"), MANIFEST, digest, None)

    for current in (None, other_digest):
        with pytest.raises(ChangedError):
            caching.move_tag(repository, Tag("v1"), other, other_digest, current)
    assert repository.tags.resolve(Tag("v1")) == digest
    assert repository.manifests.has(other_digest)

    caching.move_tag(repository, Tag("v1"), other, other_digest, digest)
    assert repository.tags.resolve(Tag("v1")) == other_digest
