"""All objects of a storage in an order in which a copy that breaks off leaves nothing that dangles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.oci.digest import ALGORITHMS, Digest
from registry.oci.errors import DigestInvalidError
from registry.storage import paths
from registry.storage.listing import names_below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

_LINK: Final = "link"
_IN_TAGS: Final = ("/_uploads", "/_manifests/tags")
_BESIDE_TAGS: Final = ("/_uploads", "/_layers", "/_referrers", "/_manifests/revisions")
"""No component of a repository's name begins with an underscore."""


@dataclass(frozen=True, slots=True)
class Source:
    """An object to copy; `digest` is that of its bytes, None for a link."""

    path: str
    size: int
    digest: Digest | None = None


def blobs(driver: StorageDriver) -> Iterator[Source]:
    """Yield all blobs, those of manifests included."""
    for algorithm in sorted(ALGORITHMS):
        for prefix in names_below(driver, f"{paths.BLOBS}/{algorithm}"):
            for name in names_below(driver, f"{paths.BLOBS}/{algorithm}/{prefix}"):
                try:
                    digest = Digest.parse(f"{algorithm}:{name}")
                    size = driver.stat(paths.blob_data(digest)).size
                except (DigestInvalidError, PathNotFoundError):
                    continue
                yield Source(paths.blob_data(digest), size, digest)


def links(driver: StorageDriver) -> Iterator[Source]:
    """Yield the links of all repositories but those of tags.

    Uploads under way are none of it: their sessions belong to the registry that has them.
    """
    return _links_below(driver, paths.REPOSITORIES, _IN_TAGS)


def tags(driver: StorageDriver) -> Iterator[Source]:
    """Yield the links of all tags: whoever finds a tag is to find what it leads to."""
    return _links_below(driver, paths.REPOSITORIES, _BESIDE_TAGS)


def _links_below(driver: StorageDriver, path: str, left_out: tuple[str, ...]) -> Iterator[Source]:
    for name in names_below(driver, path):
        child = f"{path}/{name}"
        if child.endswith(left_out):
            continue
        if name == _LINK:  # but a tag may be called so, and a component of a repository's name
            try:
                yield Source(child, driver.stat(child).size)
            except PathNotFoundError:
                pass
            else:
                continue
        yield from _links_below(driver, child, left_out)
