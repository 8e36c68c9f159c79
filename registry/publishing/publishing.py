"""The operations, each of which makes something visible or lets it go."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from drivers.base import CollectingError
from registry.journal.change import Change
from registry.journal.entry import BLOB, DELETE, MANIFEST, MOUNT, PUSH, REPOSITORY, TAG
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import (
    BlobUnknownError,
    DeniedError,
    ManifestBlobUnknownError,
    ManifestDependenciesError,
    ManifestInvalidError,
    ManifestUnknownError,
)
from registry.oci.reference import Tag
from registry.ports import ChangedError, TagTakenError
from registry.storage.revival import Content, check_reviving, revive_others

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry.journal.recorder import Recorder
    from registry.oci.manifest import Manifest
    from registry.oci.uploads import Chunk, UploadState
    from registry.ports import Blob, Repository
    from registry.publishing.callers import Caller, Condition, Guard
    from registry.quota.allowance import Allowance, Quotas
    from registry.storage.passage import Passage, Visit
    from registry.storage.validation import ValidationPolicy


_PUSH_SECONDS = 1.0
"""How long a push of a manifest may take before it looks for what the manifest names once more."""


@dataclass(frozen=True, slots=True)
class Publishing:
    """Publishes and deletes on behalf of `caller`; manifests as the `policy` allows.

    `recorder` is told of each change; it is None where nobody wants to know. `passage` is None where no garbage
    collection runs beside this. `quotas` is None where no repository has one; for one that has, all that adds to it may
    raise QuotaExceededError. If `touches_untagged`, a manifest that loses a tag counts as pushed now, so that a garbage
    collection keeps it for longer; a push by tag has to look where the tag points for that.

    Errors of the stores (registry.ports) come through. What an operation's text names it raises before anything has
    become visible or gone, unless that text says otherwise. An error of the storage may come later: when a part of the
    change is visible or, from ManifestStore.keep(), all of it. The operation can then be repeated. So can one that
    raises CollectingError because a garbage collection is at work on the same.
    """

    policy: ValidationPolicy
    caller: Caller
    recorder: Recorder | None = None
    passage: Passage | None = None
    quotas: Quotas | None = None
    touches_untagged: bool = False

    def start_upload(self, repository: Repository, algorithm: str, upload_id: str) -> UploadState:
        """Begin a session as UploadStore.start() does, unless a quota has no room for anything."""
        allowance = self._allowance(repository)
        if allowance:
            allowance.admit()
        return repository.uploads.start(algorithm, upload_id)

    def append_upload(self, repository: Repository, state: UploadState, chunk: Chunk) -> UploadState:
        """Store a chunk as UploadStore.append() does; where a quota has no room for it, the session is gone."""
        allowance = self._allowance(repository)
        return allowance.append(repository, state, chunk) if allowance else repository.uploads.append(state, chunk)

    def finish_upload(self, repository: Repository, state: UploadState, chunk: Chunk, digest: Digest) -> None:
        """Store the last chunk of an upload, which may be empty, and let the blob become visible.

        Where a quota has no room for it, the session is gone.
        """
        visit = self._enter(repository, [digest])
        allowance = self._allowance(repository)
        if allowance:
            size = allowance.finish(repository, state, chunk, digest)
        else:
            size = repository.uploads.finish(state, chunk, digest)
        while visit and not visit.confirm():
            if not _has_blob(repository, digest, visit):
                raise CollectingError(f"a garbage collection has removed {digest}, which was pushed at the same time")
        self._tell(Change(PUSH, BLOB, repository.name, digest, media_type=media_types.OCTET_STREAM, size=size))

    def mount_blob(self, repository: Repository, digest: Digest, find: Callable[[], Blob], source: str = "") -> None:
        """Let the blob that `find` looks up in the repository `source`, or "" anywhere, become visible in this one.

        Raises:
            What `find` raises.
            BlobUnknownError: a garbage collection has removed it meanwhile.
        """
        visit = self._enter(repository, [digest])
        blob = find()
        if visit and blob.target != digest:
            visit = self._enter(repository, [digest, blob.target])
            blob = find()
        allowance = self._allowance(repository, source)
        added = allowance.admit(blob.size, lambda: repository.blobs.has(digest)) if allowance else 0
        repository.blobs.mount(blob)
        if allowance:
            allowance.add(added)
        while visit and not visit.confirm():
            if not _has_blob(repository, digest, visit):
                raise BlobUnknownError("blob unknown to registry", str(digest))
        kind = media_types.OCTET_STREAM
        self._tell(Change(MOUNT, BLOB, repository.name, blob.digest, media_type=kind, size=blob.size, source=source))

    def cache_blob(self, repository: Repository, blob: Digest, target: Digest, store: Callable[[], object]) -> None:
        """Let the blob become visible that `store` stores under `target` and links; it comes from another registry.

        Nobody is told: nothing has been pushed. No quota counts it.

        Raises:
            What `store` raises.
            CollectingError: a garbage collection has removed it meanwhile.
        """
        visit = self._enter(repository, [blob] if blob == target else [blob, target])
        store()
        while visit and not visit.confirm():
            if not _has_blob(repository, blob, visit):
                raise CollectingError(f"a garbage collection has removed {blob}, which was cached at the same time")

    def cache_manifest(
        self, repository: Repository, manifest: Manifest, digest: Digest, tags: Sequence[Tag] = ()
    ) -> None:
        """Let a manifest of another registry become visible under its digest and `tags`; what it names may be absent.

        Nobody is told, and no quota counts it, as in cache_blob().

        Raises:
            DigestInvalidError: the digest is not that of the content.
        """
        visit = self._enter(repository, Content(repository.manifests, manifest, digest), tags)
        repository.manifests.put(manifest, digest, tags)
        repository.manifests.keep(manifest, digest, tags)
        while visit and not visit.confirm():
            repository.manifests.put(manifest, digest)
            repository.manifests.keep(manifest, digest, tags)

    def remove_blob(self, repository: Repository, digest: Digest) -> None:
        """Take a blob away from the repository.

        Raises:
            BlobUnknownError: the repository does not have it.
        """
        repository.blobs.delete(digest)
        self._tell(Change(DELETE, BLOB, repository.name, digest))

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
            ManifestDependenciesError, DeniedError: the policy does not allow the manifest here. If the repository is
                deleted at the same time, the manifest may have become visible without what it names.
            DigestInvalidError: the digest is not that of the content.
            What Caller.require_overwrite() raises: a tag points to another manifest. If another push has set the tag at
                the same time, the manifest has become visible and the tag stays where it is.
        """
        visit = self._enter(repository, Content(repository.manifests, manifest, digest), tags)
        began = _now()
        for tag in tags:
            self.require_movable(repository, tag, digest)
        if guard:
            guard.condition.require(_current(repository, guard.target))
        allowance = self._allowance(repository)
        check = partial(self._require_content, repository, manifest, visit)
        if allowance:
            check()  # bytes of what is refused would take room that is not counted
        else:
            self.policy.check_alone(manifest)
            repository.manifests.check_first(check, manifest, digest)
        size = len(manifest.content)
        added = allowance.admit(size, lambda: repository.manifests.has(digest)) if allowance else 0
        previous = self._previous(repository, tags)
        self._touch(repository, previous, digest)
        if guard:
            self._push_guarded(repository, manifest, digest, tags, guard)
        elif self.caller.moves_every_tag:
            repository.manifests.put(manifest, digest, tags)
        else:
            repository.manifests.put(manifest, digest)
            for tag in tags:
                self._claim(repository, tag, digest)
        if allowance:
            allowance.add(added)
        if tags:
            repository.manifests.keep(manifest, digest, tags)
        self._confirm(repository, manifest, digest, tags, visit)
        self._require_content_still(repository, manifest, began)
        self._tell_of_push(repository, manifest, digest, tags, previous)

    def move_tag(
        self, repository: Repository, tag: Tag, manifest: Manifest, digest: Digest, condition: Condition | None = None
    ) -> None:
        """Let `tag` point to a manifest that the repository has.

        Raises:
            What Condition.require() raises, and what Caller.require_overwrite() raises: the tag points to another
                manifest.
            ManifestDependenciesError: a garbage collection, or a deletion of the repository at the same time, has
                removed the manifest and what it names.
        """
        visit = self._enter(repository, Content(repository.manifests, manifest, digest), [tag])
        began = _now()
        if visit and not repository.manifests.has(digest):
            self._require_content(repository, manifest, visit)
        previous = self._previous(repository, [tag])
        self._touch(repository, previous, digest)
        if condition:
            self._move(repository, tag, digest, condition)
        elif self.caller.moves_every_tag:
            repository.tags.point(tag, digest)
        else:
            self._claim(repository, tag, digest)
        repository.manifests.keep(manifest, digest, [tag])
        self._confirm(repository, manifest, digest, [tag], visit)
        self._require_content_still(repository, manifest, began)
        self._tell_of_push(repository, manifest, digest, [tag], previous)

    def require_movable(
        self, repository: Repository, tag: Tag, digest: Digest, condition: Condition | None = None
    ) -> None:
        """Return if `tag` is new, points to `digest` already, or is one that the caller may overwrite.

        Raises:
            What Condition.require() and Caller.require_overwrite() raise.
        """
        if condition is None and self.caller.moves_every_tag:
            return
        current = _current(repository, tag)
        if condition:
            condition.require(current)
        if current not in {None, digest} and not self.caller.moves_every_tag:
            self.caller.require_overwrite(repository.name, tag, current)

    def cache_tag(
        self, repository: Repository, tag: Tag, manifest: Manifest, digest: Digest, current: Digest | None
    ) -> None:
        """Let a manifest become visible as cache_manifest() does, and `tag` point to it, which points to `current` now.

        That is None where there is no such tag.

        Raises:
            DigestInvalidError: the digest is not that of the content.
            ChangedError: the tag points elsewhere than to `current`, and stays; the manifest has become visible.
        """
        visit = self._enter(repository, Content(repository.manifests, manifest, digest), [tag])
        repository.manifests.put(manifest, digest)
        repository.tags.move(tag, digest, current)
        repository.manifests.keep(manifest, digest, [tag])
        while visit and not visit.confirm():
            repository.manifests.put(manifest, digest)
            repository.manifests.keep(manifest, digest, [tag])

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
        previous = self._previous(repository, [tag])
        self._touch(repository, previous)
        if condition is None:
            repository.tags.delete(tag)
        else:
            _remove_guarded(repository, tag, condition)
        self._tell(Change(DELETE, TAG, repository.name, tags=[tag.name], previous=self._told(previous)))

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
        tags = repository.manifests.delete(digest)
        self._tell(Change(DELETE, MANIFEST, repository.name, digest, tags=tags))

    def remove_untagged_manifest(self, repository: Repository, digest: Digest) -> None:
        """Delete a manifest. The caller knows that no tag points to it, so no tag is read.

        Raises:
            ManifestUnknownError: the repository does not have it.
        """
        repository.manifests.forget(digest)
        self._tell(Change(DELETE, MANIFEST, repository.name, digest))

    def tell_of_condemned_manifest(self, repository: str, digest: Digest) -> None:
        """Tell that a garbage collection has taken a manifest away from the repository called so."""
        self._tell(Change(DELETE, MANIFEST, repository, digest))

    def tell_of_condemned_blob(self, repository: str, digest: Digest) -> None:
        """Tell that a garbage collection has taken a blob away from the repository called so."""
        self._tell(Change(DELETE, BLOB, repository, digest))

    def remove_repository(self, repository: Repository) -> None:
        """Let all that the repository has go; those nested in its name stay.

        The caller calls settle_removals() for it before the deletion is acknowledged.

        Raises:
            NameUnknownError: there is nothing under its name.
        """
        repository.delete()
        self._tell(Change(DELETE, REPOSITORY, repository.name))

    def settle_removals(self, removed: Callable[[], Iterable[Repository]]) -> None:
        """Let go the manifests that were pushed to repositories while they were removed, and name what went with them.

        `removed` gives them, each time anew. A push that has looked for the blobs of a manifest before they went stores
        the manifest within _PUSH_SECONDS, or looks again. So after that time all such manifests are there, and go, too:
        their deletion came after their push. A manifest that goes may be what an index was just pushed with.
        """
        found = True
        while found:
            time.sleep(_PUSH_SECONDS)
            found = False
            for repository in removed():
                for digest in repository.manifests.digests():
                    found = self._remove_incomplete(repository, digest) or found

    def _remove_incomplete(self, repository: Repository, digest: Digest) -> bool:
        """Let a manifest go if its repository lacks what it names; tell whether it went."""
        with suppress(ManifestUnknownError):
            if self._lacking(repository, repository.manifests.get(digest)):
                tags = repository.manifests.delete(digest)
                self._tell(Change(DELETE, MANIFEST, repository.name, digest, tags=tags))
                return True
        return False

    def _lacking(self, repository: Repository, manifest: Manifest) -> ManifestDependenciesError | None:
        """Return the error of a manifest that names what the repository lacks; other faults of it do not matter."""
        try:
            self.policy.check(manifest, repository.blobs, repository.manifests)
        except ManifestDependenciesError as error:
            return error if any(isinstance(each, ManifestBlobUnknownError) for each in error.errors) else None
        except (DeniedError, ManifestInvalidError):
            return None
        return None

    def _enter(self, repository: Repository, digests: Iterable[Digest], tags: Sequence[Tag] = ()) -> Visit | None:
        return self.passage.enter(repository.name, digests, tags) if self.passage else None

    def _allowance(self, repository: Repository, source: str = "") -> Allowance | None:
        """Return what the repository may take from elsewhere than the repository `source`; None if it has no quota."""
        allowance = self.quotas.of(repository.name) if self.quotas else None
        return None if allowance and source and allowance.shares_with(source) else allowance

    def _require_content(self, repository: Repository, manifest: Manifest, visit: Visit | None) -> None:
        try:
            self.policy.check(manifest, repository.blobs, repository.manifests)
        except ManifestDependenciesError:
            if not visit or not visit.may_revive:
                raise
            check_reviving(self.policy, repository, manifest, visit.revivable_since)
            return
        if visit and visit.follows_a_run:
            revive_others(self.policy, repository, manifest, visit.revivable_since)

    def _require_content_still(self, repository: Repository, manifest: Manifest, began: float) -> None:
        """Return if what a stored manifest names is there; if the push `began` just now, it was looked for just now.

        A deletion of the repository that came between waits for manifests that are stored as soon as that.
        """
        if _now() - began >= _PUSH_SECONDS and (lacking := self._lacking(repository, manifest)):
            raise lacking

    def _confirm(
        self, repository: Repository, manifest: Manifest, digest: Digest, tags: Sequence[Tag], visit: Visit | None
    ) -> None:
        """Return when a manifest and `tags` that were stored may be acknowledged."""
        while visit and not visit.confirm():
            # A manifest of an index may have been brought back by another push, before what it names was condemned.
            check_reviving(self.policy, repository, manifest, visit.revivable_since, deep=True)
            repository.manifests.put(manifest, digest)
            repository.manifests.keep(manifest, digest, tags)

    def _tell_of_push(
        self,
        repository: Repository,
        manifest: Manifest,
        digest: Digest,
        tags: Sequence[Tag],
        previous: Mapping[Tag, Digest | None],
    ) -> None:
        if not self.recorder:
            return
        self._tell(
            Change(
                PUSH,
                MANIFEST,
                repository.name,
                digest,
                tags=[tag.name for tag in dict.fromkeys(tags)],
                media_type=manifest.media_type,
                size=len(manifest.content),
                manifest=manifest,
                previous=self._told(previous),
            )
        )

    def _tell(self, change: Change) -> None:
        """Tell the journal of a change that is durable and not answered yet."""
        if self.recorder:
            self.recorder.record(change, self.caller)

    def _previous(self, repository: Repository, tags: Sequence[Tag]) -> Mapping[Tag, Digest | None]:
        """Return where each of `tags` points now, None if nowhere, if anybody asks; another may move it yet."""
        if self.touches_untagged or (self.recorder and self.recorder.wants_previous):
            return {tag: _current(repository, tag) for tag in tags}
        return {}

    def _told(self, previous: Mapping[Tag, Digest | None]) -> Mapping[str, str]:
        """Return of _previous() what the recorder is told."""
        if not self.recorder or not self.recorder.wants_previous:
            return {}
        return {tag.name: str(digest or "") for tag, digest in previous.items()}

    def _touch(
        self, repository: Repository, previous: Mapping[Tag, Digest | None], digest: Digest | None = None
    ) -> None:
        """Touch the manifests that lose a tag, to `digest`; they do later, so that an error here changes nothing."""
        if self.touches_untagged:
            for former in {each for each in previous.values() if each not in {None, digest}}:
                repository.manifests.touch(former)

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

    def _claim(self, repository: Repository, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to `digest`; of two first pushes at a time, by callers who may not overwrite, one fails."""
        try:
            repository.tags.claim(tag, digest)
        except TagTakenError as taken:
            self.caller.require_overwrite(repository.name, tag, taken.current)
            repository.tags.point(tag, digest)


def _now() -> float:
    """Return the seconds since this machine was started, which pass while it sleeps: other hosts go on meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _current(repository: Repository, target: Tag | Digest) -> Digest | None:
    """Return the digest of the manifest that `target` leads to now, if there is one."""
    if isinstance(target, Digest):
        return target if repository.manifests.has(target) else None
    with suppress(ManifestUnknownError):
        return repository.tags.resolve(target)
    return None


def _has_blob(repository: Repository, digest: Digest, visit: Visit) -> bool:
    """Tell whether the repository has a blob, once more if a garbage collection has condemned it just now."""
    blobs = repository.blobs
    return blobs.has(digest) or blobs.revive(digest, visit.revivable_since)


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
