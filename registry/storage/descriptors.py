"""What is remembered of blobs, so that a reader costs one storage call and not two: how many bytes lie under a digest.

It is never the truth. Whether a repository may serve a blob is read from storage each time; whoever is about to
acknowledge something that was pushed looks at the bytes themselves; whoever finds them missing drops the entry.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.oci.digest import Digest

LIFETIME_SECONDS: Final = 600
"""How long an entry is believed: so long may a HEAD promise bytes that were deleted behind the registry's back."""


class DescriptorCache(Protocol):
    """Sizes in bytes by the digest that the bytes lie under, the same for all repositories. No call ever raises."""

    def get(self, digest: Digest) -> int | None:
        """Return the size if it is remembered."""

    def put(self, digest: Digest, size: int) -> None:
        """Remember what has just been seen in storage, in place of what was remembered."""

    def drop(self, digest: Digest) -> None:
        """Forget: there are no such bytes."""


class NoDescriptors:
    """Remembers nothing: ``storage.cache`` is not configured."""

    def get(self, digest: Digest) -> int | None:
        del digest
        return None

    def put(self, digest: Digest, size: int) -> None:
        pass

    def drop(self, digest: Digest) -> None:
        pass


class InMemoryDescriptors:
    """Up to `max_entries` sizes, those used last, for all threads of a process; no limit if that is zero or less."""

    def __init__(self, max_entries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: RecentlyUsed[Digest, tuple[int, float]] = RecentlyUsed(max_entries)

    def get(self, digest: Digest) -> int | None:
        entry = self._entries.get(digest)
        if entry is None:
            return None
        size, expires = entry
        if expires <= self._clock():
            self._entries.drop(digest)
            return None
        return size

    def put(self, digest: Digest, size: int) -> None:
        self._entries.put(digest, (size, self._clock() + LIFETIME_SECONDS))

    def drop(self, digest: Digest) -> None:
        self._entries.drop(digest)
