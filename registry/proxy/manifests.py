"""The manifests of a repository that caches one of an upstream: served from here, and fetched where they are not.

What a digest names never changes, so what is here is served without a question. All but serve() is about what is here.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from drivers.base import DriverError
from registry.oci.errors import ManifestUnknownError
from registry.oci.reference import Tag
from registry.proxy.pushed_tags import forget_deleted, note_pushed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.ports import Repository, ServedManifest
    from registry.proxy.caching import Caching
    from registry.proxy.freshness import Freshness
    from registry.proxy.remote import Remote

_log = logging.getLogger(__name__)


class ProxiedManifests:
    """The manifests that `local` has or `remote` does, opened for one client; `caching` is None if it may not write."""

    def __init__(self, local: Repository, remote: Remote, freshness: Freshness, caching: Caching | None) -> None:
        self._local = local
        self._kept = local.manifests
        self._remote = remote
        self._freshness = freshness
        self._caching = caching
        self._at_hand: dict[Digest, Manifest] = {}

    def serve(self, digest: Digest) -> ServedManifest:
        hit = digest not in self._at_hand
        manifest: ServedManifest | None
        try:
            manifest = self._kept.serve(digest)
        except ManifestUnknownError:
            hit = False
            manifest = self._at_hand.get(digest) or self._fetch(digest)
            if manifest is None:
                raise
        self._freshness.meter.served("manifest", len(manifest.content), hit=hit)
        return manifest

    def hold(self, digest: Digest, manifest: Manifest) -> None:
        """Take `manifest` for one that was not here, and serve it to this client also if it could not be stored."""
        self._at_hand[digest] = manifest

    def count_pulled(self, manifest: Manifest) -> None:
        """Count a manifest that has come from the upstream."""
        self._freshness.meter.pulled("manifest", len(manifest.content))

    def has(self, digest: Digest) -> bool:
        return self._kept.has(digest)

    def has_each(self, digests: Iterable[Digest]) -> Iterator[bool]:
        return self._kept.has_each(digests)

    def get(self, digest: Digest) -> Manifest:
        return self._kept.get(digest)

    def peek(self, digest: Digest) -> Manifest | None:
        return self._kept.peek(digest)

    def digests(self) -> Iterator[Digest]:
        return self._kept.digests()

    def touch(self, digest: Digest) -> None:
        self._kept.touch(digest)

    def check_first(self, check: Callable[[], object], manifest: Manifest, digest: Digest) -> None:
        self._kept.check_first(check, manifest, digest)

    def put(self, manifest: Manifest, digest: Digest, tags: Sequence[Tag] = ()) -> None:
        self._kept.put(manifest, digest, tags)
        for tag in tags:
            note_pushed(self._freshness, self._local, tag, digest)

    def add(self, manifest: Manifest, digest: Digest) -> None:
        self._kept.add(manifest, digest)

    def keep(self, manifest: Manifest, digest: Digest, tags: Sequence[Tag]) -> None:
        self._kept.keep(manifest, digest, tags)

    def delete(self, digest: Digest) -> list[str]:
        untagged = self._kept.delete(digest)
        for name in untagged:
            forget_deleted(self._freshness, self._local, Tag(name))
        return untagged

    def revive(self, digest: Digest, since: Callable[[], float]) -> bool:
        return self._kept.revive(digest, since)

    def forget(self, digest: Digest) -> None:
        self._kept.forget(digest)

    def _fetch(self, digest: Digest) -> ServedManifest | None:
        if self._remote.lacks(digest):
            return None
        flights = self._freshness.asked_manifests
        return flights.share((self._local.name, digest), partial(self._load, digest), self._remote.waiting)

    def _load(self, digest: Digest) -> ServedManifest | None:
        with suppress(ManifestUnknownError):
            return self._kept.serve(digest)  # another thread has fetched it meanwhile
        found = self._remote.manifest(digest)
        if found is None:
            return None
        self.count_pulled(found.manifest)
        if self._caching:
            try:
                self._caching.put_manifest(self._local, found.manifest, digest)
            except DriverError as error:
                _log.warning("%s: a manifest of %s was not cached: %s", self._local.name, self._remote.name, error)
        return found.manifest
