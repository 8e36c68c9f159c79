"""Walks over what a storage holds: blobs, and the links, tags and revisions of repositories.

They list, and read no content; a blob and a Link cost one ``stat`` each. They hold no more than a page of each listing.
What comes or goes meanwhile may be met or not. Which repositories there are is told by registry.storage.catalog; what
is a name, by registry.storage.names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.oci.digest import ALGORITHMS, Digest
from registry.ports import Blob
from registry.storage import paths
from registry.storage.catalog import Catalog
from registry.storage.listing import names_below
from registry.storage.names import is_algorithm, is_hex, is_prefix, is_tag
from registry.storage.parts import known_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.base import StorageDriver


@dataclass(frozen=True, slots=True)
class Link:
    """The object at `path`, of `size` bytes, that holds a digest; or something else as small that is kept beside it."""

    path: str
    size: int


def blobs(driver: StorageDriver) -> Iterator[Blob]:
    """Yield all blobs, those of manifests included, whether or not any repository links them."""
    for algorithm in sorted(ALGORITHMS):
        for prefix in names_below(driver, paths.blob_prefixes(algorithm), is_prefix):
            for digest in _digests(driver, algorithm, paths.blobs(algorithm, prefix)):
                if not digest.hex.startswith(prefix):
                    continue
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
    return names_below(driver, paths.tags(name), is_tag)


def tag_history(driver: StorageDriver, name: str, tag: str) -> Iterator[Digest]:
    """Yield the digests that `tag` points to or has pointed to."""
    return _of_all_algorithms(driver, partial(paths.tag_history, name, tag))


def subjects(driver: StorageDriver, name: str) -> Iterator[Digest]:
    """Yield the digests that have referrers in the repository `name`."""
    return _of_all_algorithms(driver, partial(paths.subjects, name))


def referrers(driver: StorageDriver, name: str, subject: Digest, *, after: Digest | None = None) -> Iterator[Digest]:
    """Yield, in order, the digests of the referrers of `subject` that sort after `after`."""
    # Most manifests have none, and then one listing shows it.
    for algorithm in names_below(driver, paths.referrers(name, subject), is_algorithm):
        if after is None or algorithm >= after.algorithm:
            last = after.hex if after and algorithm == after.algorithm else ""
            yield from _digests(driver, algorithm, paths.referrers_by(name, subject, algorithm), last)


def links_but_tags(driver: StorageDriver) -> Iterator[Link]:
    """Yield the links of all repositories to blobs, manifests and referrers, and the descriptors of these."""
    for name in Catalog(driver).linking():
        yield from _links(driver, map(partial(paths.layer_link, name), layers(driver, name)))
        yield from _links(driver, map(partial(paths.revision_link, name), revisions(driver, name)))
        for subject in subjects(driver, name):
            for digest in referrers(driver, name, subject):
                yield from _links(
                    driver,
                    (paths.referrer_descriptor(name, subject, digest), paths.referrer_link(name, subject, digest)),
                )


def fetched(driver: StorageDriver) -> Iterator[Link]:
    """Yield what is kept, in all repositories, of tags and manifests that were fetched from another registry."""
    for name in Catalog(driver).linking():
        for found in driver.walk(paths.proxy(name)):
            if known_at(found.path):
                yield Link(found.path, found.size)


def tag_links(driver: StorageDriver) -> Iterator[Link]:
    """Yield the links of all tags of all repositories."""
    for name in Catalog(driver).linking():
        for tag in tags(driver, name):
            yield from _links(driver, [paths.tag_link(name, tag)])
            yield from _links(driver, map(partial(paths.tag_history_link, name, tag), tag_history(driver, name, tag)))


def _links(driver: StorageDriver, at: Iterable[str]) -> Iterator[Link]:
    """Yield the links at those paths where there is one."""
    for path in at:
        try:
            yield Link(path, driver.stat(path).size)
        except PathNotFoundError:
            continue


def _of_all_algorithms(driver: StorageDriver, path_of: Callable[[str], str]) -> Iterator[Digest]:
    """Yield the digests whose hex are the names below the path of their algorithm."""
    for algorithm in sorted(ALGORITHMS):
        yield from _digests(driver, algorithm, path_of(algorithm))


def _digests(driver: StorageDriver, algorithm: str, path: str, after: str = "") -> Iterator[Digest]:
    for name in names_below(driver, path, is_hex(algorithm), after=after):
        yield Digest(algorithm, name)
