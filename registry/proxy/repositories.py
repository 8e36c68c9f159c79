"""The repositories of a registry that caches others: local ones, and those of its upstreams."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from registry.config.cached import Cached
from registry.oci.errors import DeniedError, UpstreamFailedError
from registry.proxy.blobs import ProxiedBlobs
from registry.proxy.eviction.last_use import LastUse
from registry.proxy.fills.filling import Kept
from registry.proxy.fills.fills import Fills
from registry.proxy.freshness import Freshness
from registry.proxy.manifests import ProxiedManifests
from registry.proxy.pushed_manifests import NotedCaching, PushableManifests
from registry.proxy.referrers import ProxiedReferrers
from registry.proxy.remote import Remote
from registry.proxy.routing import Routes, local
from registry.proxy.tags import ProxiedTags
from registry.storage.parts import Kind
from registry.upstream.client import Upstream
from registry.upstream.via import goes_round

if TYPE_CHECKING:
    from collections.abc import Collection

    from drivers.base import StorageDriver
    from registry import ports
    from registry.config import Configuration
    from registry.oci.digest import Digest
    from registry.proxy.meter import ProxyMeter
    from registry.proxy.routing import Place
    from registry.storage.passage import Passage
    from registry.storage.repository import Repositories, Repository


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all repositories of a process's upstreams share."""

    driver: StorageDriver
    caching: NotedCaching | None
    freshness: Freshness
    fills: Fills


class ProxiedRepository:
    """A repository of `upstream`, opened for one client; uploads, and deletion as a whole, are those of `local`.

    A request uses one or two of its stores, and each is made when it is used.
    """

    def __init__(
        self, local: Repository, place: Place, upstream: Upstream, shared: _Shared, visitor: ports.Visitor
    ) -> None:
        self.local = local
        self.name = local.name
        """The canonical name."""
        self._place = place
        self._upstream = upstream
        self._shared = shared
        self._visitor = visitor

    @cached_property
    def blobs(self) -> ProxiedBlobs:
        """The blobs that are here, or upstream."""
        return ProxiedBlobs(self.local.blobs, self._place, self._upstream, self._shared.fills, self._visitor)

    @cached_property
    def manifests(self) -> ProxiedManifests:
        """The manifests that are here, or upstream."""
        shared = self._shared
        if self._remote.pushable:
            return PushableManifests(self.local, self._remote, shared.freshness, shared.caching, shared.driver)
        return ProxiedManifests(self.local, self._remote, shared.freshness, shared.caching)

    @cached_property
    def tags(self) -> ProxiedTags:
        """The tags, where they point upstream."""
        return ProxiedTags(self.local, self._remote, self._shared.freshness, self._shared.caching, self.manifests)

    @cached_property
    def referrers(self) -> ProxiedReferrers:
        """The referrers that are here, or upstream."""
        return ProxiedReferrers(self.local, self._remote, self._shared.freshness)

    @property
    def uploads(self) -> ports.UploadStore:
        """The upload sessions, of which there are only some where pushes are taken."""
        return self.local.uploads

    def delete(self) -> None:
        """Delete all that is here, as ports.Repository says."""
        self.local.delete()

    @cached_property
    def _remote(self) -> Remote:
        place, missing = self._place, self._shared.freshness.missing
        return Remote(self._upstream, place.remote, self._visitor, missing, pushable=place.takes_pushes)


class Proxied:
    """All that a process has of its upstreams, of which it has asked nothing yet."""

    def __init__(  # noqa: PLR0913  what it is made of
        self,
        configuration: Configuration,
        driver: StorageDriver,
        repositories: Repositories,
        passage: Passage | None,
        *,
        pseudonym: str,
        meter: ProxyMeter | None = None,
    ) -> None:
        """Keep what is fetched in `repositories`, which are over `driver`; nothing where `passage` is None.

        `pseudonym` is what all servers of this registry are called in Via.

        Raises:
            ParameterError: a file that the configuration names cannot be used.
        """
        self._routes = Routes.of(configuration)
        self._repositories = repositories
        self._pseudonym = pseudonym
        upstreams = configuration.upstreams
        cached = Cached(upstreams)
        caching = NotedCaching(passage, driver, cached) if passage else None
        self._last_use = LastUse(driver, cached) if passage else None
        self._fills = Fills(Kept(driver, repositories, caching) if caching else None, meter)
        freshness = Freshness(driver, read_only=passage is None, meter=meter)
        self._shared = _Shared(driver, caching, freshness, self._fills)
        self._upstreams = {each.name: Upstream(each, via=pseudonym, meter=meter) for each in upstreams}

    @property
    def upstreams(self) -> Collection[Upstream]:
        """The clients of all upstreams."""
        return self._upstreams.values()

    def place(self, name: str, host: str, namespace: str, *, pushes: bool) -> Place:
        """Return what `name` means as Routes.find() does; `pushes` says that the client wants to push to it.

        To a default upstream that takes no pushes, none goes: the name becomes that of a local repository.
        """
        found = self._routes.find(name, host, namespace)
        if found.unless_local:
            is_local = (pushes and not found.takes_pushes) or self._repositories.catalog.keeps(name)
            return local(name) if is_local else found
        return found

    def open(self, place: Place, visitor: ports.Visitor) -> ports.Repository:
        """Return the repository, for a client that may use it; what it lacks is fetched on behalf of `visitor`.

        Raises:
            DeniedError: the configuration does not let it be fetched.
            UpstreamFailedError: this registry asks itself, through others.
        """
        kept = self._repositories.open(place.name)
        if not place.upstream:
            return kept
        if not place.is_allowed:
            raise DeniedError(f"this registry is not to fetch {place.remote} from {place.upstream}")
        if goes_round(visitor.via, self._pseudonym):
            raise UpstreamFailedError(
                f"this registry asks itself for {place.name}: the upstreams of registries lead in a circle"
            )
        return ProxiedRepository(kept, place, self._upstreams[place.upstream], self._shared, visitor)

    def used_blob(self, place: Place, digest: Digest) -> None:
        """Note that a client was given a blob, or a part of it, or has it already."""
        self._used(place, digest, Kind.LAYER)

    def used_manifest(self, place: Place, digest: Digest) -> None:
        """Note that a client was given a manifest, or has it already."""
        self._used(place, digest, Kind.REVISION)

    def _used(self, place: Place, digest: Digest, kind: Kind) -> None:
        if place.upstream and self._last_use:
            self._last_use.used(place.name, digest, kind)

    def close(self) -> None:
        """Leave what is being fetched to other processes, and close all connections."""
        with ExitStack() as closing:
            for each in self._upstreams.values():
                closing.callback(each.close)
            closing.callback(self._fills.close)
