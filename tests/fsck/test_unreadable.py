"""What a storage does not give, or does not take, ends no check: the rest is checked and repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drivers.base import NoSpaceError, NotPermittedError, UnavailableError
from drivers.delegating import DelegatingDriver
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.archive.images import blob, image
from tests.fsck.checking import Checked
from tests.fsck.damaging import NAME, is_whole, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.base import Found, Stat

OTHER = "team/other"


class Faulty(DelegatingDriver):
    """Fails to give what `hidden` says of a path, and to take anything while it is `full`."""

    def __init__(self, inner: InMemoryDriver, *hidden: str, error: type[Exception] = NotPermittedError) -> None:
        super().__init__(inner)
        self.hidden = hidden
        self.full = False
        self._error = error

    def get(self, path: str, *, limit: int) -> bytes:
        self._give(path)
        return super().get(path, limit=limit)

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        for path in paths:
            self._give(path)
            yield from super().get_each([path], limit=limit)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        self._give(path)
        return super().read(path, start, stop)

    def stat(self, path: str) -> Stat:
        self._give(path)
        return super().stat(path)

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        self._give(path)
        return super().list_prefixes(path, after=after, limit=limit)

    def holds(self, path: str, *, likely: str = "", is_name: Callable[[str], object] | None = None) -> bool:
        self._give(path)
        return super().holds(path, likely=likely, is_name=is_name)

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        self._give(path)
        yield from super().walk(path, leaf_in=leaf_in)

    def put(self, path: str, content: bytes) -> None:
        self._take(path)
        super().put(path, content)

    def create(self, path: str, content: bytes) -> None:
        self._take(path)
        super().create(path, content)

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        self._take(path)
        super().replace(path, content, expected=expected)

    def _give(self, path: str) -> None:
        if any(path.startswith(each) for each in self.hidden):
            raise self._error(f"{path}: it is not given")

    def _take(self, path: str) -> None:
        if self.full:
            raise NoSpaceError(f"{path}: no space left on device")


def filled() -> InMemoryDriver:
    """A storage with the repositories of push(), and another one whose only tag leads to an image that is gone."""
    driver = InMemoryDriver()
    push(driver)
    other = Repositories(driver).open(OTHER)
    pushed = image(other, blob(other, b"other"))
    other.tags.point(Tag("gone"), Digest.parse(pushed["digest"]))
    driver.delete(paths.blob_data(Digest.parse(pushed["digest"])))
    return driver


def hidden_parts() -> dict[str, str]:
    driver = InMemoryDriver()
    tree = push(driver)
    return {
        "tag": paths.tag_link(NAME, "v1"),
        "tags": paths.tags(NAME),
        "manifest": paths.revision_link(NAME, tree.image),
        "manifests": paths.revisions(NAME, "sha256"),
        "layer": paths.layer_link(NAME, tree.layer),
        "layers": paths.layers(NAME, "sha256"),
        "size": paths.blobs("sha256", tree.layer.hex[:2]),
        "referrers": paths.all_referrers(NAME),
        "repository": paths.repository(NAME),
        "uploads": paths.uploads(NAME),
    }


@pytest.mark.parametrize("part", hidden_parts())
@pytest.mark.parametrize("error", [NotPermittedError, UnavailableError])
@pytest.mark.parametrize("wish", [{}, {"repair": True, "prune": True}, {"deep": True}], ids=str)
def test_what_cannot_be_read_is_told_of_and_the_rest_is_checked(
    part: str, error: type[Exception], wish: dict[str, Any]
) -> None:
    inner = filled()
    path = hidden_parts()[part]
    if part == "uploads":
        Repositories(inner).open(NAME).uploads.start()

    checked = Checked(Faulty(inner, path, error=error), **wish)

    unreadable = [each.damage for each in checked.findings if each.damage.kind == "unreadable"]
    told_at = paths.repository(NAME) if part in {"manifests", "layers"} else path
    assert unreadable[0].where == told_at
    assert all(each.where.startswith(told_at) for each in unreadable)
    assert "it is not given" in unreadable[0].text
    other = {kind for kind, where, _ in checked.said if where.startswith(OTHER)}
    assert other, "the rest is checked"
    assert {where for kind, where, _ in checked.said if kind != "unreadable" and where.startswith(NAME)} == set()
    assert checked.sum.remaining
    assert is_whole(inner), "nothing is removed for want of what could not be read"


def test_any_number_of_links_may_be_unreadable_where_the_storage_works() -> None:
    inner = filled()
    repository = Repositories(inner).open(NAME)
    for number in range(100):
        repository.tags.point(Tag(f"hidden-{number:03}"), repository.tags.resolve(Tag("v1")))

    checked = Checked(Faulty(inner, f"{paths.tags(NAME)}/hidden", error=UnavailableError))

    assert sum(each.damage.kind == "unreadable" for each in checked.findings) == 100
    assert any(where.startswith(OTHER) for _, where, _ in checked.said)


def test_any_number_of_blobs_may_be_forbidden_where_the_storage_works() -> None:
    inner = filled()
    repository = Repositories(inner).open(NAME)
    digests = [Digest.parse(blob(repository, b"%d" % number)["digest"]) for number in range(100)]

    checked = Checked(Faulty(inner, *map(paths.blob_data, digests)), deep=True)

    assert sum(each.damage.kind == "blob-unreadable" for each in checked.findings) == 100


def test_a_storage_that_gives_nothing_any_more_ends_the_check() -> None:
    with pytest.raises(UnavailableError):
        Checked(Faulty(filled(), "/docker", error=UnavailableError))


def test_a_repair_that_finds_no_space_is_told_of_and_what_needs_none_goes_on() -> None:
    inner = filled()
    tree = push(inner)
    tree.damage(paths.revision_link(NAME, tree.image), b"")
    tree.damage(paths.tag_link(NAME, "v1"), b"")
    faulty = Faulty(inner)
    faulty.full = True

    checked = Checked(faulty, repair=True, prune=True)

    failed = [each for each in checked.findings if each.status == "failed"]
    assert {each.damage.where for each in failed} >= {f"{NAME}@{tree.image}", f"{NAME}:v1"}
    assert all("no space left" in each.error for each in failed)
    assert checked.sum.remaining >= len(failed)

    faulty.full = False
    assert not Checked(faulty, repair=True, prune=True).sum.remaining
    assert is_whole(inner)
