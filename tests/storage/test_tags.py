from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, NameUnknownError
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.links import write_link
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from drivers.filesystem.driver import FilesystemDriver
    from registry.storage.tags import TagStore

DIGEST = Digest.of(b"one")
OTHER = Digest.of(b"other")
NAMES = st.sets(st.sampled_from(["a", "a-b", "a.b", "a_b", "ab", "A", "0", "_", "1.0", "latest"]))


@pytest.fixture
def tags(driver: InMemoryDriver) -> TagStore:
    return Repositories(driver).open("a").tags


def test_a_tag_points_to_what_it_was_pointed_to_last_and_remembers_the_rest(
    driver: InMemoryDriver,
    tags: TagStore,
) -> None:
    tags.point(Tag("latest"), OTHER)
    tags.point(Tag("latest"), DIGEST)

    assert tags.resolve(Tag("latest")) == DIGEST
    for digest in (DIGEST, OTHER):
        assert driver.get(paths.tag_history_link("a", "latest", digest), limit=100) == str(digest).encode()


def test_a_tag_that_is_not_there_is_an_unknown_manifest(tags: TagStore) -> None:
    for attempt in (tags.resolve, tags.delete):
        with pytest.raises(ManifestUnknownError):
            attempt(Tag("latest"))


def test_deleting_takes_the_tag_and_its_history(driver: InMemoryDriver, tags: TagStore) -> None:
    tags.point(Tag("v1"), DIGEST)
    tags.point(Tag("v1.0"), DIGEST)

    tags.delete(Tag("v1"))

    assert tags.page(limit=9) == ["v1.0"]
    assert driver.list(paths.tag_directory("a", "v1"), limit=1) == []


@pytest.mark.parametrize("content", [b"", b"sha256:torn", str(DIGEST).encode() + b"\n"])
def test_a_tag_whose_link_is_damaged_can_be_deleted_and_pushed_again(
    driver: InMemoryDriver,
    tags: TagStore,
    content: bytes,
) -> None:
    driver.put(paths.tag_link("a", "latest"), content)

    with pytest.raises(ManifestUnknownError):
        tags.resolve(Tag("latest"))
    tags.delete(Tag("latest"))
    assert driver.list(paths.tags("a"), limit=1) == []

    tags.point(Tag("latest"), DIGEST)
    assert tags.resolve(Tag("latest")) == DIGEST


@given(NAMES, st.integers(1, 4), st.sampled_from(["", "a", "b", "zzz"]))
def test_pages_put_together_are_the_tags_in_byte_order(names: set[str], size: int, after: str) -> None:
    driver = InMemoryDriver()
    tags = Repositories(driver).open("a").tags
    write_link(driver, paths.revision_link("a", DIGEST), DIGEST)
    for name in names:
        tags.point(Tag(name), DIGEST)
    listed, last = list[str](), after

    while found := tags.page(after=last, limit=size):
        listed += found
        last = found[-1]

    assert listed == sorted(name for name in names if name > after)


def test_a_repository_without_tags_has_none_and_no_repository_is_unknown(
    driver: InMemoryDriver,
    tags: TagStore,
) -> None:
    with pytest.raises(NameUnknownError):
        tags.page(limit=10)

    write_link(driver, paths.revision_link("a", DIGEST), DIGEST)
    assert tags.page(limit=10) == []
    assert tags.page(after="z", limit=10) == []


def test_more_tags_than_one_listing_returns_are_all_looked_through(tags: TagStore) -> None:
    for number in range(1100):
        tags.point(Tag(f"v{number:04}"), OTHER if number % 100 else DIGEST)

    assert list(tags.pointing_to(DIGEST)) == [f"v{number:04}" for number in range(0, 1100, 100)]


def test_an_empty_directory_of_a_tag_is_cleared_away_by_deleting_it(filesystem: FilesystemDriver) -> None:
    tags = Repositories(filesystem).open("a").tags
    tags.point(Tag("latest"), DIGEST)
    filesystem.delete(paths.tag_link("a", "latest"))

    tags.delete(Tag("latest"))

    with pytest.raises(NameUnknownError):
        tags.page(limit=10)
