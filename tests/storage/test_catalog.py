from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.filesystem import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.catalog import Catalog
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver

TRICKY = ["a", "a-b", "a/b", "a.b", "ab", "a_b", "a/b/c", "a/b-c", "a-b/c", "b", "A.B/c", "0", "z/y/x/w"]
NAMES = st.sets(st.sampled_from(TRICKY))


def add(driver: StorageDriver, name: str) -> None:
    Repositories(driver).open(name).tags.point(Tag("latest"), Digest.of(b""))


def remove(driver: StorageDriver, name: str) -> None:
    driver.delete(paths.manifests(name))


def in_order(names: set[str]) -> list[str]:
    """Sort as a walk through the tree meets them: ``a/b`` before ``a-b``."""
    return sorted(names, key=lambda name: name.split("/"))


def page(catalog: Catalog, after: str, size: int) -> list[str]:
    return list(islice(catalog.names(after=after), size))


@given(NAMES, st.integers(1, 4))
def test_pages_put_together_are_all_names_in_tree_order(names: set[str], size: int) -> None:
    driver = InMemoryDriver()
    for name in names:
        add(driver, name)
    catalog, listed, last = Catalog(driver), list[str](), ""

    while found := page(catalog, last, size):
        listed += found
        last = found[-1]

    assert listed == in_order(names)


@given(NAMES, st.sampled_from(TRICKY) | st.text(max_size=8) | st.text("ab-./_", max_size=8))
def test_a_page_begins_after_a_name_whether_or_not_it_exists(names: set[str], last: str) -> None:
    driver = InMemoryDriver()
    for name in names:
        add(driver, name)

    listed = list(Catalog(driver).names(after=last))

    assert listed == [name for name in in_order(names) if not last or name.split("/") > last.split("/")]


@given(NAMES, NAMES, NAMES, st.integers(1, 3))
def test_what_comes_and_goes_between_pages_neither_hides_nor_repeats_the_others(
    names: set[str],
    gone: set[str],
    new: set[str],
    size: int,
) -> None:
    driver = InMemoryDriver()
    for name in names:
        add(driver, name)
    catalog = Catalog(driver)
    listed = page(catalog, "", size)

    for name in names & gone:
        remove(driver, name)
    for name in new:
        add(driver, name)
    last = listed[-1] if listed else ""
    while found := page(catalog, last, size):
        listed += found
        last = found[-1]

    assert listed == in_order(set(listed))
    assert names - gone <= set(listed) <= names | new


def test_a_repository_is_listed_while_it_has_manifests(driver: InMemoryDriver) -> None:
    uploads = Repositories(driver).open("uploading").uploads
    uploads.start()
    add(driver, "pushed")

    assert list(Catalog(driver).names()) == ["pushed"]
    assert list(Catalog(driver).uploading()) == ["uploading"]


@pytest.mark.parametrize(
    "last",
    [
        *["..", "../..", "/", "//", "a//b", "a/../b", "\0", "\n", "\ud800", "é", "_", "a/_manifests/tags", "%2e%2e"],
        *["a" * 300, "a" * 300 + "/b", "a/" * 4000, "../" * 2000, "a/" + "b" * 10_000],
    ],
    ids=lambda last: repr(last[:12]),
)
def test_no_place_to_go_on_from_makes_it_stumble(last: str, tmp_path: Path) -> None:
    driver = FilesystemDriver(str(tmp_path))
    for name in TRICKY:
        add(driver, name)

    listed = list(Catalog(driver).names(after=last))

    assert listed == [name for name in in_order({*TRICKY}) if name.split("/") > last.split("/")]


def test_it_does_not_look_below_the_registry_s_own_directories(driver: InMemoryDriver) -> None:
    add(driver, "a")
    driver.put(f"{paths.repository('a')}/_layers/x/_manifests/y", b"")

    assert list(Catalog(driver).names(after="a/_layers/")) == []


def test_what_is_no_repository_name_is_passed_over(tmp_path: Path) -> None:
    driver = FilesystemDriver(str(tmp_path))
    add(driver, "a")
    for foreign in ("lost+found", "with space", "-", "_x", "ümlaut"):
        (tmp_path / paths.REPOSITORIES.strip("/") / foreign / "_manifests" / "x").mkdir(parents=True)

    assert list(Catalog(driver).names()) == ["a"]


def test_more_names_than_one_listing_returns_are_all_found(driver: InMemoryDriver) -> None:
    names = {f"r{number}" for number in range(1100)}
    for name in names:
        add(driver, name)

    assert list(Catalog(driver).names()) == in_order(names)
