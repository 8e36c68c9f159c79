"""What fsck reads and changes of a storage. Each change compares: what a push has written meanwhile stays.

A garbage collection must not miss a link that is written here. So none is written while one runs; and one that begins
just then waits before it looks (registry.storage.runs.Pace.announced), far longer than it takes to write a link.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import ChangedError, ObjectTooLargeError, PathExistsError, PathNotFoundError
from registry.fsck.contents import State
from registry.oci.digest import Digest
from registry.oci.errors import ManifestInvalidError
from registry.oci.stored import read_stored
from registry.storage import enumeration, paths
from registry.storage.links import link, target_of
from registry.storage.referrer_index import ReferrerIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import Found, StorageDriver
    from registry.fsck.contents import Contents
    from registry.storage.descriptors import DescriptorCache
    from registry.storage.runs import Runs

_LONGEST_LINK: Final = 1024 * 1024
_NOTHING: Final = Digest.of(b"")
_SMALL_BYTES: Final = 1024 * 1024
"""Up to this an object is put whole; larger ones go through an upload."""


class CollectionRunsError(Exception):
    """A garbage collection runs, so nothing is repaired."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it was read: its content, None if there is none, and the digest that it holds, if it is sound."""

    content: bytes | None
    target: Digest | None

    @property
    def is_torn(self) -> bool:
        return self.content is not None and self.target is None

    @property
    def fault(self) -> str:
        """What is wrong with it."""
        if self.content is None:
            return "missing"
        return "malformed" if self.content else "empty"


ABSENT: Final = Link(None, None)


def as_link(content: bytes | None, digest: Digest | None = None) -> Link:
    """Return the link of this content. That of `digest` holds this digest, or one of another algorithm."""
    target = target_of(content) if content is not None else None
    if target and digest and target.algorithm == digest.algorithm and target != digest:
        target = None
    return Link(content, target)


@dataclass(frozen=True, slots=True)
class Store:
    """A storage, what is known of its `contents`, and the cache of `descriptors` that its servers share, if any.

    `may_link_blobs` is off where manifests may name blobs that their repository does not have: then a link that is
    missing was never there, and to write it would let readers have a blob that nobody has given them. It may be off now
    and have been on once, and a user may have deleted the link: so one that is missing, of which nothing tells that it
    was there, is only written if `relinks` says that somebody has decided so. One that is malformed was there.
    """

    driver: StorageDriver
    contents: Contents
    runs: Runs
    descriptors: DescriptorCache
    may_link_blobs: bool = True
    relinks: bool = False

    def link(self, path: str, digest: Digest | None = None) -> Link:
        """Return the link at `path`, that of `digest` where it is not a tag's."""
        try:
            return as_link(self.driver.get(path, limit=_LONGEST_LINK), digest)
        except PathNotFoundError:
            return ABSENT
        except ObjectTooLargeError:
            return Link(b"-", None)

    def tag(self, name: str, tag: str) -> Link:
        """Return the link of a tag."""
        return self.link(paths.tag_link(name, tag))

    def revision(self, name: str, digest: Digest) -> Link:
        """Return the link of a manifest."""
        return self.link(paths.revision_link(name, digest), digest)

    def layer(self, name: str, digest: Digest) -> Link:
        """Return the link of a blob."""
        return self.link(paths.layer_link(name, digest), digest)

    def stands(self, name: str, digest: Digest) -> bool:
        """Tell whether a manifest can be pulled; its bytes are read for that."""
        target = self.revision(name, digest).target
        return target is not None and self.contents.manifest(target)[1] is State.SOUND

    def has_bytes(self, digest: Digest | None) -> bool:
        """Tell whether there are bytes under a digest at this moment."""
        if digest is None:
            return False
        try:
            self.driver.stat(paths.blob_data(digest))
        except PathNotFoundError:
            self.contents.forget(digest)
            return False
        return True

    def is_listed(self, name: str, tag: str) -> bool:
        """Tell whether there is anything of a tag, be it an empty directory."""
        if self.driver.holds(paths.tag_directory(name, tag)):
            return True
        return any(each == tag for each in enumeration.tags(self.driver, name))

    def only_history(self, name: str, tag: str) -> Digest | None:
        """Return the one manifest that a tag has ever pointed to; None if there are none or several."""
        found = enumeration.tag_history(self.driver, name, tag)
        first, second = next(found, None), next(found, None)
        return None if second else first

    def write_link(self, path: str, seen: Link, target: Digest) -> bool:
        """Let a link hold `target` if it still is as it was `seen`; tell whether it does.

        Raises:
            CollectionRunsError: a garbage collection runs.
        """
        self._require_no_run()
        _, content = link(path, target)
        try:
            if seen.content is None:
                self.driver.create(path, content)
            else:
                self.driver.replace(path, content, expected=seen.content)
        except (PathExistsError, ChangedError):
            return False
        return True

    def list_manifest(self, name: str, digest: Digest, seen: Link) -> bool:
        """Let the repository list a manifest whose bytes are sound, and its subject list it as a referrer."""
        content, state = self.contents.manifest(digest)
        if state is not State.SOUND or not self.write_link(paths.revision_link(name, digest), seen, digest):
            return False
        self._list_referrer(name, content, digest)
        return True

    def list_referrer(self, name: str, digest: Digest) -> bool:
        """Let the subject of a manifest list it, if the repository has the manifest; tell whether it does."""
        target = self.revision(name, digest).target
        content, state = self.contents.manifest(target) if target else (b"", State.MISSING)
        return state is State.SOUND and self._list_referrer(name, content, digest)

    def _list_referrer(self, name: str, content: bytes, digest: Digest) -> bool:
        try:
            manifest = read_stored(content)
        except ManifestInvalidError:  # one of schema 1 has no subject
            return False
        index = ReferrerIndex(self.driver, name)
        index.add(manifest, digest)
        if manifest.subject and self.revision(name, digest).target is None:  # deleted at the same time
            index.remove(manifest.subject.digest, digest)
        return True

    def remove_link(self, path: str, seen: Link, stands: Callable[[], bool]) -> bool:
        """Delete the link at `path` if it is as it was `seen` and does not lead anywhere, which `stands` tells.

        A push at the same time writes another link in place of one that is torn, but the same one in place of one that
        holds a digest. That is compared by its version, which is asked for first. A medium may tell of versions only
        what is in them: so what leads somewhere at the very end is put back.
        """
        if seen.content is None or seen.is_torn:
            return seen.content is not None and self._remove_torn(path, seen.content)
        found = self._found(path)
        if found is None or self.link(path).content != seen.content or stands() or self.driver.discard([found]):
            return False
        if stands():
            with suppress(PathExistsError):
                self.driver.create(path, seen.content)
            return False
        return True

    def _remove_torn(self, path: str, content: bytes) -> bool:
        try:
            self.driver.delete_if(path, expected=content)
        except ChangedError:
            return False
        return True

    def remove_tag(self, name: str, tag: str, seen: Link) -> bool:
        """Delete a tag that leads nowhere, and its history; tell whether it is listed no more.

        A push of it may lose its history by this, which TagStore.history() says it may.
        """

        def stands() -> bool:
            target = self.tag(name, tag).target or seen.target
            return target is not None and self.stands(name, target)

        if seen.content is not None and not self.remove_link(paths.tag_link(name, tag), seen, stands):
            return False
        # What is put here first is there for the sake of empty directories, which a driver removes only above what it
        # deletes. Those of the tag itself are never deleted as such: a push at the same time may write there.
        self.driver.put(*link(paths.tag_history_link(name, tag, _NOTHING), _NOTHING))
        with suppress(PathNotFoundError):
            self.driver.delete(paths.all_tag_history(name, tag))
        return not self.is_listed(name, tag)

    def quarantine(self, digest: Digest) -> bool:
        """Move bytes that do not have their digest to where they harm nobody; tell whether they were moved.

        Then the blob is unknown, and the next push of it stores it again. A push that has done so meanwhile stays.
        """
        found = self._found(paths.blob_data(digest))
        try:
            if found is None or self._copy_aside(digest, found) == digest.hex:
                return False
        except (PathNotFoundError, ObjectTooLargeError):  # others have come, or it has gone
            return False
        left = self.driver.discard([found])
        self.contents.forget(digest)
        self.descriptors.drop(digest)
        return not left

    def _copy_aside(self, digest: Digest, found: Found) -> str:
        """Copy what lies under `digest` to the quarantine, unless it has that digest; return the hex that it has."""
        hasher = hashlib.new(digest.algorithm)
        if found.size <= _SMALL_BYTES:
            content = self.driver.get(found.path, limit=_SMALL_BYTES)
            hasher.update(content)
            if hasher.hexdigest() != digest.hex:
                self.driver.put(paths.quarantine(digest), content)
            return hasher.hexdigest()
        upload = paths.quarantine_arriving(digest)
        with suppress(PathNotFoundError):
            self.driver.delete(upload)  # what one that broke off has left
        self.driver.create_upload(upload)
        with self.driver.open_upload(upload) as writer:
            for piece in self.driver.read(found.path):
                hasher.update(piece)
                writer.write(piece)
            if hasher.hexdigest() == digest.hex:
                writer.cancel()
            else:
                writer.commit(paths.quarantine(digest))
        return hasher.hexdigest()

    def _found(self, path: str) -> Found | None:
        """Return the object at `path` with its version; None if there is none."""
        return next((each for each in self.driver.walk(path.rpartition("/")[0]) if each.path == path), None)

    def _require_no_run(self) -> None:
        if self.runs.read().is_on:
            raise CollectionRunsError("a garbage collection runs")
