"""What people want to know of a tag: which manifest it leads to, how large all of it is, for which platforms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from registry.foundation.found_digests import FoundDigests
from registry.foundation.recent import RecentlyUsed
from registry.inventory.walking import follow
from registry.oci import media_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.inventory.source import Source
    from registry.inventory.walking import Found
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
            image = self._found(repository, digest)
            if image:
                self._known.put((repository, digest), image)
        return image

    def _found(self, repository: str, digest: Digest) -> Image | None:
        with FoundDigests() as manifests:
            manifests.add(digest)
            followed = follow(self._source, repository, manifests)
            root = next(followed, None)
            if root is None:
                return None
            platforms = tuple(dict.fromkeys(self._platforms(repository, root.manifest)))[:_MOST_PLATFORMS]
            return Image(digest, root.stored.media_type, _size(chain([root], followed)), platforms)

    def _platforms(self, repository: str, manifest: Manifest | None) -> Iterator[str]:
        for descriptor in manifest.manifests if manifest else ():
            yield from _spelled(descriptor.platform)
        if manifest and manifest.config and not manifest.manifests:
            yield from self._of_config(repository, manifest.config)

    def _of_config(self, repository: str, config: Descriptor) -> Iterator[str]:
        if config.media_type in {media_types.OCI_CONFIG, media_types.DOCKER_CONFIG}:
            content = self._source.small_blob(repository, config.digest, _LARGEST_CONFIG)
            try:
                document = json.loads(content or b"{}")
            except ValueError:
                return
            if isinstance(document, dict):
                yield from _spelled(document)


def _size(manifests: Iterator[Found]) -> int | None:
    """Return the bytes of `manifests` and of what they name, each counted once; None if one of them is not read."""
    with FoundDigests() as content:
        for found in manifests:
            if found.manifest is None:
                return None
            content.add(found.digest, len(found.stored.content))
            found.add_blobs_to(content)
        return content.size()


def _spelled(platform: Mapping[str, object]) -> Iterator[str]:
    """Yield a platform as clients spell it. Build tools call what is for no platform (attestations) unknown."""
    parts = [platform.get(name) for name in ("os", "architecture", "variant")]
    texts = [part for part in parts if isinstance(part, str) and part and part.isprintable()]
    if len(texts) > 1 and _UNKNOWN not in texts:
        yield "/".join(texts)
