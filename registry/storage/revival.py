"""What a push relies on: all that a manifest leads to, also where a garbage collection has condemned the links to it.

Between the time at which a client was told that a repository has something and the push of a manifest that names it, a
run may have condemned it. The push then brings it back, for as long as no run removes the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import CollectingError
from registry.foundation.found_digests import FoundDigests
from registry.oci.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.ports import BlobStore, ManifestStore, Repository
    from registry.storage.validation import ValidationPolicy

_READ_BYTES: Final = 16 * 1024 * 1024
"""Bytes of all manifests below an index that are looked into to bring them back: some thousand of images."""

_DEPTH: Final = 8
"""How many indexes lead to a manifest that is brought back, at most."""


class _Room:
    """How much may be read yet of the manifests that an index leads to."""

    def __init__(self) -> None:
        self._left = _READ_BYTES

    def take(self, manifest: Manifest) -> None:
        self._left -= len(manifest.content)
        if self._left < 0:
            raise CollectingError("the index leads to too many manifests that a garbage collection may have condemned")


@dataclass(frozen=True, slots=True)
class Content:
    """The digests of a manifest and of all that it leads to in its repository, however deep.

    Iterated again, they are found again: what an index leads to is more than is to be kept in memory. A manifest of an
    index may be what only this push lets stay, so what is below it is among them. Each manifest is read once, however
    many indexes name it.
    """

    manifests: ManifestStore
    manifest: Manifest
    digest: Digest

    def __iter__(self) -> Iterator[Digest]:
        yield self.digest
        named, below = _named(self.manifest)
        yield from named
        if not below:
            return
        with FoundDigests() as manifests:
            manifests.add_all(below)
            for digest in manifests.follow():
                child = self.manifests.peek(digest)
                if child:
                    named, below = _named(child)
                    yield from named
                    manifests.add_all(below)


def _named(manifest: Manifest) -> tuple[dict[Digest, None], list[Digest]]:
    """Return all digests that a manifest leads to, and those of them that may be manifests; each once."""
    references = list(manifest.references())
    manifests = dict.fromkeys(each.digest for kind, each in references if kind in {"manifest", "entry"})
    return dict.fromkeys(each.digest for _, each in references), list(manifests)


def check_reviving(
    policy: ValidationPolicy,
    repository: Repository,
    manifest: Manifest,
    since: Callable[[], float],
    *,
    deep: bool = False,
) -> None:
    """Return if `manifest` may be stored in `repository`, which has, then, all again that it lacked.

    What was condemned before the time that `since` returns, by the clock of the storage, is not brought back. What the
    policy does not look for comes back as well: a client may have been told of it. Manifests that an index leads to
    come back with what they name. If it is `deep`, what those of them name that are there comes back, too.

    Raises:
        What ValidationPolicy.check() raises.
        CollectingError: it leads to more manifests than can be looked at.
    """
    blobs = _Blobs(repository.blobs, since)
    manifests = _Manifests(repository.manifests, blobs, policy, since, deep=deep)
    policy.check(manifest, blobs, manifests)
    _revive_others(policy, manifest, blobs, manifests)


def revive_others(
    policy: ValidationPolicy, repository: Repository, manifest: Manifest, since: Callable[[], float]
) -> None:
    """Bring back what a manifest names that the policy has allowed without looking for it.

    `since` is as check_reviving() says.

    Raises:
        UnavailableError: it leads to more manifests than can be looked at.
    """
    blobs = _Blobs(repository.blobs, since)
    _revive_others(policy, manifest, blobs, _Manifests(repository.manifests, blobs, policy, since, deep=False))


def _revive_others(policy: ValidationPolicy, manifest: Manifest, blobs: _Blobs, manifests: _Manifests) -> None:
    seen = {each.digest for _, each in policy.required(manifest)}
    for kind, each in manifest.references():
        if each.digest in seen:
            continue
        seen.add(each.digest)
        if kind not in {"manifest", "entry"} or not manifests.has(each.digest):
            blobs.has(each.digest)


@dataclass(frozen=True, slots=True)
class _Blobs:
    """The blobs of a repository, and those that it has again when they are looked for."""

    blobs: BlobStore
    since: Callable[[], float]

    def has(self, digest: Digest) -> bool:
        return self.blobs.has(digest) or self.blobs.revive(digest, self.since)

    def has_each(self, digests: Iterable[Digest]) -> Iterator[bool]:
        return map(self.has, digests)


class _Manifests:
    """The manifests of a repository, and those that it has again when they are looked for.

    What a manifest names comes back before the manifest. Each is looked into once, however many name it.
    """

    def __init__(
        self,
        manifests: ManifestStore,
        blobs: _Blobs,
        policy: ValidationPolicy,
        since: Callable[[], float],
        *,
        deep: bool,
    ) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._policy = policy
        self._since = since
        self._deep = deep
        self._complete: dict[Digest, bool] = {}
        self._depth = 0
        self._room = _Room()

    def has(self, digest: Digest) -> bool:
        if self._manifests.has(digest):
            if self._deep:
                self._is_complete(digest)
            return True
        return self._is_complete(digest) and self._manifests.revive(digest, self._since)

    def has_each(self, digests: Iterable[Digest]) -> Iterator[bool]:
        return map(self.has, digests)

    def _is_complete(self, digest: Digest) -> bool:
        """Tell whether all is there that a manifest names, which may have been condemned as well."""
        if digest not in self._complete:
            manifest = self._manifests.peek(digest) if self._depth < _DEPTH else None
            self._complete[digest] = manifest is not None and self._is_allowed(manifest)
        return self._complete[digest]

    def _is_allowed(self, manifest: Manifest) -> bool:
        self._room.take(manifest)
        self._depth += 1
        try:
            self._policy.check(manifest, self._blobs, self)
            _revive_others(self._policy, manifest, self._blobs, self)
        except RegistryError:
            return False
        finally:
            self._depth -= 1
        return True
