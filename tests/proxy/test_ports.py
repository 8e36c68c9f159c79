"""A repository that caches one of an upstream, and may be pushed to, is a repository like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ports.conformance import RepositoriesConformance
from tests.proxy.caching_host import Cache
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from drivers.filesystem.driver import FilesystemDriver
    from registry import ports
    from registry.oci.digest import Digest
    from registry.ports import Given, Seen
    from tests.upstreams import Registry


class Proxied:
    """The repositories of a registry of which all may be pushed to, and cache what an upstream has."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._kept: ports.Repositories = cache.repositories

    @property
    def catalog(self) -> ports.Catalog:
        return self._kept.catalog

    def open(self, name: str) -> ports.Repository:
        return self._cache.open(name)

    def each(self, look: Callable[[Given], Seen], given: Iterable[Given]) -> Iterator[Seen]:
        return self._kept.each(look, given)

    def stat_blob(self, digest: Digest) -> ports.Blob:
        return self._kept.stat_blob(digest)

    def abandoned_uploads(
        self, *, before: datetime, undated: Callable[[str, str], object] = lambda *_: None
    ) -> Iterator[tuple[str, str]]:
        return self._kept.abandoned_uploads(before=before, undated=undated)

    def purge_leftovers(self, *, before: datetime) -> int:
        return self._kept.purge_leftovers(before=before)


class TestOverAnUpstreamWithoutLists(RepositoriesConformance):
    @pytest.fixture
    def repositories(self, upstream: Registry, filesystem: FilesystemDriver) -> ports.Repositories:
        upstream.misbehave(faults.status(404))
        return Proxied(Cache(upstream, filesystem, push=True))
