"""All manifests that the tags of a repository lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.inventory.images import children, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.inventory.digests import FoundDigests
    from registry.inventory.source import Source, Stored
    from registry.oci.digest import Digest


def walk(source: Source, repository: str, manifests: FoundDigests) -> Iterator[tuple[Digest, Stored]]:
    """Yield each manifest of the repository that a tag leads to, once; those too that are added to `manifests`.

    What is named and not there is passed over.
    """
    for tag in source.tags(repository):
        digest = source.resolve(repository, tag)
        if digest:
            manifests.add(digest)
    for digest in manifests.follow():
        stored = source.manifest(repository, digest)
        if stored is None:
            continue
        yield digest, stored
        manifest = parsed(stored)
        for child in children(manifest) if manifest else ():
            manifests.add(child)
