"""What a push relies on: all that a manifest leads to, also where a garbage collection has condemned the links to it.

Between the time at which a client was told that a repository has something and the push of a manifest that names it, a
run may have condemned it. The push then brings it back, for as long as no run removes the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import UnavailableError
from registry.oci.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.ports import BlobStore, ManifestStore, Repository
    from registry.storage.validation import ValidationPolicy

_READ_BYTES: Final = 16 * 1024 * 1024
"""Bytes of all manifests below an index that are read to tell a run of them: some thousand manifests of images."""

_DEPTH: Final = 8
"""How many indexes lead to a manifest that is brought back, at most."""


@dataclass(frozen=True, slots=True)
class Content:
    """The digests of a manifest and of all that it leads to in its repository, however deep.

    Iterated again, they are found again: what an index leads to is more than is to be kept in memory. A manifest of an
    index may be what only this push lets stay, so what is below it is among them.
    """

    manifests: ManifestStore
    manifest: Manifest
    digest: Digest

    def __iter__(self) -> Iterator[Digest]:
        yield self.digest
        named, below = _named(self.manifest)
        yield from named
        room = _READ_BYTES
        while below:
            child = self.manifests.peek(below.pop())
            if child is None:
                continue
            room -= len(child.content)
            if room < 0:
                raise UnavailableError(
                    f"{self.digest} leads to too many manifests to be pushed while garbage is collected"
                )
            named, deeper = _named(child)
            yield from named
            below += deeper


def _named(manifest: Manifest) -> tuple[dict[Digest, None], list[Digest]]:
    """Return all digests that a manifest leads to, and those of them that may be manifests; each once."""
    references = list(manifest.references())
    manifests = dict.fromkeys(each.digest for kind, each in references if kind in {"manifest", "entry"})
    return dict.fromkeys(each.digest for _, each in references), list(manifests)


def check_reviving(
    policy: ValidationPolicy, repository: Repository, manifest: Manifest, since: Callable[[], float]
) -> None:
    """Return if `manifest` may be stored in `repository`, which has, then, all again that it lacked.

    What was condemned before the time that `since` returns, by the clock of the storage, is not brought back. What the
    policy does not look for, where manifests may be sparse, is not either.

    Raises:
        What ValidationPolicy.check() raises.
    """
    blobs = _Blobs(repository.blobs, since)
    policy.check(manifest, blobs, _Manifests(repository.manifests, blobs, policy, since))


@dataclass(frozen=True, slots=True)
class _Blobs:
    """The blobs of a repository, and those that it has again when they are looked for."""

    blobs: BlobStore
    since: Callable[[], float]

    def has(self, digest: Digest) -> bool:
        return self.blobs.has(digest) or self.blobs.revive(digest, self.since)


@dataclass(frozen=True, slots=True)
class _Manifests:
    """The manifests of a repository, and those that it has again when they are looked for, with all they lead to.

    Blobs come back before the manifest that names them. No manifest is tried twice, however many name it: `lost` are
    those that could not be brought back.
    """

    manifests: ManifestStore
    blobs: _Blobs
    policy: ValidationPolicy
    since: Callable[[], float]
    depth: int = _DEPTH
    lost: set[Digest] = field(default_factory=set)

    def has(self, digest: Digest) -> bool:
        if self.manifests.has(digest):
            return True
        if digest in self.lost or not self._has_content(digest):
            self.lost.add(digest)
            return False
        return self.manifests.revive(digest, self.since)

    def _has_content(self, digest: Digest) -> bool:
        manifest = self.manifests.peek(digest)
        if manifest is None or not self.depth:
            return False
        below = _Manifests(self.manifests, self.blobs, self.policy, self.since, self.depth - 1, self.lost)
        try:
            self.policy.check(manifest, self.blobs, below)
        except RegistryError:
            return False
        return True
