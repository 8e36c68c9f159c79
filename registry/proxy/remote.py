"""A repository of an upstream, as it is asked on behalf of one client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.oci.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from registry.config.upstreams import UpstreamCache
    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.oci.reference import Tag
    from registry.ports import Visitor
    from registry.proxy.freshness import Missing
    from registry.upstream.client import Upstream


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest of an upstream, and its digest."""

    digest: Digest
    manifest: Manifest


class Remote:
    """What `upstream` calls `repository`. All but what tells of it from memory may raise UpstreamError.

    Where it is `pushable`, tags that were pushed here come before those of the upstream.
    """

    def __init__(
        self, upstream: Upstream, repository: str, visitor: Visitor, missing: Missing, *, pushable: bool = False
    ) -> None:
        self.pushable = pushable
        self._upstream = upstream
        self._repository = repository
        self._visitor = visitor
        self._missing = missing

    @property
    def name(self) -> str:
        """What the upstream is called."""
        return self._upstream.name

    @property
    def cache(self) -> UpstreamCache:
        """For how long what it says is believed."""
        return self._upstream.settings.cache

    def waiting(self) -> AbstractContextManager[None]:
        """Return a block in which the thread of the client may wait for long."""
        return self._visitor.waiting()

    def warn(self, text: str) -> None:
        """Have the client told `text`, which is about the upstream."""
        self._visitor.warn(f"{self.name}: {text}")

    def lacks(self, *what: object) -> bool:
        """Tell whether it has said a short while ago that it does not have it."""
        return self._key(*what) in self._missing

    def find(self, tag: Tag) -> Digest | None:
        """Return where it says that `tag` points; None if it has none."""
        with self.waiting():
            digest = self._upstream.find(self._repository, tag, via=self._visitor.via)
        if digest is None:
            self._note_missing(tag)
        return digest

    def manifest(self, reference: Tag | Digest) -> Fetched | None:
        """Return the manifest that it has as `reference`; None if it has none."""
        with self.waiting():
            found = self._upstream.manifest(self._repository, reference, via=self._visitor.via)
        if found is None:
            self._note_missing(reference)
            return None
        return Fetched(found.digest, read_stored(found.content))

    def tags(self, *, after: str, limit: int) -> list[str] | None:
        """Return the first `limit` of its tags after `after`, in byte order; None if it has no such repository."""
        with self.waiting():
            return self._upstream.tags(self._repository, after=after, limit=limit, via=self._visitor.via)

    def referrers(self, subject: Digest) -> Sequence[Mapping[str, object]] | None:
        """Return the descriptors of all referrers of `subject` that it lists; None if it has no such list."""
        with self.waiting():
            listed = self._upstream.referrers(self._repository, subject, via=self._visitor.via)
        if listed is None:
            self._note_missing("referrers", subject)
        return listed

    def _key(self, *what: object) -> tuple[str, ...]:
        return (self.name, self._repository, *map(str, what))

    def _note_missing(self, *what: object) -> None:
        self._missing.add(self._key(*what), self.cache.negative_seconds)
