from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from drivers.delegating import DelegatingDriver
from registry.browsing.images import Images
from registry.browsing.repository import MOST_SORTED, natural_key, tags_page
from registry.inventory.local import StorageReader
from registry.inventory.source import NotThereError
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage.repository import Repositories
from tests.archive.images import blob, image, manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drivers.base import Found, Stat, StorageDriver
    from drivers.inmemory import InMemoryDriver
    from registry.browsing.repository import Sort
    from registry.storage.repository import Repository

LAYER = b"layer" * 100


def tagged(
    repository: Repository, tag: str, number: int = 0, *, size: int = 1, platform: str = "linux/amd64"
) -> Digest:
    """Push an image of its own for each `number`, with a layer of `size` bytes, and tag it."""
    os, architecture = platform.split("/")
    values = {"os": os, "architecture": architecture, "number": number}
    config = blob(repository, json.dumps(values).encode(), media_types.OCI_CONFIG)
    layer = blob(repository, b"x" * size)
    document = {"mediaType": media_types.OCI_MANIFEST, "config": config, "layers": [layer]}
    digest = Digest.parse(manifest(repository, document)["digest"])
    repository.tags.point(Tag(tag), digest)
    return digest


@pytest.fixture
def app(repositories: Repositories) -> Repository:
    return repositories.open("team/app")


def names(images: Images, *, sort: Sort = "name", limit: int = 50, after: str = "") -> list[str]:
    return [row.name for row in tags_page(images, "team/app", sort=sort, limit=limit, after=after).rows]


def test_a_tag_has_what_it_leads_to(images: Images, app: Repository) -> None:
    digest = tagged(app, "v1", platform="linux/arm64", size=500)
    (row,) = tags_page(images, "team/app").rows
    assert (row.digest, row.media_type, row.platforms) == (digest, media_types.OCI_MANIFEST, ("linux/arm64",))
    stored = app.manifests.get(digest)
    assert stored.config
    assert row.size == len(stored.content) + stored.config.size + 500
    assert row.pushed == app.tags.pushed(Tag("v1"))


def test_tags_of_one_manifest_are_aliases(images: Images, app: Repository) -> None:
    for tag in ("v1", "latest", "v1.0"):
        tagged(app, tag)
    tagged(app, "v2", 2)
    page = tags_page(images, "team/app")
    assert {row.name: row.aliases for row in page.rows} == {
        "latest": ("v1", "v1.0"),
        "v1": ("latest", "v1.0"),
        "v1.0": ("latest", "v1"),
        "v2": (),
    }
    assert (page.total, page.following) == (4, None)


def test_a_tag_that_leads_nowhere_is_listed(images: Images, app: Repository) -> None:
    digest = tagged(app, "v1")
    tagged(app, "v2", 2)
    app.manifests.forget(digest)
    row = tags_page(images, "team/app").rows[0]
    assert (row.name, row.digest, row.size) == ("v1", None, None)


def test_a_manifest_that_is_deleted_after_it_was_looked_at_is_not_there(images: Images, app: Repository) -> None:
    digest = tagged(app, "v1")
    assert tags_page(images, "team/app").rows[0].digest == digest
    app.manifests.forget(digest)
    assert tags_page(images, "team/app").rows[0].digest is None


def test_names_are_sorted_as_people_count(images: Images, app: Repository) -> None:
    for tag in ("v1.10", "v1.9", "v1.9-rc1", "v10", "latest", "1"):
        tagged(app, tag)
    assert names(images) == ["1", "latest", "v1.9", "v1.9-rc1", "v1.10", "v10"]


def test_tags_of_many_numbers_are_in_one_order() -> None:
    assert sorted(["a01", "a1", "1a", "a"], key=natural_key) == ["1a", "a", "a01", "a1"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-size", ["large", "middle", "small", "lost"]),
        ("size", ["small", "middle", "large", "lost"]),
    ],
)
def test_tags_are_sorted_by_size_and_those_without_one_come_last(
    images: Images, app: Repository, sort: Sort, expected: list[str]
) -> None:
    tagged(app, "middle", 1, size=2000)
    tagged(app, "large", 2, size=3000)
    tagged(app, "small", 3, size=1000)
    app.manifests.forget(tagged(app, "lost", 4))
    assert names(images, sort=sort) == expected


def test_tags_are_sorted_by_when_they_were_pushed(
    images: Images, app: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {"b": 3.0, "a": 1.0, "c": 2.0}
    for number, tag in enumerate(times):
        tagged(app, tag, number)
    monkeypatch.setattr(images.source, "pushed_each", lambda _, tags: [times[tag] for tag in tags])
    assert names(images, sort="-pushed") == ["b", "c", "a"]
    assert names(images, sort="pushed") == ["a", "c", "b"]


@pytest.mark.parametrize("sort", ["name", "-size", "-pushed"])
def test_pages_put_together_are_all_tags(images: Images, app: Repository, sort: Sort) -> None:
    for number in range(7):
        tagged(app, f"v{number}", number % 3, size=number % 3 + 1)
    found, after = [], ""
    while True:
        page = tags_page(images, "team/app", after=after, limit=3, sort=sort)
        assert page.sort == sort
        found += [row.name for row in page.rows]
        if page.following is None:
            break
        after = page.following
    assert found == names(images, sort=sort)
    assert len(found) == 7


@pytest.mark.parametrize("sort", ["name", "-size", "size", "-pushed"])
def test_a_page_goes_on_where_the_one_before_has_ended_also_if_that_tag_is_gone(
    images: Images, app: Repository, sort: Sort
) -> None:
    for number in range(6):
        tagged(app, f"v{number}", number, size=number + 1)
    order = names(images, sort=sort)
    page = tags_page(images, "team/app", sort=sort, limit=3)
    app.tags.delete(Tag(order[2]))
    assert names(images, sort=sort, after=page.following or "") == order[3:]


@pytest.mark.parametrize("after", ["v1", "x:v1", "9" * 5000, "1:" + "9" * 5000])
def test_where_a_page_of_another_order_has_ended_the_first_tags_come_again(
    images: Images, app: Repository, after: str
) -> None:
    tagged(app, "v0")
    assert names(images, sort="-size", after=after) == ["v0"]


def test_more_tags_than_are_sorted_come_in_byte_order(images: Images, app: Repository) -> None:
    digest = tagged(app, "v1")
    for number in range(MOST_SORTED):
        app.tags.point(Tag(f"t{number}"), digest)
    page = tags_page(images, "team/app", sort="-size", limit=3)
    assert ([row.name for row in page.rows], page.following) == (["t0", "t1", "t10"], "t10")
    assert (page.sort, page.total) == ("name", None)
    last = tags_page(images, "team/app", after="t999", limit=3)
    assert ([row.name for row in last.rows], last.following) == (["v1"], None)


def test_tags_are_found_by_a_text_in_their_names(images: Images, app: Repository) -> None:
    digest = tagged(app, "Release-1")
    for tag in ("release-10", "release-2", "nightly"):
        app.tags.point(Tag(tag), digest)

    page = tags_page(images, "team/app", containing="RELEASE", limit=2)
    rest = tags_page(images, "team/app", containing="RELEASE", limit=2, after="release-2")

    assert ([row.name for row in page.rows], page.total) == (["Release-1", "release-2"], 3)
    assert ([row.name for row in rest.rows], rest.following) == (["release-10"], None)


def test_tags_are_found_among_more_than_are_sorted(images: Images, app: Repository) -> None:
    digest = tagged(app, "v1")
    for number in range(MOST_SORTED):
        app.tags.point(Tag(f"t{number}"), digest)

    page = tags_page(images, "team/app", containing="T99", limit=10)
    rest = tags_page(images, "team/app", containing="T99", limit=10, after=page.following or "")

    assert [row.name for row in page.rows] == ["t99", *(f"t{number}" for number in range(990, 999))]
    assert ([row.name for row in rest.rows], rest.following) == (["t999"], None)


def test_a_repository_without_tags_has_none_and_one_that_does_not_exist_is_not_there(
    images: Images, app: Repository
) -> None:
    image(app)
    assert tags_page(images, "team/app").rows == ()
    with pytest.raises(NotThereError):
        tags_page(images, "team/none")


class Counting(DelegatingDriver):
    """A driver that notes what it is asked."""

    def __init__(self, inner: StorageDriver) -> None:
        super().__init__(inner)
        self.gets: list[str] = []
        self.others: Counter[str] = Counter()

    def get(self, path: str, *, limit: int) -> bytes:
        self.gets.append(path)
        return self._inner.get(path, limit=limit)

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        return super().get_each(map(self._noted, paths), limit=limit)

    def _noted(self, path: str) -> str:
        self.gets.append(path)
        return path

    def stat(self, path: str) -> Stat:
        self.others["stat"] += 1
        return self._inner.stat(path)

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        self.others["list"] += 1
        return self._inner.scan(path, after=after, limit=limit)

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        self.others["list"] += 1
        return self._inner.list_prefixes(path, after=after, limit=limit)


def test_a_page_over_an_object_store_takes_two_listings_and_each_link_and_manifest_once(
    driver: InMemoryDriver, app: Repository
) -> None:
    for number in range(50):
        tagged(app, f"v{number}", number % 5)
    counting = Counting(driver)
    images = Images(StorageReader(Repositories(counting)))

    tags_page(images, "team/app")

    assert len([path for path in counting.gets if "/_manifests/tags/" in path]) == 50
    # Of each manifest its link and its bytes, and the link of its config, whose size is looked up.
    assert len(counting.gets) == len(set(counting.gets)) == 50 + 5 * 3
    assert counting.others == {"list": 2, "stat": 5}

    counting.gets.clear()
    counting.others.clear()
    tags_page(images, "team/app", sort="-size")

    # What was found out is remembered; whether the manifests are still there is asked.
    assert len(counting.gets) == 2 * 50 + 5 + 5
    assert counting.others == {"list": 2}
