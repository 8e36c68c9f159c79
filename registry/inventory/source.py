"""Where the commands look: a storage (``local``), or a registry behind a URL (``remote``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.oci.digest import Digest


class InventoryError(Exception):
    """It cannot be done; the text says why in one line."""


class NotThereError(InventoryError):
    """There is no such repository, tag or manifest."""


class OnlyManifestsError(InventoryError):
    """The registry deletes manifests by their digest, and no tag on its own."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A manifest as a client gets it."""

    content: bytes
    media_type: str


class Source(Protocol):
    """A registry. Every method may raise InventoryError; what is passed is well-formed."""

    tells_time: bool
    """Whether pushed() can tell anything here."""

    def repositories(self) -> Iterator[str]:
        """Yield the repositories, in the order of the catalog."""

    def keeping(self) -> Iterator[str]:
        """Yield all names of which anything is kept that can be deleted; at least those of repositories()."""

    def keeps(self, repository: str) -> bool:
        """Tell whether anything is kept under the name that can be deleted; true where exists() is."""

    def exists(self, repository: str) -> bool:
        """Tell whether there is a repository called so, with tags or without."""

    def tags(self, repository: str) -> Iterator[str]:
        """Yield the tags, in byte order, also those that lead nowhere; none if there is no such repository."""

    def resolve(self, repository: str, tag: str) -> Digest | None:
        """Return the digest of the manifest that `tag` leads to; None if it leads nowhere or is not there."""

    def pushed(self, repository: str, tag: str) -> float | None:
        """Return when `tag` was last pushed, in seconds since the epoch; None if that is not known."""

    def has(self, repository: str, digest: Digest) -> bool:
        """Tell whether the repository has the manifest."""

    def manifest(self, repository: str, digest: Digest) -> Stored | None:
        """Return a manifest; None if it is not there."""

    def small_blob(self, repository: str, digest: Digest, limit: int) -> bytes | None:
        """Return a blob; None if it is not there or has more than `limit` bytes."""

    def remove_tag(self, repository: str, tag: str) -> None:
        """Delete `tag`; its manifest stays.

        Raises:
            NotThereError: there is none.
            OnlyManifestsError: the registry cannot do that; nothing was deleted.
        """

    def remove_manifest(self, repository: str, digest: Digest) -> None:
        """Delete a manifest with the tags that point to it.

        Raises:
            NotThereError: there is none.
        """

    def remove_repository(self, repository: str) -> None:
        """Delete all of a repository; those nested in its name stay.

        Raises:
            NotThereError: there is none.
        """

    def settle_removals(self, removed: Callable[[], Iterator[str]]) -> None:
        """Delete what was pushed to repositories while they were removed, and is not complete; called last."""


def tags_of(source: Source, repository: str, digest: Digest) -> Iterator[str]:
    """Yield the tags that lead to `digest`; each tag of the repository is looked up."""
    for tag in source.tags(repository):
        if source.resolve(repository, tag) == digest:
            yield tag
