"""Reads all of a storage into the index: first what there is and since when, then where tags lead, then the images.

It works in steps, so that what the journal tells is looked at between them. What was read before is not read again: a
link only if the storage says that it is another one, a manifest never.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from registry.browsing.images import Images
from registry.storage import paths
from registry.storage.links import read_links
from registry.storage.parts import Kind, leaf_in, part_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.browsing.images import Inside
    from registry.index.writer import SuspectTag, UnreadManifest, Writer
    from registry.inventory.source import Reader

_FOUND: Final = 1000
"""Objects of a step of the walk."""
_LINKS: Final = 200
_MANIFESTS: Final = 32
_SUMS: Final = 100


def scan(driver: StorageDriver, writer: Writer) -> Iterator[None]:
    """Find all repositories and tags, and forget those that are not there; each step of the iterator does a part.

    Raises:
        DriverError: the storage fails, or a part of it may not be looked into: then nothing is forgotten.
    """
    with writer.transaction():
        writer.begin_scan()
    found = driver.walk(paths.REPOSITORIES, leaf_in=leaf_in)
    while objects := list(islice(found, _FOUND)):
        with writer.transaction():
            for each in objects:
                part = part_at(each.path)
                if part and part.kind is Kind.REVISION and part.digest:
                    writer.found_manifest(part.repository, part.digest)
                elif part and part.kind is Kind.TAG:
                    writer.found_tag(part.repository, part.tag, pushed=each.modified, version=each.version)
        yield
    # Before it counts as complete, so that nobody is told of repositories without tags.
    yield from _sum_up(writer)
    with writer.transaction():
        writer.end_scan()


def catch_up(driver: StorageDriver, reader: Reader, writer: Writer) -> Iterator[None]:
    """Find out what is not known yet of the tags and manifests in the index, as scan() does, and sum it up.

    Raises:
        DriverError: the storage fails.
    """
    while tags := writer.unread_tags(_LINKS):
        digests = list(read_links(driver, [paths.tag_link(tag.repository, tag.name) for tag in tags]))
        with writer.transaction():
            for tag, digest in zip(tags, digests, strict=True):
                writer.read_tag(tag, digest)
        yield
    while suspects := writer.suspect_tags(_MANIFESTS):
        there = list(reader.each(partial(_has, reader), suspects))
        with writer.transaction():
            for suspect, is_there in zip(suspects, there, strict=True):
                writer.asked(suspect, is_there=is_there)
        yield
    yield from _sum_up(writer)
    images = Images(reader)
    while manifests := writer.unread_manifests(_MANIFESTS):
        inside = list(reader.each(partial(_look, images), manifests))
        with writer.transaction():
            for manifest, found in zip(manifests, inside, strict=True):
                writer.learned(manifest.digest, found)
        yield
    yield from _sum_up(writer)


def _has(reader: Reader, tag: SuspectTag) -> bool:
    return reader.has(tag.repository, tag.digest)


def _look(images: Images, manifest: UnreadManifest) -> Inside | None:
    """Return what is in a manifest; None if it is not there, or no tag leads there any more."""
    return images.look_into(manifest.repository, manifest.digest) if manifest.repository else None


def _sum_up(writer: Writer) -> Iterator[None]:
    while True:
        with writer.transaction():
            if not writer.sum_up(_SUMS):
                return
        yield
