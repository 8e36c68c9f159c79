"""Manifests in memory: they are immutable by digest, so the only question is how many to keep."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from registry.foundation.recent import RecentlyUsed, RecentlyUsedByWeight
from registry.storage.listed import SeenLinks

if TYPE_CHECKING:
    from registry.oci.digest import Digest

MAX_BYTES = 16 * 1024 * 1024
MAX_ENTRY_BYTES = 256 * 1024

_MOST_TYPES: Final = 1000
_OVERHEAD: Final = 640
"""Bytes that an entry takes besides its text: objects, their headers, its slot in the table (measured, rounded up)."""


@dataclass(frozen=True, slots=True)
class ServedManifest:
    """What is served of a manifest. The parsed document takes four times the memory and is seldom asked for."""

    content: bytes
    media_type: str

    @property
    def footprint(self) -> int:
        """Bytes of memory that it takes in the cache."""
        return len(self.content) + len(self.media_type) + _OVERHEAD


class ManifestCache(RecentlyUsedByWeight["Digest", ServedManifest]):
    """Least recently used manifests in up to `max_bytes` of memory, for all repositories and threads of a process.

    Of those that are too large only the media type is held: to find it, all of the manifest is read.

    Entries are content only. Whether a repository may serve a manifest is asked of storage each time, by its own link
    or by that of a tag, so that a deletion through another process is seen at once and one repository's entry never
    grants another's.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_entry_bytes: int = MAX_ENTRY_BYTES) -> None:
        super().__init__(max_bytes, attrgetter("footprint"))
        self._max_entry_bytes = max_entry_bytes
        self.listed = SeenLinks()
        self._types_of_large: RecentlyUsed[Digest, str] = RecentlyUsed(_MOST_TYPES)

    def put(self, digest: Digest, manifest: ServedManifest) -> None:
        """Hold `manifest`, or its media type if it is too large, in place of those not used for longest."""
        if manifest.footprint <= self._max_entry_bytes:
            super().put(digest, manifest)
        else:
            self._types_of_large.put(digest, manifest.media_type)

    def type_of_large(self, digest: Digest) -> str | None:
        """Return the media type of a manifest that was too large to be held, if it is known."""
        return self._types_of_large.get(digest)
