"""Walks over what a storage holds: blobs, and the links, tags and revisions of repositories.

They list, and read no content; a blob and a Link cost one ``stat`` each. They hold no more than a page of each listing.
What comes or goes meanwhile may be met or not. Which repositories there are is told by registry.storage.catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.oci.digest import ALGORITHMS, Digest
from registry.oci.errors import DigestInvalidError
from registry.ports import Blob
from registry.storage import paths
from registry.storage.listing import names_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver

_BESIDE_TAGS: Final = (paths.LAYERS, paths.REFERRERS, paths.REVISIONS)


@dataclass(frozen=True, slots=True)
class Link:
    """The object at `path`, of `size` bytes, that holds a digest."""

    path: str
    size: int


def blobs(driver: StorageDriver) -> Iterator[Blob]:
    """Yield all blobs, those of manifests included, whether or not any repository links them."""
    for algorithm in sorted(ALGORITHMS):
        for prefix in names_below(driver, paths.blob_prefixes(algorithm)):
            for digest in _digests(driver, algorithm, paths.blobs(algorithm, prefix)):
                try:
                    yield Blob(digest, digest, driver.stat(paths.blob_data(digest)).size)
                except PathNotFoundError:
                    continue


def layers(driver: StorageDriver, name: str) -> Iterator[Digest]:
    """Yield the digests that the repository `name` links as blobs."""
    return _of_all_algorithms(driver, partial(paths.layers, name))


def revisions(driver: StorageDriver, name: str) -> Iterator[Digest]:
    """Yield the digests that the repository `name` links, or has an unreadable link for, as manifests."""
    return _of_all_algorithms(driver, partial(paths.revisions, name))


def tags(driver: StorageDriver, name: str) -> Iterator[str]:
    """Yield the tags of the repository `name`, in byte order, also those that point nowhere."""
    return names_below(driver, paths.tags(name))


def tag_history(driver: StorageDriver, name: str, tag: str) -> Iterator[Digest]:
    """Yield the digests that `tag` points to or has pointed to."""
    return _of_all_algorithms(driver, partial(paths.tag_history, name, tag))


def links_but_tags(driver: StorageDriver) -> Iterator[Link]:
    """Yield the links of all repositories to blobs, manifests and referrers."""
    return _links_below(driver, paths.REPOSITORIES, (paths.UPLOADS, paths.TAGS))


def tag_links(driver: StorageDriver) -> Iterator[Link]:
    """Yield the links of all tags of all repositories."""
    return _links_below(driver, paths.REPOSITORIES, (paths.UPLOADS, *_BESIDE_TAGS))


def _of_all_algorithms(driver: StorageDriver, path_of: Callable[[str], str]) -> Iterator[Digest]:
    """Yield the digests whose hex are the names below the path of their algorithm."""
    for algorithm in sorted(ALGORITHMS):
        yield from _digests(driver, algorithm, path_of(algorithm))


def _digests(driver: StorageDriver, algorithm: str, path: str) -> Iterator[Digest]:
    for name in names_below(driver, path):
        try:
            yield Digest.parse(f"{algorithm}:{name}")
        except DigestInvalidError:
            continue


def _links_below(driver: StorageDriver, path: str, left_out: tuple[str, ...]) -> Iterator[Link]:
    """Yield the links below `path`, but for the parts of repositories that are `left_out`."""
    for name in names_below(driver, path):
        child = paths.below(path, name)
        if paths.is_part(child, *left_out):
            continue
        if name == paths.LINK:
            try:
                yield Link(child, driver.stat(child).size)
            except PathNotFoundError:
                pass  # a tag, or a component of a repository's name
            else:
                continue
        yield from _links_below(driver, child, left_out)
