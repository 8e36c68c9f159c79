"""When cached content was used last: the time of its link, which a hit makes now.

As with relatime, that is done once a day at most, so that a hit costs nothing. Where content stays for a few hours
only, it is done more often.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, PathNotFoundError
from registry.foundation.recent import RecentlyUsed
from registry.storage import paths
from registry.storage.parts import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.config.cached import Cached
    from registry.oci.digest import Digest

_DAY: Final = 24 * 3600.0
_PART_OF_TTL: Final = 0.25
_REMEMBERED: Final = 20_000
_LINKS: Final = {Kind.LAYER: paths.layer_link, Kind.REVISION: paths.revision_link}
_log = logging.getLogger(__name__)


class LastUse:
    """Notes the use of cached content in the storage of `driver`; the threads of a process share it."""

    def __init__(
        self,
        driver: StorageDriver,
        cached: Cached,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._cached = cached
        self._now = now
        self._clock = clock
        self._rests: RecentlyUsed[tuple[str, Digest, Kind], float] = RecentlyUsed(_REMEMBERED)
        """Until when, by the clock, nothing is to be done for a link."""

    def used(self, repository: str, digest: Digest, kind: Kind) -> None:
        """Note that a repository has served a blob, Kind.LAYER, or a manifest, Kind.REVISION.

        What cannot be noted, on a disk that is full or may not be written to, is passed over.
        """
        key = repository, digest, kind
        rests = self._rests.get(key)
        clock = self._clock()
        if rests is not None and clock < rests:
            return
        period = self._period(repository)
        self._rests.put(key, clock + period)
        path = _LINKS[kind](repository, digest)
        try:
            # Another process may have done it, or it was fetched just now.
            age = self._now() - self._driver.stat(path).modified
            if age >= period:
                self._driver.touch(path)
            else:
                self._rests.put(key, clock + period - max(age, 0.0))
        except PathNotFoundError:
            self._rests.drop(key)
        except DriverError as error:
            _log.debug("the use of %s is not noted: %s", path, error)

    def _period(self, repository: str) -> float:
        upstream = self._cached.upstream_of(repository)
        ttl = upstream.cache.ttl_seconds if upstream else 0.0
        return min(_DAY, ttl * _PART_OF_TTL) if ttl > 0 else _DAY
