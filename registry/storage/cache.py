"""Manifests in memory: they are immutable by digest, so the only question is how many to keep."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from registry.foundation.recent import RecentlyUsedByWeight

if TYPE_CHECKING:
    from registry.oci.digest import Digest

MAX_BYTES = 16 * 1024 * 1024
MAX_ENTRY_BYTES = 256 * 1024

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

    It holds content only. Whether a repository may serve a manifest is asked of storage each time, so that a
    deletion through another process is seen at once and one repository's entry never grants another's.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_entry_bytes: int = MAX_ENTRY_BYTES) -> None:
        super().__init__(max_bytes, attrgetter("footprint"))
        self._max_entry_bytes = max_entry_bytes

    def put(self, digest: Digest, manifest: ServedManifest) -> None:
        """Hold `manifest`, unless it is too large, in place of those not used for longest."""
        if manifest.footprint <= self._max_entry_bytes:
            super().put(digest, manifest)
