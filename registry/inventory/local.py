"""A storage as a source: what the server of the same configuration serves."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from registry.inventory.source import NotThereError, Stored, described
from registry.oci.errors import BlobUnknownError, ManifestUnknownError, NameUnknownError
from registry.oci.reference import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from registry.inventory.source import Described
    from registry.oci.digest import Digest
    from registry.ports import Given, Repositories, Seen
    from registry.publishing import Publishing

_REFERRERS: Final = 100
"""How many referrers are looked at together."""


class StorageReader:
    """The repositories of a storage."""

    tells_time = True

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    def repositories(self) -> Iterator[str]:
        """Yield the repositories, in the order of the catalog."""
        return self._repositories.catalog.names()

    def exists(self, repository: str) -> bool:
        """Tell whether the repository has tags or manifests."""
        try:
            self._repositories.open(repository).tags.page(limit=1)
        except NameUnknownError:
            return False
        return True

    def tags(self, repository: str) -> Iterator[str]:
        """Yield the tags, in byte order."""
        with suppress(NameUnknownError):
            yield from self._repositories.open(repository).tags.names()

    def page_of_tags(self, repository: str, *, after: str = "", limit: int) -> list[str]:
        """Return the first `limit` tags after `after`."""
        with _not_there(f"there is no repository {repository}"):
            return self._repositories.open(repository).tags.page(after=after, limit=limit)

    def each(self, look: Callable[[Given], Seen], given: Iterable[Given]) -> Iterator[Seen]:
        """Yield what `look` returns for each of `given`, in order; some are looked at at a time."""
        return self._repositories.each(look, given)

    def target(self, repository: str, tag: str) -> Digest | None:
        """Return the digest that `tag` points to, whether its manifest is there or not."""
        try:
            return self._repositories.open(repository).tags.resolve(Tag(tag))
        except ManifestUnknownError:
            return None

    def resolve(self, repository: str, tag: str) -> Digest | None:
        """Return the digest that `tag` points to; None if it leads to no manifest."""
        opened = self._repositories.open(repository)
        try:
            digest = opened.tags.resolve(Tag(tag))
        except ManifestUnknownError:
            return None
        return digest if opened.manifests.has(digest) else None

    def pushed(self, repository: str, tag: str) -> float | None:
        """Return when `tag` was last pushed."""
        try:
            return self._repositories.open(repository).tags.pushed(Tag(tag))
        except ManifestUnknownError:
            return None

    def pushed_each(self, repository: str, tags: Sequence[str]) -> Sequence[float | None]:
        """Return when each of `tags` was last pushed."""
        return self._repositories.open(repository).tags.pushed_each([Tag(tag) for tag in tags])

    def has(self, repository: str, digest: Digest) -> bool:
        """Tell whether the repository lists the manifest."""
        return self._repositories.open(repository).manifests.has(digest)

    def manifest(self, repository: str, digest: Digest) -> Stored | None:
        """Return a manifest; None if it is not there."""
        try:
            served = self._repositories.open(repository).manifests.serve(digest)
        except ManifestUnknownError:
            return None
        return Stored(served.content, served.media_type)

    def small_blob(self, repository: str, digest: Digest, limit: int) -> bytes | None:
        """Return a blob of no more than `limit` bytes."""
        blobs = self._repositories.open(repository).blobs
        try:
            blob = blobs.stat(digest)
            return b"".join(blobs.read(blob, 0, blob.size)) if blob.size <= limit else None
        except BlobUnknownError:
            return None

    def referrers(self, repository: str, subject: Digest) -> Iterator[Described]:
        """Yield the manifests of the repository that name `subject` as theirs, in order."""
        store = self._repositories.open(repository).referrers
        last, more = None, True
        while more:
            page = store.page(subject, after=last, limit=_REFERRERS)
            yield from filter(None, (described(json.loads(each.descriptor)) for each in page.referrers))
            last, more = page.last, page.last is not None


class StorageSource(StorageReader):
    """The repositories of a storage; `publishing` deletes there."""

    def __init__(self, repositories: Repositories, publishing: Publishing) -> None:
        super().__init__(repositories)
        self._publishing = publishing

    def keeping(self) -> Iterator[str]:
        """Yield the names of which anything is stored."""
        return self._repositories.catalog.keeping()

    def keeps(self, repository: str) -> bool:
        """Tell whether anything is stored under the name."""
        return self._repositories.catalog.keeps(repository)

    def remove_tag(self, repository: str, tag: str) -> None:
        """Delete a tag."""
        with _not_there(f"there is no tag {repository}:{tag}"):
            self._publishing.remove_tag(self._repositories.open(repository), Tag(tag))

    def remove_manifest(self, repository: str, digest: Digest) -> None:
        """Delete a manifest with its tags."""
        with _not_there(f"there is no manifest {repository}@{digest}"):
            self._publishing.remove_manifest(self._repositories.open(repository), digest)

    def remove_repository(self, repository: str) -> None:
        """Delete a repository."""
        with _not_there(f"there is no repository {repository}"):
            self._publishing.remove_repository(self._repositories.open(repository))

    def settle_removals(self, removed: Callable[[], Iterator[str]]) -> None:
        """Delete what was pushed to repositories while they were removed, and is not complete."""
        self._publishing.settle_removals(lambda: map(self._repositories.open, removed()))


@contextmanager
def _not_there(text: str) -> Iterator[None]:
    try:
        yield
    except (ManifestUnknownError, NameUnknownError) as error:
        raise NotThereError(text) from error
