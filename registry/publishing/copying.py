"""Copies within a registry: a manifest becomes visible in another repository, with all that it leads to.

Blobs are mounted and manifests pushed again, so no bytes are sent, and what holds for pushes holds for these: quotas,
protected tags, the journal, the way past a garbage collection. The tag comes last. A copy that breaks off leaves what
a push leaves that does, and can be repeated.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from registry.oci.errors import BlobUnknownError, ManifestInvalidError, ManifestUnknownError, UpstreamError
from registry.oci.reference import Tag
from registry.publishing.callers import Guard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.ports import Repository
    from registry.publishing.callers import Condition
    from registry.publishing.publishing import Publishing

MOST: Final = 10_000
"""Blobs and manifests that one copy may have, which a request has to wait for."""

_DEEPEST: Final = 16
"""How deep manifests may lead to one another; each on the way is held in memory."""

_SIGNATURES: Final = ("sig", "att", "sbom")
"""How the tags end that cosign gives to what it attaches to a manifest."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy to be made: `target` is to have the manifest of `source`, and `tag` to point to it if `condition` allows.

    The caller may pull from the one and push to the other, which may be the same.
    """

    source: Repository
    target: Repository
    digest: Digest
    tag: Tag
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy has made: how many `manifests` were pushed, and how many `blobs` the target did not have before."""

    digest: Digest
    manifests: int
    blobs: int


def copy_manifest(publishing: Publishing, copy: Copy) -> Copied:
    """Make `copy`, of the manifest and all that it leads to.

    Raises:
        ManifestUnknownError: the source does not have it.
        ManifestInvalidError: it leads to more than can be copied by one request.
        What Publishing.push_manifest() raises; other than by that, manifests that it names may have become visible.
    """
    copying, manifest = _begin(publishing, copy)
    if copy.source.name == copy.target.name:
        publishing.move_tag(copy.target, copy.tag, manifest, copy.digest, copy.condition)
    else:
        guard = Guard(copy.tag, copy.condition) if copy.condition else None
        copying.push(manifest, copy.digest, [copy.tag], guard)
    return Copied(copy.digest, copying.manifests, copying.blobs)


def copy_with_referrers(publishing: Publishing, copy: Copy) -> Copied:
    """Make `copy` as copy_manifest() does, and of what refers to the manifest, or to one that it leads to, as well.

    That is what the list of referrers names, and what cosign has tagged, whose tags are copied where the target does
    not have them. `tag` comes last, so nobody finds a manifest by it that is not signed yet.
    """
    copying, manifest = _begin(publishing, copy)
    if copy.source.name != copy.target.name:
        copying.push(manifest, copy.digest)
        copying.push_referrers()
    publishing.move_tag(copy.target, copy.tag, manifest, copy.digest, copy.condition)
    return Copied(copy.digest, copying.manifests, copying.blobs)


def _begin(publishing: Publishing, copy: Copy) -> tuple[_Copying, Manifest]:
    """Return what makes the copy, and its manifest, if the tag may be set."""
    manifest = copy.source.manifests.get(copy.digest)
    publishing.require_movable(copy.target, copy.tag, copy.digest, copy.condition)
    return _Copying(publishing, copy.source, copy.target), manifest


@dataclass(slots=True)
class _Copying:
    """A copy on its way from `source` to `target`.

    `begun` are the manifests that are there or on their way, and `unsigned` those of them whose referrers are not.
    """

    publishing: Publishing
    source: Repository
    target: Repository
    manifests: int = 0
    blobs: int = 0
    begun: set[Digest] = field(default_factory=set)
    unsigned: list[Digest] = field(default_factory=list)

    def push(
        self,
        manifest: Manifest,
        digest: Digest,
        tags: Sequence[Tag] = (),
        guard: Guard | None = None,
        depth: int = 0,
    ) -> None:
        """Copy a manifest of the source, after all that it names and the source has; the push finds what is missing."""
        if depth > _DEEPEST:
            raise ManifestInvalidError(f"manifests that lead to one another more than {_DEEPEST} deep are not copied")
        self._count(digest)
        blobs: dict[Digest, None] = {}
        for kind, each in manifest.references():
            if kind not in {"manifest", "entry"} or not self._push_named(each.digest, depth + 1):
                blobs[each.digest] = None
        self._mount(list(blobs))
        self.publishing.push_manifest(self.target, manifest, digest, tags, guard)
        self.manifests += 1

    def push_referrers(self) -> None:
        """Copy what refers to the manifests that were copied, and to that, and so on."""
        while self.unsigned:
            subject = self.unsigned.pop()
            for referrer in self.source.referrers.after(subject):
                self._push_named(referrer)
            for tag, signature in self._signatures(subject):
                self._push_named(signature)
                with suppress(ManifestUnknownError):
                    self.publishing.move_tag(self.target, tag, self.source.manifests.get(signature), signature)

    def _push_named(self, digest: Digest, depth: int = 0) -> bool:
        """Copy a manifest that another one, or an index of them, names; tell whether the source has such a manifest."""
        if digest in self.begun:
            return True
        try:
            manifest = self.source.manifests.get(digest)
        except ManifestUnknownError:
            return False
        self.push(manifest, digest, depth=depth)
        return True

    def _mount(self, digests: Sequence[Digest]) -> None:
        """Let the target have blobs of the source. What the source lacks is left out: the push tells what it needs."""
        for digest in self._lacking(digests):
            self._require_room(self.blobs + len(self.begun) + 1)
            find = partial(self.source.blobs.stat, digest)
            with suppress(BlobUnknownError):
                self.publishing.mount_blob(self.target, digest, find, self.source.name)
                self.blobs += 1

    def _lacking(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Return those that the target does not have; all if it caches a registry that does not answer."""
        with suppress(UpstreamError):
            has = self.target.blobs.has_each(digests)
            return [digest for digest, is_there in zip(digests, has, strict=True) if not is_there]
        return digests

    def _signatures(self, subject: Digest) -> Iterator[tuple[Tag, Digest]]:
        """Yield the tags of what cosign has attached to a manifest, but those that the target has."""
        for ending in _SIGNATURES:
            tag = Tag(f"{subject.algorithm}-{subject.hex}.{ending}")
            with suppress(ManifestUnknownError):
                signature = self.source.tags.resolve(tag)
                try:
                    self.target.tags.resolve(tag)
                except ManifestUnknownError:
                    yield tag, signature

    def _count(self, digest: Digest) -> None:
        self.begun.add(digest)
        self.unsigned.append(digest)
        self._require_room(self.blobs + len(self.begun))

    @staticmethod
    def _require_room(count: int) -> None:
        if count > MOST:
            raise ManifestInvalidError(f"a manifest that leads to more than {MOST} others and blobs is not copied")
