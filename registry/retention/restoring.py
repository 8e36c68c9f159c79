"""Tags come back that a run of retention has taken away."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Final

from registry.oci.digest import Digest
from registry.oci.errors import ManifestDependenciesError, ManifestUnknownError
from registry.oci.reference import Tag
from registry.retention import restored
from registry.retention.restored import Restored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver
    from registry.ports import Repositories, Repository
    from registry.publishing import Publishing
    from registry.retention.reports import Untagged


_AT_ONCE: Final = 100


class Outcome(StrEnum):
    """What has become of a tag that is to come back."""

    RESTORED = "restored"
    THERE = "is there"
    MOVED = "points to another manifest"
    GONE = "its manifest is gone"


class _TakenError(Exception):
    """There is such a tag."""


@dataclass(frozen=True, slots=True)
class _NoTag:
    """The condition that there is no such tag."""

    def require(self, current: Digest | None) -> None:
        if current is not None:
            raise _TakenError


def restore(publishing: Publishing, repository: Repository, tag: str, digest: Digest) -> bool:
    """Let `tag` point to a manifest again, if there is no such tag; tell whether it was done.

    Raises:
        ManifestUnknownError: the repository does not have the manifest, nor can it be brought back from a garbage
            collection that has condemned it.
    """
    manifest = repository.manifests.peek(digest)
    if manifest is None:
        raise ManifestUnknownError("manifest unknown", str(digest))
    try:
        publishing.move_tag(repository, Tag(tag), manifest, digest, _NoTag())
    except _TakenError:
        return False
    except ManifestDependenciesError as error:
        raise ManifestUnknownError("manifest unknown", str(digest)) from error
    return True


def undo(
    driver: StorageDriver, publishing: Publishing, repositories: Repositories, tags: Iterable[Untagged]
) -> Iterator[tuple[Untagged, Outcome]]:
    """Let each of `tags` come back that is not there, and yield what has become of it.

    When they were pushed is noted, so that they are not taken for newer than those that had stayed.

    Raises:
        DriverError: the storage failed. It can be done again.
    """
    rest = iter(tags)
    while batch := list(islice(rest, _AT_ONCE)):
        notes: list[Restored] = []
        try:
            outcomes = [_give_back(publishing, repositories.open(each.repository), each, notes) for each in batch]
        finally:
            if notes:
                restored.note(driver, notes)
        yield from zip(batch, outcomes, strict=True)


def _give_back(publishing: Publishing, repository: Repository, untagged: Untagged, notes: list[Restored]) -> Outcome:
    """Let a tag come back that is not there; add to `notes` when it was pushed."""
    tag, digest = Tag(untagged.tag), Digest.parse(untagged.digest)
    with suppress(ManifestUnknownError):
        return Outcome.THERE if repository.tags.resolve(tag) == digest else Outcome.MOVED
    try:
        if not restore(publishing, repository, untagged.tag, digest):
            return Outcome.MOVED
    except ManifestUnknownError:
        return Outcome.GONE
    with suppress(ManifestUnknownError):  # it was deleted since
        written = repository.tags.pushed(tag)
        notes.append(Restored(repository.name, tag.name, str(digest), untagged.pushed, written))
    return Outcome.RESTORED
