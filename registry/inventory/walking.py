"""All manifests that other manifests, or the tags of a repository, lead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.oci.errors import ManifestInvalidError
from registry.oci.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.foundation.found_digests import FoundDigests
    from registry.inventory.source import Reader, Stored
    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Found:
    """What is stored under a digest, and what is read in it: None if it is of schema 1, or not a manifest."""

    digest: Digest
    stored: Stored
    manifest: Manifest | None

    def blobs(self) -> Iterator[tuple[Digest, int]]:
        """Yield the blobs that the manifest names, with the sizes that it says; not what may be stored elsewhere."""
        for kind, descriptor in self.manifest.references() if self.manifest else ():
            if kind not in {"manifest", "foreign"}:
                yield descriptor.digest, max(descriptor.size, 0)

    def add_blobs_to(self, content: FoundDigests) -> None:
        """Add the blobs that the manifest names to `content`."""
        for digest, size in self.blobs():
            content.add(digest, size)


def walk(source: Reader, repository: str, manifests: FoundDigests) -> Iterator[Found]:
    """Yield each manifest of the repository that a tag leads to, once; those too that are added to `manifests`.

    What is named and not there is passed over.
    """
    for tag in source.tags(repository):
        digest = source.resolve(repository, tag)
        if digest:
            manifests.add(digest)
    yield from follow(source, repository, manifests)


def follow(source: Reader, repository: str, manifests: FoundDigests) -> Iterator[Found]:
    """Yield each of `manifests`, those too that are added meanwhile, and all that they lead to, once.

    What is named and not there is passed over: an index need not have all its images.
    """
    for digest in manifests.follow():
        stored = source.manifest(repository, digest)
        if stored is None:
            continue
        found = found_in(digest, stored)
        yield found
        for kind, descriptor in found.manifest.references() if found.manifest else ():
            if kind == "manifest":
                manifests.add(descriptor.digest)


def found_in(digest: Digest, stored: Stored) -> Found:
    """Return what is read in what is stored under `digest`."""
    try:
        manifest = read_stored(stored.content)
    except ManifestInvalidError:
        return Found(digest, stored, None)
    return Found(digest, stored, manifest)
