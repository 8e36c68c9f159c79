"""Publishes an archive: blobs, then manifests, children before parents, then tags. Done again, it goes on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from registry.archive import layout
from registry.archive.layout import ArchiveError
from registry.archive.reading import manifests_below
from registry.oci.errors import (
    BlobUnknownError,
    ManifestBlobUnknownError,
    ManifestDependenciesError,
    NameInvalidError,
    RegistryError,
    TagInvalidError,
)
from registry.oci.reference import Tag, parse_name, parse_tag
from registry.oci.uploads import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from registry.archive.reading import Archive, Entry
    from registry.foundation.progress import Progress
    from registry.oci.digest import Digest
    from registry.ports import Holder, Repositories, Repository
    from registry.publishing import Publishing


@dataclass(frozen=True, slots=True)
class Import:
    """An entry of the archive and where it goes; without a `tag` by its digest alone."""

    name: str
    tag: Tag | None
    digest: Digest


def plan_import(archive: Archive, name: str | None) -> list[Import]:
    """Return what is to be published, all of it into the repository `name` if that is given.

    Raises:
        ArchiveError: the archive does not say which repository something belongs to, has two images for one tag, or
            lists nothing.
    """
    planned: dict[Import, None] = {}
    tagged: dict[tuple[str, Tag], Digest] = {}
    for entry in archive.entries():
        target, tag = _target(entry, name)
        if tag and tagged.setdefault((target, tag), entry.digest) != entry.digest:
            raise ArchiveError(f"{layout.INDEX_NAME} has two images that would be {target}:{tag}")
        planned[Import(target, tag, entry.digest)] = None
    if not planned:
        raise ArchiveError(f"nothing to import: {layout.INDEX_NAME} lists no manifests")
    return [*planned]


def publish(
    repositories: Repositories, publishing: Publishing, archive: Archive, planned: list[Import], progress: Progress
) -> None:
    """Publish what is planned; what the storage has already is not written again.

    Raises:
        ArchiveError: a manifest is missing, damaged or not allowed here, or names content that neither the archive nor
            its repository has. Then nothing is published.
    """
    roots: dict[str, list[Digest]] = {}
    for each in planned:
        roots.setdefault(each.name, []).append(each.digest)
    for name, digests in roots.items():
        _check(repositories.open(name), publishing, archive, digests)
    for name, digests in roots.items():
        repository = repositories.open(name)
        for digest in _blobs_below(archive, digests):
            if not repository.blobs.has(digest):
                _publish_blob(repositories, publishing, repository, archive, digest)
            progress.advance(archive.size_of(digest), f"{name}@{digest}")
    for name, digests in roots.items():
        repository = repositories.open(name)
        for digest, manifest in manifests_below(archive, digests):
            with _naming(name, digest):
                publishing.push_manifest(repository, manifest, digest)
    for each in planned:
        if each.tag:
            with _naming(each.name, each.digest):
                manifest = archive.manifest(each.digest)
                publishing.move_tag(repositories.open(each.name), each.tag, manifest, each.digest)


def _check(repository: Repository, publishing: Publishing, archive: Archive, roots: list[Digest]) -> None:
    blobs, manifests = _Either(archive, repository.blobs), _Either(archive, repository.manifests)
    for digest, manifest in manifests_below(archive, roots):
        with _naming(repository.name, digest):
            publishing.policy.check(manifest, blobs, manifests)


def _blobs_below(archive: Archive, roots: list[Digest]) -> list[Digest]:
    found: set[Digest] = set()
    for _, manifest in manifests_below(archive, roots):
        found.update(archive.named_by(manifest)[1])
    return sorted(found)


@dataclass(frozen=True, slots=True)
class _Either:
    """What the archive holds and what a repository has: together what the repository will have."""

    archive: Archive
    repository: Holder

    def has(self, digest: Digest) -> bool:
        return self.archive.has(digest) or self.repository.has(digest)

    def has_each(self, digests: Iterable[Digest]) -> Iterator[bool]:
        return map(self.has, digests)


@contextmanager
def _naming(name: str, digest: Digest) -> Iterator[None]:
    """Turn what is wrong with a manifest into an ArchiveError that names the manifest."""
    try:
        yield
    except RegistryError as error:
        reasons = error.errors if isinstance(error, ManifestDependenciesError) else [error]
        raise ArchiveError(f"{name}@{digest}: {'; '.join(map(_text, reasons))}") from error


def _text(reason: RegistryError) -> str:
    if isinstance(reason, ManifestBlobUnknownError):
        return f"neither the archive nor the repository has {reason.digest}"
    return f"{reason.message} {reason.detail or ''}".strip()


def _publish_blob(
    repositories: Repositories, publishing: Publishing, repository: Repository, archive: Archive, digest: Digest
) -> None:
    try:
        publishing.mount_blob(repository, digest, partial(repositories.stat_blob, digest))
    except BlobUnknownError:
        state = repository.uploads.start(digest.algorithm)
        with _naming(repository.name, digest):
            publishing.finish_upload(repository, state, Chunk(archive.pieces(digest)), digest)


def _target(entry: Entry, name: str | None) -> tuple[str, Tag | None]:
    """Return repository and tag of an entry. docker writes the name as containerd does, skopeo and umoci a tag only."""
    named, _, _ = entry.image.partition("@")
    path, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:
        path, tag = named, ""
    tag = entry.tag.rpartition(":")[2] if entry.tag else tag
    try:
        repository = parse_name(name or _without_host(path))
        return repository, parse_tag(tag) if tag else None
    except (NameInvalidError, TagInvalidError) as error:
        hint = "" if name or path else "; the archive names no repository, say one with --as"
        raise ArchiveError(f"{entry.digest}: {error.message}: {path or tag!r}{hint}") from error


def _without_host(path: str) -> str:
    first, slash, rest = path.partition("/")
    return rest if slash and ("." in first or ":" in first or first == "localhost") else path
