from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import NotPermittedError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.catalog import Catalog
from registry.storage.listing import PAGE
from registry.storage.repository import Repositories
from tests.drivers.failing import FailingDriver
from tests.drivers.forbidding import ForbiddingDriver

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
        *["a" * 300, "a" * 300 + "/b", "a/" * 4000, "../" * 2000, "a/" + "b" * 10_000, "/".join(["a" * 255] * 40)],
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


@given(NAMES, st.sampled_from(["", *TRICKY]), st.integers(1, 9), st.sets(st.sampled_from(TRICKY)))
def test_a_page_is_the_first_of_the_names_that_are_to_be_shown(
    names: set[str], last: str, limit: int, shown: set[str]
) -> None:
    driver = InMemoryDriver()
    for name in names:
        add(driver, name)
    catalog = Catalog(driver)

    listed = catalog.page(after=last, limit=limit, shown=lambda name: name in shown)

    assert listed == [name for name in catalog.names(after=last) if name in shown][:limit]


def test_a_repository_costs_two_calls_and_what_is_none_or_not_shown_one() -> None:
    driver = InMemoryDriver()
    for name in ("a", "b", "c/d", "e", "f/g"):
        add(driver, name)
    counting = FailingDriver(driver, fail_at=0)

    assert Catalog(counting).page(limit=9, shown=lambda name: name != "b") == ["a", "c/d", "e", "f/g"]
    assert counting.calls == 1 + 2 + 1 + (1 + 2) + 2 + (1 + 2)

    counting.calls = 0
    assert Catalog(counting).page(limit=2, shown=lambda _: True) == ["a", "b"]
    assert counting.calls == 1 + 2 + 1  # nobody asks what lies below the last


def test_among_more_names_than_one_listing_returns_manifests_and_repositories_are_found(driver: InMemoryDriver) -> None:
    add(driver, "a")
    add(driver, "a/z")
    add(driver, "b/z")
    for number in range(PAGE):
        driver.put(f"{paths.repository('a')}/A{number}", b"")
        driver.put(f"{paths.repository('b')}/_{number}", b"")

    assert list(Catalog(driver).names()) == ["a", "a/z", "b/z"]


def test_a_directory_that_holds_nothing_makes_no_repository_and_anything_in_it_does(tmp_path: Path) -> None:
    tree = tmp_path / paths.REPOSITORIES.strip("/")
    for name in ("empty/_manifests", "hidden/_manifests/.tmp", "some/_manifests/revisions", "tagged/_manifests/tags"):
        (tree / name).mkdir(parents=True)
    for name in ("file", "object/_manifests"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()

    catalog = Catalog(FilesystemDriver(str(tmp_path)))

    assert list(catalog.names()) == ["some", "tagged"]
    assert catalog.page(limit=1, shown=lambda name: name != "some") == ["tagged"]


def test_what_another_process_writes_and_deletes_is_seen_by_the_next_page(tmp_path: Path) -> None:
    colleague, catalog = FilesystemDriver(str(tmp_path)), Catalog(FilesystemDriver(str(tmp_path)))
    for name in ("a", "a/b", "c"):
        add(colleague, name)
        assert name in catalog.names()

    for name in ("a", "c", "a/b"):
        remove(colleague, name)
        assert name not in catalog.names()


@pytest.mark.parametrize(
    ("forbidden", "left"),
    [
        (paths.repository("b"), ["a", "b-c", "c"]),
        (paths.manifests("b"), ["a", "b/nested", "b-c", "c"]),
        (paths.repository("c"), ["a", "b", "b/nested", "b-c"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 10])
def test_what_may_not_be_looked_into_is_left_out_of_the_pages_and_named_in_the_log(
    driver: InMemoryDriver, caplog: pytest.LogCaptureFixture, forbidden: str, left: list[str], size: int
) -> None:
    for name in ("a", "b", "b/nested", "b-c", "c"):
        add(driver, name)
    catalog, listed, last = Catalog(ForbiddingDriver(driver, forbidden)), list[str](), ""

    while found := catalog.page(after=last, limit=size, shown=lambda _: True):
        listed += found
        last = found[-1]

    assert listed == left
    assert f"left out of the catalog: {forbidden}" in caplog.text
    after = [name for name in left if name.split("/") > ["b", "a"]]
    assert catalog.page(after="b/a", limit=10, shown=lambda _: True) == after


@pytest.mark.parametrize("forbidden", [paths.REPOSITORIES, paths.repository("b"), paths.manifests("b")])
def test_no_other_walk_leaves_out_what_may_not_be_looked_into(driver: InMemoryDriver, forbidden: str) -> None:
    add(driver, "a")
    add(driver, "b")
    catalog = Catalog(ForbiddingDriver(driver, forbidden))

    for walk in (catalog.names, catalog.linking):
        with pytest.raises(NotPermittedError):
            list(walk())


def test_a_tree_whose_top_may_not_be_looked_into_is_not_listed_as_empty(driver: InMemoryDriver) -> None:
    add(driver, "a")

    with pytest.raises(NotPermittedError):
        Catalog(ForbiddingDriver(driver, paths.REPOSITORIES)).page(limit=10, shown=lambda _: True)
