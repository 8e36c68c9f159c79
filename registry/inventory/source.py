"""Where the commands look: a storage (``local``), or a registry behind a URL (``remote``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from registry.ports import Given, Seen


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


@dataclass(frozen=True, slots=True)
class Described:
    """A manifest as a list of referrers has it: what others have written there may be anything but the digest."""

    digest: Digest
    media_type: str
    artifact_type: str
    size: int
    annotations: Mapping[str, str]


def described(descriptor: object) -> Described | None:
    """Return what a list of referrers says of a manifest, a JSON value; None if it has no digest."""
    if not isinstance(descriptor, dict):
        return None
    try:
        digest = Digest.parse(_text(descriptor.get("digest")))
    except DigestInvalidError:
        return None
    size, annotations = descriptor.get("size"), descriptor.get("annotations")
    return Described(
        digest=digest,
        media_type=_text(descriptor.get("mediaType")),
        artifact_type=_text(descriptor.get("artifactType")),
        size=size if type(size) is int and size > 0 else 0,
        annotations={key: _text(value) for key, value in annotations.items()} if isinstance(annotations, dict) else {},
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class Reader(Protocol):
    """A registry that is looked at. Every method may raise InventoryError; what is passed is well-formed."""

    tells_time: bool
    """Whether pushed() can tell anything here."""

    def repositories(self) -> Iterator[str]:
        """Yield the repositories, in the order of the catalog."""

    def exists(self, repository: str) -> bool:
        """Tell whether there is a repository called so, with tags or without."""

    def tags(self, repository: str) -> Iterator[str]:
        """Yield the tags, in byte order, also those that lead nowhere; none if there is no such repository."""

    def page_of_tags(self, repository: str, *, after: str = "", limit: int) -> list[str]:
        """Return the first `limit` tags that sort after `after`, in byte order.

        Raises:
            NotThereError: there is no such repository.
        """

    def each(self, look: Callable[[Given], Seen], given: Iterable[Given]) -> Iterator[Seen]:
        """Yield what `look`, which asks this source, returns for each of `given`, in order.

        Where an answer takes long, several may be asked for at a time, and ahead.
        """

    def target(self, repository: str, tag: str) -> Digest | None:
        """Return the digest that `tag` points to, whether the manifest is there or not; None if there is no such tag.

        Where that costs no less, None also if the manifest is not there.
        """

    def resolve(self, repository: str, tag: str) -> Digest | None:
        """Return the digest of the manifest that `tag` leads to; None if it leads nowhere or is not there."""

    def pushed(self, repository: str, tag: str) -> float | None:
        """Return when `tag` was last pushed, in seconds since the epoch; None if that is not known."""

    def pushed_each(self, repository: str, tags: Sequence[str]) -> Sequence[float | None]:
        """Return of each of `tags` what pushed() does; one look may tell of several."""

    def has(self, repository: str, digest: Digest) -> bool:
        """Tell whether the repository has the manifest."""

    def manifest(self, repository: str, digest: Digest) -> Stored | None:
        """Return a manifest; None if it is not there."""

    def small_blob(self, repository: str, digest: Digest, limit: int) -> bytes | None:
        """Return a blob; None if it is not there or has more than `limit` bytes."""

    def referrers(self, repository: str, subject: Digest) -> Iterator[Described]:
        """Yield the manifests that name `subject` as theirs; none where the registry cannot tell.

        What the tag tells under which other registries have such a list (distribution-spec, "Referrers Tag Schema") is
        not among them.
        """


class Source(Reader, Protocol):
    """A registry that is looked at, and deleted from."""

    def keeping(self) -> Iterator[str]:
        """Yield all names of which anything is kept that can be deleted; at least those of repositories()."""

    def keeps(self, repository: str) -> bool:
        """Tell whether anything is kept under the name that can be deleted; true where exists() is."""

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


def tags_of(source: Reader, repository: str, digest: Digest) -> Iterator[str]:
    """Yield the tags that lead to `digest`; each tag of the repository is looked up."""
    for tag in source.tags(repository):
        if source.resolve(repository, tag) == digest:
            yield tag
