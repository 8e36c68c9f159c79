"""Eviction: cached content goes that was not used for long, or for which there is no room.

Links go, tags first, so that no tag leads to nothing. They are moved as a garbage collection moves those that it
condemns: bytes are deleted by its rules only, when they have waited for its grace, and what is fetched or pushed until
then has its link back.

Nothing that is used, fetched or pushed meanwhile goes. A link goes only as it was found, and a use changes it. A push
that was about to rely on a link, where others may push, stores its manifest within a second of its last look at it
(registry.publishing): so manifests that were stored since the eviction began are looked at when that time has passed,
and get back what they name.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import ChangedError, PathNotFoundError
from registry import ports
from registry.oci.errors import ManifestUnknownError, RegistryError
from registry.oci.reference import Tag
from registry.proxy.eviction.choosing import Choice
from registry.proxy.eviction.held import held_by_repositories
from registry.proxy.eviction.outcomes import Outcome
from registry.proxy.eviction.usage import Usage, was_fetched
from registry.proxy.freshness import STATE_LIMIT_BYTES
from registry.storage import enumeration, paths
from registry.storage.evictions import note_eviction
from registry.storage.links import condemn_links
from registry.storage.parts import Kind
from registry.storage.revival import check_reviving
from registry.storage.runs import Runs
from registry.storage.validation import ValidationPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.base import StorageDriver
    from registry.config.cached import Cached
    from registry.config.upstreams import Upstream
    from registry.oci.digest import Digest
    from registry.storage.links import FoundLink
    from registry.storage.repository import Repositories, Repository

_PERCENT_LEFT: Final = 90
"""Of ``cache.size``, after it was exceeded."""
_YOUNG_SECONDS: Final = 3600.0
"""What was used since then does not make room: it may belong to an image that is being pulled."""
_SETTLED_SECONDS: Final = 2.0
"""How long after its last look at what a manifest names a push has stored it, and more."""
_ALL: Final = ValidationPolicy(enabled=False, sparse=True)
_log = logging.getLogger(__name__)


class CollectionRunsError(Exception):
    """A garbage collection is on; what it has scanned is not to change under it."""


@dataclass
class Eviction:
    """Evicts what is `cached` in the storage of `driver`; `going_on` is asked whether to."""

    driver: StorageDriver
    repositories: Repositories
    cached: Cached
    going_on: Callable[[], bool] = lambda: True
    pause: Callable[[float], object] = time.sleep
    progress: Callable[[str], object] = lambda _: None
    _counts: dict[tuple[str, str], int] = field(default_factory=dict, init=False)

    def sweep(self, visit: Callable[[Usage], object] = lambda _: None) -> list[Outcome]:
        """Evict what ``cache.ttl`` and ``cache.size`` say; `visit` is given what stays.

        Raises:
            CollectionRunsError: a garbage collection is on.
            DriverError: the storage failed.
        """
        with Usage(self.driver, self.cached) as usage:
            now = self._begin(usage)
            before = {each.name: usage.size_of(each.name) for each in self.cached.upstreams}
            choice = Choice(self.driver, usage)
            for each in self.cached.upstreams:
                cache = each.cache
                if cache.size and before[each.name] > cache.size:
                    choice.judge(each)
                elif cache.ttl_seconds > 0:
                    choice.judge(each, before=now - cache.ttl_seconds)
            choice.conclude()
            full = {each.name for each in self.cached.upstreams if self._choose(usage, choice, each, now)}
            self._evict(usage, choice, now)
            visit(usage)
            return [self._outcome(usage, each.name, before[each.name], full) for each in self.cached.upstreams]

    def evict(self, chosen: Callable[[str], bool]) -> list[Outcome]:
        """Evict all of the repositories that are `chosen`, but what was pushed to them; else as sweep()."""
        with Usage(self.driver, self.cached, heeds_keep=False) as usage:
            now = self._begin(usage)
            before = {each.name: usage.size_of(each.name) for each in self.cached.upstreams}
            choice = Choice(self.driver, usage)
            for each in self.cached.upstreams:
                choice.judge(each)
            choice.conclude()
            for held in held_by_repositories(usage):
                if chosen(held.name):
                    choice.choose_all(held.name)
            self._evict(usage, choice, now)
            return [self._outcome(usage, each.name, before[each.name], set()) for each in self.cached.upstreams]

    def _begin(self, usage: Usage) -> float:
        """Find what there is; return when that began, by the clock of the storage."""
        if Runs(self.driver).read().is_on:
            raise CollectionRunsError("a garbage collection is on")
        now = self._clock()
        usage.find(self.progress)
        return now

    def _clock(self) -> float:
        """Return what the clock of the storage says."""
        self.driver.put(paths.EVICTION_BEGUN, b"")
        return self.driver.stat(paths.EVICTION_BEGUN).modified

    def _choose(self, usage: Usage, choice: Choice, upstream: Upstream, now: float) -> bool:
        """Choose what goes; tell whether more stays than ``cache.size`` allows."""
        cache = upstream.cache
        if cache.ttl_seconds > 0:
            choice.choose_unused(upstream.name, now - cache.ttl_seconds)
        if not cache.size or usage.size_of(upstream.name) <= cache.size:
            return False
        most = cache.size * _PERCENT_LEFT // 100
        return choice.choose_oldest(upstream.name, most, now - _YOUNG_SECONDS) > cache.size

    def _evict(self, usage: Usage, choice: Choice, now: float) -> None:
        for name, tags in choice.chosen_tags():
            repository = self.repositories.open(name)
            for tag, digest in tags:
                if self.going_on():
                    self._evict_tag(repository, Tag(tag), digest, now)
        if self._evict_chosen_links(choice, now):
            self.pause(_SETTLED_SECONDS)
            for name in choice.repositories():
                if not self.cached.is_only_cached(name):
                    self._give_back(self.repositories.open(name), usage, now)

    def _evict_chosen_links(self, choice: Choice, now: float) -> bool:
        """Take the links away that are chosen; tell whether others may push to any of their repositories.

        When that is done is noted before, so that what goes is collected also if this breaks off, and at the end.
        """
        mixed = evicted = False
        for name, links in choice.chosen_links():
            if not self.going_on():
                break
            if not evicted:
                note_eviction(self.driver, now)
                evicted = True
            mixed = mixed or not self.cached.is_only_cached(name)
            self._evict_links(name, links)
        if evicted:
            note_eviction(self.driver, self._clock())
        return mixed

    def _evict_tag(self, repository: Repository, tag: Tag, digest: Digest, now: float) -> None:
        """Take a tag away if it is as it was found, and then what is known of it upstream.

        In that order: a tag of which nothing is known would count as pushed. One that was pushed meanwhile stays, or
        comes back; so does one that somebody has asked for.
        """
        path = paths.proxied_tag(repository.name, tag.name)
        known = self._content(path)
        upstream = self.cached.upstream_of(repository.name)
        if upstream is None or not (upstream.classic or was_fetched(known, digest)):
            return
        if self._is_stored_since(repository.name, digest, now):
            return
        with suppress(ports.ChangedError, ManifestUnknownError):
            repository.tags.delete_from(tag, digest)
            if self._is_stored_since(repository.name, digest, now) or self._content(path) != known:
                repository.tags.restore(tag, digest)
                return
            self._count(upstream, "tags")
            if known is not None:
                with suppress(PathNotFoundError, ChangedError):
                    self.driver.delete_if(path, expected=known)

    def _content(self, path: str) -> bytes | None:
        """Return what is known of a tag upstream, None if nothing is."""
        try:
            return self.driver.get(path, limit=STATE_LIMIT_BYTES)
        except PathNotFoundError:
            return None

    def _is_stored_since(self, name: str, digest: Digest, now: float) -> bool:
        """Tell whether a manifest was pushed, fetched or used since the eviction began."""
        try:
            return self.driver.stat(paths.revision_link(name, digest)).modified >= now
        except PathNotFoundError:
            return False

    def _evict_links(self, name: str, links: Sequence[FoundLink]) -> None:
        moved = condemn_links(self.driver, name, links)
        upstream = self.cached.upstream_of(name)
        for link, is_moved in zip(links, moved, strict=True):
            if not is_moved or upstream is None:
                continue
            self._count(upstream, "manifests" if link.kind is Kind.REVISION else "blobs")
            if link.kind is Kind.REVISION:
                for path in (paths.fetched_manifest(name, link.digest), paths.proxied_referrers(name, link.digest)):
                    with suppress(PathNotFoundError):
                        self.driver.delete(path)

    def _give_back(self, repository: Repository, usage: Usage, now: float) -> None:
        """Let manifests that were stored since the eviction began have what they name."""
        for digest in enumeration.revisions(self.driver, repository.name):
            if usage.knows_manifest(repository.name, digest) and not self._is_stored_since(
                repository.name, digest, now
            ):
                continue
            with suppress(RegistryError):
                manifest = repository.manifests.get(digest)
                check_reviving(_ALL, repository, manifest, lambda: 0.0, deep=True)

    def _count(self, upstream: Upstream, what: str) -> None:
        key = upstream.name, what
        self._counts[key] = self._counts.get(key, 0) + 1

    def _outcome(self, usage: Usage, upstream: str, before: int, full: set[str]) -> Outcome:
        size = usage.size_of(upstream)
        counts = {what: self._counts.get((upstream, what), 0) for what in ("tags", "manifests", "blobs")}
        return Outcome(upstream, size, before - size, **counts, full=upstream in full)
