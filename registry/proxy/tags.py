"""The tags of a repository that caches one of an upstream: where they point is asked there, now and then.

All but serve() and page() is about the tags that are here.
"""

from __future__ import annotations

import logging
import math
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from drivers.base import DriverError
from registry.oci.errors import ManifestUnknownError, NameUnknownError, UpstreamError
from registry.ports import ChangedError
from registry.proxy.freshness import RECORD_SECONDS, Found, TagState
from registry.proxy.pushed_tags import forget_deleted, note_pushed, restore_pushed
from registry.proxy.remote import Fetched
from registry.proxy.tag_lists import merged_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.oci.reference import Tag
    from registry.ports import Repository
    from registry.proxy.caching import Caching
    from registry.proxy.freshness import Freshness
    from registry.proxy.manifests import ProxiedManifests
    from registry.proxy.remote import Remote

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is known here of a tag: that it points to `current`, if anywhere; if that is `certain`, nobody is asked."""

    current: Digest | None
    state: TagState | None
    certain: bool


class ProxiedTags:
    """The tags that `local` has or `remote` does, opened for one client; `caching` is None if it may not write.

    `manifests` are those of the same repository, opened for the same client.
    """

    def __init__(
        self,
        local: Repository,
        remote: Remote,
        freshness: Freshness,
        caching: Caching | None,
        manifests: ProxiedManifests,
    ) -> None:
        self._local = local
        self._kept = local.tags
        self._remote = remote
        self._freshness = freshness
        self._states = freshness.states
        self._caching = caching
        self._manifests = manifests
        self._fresh_seconds = remote.cache.freshness_seconds

    def serve(self, tag: Tag) -> Digest:
        current = self._current(tag)
        state = self._states.remembered(self._local.name, tag)
        if current and state and state.digest == current and self._is_fresh(state):
            return current
        standing = self._look(tag)
        if standing.current and standing.certain:
            return standing.current
        try:
            found = self._ask(tag)
        except UpstreamError as error:
            return self._stale(tag, standing, error)
        if found is None:
            return self._deleted(tag, standing)
        if found.manifest:
            self._manifests.hold(found.digest, found.manifest)
        return found.digest

    def resolve(self, tag: Tag) -> Digest:
        return self._kept.resolve(tag)

    def pushed(self, tag: Tag) -> float:
        return self._kept.pushed(tag)

    def pushed_each(self, tags: Sequence[Tag]) -> Sequence[float | None]:
        return self._kept.pushed_each(tags)

    def point(self, tag: Tag, digest: Digest) -> None:
        self._kept.point(tag, digest)
        note_pushed(self._freshness, self._local, tag, digest)

    def claim(self, tag: Tag, digest: Digest) -> None:
        self._kept.claim(tag, digest)
        note_pushed(self._freshness, self._local, tag, digest)

    def move(self, tag: Tag, digest: Digest, current: Digest | None) -> None:
        self._kept.move(tag, digest, current)
        note_pushed(self._freshness, self._local, tag, digest)

    def delete(self, tag: Tag) -> None:
        self._kept.delete(tag)
        forget_deleted(self._freshness, self._local, tag)

    def delete_from(self, tag: Tag, current: Digest) -> None:
        self._kept.delete_from(tag, current)
        forget_deleted(self._freshness, self._local, tag)

    def pointing_to(self, digest: Digest) -> Iterator[str]:
        return self._kept.pointing_to(digest)

    def names(self) -> Iterator[str]:
        return self._kept.names()

    def page(self, *, after: str = "", limit: int) -> list[str]:
        """Return the next tags of the upstream and those that were pushed here.

        If it cannot be asked, they are those that are here.

        Raises:
            NameUnknownError: there is no such repository, here or there.
            UpstreamError: it cannot be asked, and there is no such repository here.
        """
        try:
            listed = self._remote.tags(after=after, limit=limit)
        except UpstreamError as error:
            with suppress(NameUnknownError):
                kept = self._kept.page(after=after, limit=limit)
                self._freshness.meter.stale(self._remote.name)
                self._remote.warn(f"the list of tags is that of those which are cached: {error}")
                return kept
            raise
        if self._remote.pushable:
            if listed is None:
                self._kept.page(limit=1)  # raises if there is no such repository here either
            return merged_page(listed or [], self._local, self._states, after, limit)
        if listed is not None:
            return listed
        if self._remote.cache.deleted == "serve":
            return self._kept.page(after=after, limit=limit)
        raise NameUnknownError("repository name not known to registry", {"name": self._local.name})

    def _current(self, tag: Tag) -> Digest | None:
        try:
            return self._kept.resolve(tag)
        except ManifestUnknownError:
            return None

    def _is_fresh(self, state: TagState) -> bool:
        return state.age(self._freshness.clock()) < self._fresh_seconds

    def _look(self, tag: Tag) -> _Standing:
        """Return what the storage knows of `tag`, and remember what is certain."""
        # In this order: whoever moves the tag meanwhile has changed the state first, so it is not replaced by this one.
        state = self._states.read(self._local.name, tag)
        current = self._current(tag)
        if current is None:
            return _Standing(None, state, certain=False)
        if self._remote.pushable and not (state and state.covers(current)):
            # It was pushed here. That may be remembered for as long as where a tag points.
            self._states.remember(self._local.name, tag, TagState(current, self._freshness.clock()))
            return _Standing(current, state, certain=True)
        if state and state.digest == current and self._is_fresh(state):
            self._states.remember(self._local.name, tag, state)
            return _Standing(current, state, certain=True)
        return _Standing(current, state, certain=False)

    def _ask(self, tag: Tag) -> Found | None:
        if self._remote.lacks(tag):
            return None
        return self._freshness.asked_tags.share(
            (self._local.name, tag.name),
            partial(self._check, tag),
            self._remote.waiting,
            # Where a tag is looked for each time, an answer to a question of before this request is not new enough.
            begun=self._fresh_seconds > 0,
        )

    def _check(self, tag: Tag) -> Found | None:
        """Return where the upstream says that `tag` points, and let it point there."""
        standing = self._look(tag)  # once more: another thread may have asked meanwhile
        current = standing.current
        if current and standing.certain:
            return Found(current)
        asked = self._freshness.clock()
        if current is None:
            fetched = self._fetch(tag)
        else:
            digest = self._remote.find(tag)
            if digest is None:
                return None
            if digest == current:
                self._record(tag, TagState(digest, asked), standing.state)
                return Found(digest)
            here = self._here(digest)
            if here:
                self._store(tag, here, standing, asked)
                return Found(digest)
            # By tag where it has moved meanwhile, and the manifest gone.
            fetched = self._fetch(digest) or self._fetch(tag)
        if fetched is None:
            return None
        self._store(tag, fetched, standing, asked)
        return Found(fetched.digest, fetched.manifest)

    def _here(self, digest: Digest) -> Fetched | None:
        """Return a manifest that was fetched before, or pushed."""
        try:
            return Fetched(digest, self._local.manifests.get(digest))
        except ManifestUnknownError:
            return None

    def _fetch(self, reference: Tag | Digest) -> Fetched | None:
        fetched = self._remote.manifest(reference)
        if fetched:
            self._manifests.count_pulled(fetched.manifest)
        return fetched

    def _record(self, tag: Tag, state: TagState, former: TagState | None) -> None:
        """Note that the upstream has confirmed where `tag` points; in storage as often as it matters."""
        written = former.age(state.checked) if former and former.digest == state.digest else math.inf
        if written < (self._fresh_seconds or RECORD_SECONDS):
            self._states.remember(self._local.name, tag, state)
        else:
            self._states.record(self._local.name, tag, state, former)

    def _store(self, tag: Tag, fetched: Fetched, standing: _Standing, asked: float) -> None:
        """Let `tag` point to a manifest of the upstream from now on, if that can be stored."""
        caching = self._caching
        if not caching:
            return
        state = TagState(fetched.digest, asked)
        try:
            if self._remote.pushable:
                self._move_beside_pushes(caching, tag, state, fetched.manifest, standing)
            else:
                caching.move_tag(self._local, tag, fetched.manifest, fetched.digest, standing.current)
                self._states.record(self._local.name, tag, state, standing.state)
        except ChangedError:
            _log.debug("%s: another has moved tag %s meanwhile", self._local.name, tag)
        except DriverError as error:
            _log.warning("%s: a tag of %s was not cached: %s", self._local.name, self._remote.name, error)

    def _move_beside_pushes(
        self, caching: Caching, tag: Tag, state: TagState, manifest: Manifest, standing: _Standing
    ) -> None:
        """Let `tag` point to what the upstream has, unless somebody pushes it, or caches it, at the same time.

        What it says is written first, so that a tag is not taken for a pushed one if this ends when it was moved.

        Raises:
            ChangedError: somebody does; the manifest is cached.
        """
        name, former = self._local.name, standing.state
        intent = TagState(state.digest, self._freshness.clock(), standing.current, uuid.uuid4().hex)
        taken = former is not None and former.is_live_intent(intent.checked)
        if taken or not self._states.replace(name, tag, intent, former):
            caching.put_manifest(self._local, manifest, state.digest)
            raise ChangedError(tag)
        try:
            caching.move_tag(self._local, tag, manifest, state.digest, standing.current)
        except ChangedError:
            self._states.forget(name, tag, intent)
            raise
        if not self._states.record(name, tag, state, intent):
            pushed = self._states.read(name, tag)
            if pushed and pushed.pushed and pushed.digest != state.digest:
                restore_pushed(self._local, tag, pushed.digest, moved_to=state.digest)

    def _stale(self, tag: Tag, standing: _Standing, error: UpstreamError) -> Digest:
        """Return where `tag` points as far as is known here, though the upstream does not say, or raise `error`."""
        current, state = standing.current, standing.state
        if current is None:
            raise error
        longest = self._remote.cache.maxstale_seconds
        if longest:
            confirmed = state.checked if state and state.digest == current else self.pushed(tag)
            if self._freshness.clock() - confirmed > longest:
                raise error
        self._freshness.meter.stale(self._remote.name)
        self._remote.warn(f"tag {tag} is what it was when it was looked for last: {error}")
        return current

    def _deleted(self, tag: Tag, standing: _Standing) -> Digest:
        """Return where `tag` points here, which the upstream does not have, if that is to be served.

        Raises:
            ManifestUnknownError: it is not, or the tag is not here.
        """
        if standing.current and self._remote.cache.deleted == "serve":
            self._remote.warn(f"tag {tag} is cached, and is not there any more")
            return standing.current
        raise ManifestUnknownError("manifest unknown", f"unknown tag={tag.name}")
