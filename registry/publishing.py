"""What happens when a blob, a manifest, a tag becomes visible or goes: one operation each.

Views, the importer, the garbage collection and whatever else changes what clients can see call these and not the
stores, so that a rule holds for all of them, and so that one place knows of each change. That place is marked in each
operation with the words "Durable, and not answered yet". A listener will be told there. An operation that fails there
fails as a whole, and can be repeated. At hand are the caller, the repository, and of

    finish_upload              the digest; the size, which UploadStore.finish() returns
    mount_blob                 the digest and the size
    remove_blob                the digest
    push_manifest, move_tag    the digest and the tags; the media type and the size, by the manifest
    remove_tag                 the tag
    remove_manifest            the digest; the tags that went, which ManifestStore.delete() returns
    remove_untagged_manifest   the digest
    remove_repository          nothing more

What else is to be told costs a read of it before the change: the media type of a manifest that goes, where a tag
pointed that goes or moves. Where a tag pointed, and whether a manifest that goes has one, is looked up already if the
caller may not move every tag.

Not through here go:

- the garbage collection where it deletes the bytes of a blob, which no repository has any more, and the entries of a
  tag's history, which no client sees;
- ``registry storage copy``: below the level of repositories it makes one storage a copy of another. What is visible
  there became visible at its source, where listeners were told of it;
- ``registry referrers rebuild``, which only derives again what pushes through here have derived;
- the purge of abandoned uploads, which no client sees as blobs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError
from registry.oci.reference import Tag
from registry.ports import ChangedError, TagTakenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.oci.manifest import Manifest
    from registry.oci.uploads import Chunk, UploadState
    from registry.ports import Blob, Repository
    from registry.storage.validation import ValidationPolicy


class Caller(Protocol):
    """Who publishes: it may push to the repository, or delete from it, which is known before this is asked."""

    @property
    def moves_every_tag(self) -> bool:
        """Whether require_overwrite() never raises: then nobody looks where a tag points."""

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        """Return if the caller may let `tag`, which points to `current`, point to another manifest.

        Raises:
            An error that says so to the caller, if it may not.
        """

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        """Return if the caller, who may delete, may delete `tag`, which points to `current`.

        Raises:
            An error that says so to the caller, if it may not.
        """


class Condition(Protocol):
    """What has to be there for a change to be made."""

    def require(self, current: Digest | None) -> None:
        """Return if the change may be made where `current` is there; None means nothing.

        Raises:
            An error that says so to the caller, if it may not.
        """


@dataclass(frozen=True, slots=True)
class Guard:
    """A `condition` for what `target` leads to at the moment of the change."""

    target: Tag | Digest
    condition: Condition


class Operator:
    """The registry itself, or a person who runs one of its commands: may do everything."""

    moves_every_tag = True

    def require_overwrite(self, repository: str, tag: Tag, current: Digest) -> None:
        """Return."""

    def require_untag(self, repository: str, tag: Tag, current: Digest) -> None:
        """Return."""


@dataclass(frozen=True, slots=True)
class Publishing:
    """Publishes and deletes on behalf of `caller`; manifests as the `policy` allows.

    Errors of the stores (registry.ports) come through. What an operation's text names it raises before anything has
    become visible or gone, unless that text says otherwise. An error of the storage may come later: when a part of the
    change is visible or, from ManifestStore.keep(), all of it. The operation can then be repeated.
    """

    policy: ValidationPolicy
    caller: Caller

    def finish_upload(self, repository: Repository, state: UploadState, chunk: Chunk, digest: Digest) -> None:
        """Store the last chunk of an upload, which may be empty, and let the blob become visible."""
        repository.uploads.finish(state, chunk, digest)
        # Durable, and not answered yet.

    def mount_blob(self, repository: Repository, blob: Blob) -> None:
        """Let a blob of another repository become visible in this one."""
        repository.blobs.mount(blob)
        # Durable, and not answered yet.

    def remove_blob(self, repository: Repository, digest: Digest) -> None:
        """Take a blob away from the repository.

        Raises:
            BlobUnknownError: the repository does not have it.
        """
        repository.blobs.delete(digest)
        # Durable, and not answered yet.

    def push_manifest(
        self,
        repository: Repository,
        manifest: Manifest,
        digest: Digest,
        tags: Sequence[Tag] = (),
        guard: Guard | None = None,
    ) -> None:
        """Let a manifest become visible under its digest and under `tags`, which point to it from now on.

        The target of `guard` is `digest` or one of `tags`.

        Raises:
            What Condition.require() raises. If it is another request at the same time that has moved the tag, the
                manifest has become visible and the tag stays where it is.
            ManifestDependenciesError, DeniedError: the policy does not allow the manifest here.
            DigestInvalidError: the digest is not that of the content.
            What Caller.require_overwrite() raises: a tag points to another manifest. If another push has set the tag at
                the same time, the manifest has become visible and the tag stays where it is.
        """
        for tag in tags:
            self._require_movable(repository, tag, digest)
        if guard:
            guard.condition.require(_current(repository, guard.target))
        self.policy.check(manifest, repository.blobs, repository.manifests)
        if guard:
            self._push_guarded(repository, manifest, digest, tags, guard)
        elif self.caller.moves_every_tag:
            repository.manifests.put(manifest, digest, tags)
        else:
            repository.manifests.put(manifest, digest)
            for tag in tags:
                self._claim(repository, tag, digest)
        if tags:
            repository.manifests.keep(manifest, digest, tags)
        # Durable, and not answered yet.

    def move_tag(self, repository: Repository, tag: Tag, manifest: Manifest, digest: Digest) -> None:
        """Let `tag` point to a manifest that the repository has.

        Raises:
            What Caller.require_overwrite() raises: the tag points to another manifest.
        """
        if self.caller.moves_every_tag:
            repository.tags.point(tag, digest)
        else:
            self._claim(repository, tag, digest)
        repository.manifests.keep(manifest, digest, [tag])
        # Durable, and not answered yet.

    def remove_tag(self, repository: Repository, tag: Tag, condition: Condition | None = None) -> None:
        """Let `tag` go; its manifest stays.

        Raises:
            ManifestUnknownError: there is no such tag.
            What Caller.require_untag() and Condition.require() raise.
        """
        if not self.caller.moves_every_tag:
            current = _current(repository, tag)
            if current:  # a tag whose link is malformed leads nowhere, and may go
                self.caller.require_untag(repository.name, tag, current)
        if condition is None:
            repository.tags.delete(tag)
        else:
            _remove_guarded(repository, tag, condition)
        # Durable, and not answered yet.

    def remove_manifest(self, repository: Repository, digest: Digest, condition: Condition | None = None) -> None:
        """Let a manifest go, and the tags that point to it.

        Raises:
            ManifestUnknownError: the repository does not have it.
            What Condition.require() raises, and Caller.require_untag() of the first of the tags.
        """
        if condition and repository.manifests.has(digest):
            condition.require(digest)
        if not self.caller.moves_every_tag:
            name = next(repository.tags.pointing_to(digest), None)
            if name is not None:
                self.caller.require_untag(repository.name, Tag(name), digest)
        repository.manifests.delete(digest)
        # Durable, and not answered yet.

    def remove_untagged_manifest(self, repository: Repository, digest: Digest) -> None:
        """Delete a manifest. The caller knows that no tag points to it, so no tag is read.

        Raises:
            ManifestUnknownError: the repository does not have it.
        """
        repository.manifests.forget(digest)
        # Durable, and not answered yet.

    def remove_repository(self, repository: Repository) -> None:
        """Let all that the repository has go; those nested in its name stay.

        Raises:
            NameUnknownError: there is nothing under its name.
        """
        repository.delete()
        # Durable, and not answered yet.

    def _push_guarded(
        self, repository: Repository, manifest: Manifest, digest: Digest, tags: Sequence[Tag], guard: Guard
    ) -> None:
        if guard.target == digest:
            _store(repository, manifest, digest, guard.condition)
        else:
            repository.manifests.put(manifest, digest)
        for tag in dict.fromkeys(tags):
            if tag == guard.target:
                self._move(repository, tag, digest, guard.condition)
            elif self.caller.moves_every_tag:
                repository.tags.point(tag, digest)
            else:
                self._claim(repository, tag, digest)

    def _move(self, repository: Repository, tag: Tag, digest: Digest, condition: Condition) -> None:
        """Let `tag` point to `digest` if `condition` allows that at this very moment."""
        while True:
            current = _current(repository, tag)
            condition.require(current)
            if current not in {None, digest} and not self.caller.moves_every_tag:
                self.caller.require_overwrite(repository.name, tag, current)
            with suppress(ChangedError):
                return repository.tags.move(tag, digest, current)

    def _require_movable(self, repository: Repository, tag: Tag, digest: Digest) -> None:
        """Return if `tag` is new, points to `digest` already, or is one that the caller may overwrite."""
        if self.caller.moves_every_tag:
            return
        current = _current(repository, tag)
        if current not in {None, digest}:
            self.caller.require_overwrite(repository.name, tag, current)

    def _claim(self, repository: Repository, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to `digest`; of two first pushes at a time, by callers who may not overwrite, one fails."""
        try:
            repository.tags.claim(tag, digest)
        except TagTakenError as taken:
            self.caller.require_overwrite(repository.name, tag, taken.current)
            repository.tags.point(tag, digest)


def _current(repository: Repository, target: Tag | Digest) -> Digest | None:
    """Return the digest of the manifest that `target` leads to now, if there is one."""
    if isinstance(target, Digest):
        return target if repository.manifests.has(target) else None
    with suppress(ManifestUnknownError):
        return repository.tags.resolve(target)
    return None


def _store(repository: Repository, manifest: Manifest, digest: Digest, condition: Condition) -> None:
    """Store a manifest if `condition` allows it where it is stored already, or where it is not."""
    current = _current(repository, digest)
    condition.require(current)
    if current:
        return repository.manifests.put(manifest, digest)
    try:
        repository.manifests.add(manifest, digest)
    except ChangedError:
        condition.require(digest)


def _remove_guarded(repository: Repository, tag: Tag, condition: Condition) -> None:
    """Let `tag` go if `condition` allows that at this very moment."""
    while True:
        current = repository.tags.resolve(tag)
        condition.require(current)
        with suppress(ChangedError):
            return repository.tags.delete_from(tag, current)
