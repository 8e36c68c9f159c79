"""What people want to know of a tag: which manifest it leads to, how large all of it is, for which platforms."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from registry.browsing.foreign import read_object
from registry.browsing.platforms import spelled
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
_MOST_CONTENT: Final = 50_000
"""Manifests and blobs that may be counted together: a manifest can name 40,000."""
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
        found = self._read(repository, digest)
        return Inside(found[0], tuple(found[1].sizes.items()), found[1].complete) if found else None

    def _look(self, repository: str, digest: Digest) -> Image | None:
        found = self._read(repository, digest)
        if found is None:
            return None
        image, reach = found
        until = math.inf if reach.complete else self._clock() + _INCOMPLETE_SECONDS
        self._images.put((repository, digest), (image, until))
        return image

    def _read(self, repository: str, digest: Digest) -> tuple[Image, _Reach] | None:
        """Return the image of a manifest, and all that it leads to."""
        reach = _Reach(self.source, repository)
        root = reach.follow(digest)
        if root is None:
            return None
        platforms = tuple(dict.fromkeys(self._platforms(repository, root.manifest)))[:_MOST_PLATFORMS]
        image = Image(digest, root.stored.media_type, reach.size, platforms)
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
    """All that a manifest leads to, itself included: `sizes` by digest. It is `complete` if all manifests are there."""

    def __init__(self, source: Reader, repository: str) -> None:
        self._source = source
        self._repository = repository
        self._readable = True
        self.sizes: dict[Digest, int] = {}
        self.complete = True

    @property
    def size(self) -> int | None:
        """The bytes of all of it, each counted once; None if a part cannot be read, or there is too much."""
        return sum(self.sizes.values()) if self._readable else None

    def follow(self, digest: Digest) -> Found | None:
        """Return the manifest of that digest, when all that it leads to was followed; None if it is not there."""
        root: Found | None = None
        wave, seen = [digest], {digest}
        while wave and self._readable:
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
                few = len(seen) <= _MOST_MANIFESTS and len(self.sizes) <= _MOST_CONTENT
                self._readable = self._readable and few
                if not few:
                    break
            wave = following
        return root

    def _add(self, found: Found) -> Iterator[Digest]:
        """Count a manifest and what it names, and yield the manifests of that."""
        if found.manifest is None:
            self._readable = False
            return
        self.sizes.setdefault(found.digest, len(found.stored.content))
        for digest, size in found.blobs():
            self.sizes.setdefault(digest, size)
        for kind, descriptor in found.manifest.references():
            if kind == "manifest":
                yield descriptor.digest
