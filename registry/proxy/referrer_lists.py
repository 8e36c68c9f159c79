"""Lists of referrers as an upstream has given them: in memory, and in the storage for all hosts."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, ObjectTooLargeError, PathNotFoundError
from registry.foundation.recent import RecentlyUsedByWeight
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError
from registry.ports import Referrer
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drivers.base import StorageDriver

MEMORY: Final = 16 * 1024 * 1024
"""Bytes of lists that a process remembers."""
_LARGEST: Final = 8 * 1024 * 1024
"""Bytes of a list in storage, at most: an upstream may send 4 MiB, and ASCII may take more for the same."""
_OVERHEAD: Final = 512
"""Bytes of memory that an entry takes besides its text, about."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReferrersList:
    """What an upstream has listed at the time `checked`, seconds since the epoch, in the order of digests."""

    checked: float
    referrers: tuple[Referrer, ...]

    def age(self, now: float) -> float:
        """Return how many seconds ago it was made. A clock that is ahead is not believed for longer than another."""
        return abs(now - self.checked)

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes, about."""
        return _OVERHEAD + sum(_OVERHEAD + len(each.descriptor) for each in self.referrers)


class ReferrersLists:
    """The lists of a process and, of those that are not empty, of the storage: anybody may ask for any digest."""

    def __init__(self, driver: StorageDriver, *, read_only: bool = False) -> None:
        self._driver = driver
        self._read_only = read_only
        self._memory: RecentlyUsedByWeight[tuple[str, Digest], ReferrersList] = RecentlyUsedByWeight(
            MEMORY, lambda each: each.weight
        )

    def find(self, repository: str, subject: Digest, now: float, *, within: float) -> ReferrersList | None:
        """Return a list that is at most `within` seconds old at the time `now`, if there is one."""
        remembered = self._memory.get((repository, subject))
        if remembered and remembered.age(now) <= within:
            return remembered
        stored = self._read(repository, subject)
        if stored and stored.age(now) <= within:
            self._memory.put((repository, subject), stored)
            return stored
        return None

    def keep(self, repository: str, subject: Digest, listed: ReferrersList) -> None:
        """Remember a list. That it could not be written down is told in the log only."""
        self._memory.put((repository, subject), listed)
        if self._read_only:
            return
        path = paths.proxied_referrers(repository, subject)
        text = ",".join(each.descriptor for each in listed.referrers)
        try:
            if text:
                self._driver.put(path, f'{{"checked":{listed.checked!r},"manifests":[{text}]}}'.encode("ascii"))
            else:
                with suppress(PathNotFoundError):
                    self._driver.delete(path)
        except DriverError as error:
            _log.warning("%s: a list of referrers was not cached: %s", repository, error)

    def _read(self, repository: str, subject: Digest) -> ReferrersList | None:
        try:
            content = self._driver.get(paths.proxied_referrers(repository, subject), limit=_LARGEST)
        except (PathNotFoundError, ObjectTooLargeError):
            return None
        try:
            document = json.loads(content)
            return ReferrersList(float(document["checked"]), referrers_of(document["manifests"]))
        except (ValueError, TypeError, KeyError, RecursionError, DigestInvalidError):
            return None


def referrers_of(described: Iterable[Mapping[str, object]]) -> tuple[Referrer, ...]:
    """Return descriptors as referrers, in the order of their digests and each once."""
    found = {}
    for each in described:
        digest, stated = Digest.parse(str(each["digest"])), each.get("artifactType")
        artifact_type = stated if isinstance(stated, str) else ""
        found[digest] = Referrer(digest, artifact_type, json.dumps(each, separators=(",", ":")))
    return tuple(found[digest] for digest in sorted(found))
