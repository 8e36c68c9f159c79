"""What people want to know of a tag: which manifest it leads to, how large all of it is, for which platforms."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from registry.browsing.foreign import read_object
from registry.browsing.platforms import spelled
from registry.foundation.found_digests import FoundDigests
from registry.foundation.recent import RecentlyUsed
from registry.inventory.walking import found_in
from registry.oci import media_types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registry.inventory.source import Reader
    from registry.inventory.walking import Found
    from registry.oci.digest import Digest
    from registry.oci.manifest import Descriptor, Manifest

LARGEST_CONFIG: Final = 4 * 1024 * 1024
"""Bytes of the largest config that is read."""
_MOST_PLATFORMS: Final = 100
_MOST_MANIFESTS: Final = 500
_REMEMBERED: Final = 10_000
_INCOMPLETE_SECONDS: Final = 60


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


@dataclass(frozen=True, slots=True)
class Inside:
    """An image, and the digests that it leads to, itself included, each with its size.

    It is `complete` if all its manifests are there; those that are not may be pushed later.
    """

    image: Image
    contents: tuple[tuple[Digest, int], ...]
    complete: bool


class Images:
    """Looks at the images of `source`, and remembers the last of them: many tags lead to one, and it never changes.

    An index of which images are missing is remembered for a minute. Of one that is complete, what is deleted later is
    counted until it is forgotten. What leads to more than 500 manifests has no size.
    """

    def __init__(self, source: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self.source = source
        self._clock = clock
        self._images: RecentlyUsed[tuple[str, Digest], tuple[Image, float]] = RecentlyUsed(_REMEMBERED)

    def look_at(self, repository: str, digest: Digest) -> Image | None:
        """Return the image of a manifest; None if it is not there. Of one that is remembered, that is not asked."""
        return self._remembered(repository, digest) or self._look(repository, digest)

    def look_at_each(self, repository: str, digests: Iterable[Digest]) -> Iterator[Image | None]:
        """Yield of each manifest its image; None if it is not there now."""
        return self.source.each(partial(self._look_now, repository), digests)

    def _look_now(self, repository: str, digest: Digest) -> Image | None:
        image = self._remembered(repository, digest)
        if image:
            return image if self.source.has(repository, digest) else None
        return self._look(repository, digest)

    def _remembered(self, repository: str, digest: Digest) -> Image | None:
        image, until = self._images.get((repository, digest)) or (None, 0.0)
        return image if until > self._clock() else None

    def look_into(self, repository: str, digest: Digest) -> Inside | None:
        """Return the image of a manifest with all that it leads to, as that is now; None if it is not there."""
        with FoundDigests() as content:
            found = self._read(repository, digest, content)
            return Inside(found[0], tuple(content.all()), found[1].complete) if found else None

    def _look(self, repository: str, digest: Digest) -> Image | None:
        with FoundDigests() as content:
            found = self._read(repository, digest, content)
        if found is None:
            return None
        image, reach = found
        until = math.inf if reach.complete else self._clock() + _INCOMPLETE_SECONDS
        self._images.put((repository, digest), (image, until))
        return image

    def _read(self, repository: str, digest: Digest, content: FoundDigests) -> tuple[Image, _Reach] | None:
        """Return the image of a manifest, and how all was followed that it leads to, which is added to `content`."""
        reach = _Reach(self.source, repository, content)
        root = reach.follow(digest)
        if root is None:
            return None
        platforms = tuple(dict.fromkeys(self._platforms(repository, root.manifest)))[:_MOST_PLATFORMS]
        image = Image(digest, root.stored.media_type, content.size() if reach.readable else None, platforms)
        return image, reach

    def _platforms(self, repository: str, manifest: Manifest | None) -> Iterator[str]:
        for descriptor in manifest.manifests if manifest else ():
            yield from filter(None, [spelled(descriptor.platform)])
        if manifest and manifest.config and not manifest.manifests:
            yield from self._of_config(repository, manifest.config)

    def _of_config(self, repository: str, config: Descriptor) -> Iterator[str]:
        if config.media_type in {media_types.OCI_CONFIG, media_types.DOCKER_CONFIG}:
            content = self.source.small_blob(repository, config.digest, LARGEST_CONFIG)
            yield from filter(None, [spelled(read_object(content or b""))])


class _Reach:
    """All that a manifest leads to, whose sizes are added to `content`.

    It is `readable` if all manifests of it are, and they are not too many; `complete` if all are there.
    """

    def __init__(self, source: Reader, repository: str, content: FoundDigests) -> None:
        self._source = source
        self._repository = repository
        self._content = content
        self.readable = self.complete = True

    def follow(self, digest: Digest) -> Found | None:
        """Return the manifest of that digest, when all that it leads to was followed; None if it is not there."""
        root: Found | None = None
        wave, seen = [digest], {digest}
        while wave and self.readable:
            following: list[Digest] = []
            manifests = self._source.each(partial(self._source.manifest, self._repository), wave)
            for named, stored in zip(wave, manifests, strict=True):
                if stored is None:
                    self.complete = False
                    continue
                found = found_in(named, stored)
                root = root or found
                entries = [each for each in dict.fromkeys(self._add(found)) if each not in seen]
                seen.update(entries)
                following += entries
                self.readable = self.readable and len(seen) <= _MOST_MANIFESTS
            wave = following
        return root

    def _add(self, found: Found) -> Iterator[Digest]:
        """Count a manifest and what it names, and yield the manifests of that."""
        if found.manifest is None:
            self.readable = False
            return
        self._content.add(found.digest, len(found.stored.content))
        found.add_blobs_to(self._content)
        for kind, descriptor in found.manifest.references():
            if kind == "manifest":
                yield descriptor.digest
