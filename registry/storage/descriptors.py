"""The sizes of blobs, remembered by digest: with them a reader costs one storage call instead of two.

An entry may be outdated. So whether a repository may serve a blob is read from storage each time; before a push is
acknowledged, the bytes themselves are looked at; and an entry whose bytes turn out to be missing is dropped.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.oci.digest import Digest

LIFETIME_SECONDS: Final = 600
"""How long an entry is used. For that long, a HEAD may promise bytes that another program has deleted."""


class DescriptorCache(Protocol):
    """Sizes in bytes by digest, the same for all repositories. No call ever raises."""

    def get(self, digest: Digest) -> int | None:
        """Return the size if it is remembered."""

    def put(self, digest: Digest, size: int) -> None:
        """Remember the size that was just seen in storage."""

    def drop(self, digest: Digest) -> None:
        """Forget the size: storage does not have these bytes."""


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
