"""What is remembered of blobs, so that a reader costs one storage call and not two: how many bytes lie under a digest.

It is never the truth. Whether a repository may serve a blob is read from storage each time; whoever is about to
acknowledge something that was pushed looks at the bytes themselves; whoever finds them missing drops the entry.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

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
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[Digest, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: Digest) -> int | None:
        with self._lock:
            size, expires = self._entries.get(digest, (None, 0.0))
            if size is None:
                return None
            if expires <= self._clock():
                del self._entries[digest]
                return None
            self._entries.move_to_end(digest)
            return size

    def put(self, digest: Digest, size: int) -> None:
        with self._lock:
            self._entries[digest] = size, self._clock() + LIFETIME_SECONDS
            self._entries.move_to_end(digest)
            if 0 < self._max_entries < len(self._entries):
                self._entries.popitem(last=False)

    def drop(self, digest: Digest) -> None:
        with self._lock:
            self._entries.pop(digest, None)
