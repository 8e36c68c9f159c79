"""Manifests: stored and served byte for byte as they were pushed."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathExistsError, PathNotFoundError
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestInvalidError, ManifestUnknownError
from registry.oci.manifest import MAX_SIZE, Descriptor, Manifest
from registry.oci.reference import Tag
from registry.oci.stored import read_stored, stored_media_type
from registry.ports import ChangedError
from registry.storage import enumeration, paths
from registry.storage.at_once import both, each
from registry.storage.cache import ServedManifest
from registry.storage.links import link, read_link, revive_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.storage.cache import ManifestCache
    from registry.storage.referrer_index import ReferrerIndex
    from registry.storage.tags import TagStore

_MAX_UNCHECKED: Final = 64 * 1024
"""Bytes of a manifest that may be stored while it is checked: of a push that is refused they stay as garbage."""


class ManifestStore:
    """The manifests of one repository."""

    def __init__(
        self,
        driver: StorageDriver,
        name: str,
        cache: ManifestCache,
        tags: TagStore,
        referrers: ReferrerIndex,
    ) -> None:
        self._driver = driver
        self._name = name
        self._cache = cache
        self._listed = cache.listed
        self._tags = tags
        self._referrers = referrers
        self._stored: Digest | None = None

    def has(self, digest: Digest) -> bool:
        """Tell whether this repository links the manifest. Its bytes are not looked at."""
        return read_link(self._driver, paths.revision_link(self._name, digest)) is not None

    def has_each(self, digests: Iterable[Digest]) -> Iterator[bool]:
        """Tell of each digest what has() tells, of some at a time."""
        return each(self._driver, self.has, digests)

    def get(self, digest: Digest) -> Manifest:
        """Return the manifest, with all that is read in it.

        Raises:
            ManifestUnknownError: this repository does not have it, or what is stored cannot be read.
        """
        return self._read(digest, self._target(digest))

    def peek(self, digest: Digest) -> Manifest | None:
        """Return the manifest if it can be read and this repository has it, or had it until it was condemned."""
        for path in (paths.revision_link(self._name, digest), paths.condemned_revision_link(self._name, digest)):
            target = read_link(self._driver, path)
            if target:
                with suppress(ManifestUnknownError):
                    return self._read(digest, target)
        return None

    def serve(self, digest: Digest) -> ServedManifest:
        """Return what a client gets of the manifest, which is often in memory; otherwise as get().

        Where it is, and a tag has just led there, registry.storage.listed says why nothing is asked of the storage.
        """
        is_tagged = self._tags.have_just_led_to(digest)
        listed = self._listed.target(self._name, digest)
        cached = self._cache.get(listed or digest)
        if cached and listed and is_tagged:
            return cached
        if cached and self._target(digest) == (listed or digest):
            return cached
        target, content = self._look(digest, listed or digest)
        with _unknown_if_unreadable():
            served = ServedManifest(content, self._cache.type_of_large(target) or stored_media_type(content))
        self._cache.put(target, served)
        return served

    def check_first(self, check: Callable[[], object], manifest: Manifest, digest: Digest) -> None:
        """Do `check`; over an object store, store the bytes of the manifest at the same time, for put() to go on from.

        Nothing leads to bytes alone. If `check` fails they are garbage, as those of any blob that no repository links;
        a manifest that is long is stored after its check, so that what is refused does not fill the storage.
        """
        path = paths.blob_data(digest)
        is_long = len(manifest.content) > _MAX_UNCHECKED
        if is_long or self._driver.local_path(path) is not None or not _has_digest(manifest, digest):
            check()
            return
        self._driver.together(check, partial(self._driver.put, path, manifest.content))
        self._stored = digest

    def put(self, manifest: Manifest, digest: Digest, tags: Sequence[Tag] = ()) -> None:
        """Store a manifest under its digest and let `tags` point to it.

        The bytes, the revision, its place among its subject's referrers, the tags: what leads there comes later.

        Raises:
            DigestInvalidError: the digest is not that of the content.
        """
        _require_digest(manifest, digest)
        revision = self._revision(digest)
        stored, self._stored = self._stored, None
        objects = [] if stored == digest else [(paths.blob_data(digest), manifest.content)]
        objects += [revision, *self._referrers.objects(manifest, digest)]
        objects += [self._tags.pointer(tag, digest) for tag in tags]
        history = [self._tags.history(tag, digest) for tag in tags]
        # The history holds the same digest as the revision's link, and neither ever changes. A tag's pointer may:
        # version 2 of the Go registry moves a tag by writing into the file.
        self._driver.put_in_order(objects, best_effort=history, copies_of=revision[0])
        self._cache.put(digest, _served(manifest))
        self._listed.note(self._name, digest, digest)

    def add(self, manifest: Manifest, digest: Digest) -> None:
        """Store a manifest as put() does, unless the repository lists it already: of two at a time one succeeds.

        Raises:
            DigestInvalidError: the digest is not that of the content.
            registry.ports.ChangedError: the repository lists it.
        """
        _require_digest(manifest, digest)
        self._driver.put(paths.blob_data(digest), manifest.content)
        try:
            self._driver.create(*self._revision(digest))
        except PathExistsError as error:
            if self.has(digest):
                raise ChangedError(f"the repository has {digest}") from error
        # Its place among the referrers, and the link once more if that is malformed.
        self.put(manifest, digest)

    def touch(self, digest: Digest) -> None:
        """Let the manifest count as pushed now, if this repository lists it."""
        with suppress(PathNotFoundError):
            self._driver.touch(paths.revision_link(self._name, digest))

    def keep(self, manifest: Manifest, digest: Digest, tags: Sequence[Tag]) -> None:
        """Store again what a deletion at the same time has taken away of a manifest and of `tags` that point to it.

        Called last: that deletion may have looked for the tags before they were there, or have taken the pointer of
        one before its history was written, which would be listed and lead nowhere.
        """
        looks = (partial(self._tags.has, tag) for tag in tags)
        if all(self._driver.together(*looks, partial(self.has, digest))):
            return
        self._restore(tags, digest)
        # The link after the tags: a deletion may have taken away both since they were looked at. It may also take a
        # tag that was just restored. If it finds the link then, it puts the tag back; if not, the link is put here
        # after its last look, and the tag restored after that. Each further round needs one more deletion that has
        # found the link, so there are no more rounds than deletions of this manifest.
        while not self.has(digest):
            self.put(manifest, digest)
            self._restore(tags, digest)

    def delete(self, digest: Digest) -> list[str]:
        """Delete the manifest and the tags that point to it; return those tags.

        The tags go first: a crash between leaves a manifest that can be pulled, never a tag that leads nowhere.
        They are looked for once more at the end: a push at the same time may have made one. If that push has
        seen the link gone it has made a new one, and its tags stay or are put back.

        Raises:
            ManifestUnknownError: this repository does not have it.
        """
        try:
            if not self.has(digest):
                raise self._unknown(digest)
            untagged = list(self._untag(digest))
            self.forget(digest)
        finally:
            with suppress(PathNotFoundError):
                self._driver.delete(paths.condemned_revision_link(self._name, digest))
        return list(dict.fromkeys(untagged + self._untag_unlinked(digest)))

    def revive(self, digest: Digest, since: Callable[[], float]) -> bool:
        """Link the manifest again if a garbage collection has condemned it since then; tell whether it is linked.

        What it names has to be there. The link is looked at last, as BlobStore.revive() does.
        """
        live = paths.revision_link(self._name, digest)
        revive_link(self._driver, paths.condemned_revision_link(self._name, digest), live, since)
        with suppress(ManifestUnknownError):
            self._referrers.add(self.get(digest), digest)
        return self.has(digest)

    def forget(self, digest: Digest) -> None:
        """Delete the manifest. The caller knows that no tag points to it, so no tag is read.

        Raises:
            ManifestUnknownError: this repository does not have it.
        """
        subject = self.subject(digest)
        self._listed.drop(self._name, digest)
        try:
            self._driver.delete(paths.revision_link(self._name, digest))
        except PathNotFoundError:
            raise self._unknown(digest) from None
        if subject:
            self._referrers.remove(subject.digest, digest)
            with suppress(ManifestUnknownError):  # unless a push at the same time has stored it again
                self._referrers.add(self.get(digest), digest)

    def subject(self, digest: Digest) -> Descriptor | None:
        """Return the subject that a manifest names, if it names one and can be read."""
        try:
            return self.get(digest).subject
        except ManifestUnknownError:
            return None

    def digests(self) -> Iterator[Digest]:
        """Yield the digest of every manifest in the repository."""
        return filter(self.has, enumeration.revisions(self._driver, self._name))

    def _revision(self, digest: Digest) -> tuple[str, bytes]:
        return link(paths.revision_link(self._name, digest), digest)

    def _target(self, digest: Digest) -> Digest:
        """Return the digest under which the bytes of a manifest of this repository lie."""
        target = read_link(self._driver, paths.revision_link(self._name, digest))
        if target is None:
            self._listed.drop(self._name, digest)
            raise self._unknown(digest)
        self._listed.note(self._name, digest, target)
        return target

    def _look(self, digest: Digest, likely: Digest) -> tuple[Digest, bytes]:
        """Return where the bytes of a manifest of this repository lie, which is `likely` where they are, and them."""
        target, content = both(self._driver, partial(self._target, digest), partial(self._find, likely))
        return target, self._verified(digest, target, content if target == likely else self._find(target))

    def _read(self, digest: Digest, target: Digest) -> Manifest:
        cached = self._cache.get(target)
        content = cached.content if cached else self._load(digest, target)
        with _unknown_if_unreadable():
            manifest = read_stored(content)
        if not cached:
            self._cache.put(target, _served(manifest))
        return manifest

    def _load(self, digest: Digest, target: Digest) -> bytes:
        return self._verified(digest, target, self._find(target))

    def _find(self, target: Digest) -> bytes | None:
        """Return what lies under `target`, if that may be a manifest."""
        try:
            return self._driver.get(paths.blob_data(target), limit=MAX_SIZE)
        except (PathNotFoundError, ObjectTooLargeError):
            return None

    def _verified(self, digest: Digest, target: Digest, content: bytes | None) -> bytes:
        if content is None or Digest.of(content, target.algorithm) != target:
            # A torn write of another registry, or a damaged disk: absent, so that a push repairs it.
            raise self._unknown(digest)
        return content

    def _unknown(self, digest: Digest) -> ManifestUnknownError:
        return ManifestUnknownError("manifest unknown", f"unknown manifest name={self._name} revision={digest}")

    def _restore(self, tags: Iterable[Tag], digest: Digest) -> None:
        for tag in tags:
            self._tags.restore(tag, digest)

    def _untag_unlinked(self, digest: Digest) -> list[str]:
        """Delete the tags that point to a manifest as long as it is not linked; return those that stay deleted.

        A push may link it between the look and the deletion of a tag that keep() has just restored. So the link is
        looked at once more: if it is there, the tags are put back, and looked at again in case another deletion has
        come between. If it is not there, a push that links it later restores its tags after that. A tag that a
        client deletes in the moment before it is put back may come back.
        """
        while not self.has(digest):
            taken = list(self._untag(digest))
            if not taken or not self.has(digest):
                return taken
            self._restore(map(Tag, taken), digest)
        return []

    def _untag(self, digest: Digest) -> Iterator[str]:
        for name in self._tags.pointing_to(digest):
            # Another request may have moved the tag since it was read.
            with suppress(ChangedError):
                self._tags.delete_from(Tag(name), digest)
                yield name


def _require_digest(manifest: Manifest, digest: Digest) -> None:
    if not _has_digest(manifest, digest):
        raise DigestInvalidError("provided digest did not match uploaded content", {"digest": str(digest)})


def _has_digest(manifest: Manifest, digest: Digest) -> bool:
    return Digest.of(manifest.content, digest.algorithm) == digest


def _served(manifest: Manifest) -> ServedManifest:
    return ServedManifest(manifest.content, manifest.media_type)


@contextmanager
def _unknown_if_unreadable() -> Iterator[None]:
    try:
        yield
    except ManifestInvalidError as error:
        raise ManifestUnknownError(f"the stored manifest cannot be served: {error.message}", error.detail) from None
