"""Which manifests were fetched and which were pushed, where others may push to a repository of an upstream.

Eviction takes what was fetched, and leaves what was pushed. Where nobody may push, all was fetched, and nothing is
marked. Elsewhere a manifest that was fetched has a mark, which must never outlive a push of it. Who fetches marks first
and looks then whether somebody else has stored the manifest meanwhile; who pushes stores first and takes the mark away
then. Whoever comes last sees the other.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.base import PathExistsError, PathNotFoundError
from registry.proxy.caching import Caching
from registry.proxy.manifests import ProxiedManifests
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.base import StorageDriver
    from registry import ports
    from registry.config.cached import Cached
    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.oci.reference import Tag
    from registry.proxy.freshness import Freshness
    from registry.proxy.remote import Remote
    from registry.storage.passage import Passage


class NotedCaching(Caching):
    """Caching in the storage of `driver`, which marks what is fetched for repositories of `cached` that take pushes."""

    def __init__(self, passage: Passage, driver: StorageDriver, cached: Cached) -> None:
        super().__init__(passage)
        self._driver = driver
        self._cached = cached

    def put_manifest(
        self, repository: ports.Repository, manifest: Manifest, digest: Digest, tags: Sequence[Tag] = ()
    ) -> None:
        self._mark(repository, digest)
        super().put_manifest(repository, manifest, digest, tags)

    def move_tag(
        self, repository: ports.Repository, tag: Tag, manifest: Manifest, digest: Digest, current: Digest | None
    ) -> None:
        self._mark(repository, digest)
        super().move_tag(repository, tag, manifest, digest, current)

    def _mark(self, repository: ports.Repository, digest: Digest) -> None:
        """Mark a manifest that is about to be stored, unless the repository has it: it may have been pushed."""
        if self._cached.is_only_cached(repository.name) or repository.manifests.has(digest):
            return
        # Where it is marked already, another host is fetching it, too. A push removes the mark, whoever has made it.
        if mark_fetched(self._driver, repository.name, digest) and repository.manifests.has(digest):
            unmark_fetched(self._driver, repository.name, digest)


class PushableManifests(ProxiedManifests):
    """The manifests of a repository that takes pushes: what is pushed is no longer one that was only fetched."""

    def __init__(
        self,
        local: ports.Repository,
        remote: Remote,
        freshness: Freshness,
        caching: Caching | None,
        driver: StorageDriver,
    ) -> None:
        super().__init__(local, remote, freshness, caching)
        self._driver = driver

    def put(self, manifest: Manifest, digest: Digest, tags: Sequence[Tag] = ()) -> None:
        super().put(manifest, digest, tags)
        unmark_fetched(self._driver, self._local.name, digest)

    def add(self, manifest: Manifest, digest: Digest) -> None:
        super().add(manifest, digest)
        unmark_fetched(self._driver, self._local.name, digest)


def mark_fetched(driver: StorageDriver, repository: str, digest: Digest) -> bool:
    """Mark a manifest as fetched; call this before the repository has it. Tell whether nobody else had.

    Raises:
        drivers.base.DriverError: the storage failed.
    """
    try:
        driver.create(paths.fetched_manifest(repository, digest), b"")
    except PathExistsError:
        return False
    return True


def unmark_fetched(driver: StorageDriver, repository: str, digest: Digest) -> None:
    """Take the mark from a manifest that was pushed, if it has one; call this before the push is acknowledged.

    Raises:
        drivers.base.DriverError: the storage failed.
    """
    with suppress(PathNotFoundError):
        driver.delete(paths.fetched_manifest(repository, digest))
