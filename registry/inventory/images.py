"""What people want to know of a tag: which manifest it leads to, how large all of it is, for which platforms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation.recent import RecentlyUsed
from registry.inventory.digests import FoundDigests
from registry.oci import media_types
from registry.oci.errors import ManifestInvalidError
from registry.oci.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.inventory.source import Source, Stored
    from registry.oci.digest import Digest
    from registry.oci.manifest import Descriptor, Manifest

_LARGEST_CONFIG: Final = 4 * 1024 * 1024
_MOST_PLATFORMS: Final = 100
_REMEMBERED: Final = 1000
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest that a tag leads to.

    `size` is in bytes, of the manifest and of all that it leads to, each counted once; None where that cannot be read.
    `platforms` are as in ``linux/arm64/v8``, at most 100 of them.
    """

    digest: Digest
    media_type: str
    size: int | None
    platforms: tuple[str, ...]


class Images:
    """Looks at the images of a source; remembers the last of them, as many tags lead to one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: RecentlyUsed[tuple[str, Digest], Image] = RecentlyUsed(_REMEMBERED)

    def look_at(self, repository: str, digest: Digest) -> Image | None:
        """Return the image of a manifest; None if that is not there."""
        image = self._known.get((repository, digest))
        if image is None:
            stored = self._source.manifest(repository, digest)
            if stored is None:
                return None
            image = self._described(repository, digest, stored)
            self._known.put((repository, digest), image)
        return image

    def _described(self, repository: str, digest: Digest, stored: Stored) -> Image:
        manifest = parsed(stored)
        if manifest is None:
            return Image(digest, stored.media_type, None, ())
        platforms = dict.fromkeys(_in_index(manifest))
        if manifest.config and not manifest.manifests:
            platforms = dict.fromkeys(self._of_config(repository, manifest.config))
        size = self._size(repository, digest, stored)
        return Image(digest, stored.media_type, size, tuple(platforms)[:_MOST_PLATFORMS])

    def _of_config(self, repository: str, config: Descriptor) -> Iterator[str]:
        if config.media_type in {media_types.OCI_CONFIG, media_types.DOCKER_CONFIG}:
            content = self._source.small_blob(repository, config.digest, _LARGEST_CONFIG)
            try:
                document = json.loads(content or b"{}")
            except ValueError:
                return
            if isinstance(document, dict):
                yield from _spelled(document)

    def _size(self, repository: str, root: Digest, root_stored: Stored) -> int | None:
        with FoundDigests() as manifests, FoundDigests() as content:
            manifests.add(root)
            for digest in manifests.follow():
                stored = root_stored if digest == root else self._source.manifest(repository, digest)
                if stored is None:
                    continue  # an index need not have all its images
                content.add(digest, len(stored.content))
                manifest = parsed(stored)
                if manifest is None:
                    return None
                add_blobs(manifest, content)
                for child in children(manifest):
                    manifests.add(child)
            return content.size()


def parsed(stored: Stored) -> Manifest | None:
    """Return what is read in a manifest; None where its layers are not: it is of schema 1, or not a manifest."""
    try:
        return read_stored(stored.content)
    except ManifestInvalidError:
        return None


def add_blobs(manifest: Manifest, content: FoundDigests) -> None:
    """Add to `content` the blobs that a manifest names, with the sizes that it says.

    What may be stored elsewhere is not counted.
    """
    for kind, descriptor in manifest.references():
        if kind not in {"manifest", "foreign"}:
            content.add(descriptor.digest, max(descriptor.size, 0))


def children(manifest: Manifest) -> Iterator[Digest]:
    """Yield the manifests that a manifest names."""
    for kind, descriptor in manifest.references():
        if kind == "manifest":
            yield descriptor.digest


def _in_index(manifest: Manifest) -> Iterator[str]:
    for descriptor in manifest.manifests:
        yield from _spelled(descriptor.platform)


def _spelled(platform: Mapping[str, object]) -> Iterator[str]:
    """Yield a platform as clients spell it. Build tools call what is for no platform (attestations) unknown."""
    parts = [platform.get(name) for name in ("os", "architecture", "variant")]
    texts = [part for part in parts if isinstance(part, str) and part and part.isprintable()]
    if len(texts) > 1 and _UNKNOWN not in texts:
        yield "/".join(texts)
