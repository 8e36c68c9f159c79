"""Which links of repositories were seen a short while ago: what a tag leads to has one of them.

Whoever pulls by tag has read the tag's link in this very request. Where the bytes are in memory, that is proof enough
that the repository still lists the manifest, if it was seen to do so not long ago:

- This registry deletes the tags of a manifest before its own link, and looks for tags once more behind that. So
  whoever still finds the tag comes before the deletion, or after a later push, which has stored the manifest again.
- A garbage collection condemns only what no tag leads to, and a push that lets a tag lead there brings it back.
- The Go registry deletes the link first and the tags then. While it does so the deletion is not acknowledged. If it
  is killed in between, or cannot delete a tag, that tag is served on, here and there, for SEEN_SECONDS at most.

Of blobs it is proof of nothing: the link is read each time. It says that the bytes are worth opening meanwhile.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.oci.digest import Digest

SEEN_SECONDS: Final = 60
"""For how long it counts that a link was seen."""

_MOST: Final = 4000


def _clock() -> float:
    """Return the seconds since this machine was started, which pass while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SeenLinks:
    """The links that the threads of a process have read or written last, of all repositories."""

    def __init__(self, clock: Callable[[], float] = _clock) -> None:
        self._clock = clock
        self._seen: RecentlyUsed[tuple[str, Digest], tuple[Digest, float]] = RecentlyUsed(_MOST)

    def note(self, repository: str, digest: Digest, target: Digest) -> None:
        """Remember that a repository has a link to content, whose bytes lie under `target`."""
        self._seen.put((repository, digest), (target, self._clock() + SEEN_SECONDS))

    def target(self, repository: str, digest: Digest) -> Digest | None:
        """Return where the bytes lie of what the repository was seen to link not long ago, else None."""
        target, expires = self._seen.get((repository, digest)) or (None, 0.0)
        return target if expires > self._clock() else None

    def drop(self, repository: str, digest: Digest) -> None:
        """Forget that the repository has the link."""
        self._seen.drop((repository, digest))
