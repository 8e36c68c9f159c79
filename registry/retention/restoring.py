"""Tags come back that a run of retention has taken away."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from registry.oci.digest import Digest
from registry.oci.errors import ManifestDependenciesError, ManifestUnknownError
from registry.oci.reference import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from registry.ports import Repositories, Repository
    from registry.publishing import Publishing
    from registry.retention.reports import Untagged


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
    publishing: Publishing, repositories: Repositories, tags: Iterable[Untagged]
) -> Iterator[tuple[Untagged, Outcome]]:
    """Let each of `tags` come back that is not there, and yield what has become of it.

    Raises:
        DriverError: the storage failed. It can be done again.
    """
    for each in tags:
        repository, digest = repositories.open(each.repository), Digest.parse(each.digest)
        try:
            outcome = Outcome.THERE if repository.tags.resolve(Tag(each.tag)) == digest else Outcome.MOVED
        except ManifestUnknownError:
            try:
                restored = restore(publishing, repository, each.tag, digest)
                outcome = Outcome.RESTORED if restored else Outcome.MOVED
            except ManifestUnknownError:
                outcome = Outcome.GONE
        yield each, outcome
