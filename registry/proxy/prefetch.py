"""``proxies[].prefetch``: images that are fetched before anybody asks, each `interval` anew, by one of the hosts."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from drivers.base import DriverError, PathNotFoundError
from registry.jobs.due import seconds_left
from registry.jobs.job import Job, JobFailedError
from registry.oci.errors import RegistryError
from registry.oci.reference import parse_reference
from registry.ports import Nobody
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry import ports
    from registry.config import Configuration
    from registry.config.upstreams import Prefetch, Upstream
    from registry.ports import Repositories, Repository
    from registry.proxy.routing import Place

_LOOK_SECONDS: Final = 600.0
_SPREAD_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


class Opener(Protocol):
    """What opens repositories that are cached: registry.proxy.repositories.Proxied."""

    def place(self, name: str, host: str, namespace: str, *, pushes: bool) -> Place:
        """Return what `name` means."""

    def open(self, place: Place, visitor: ports.Visitor) -> Repository:
        """Return the repository there; what it lacks is fetched."""


def jobs(
    configuration: Configuration,
    driver: StorageDriver,
    repositories: Repositories,
    opener: Opener | None,
    stopping: Callable[[], bool],
) -> Iterator[Job]:
    """Yield the job that fetches what ``prefetch`` names; none where nothing does, or nothing may be kept."""
    wanted = [(each, entry) for each in configuration.upstreams for entry in each.prefetch]
    if opener and wanted and not configuration.storage.maintenance.readonly.enabled:
        work = Prefetching(driver, repositories, opener, wanted, stopping)
        yield Job("prefetch", work.run, _LOOK_SECONDS, partial(random.uniform, 0, _SPREAD_SECONDS))


@dataclass
class Prefetching:
    """Fetches what is `wanted` of upstreams when it is time to."""

    driver: StorageDriver
    repositories: Repositories
    opener: Opener
    wanted: list[tuple[Upstream, Prefetch]]
    stopping: Callable[[], bool] = lambda: False
    now: Callable[[], float] = time.time

    def run(self) -> float:
        """Fetch what is due; return how many seconds to pause until the next look.

        Raises:
            JobFailedError: the storage failed.
        """
        try:
            left = [self._left(upstream, entry) or self._do(upstream, entry) for upstream, entry in self.wanted]
        except DriverError as error:
            raise JobFailedError(f"it is not known what was prefetched: {error}") from error
        return min(_LOOK_SECONDS, *left)

    def _left(self, upstream: Upstream, entry: Prefetch) -> float:
        """Return in how many seconds an entry is due; some host may have done it."""
        try:
            done = self.driver.stat(_done(upstream, entry)).modified
        except PathNotFoundError:
            return 0.0
        return seconds_left(done, entry.interval_seconds, self.now())

    def _do(self, upstream: Upstream, entry: Prefetch) -> float:
        claim = self.driver.claim(paths.prefetch_claim(_label(upstream, entry)))
        if claim:
            with claim:
                for image in entry.images:
                    if self.stopping():
                        return _LOOK_SECONDS
                    self._fetch(upstream, entry, image)
                self.driver.put(_done(upstream, entry), b"")
        return min(entry.interval_seconds, _LOOK_SECONDS)

    def _fetch(self, upstream: Upstream, entry: Prefetch, image: str) -> None:
        """Fetch an image; that it cannot be fetched is told in the log, and tried again the next time."""
        from registry.proxy.images import Wanted, fetch_image  # noqa: PLC0415  its tables are loaded where it is used

        name, reference = split_image(image)
        if upstream.remoteprefix:
            name = name.removeprefix(f"{upstream.remoteprefix}/")
        local = f"{upstream.prefix}/{name}" if upstream.prefix else name
        try:
            place = self.opener.place(local, "", "", pushes=False)
            repository, kept = self.opener.open(place, Nobody()), self.repositories.open(place.name)
            whole = fetch_image(repository, kept, parse_reference(reference), Wanted(entry.platforms))
        except (RegistryError, DriverError) as error:
            reason = error.message if isinstance(error, RegistryError) else error
            _log.warning("%s of %s is not prefetched: %s", image, upstream.name, reason)
            return
        if whole.fetched:
            told = {"upstream": upstream.name, "blobs": whole.blobs, "fetched": whole.fetched}
            _log.info("prefetched %s", image, extra=told)


def split_image(text: str) -> tuple[str, str]:
    """Return name and reference of ``NAME:TAG``, ``NAME@DIGEST`` or ``NAME``, whose reference is ``latest``."""
    name, _, digest = text.partition("@")
    above, slash, last = name.rpartition("/")
    base, _, tag = last.partition(":")
    return f"{above}{slash}{base}", digest or tag or "latest"


def _label(upstream: Upstream, entry: Prefetch) -> str:
    told = json.dumps([upstream.name, upstream.remoteurl, asdict(entry)])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _done(upstream: Upstream, entry: Prefetch) -> str:
    return paths.prefetched(_label(upstream, entry))
