"""Reads an archive, ours or another program's, and believes nothing of it before it has verified all."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from registry.archive import layout
from registry.archive.exporting import pieces_of
from registry.archive.layout import ArchiveError
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestInvalidError
from registry.oci.manifest import MAX_SIZE, Descriptor, Manifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.foundation.progress import Progress

_MAX_INDEX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A manifest that index.json lists, with what it says about its name."""

    digest: Digest
    image: str
    tag: str


class Archive:
    """An image layout in a tar that can be read in any order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                self._members = {each.name.removeprefix("./"): each for each in tar if each.isreg()}
        except (tarfile.TarError, EOFError) as error:
            raise ArchiveError(f"this is not a tar that can be read: {error}") from error
        marker = self._document(layout.MARKER_NAME)
        if marker.get("imageLayoutVersion") != "1.0.0":
            raise ArchiveError(f"{layout.MARKER_NAME} is not of version 1.0.0")

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self._members.values())

    def entries(self) -> list[Entry]:
        """Return what index.json lists."""
        listed = self._document(layout.INDEX_NAME).get("manifests") or []
        try:
            return [_entry(each) for each in listed]
        except (DigestInvalidError, KeyError, TypeError, AttributeError) as error:
            raise ArchiveError(f"{layout.INDEX_NAME} cannot be understood: {error}") from error

    def has(self, digest: Digest) -> bool:
        """Tell whether there is a blob of this digest."""
        return layout.blob_name(digest) in self._members

    def size_of(self, digest: Digest) -> int:
        """Return how many bytes a blob has."""
        return self._members[layout.blob_name(digest)].size

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """Yield a blob."""
        member = self._members[layout.blob_name(digest)]
        self._file.seek(member.offset_data)
        return pieces_of(self._file, member.size)

    def manifest(self, digest: Digest) -> Manifest:
        """Return a manifest, its digest verified."""
        if not self.has(digest):
            raise ArchiveError(f"{digest} is missing")
        if self.size_of(digest) > MAX_SIZE:
            raise ArchiveError(f"{digest} is too large for a manifest")
        content = b"".join(self.pieces(digest))
        if Digest.of(content, digest.algorithm) != digest:
            raise ArchiveError(f"{digest} is damaged")
        try:
            return parse_manifest(content)
        except ManifestInvalidError as error:
            raise ArchiveError(f"{digest}: {error.message}") from error

    def states_type_of(self, descriptor: Descriptor) -> bool:
        """Tell whether a blob is a manifest that says of itself to be of the type that `descriptor` says."""
        if self.size_of(descriptor.digest) > MAX_SIZE:
            return False
        try:
            parse_manifest(b"".join(self.pieces(descriptor.digest)), descriptor.media_type)
        except ManifestInvalidError:
            return False
        return True

    def verify(self, progress: Progress) -> None:
        """Return if every blob has the content that its name promises.

        Raises:
            ArchiveError: one has not.
        """
        for name in self._members:
            try:
                digest = layout.blob_digest(name)
            except DigestInvalidError:
                continue
            if digest is None:
                continue
            if Digest.of_pieces(self.pieces(digest), digest.algorithm) != digest:
                raise ArchiveError(f"{digest} is damaged")
            progress.advance(self.size_of(digest), f"verified {digest}")

    def _document(self, name: str) -> dict[str, Any]:
        member = self._members.get(name)
        if member is None or member.size > _MAX_INDEX:
            raise ArchiveError(f"this is not an OCI image layout: it has no {name}")
        self._file.seek(member.offset_data)
        try:
            document = json.loads(self._file.read(member.size))
        except ValueError as error:
            raise ArchiveError(f"{name} is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise ArchiveError(f"{name} is not a JSON object")
        return document


@dataclass(frozen=True, slots=True)
class Content:
    """What an archive holds of all that a manifest leads to: `manifests`, children before parents, and `blobs`."""

    manifests: dict[Digest, Manifest]
    blobs: set[Digest]


def content_below(archive: Archive, digest: Digest) -> Content:
    """Return what the archive holds of all that the manifest `digest` leads to; what else must be there is not asked.

    Raises:
        ArchiveError: that manifest is missing, or a manifest is damaged.
    """
    found = Content({}, set())
    _gather(archive, digest, found)
    return found


def _gather(archive: Archive, digest: Digest, found: Content) -> None:
    if digest in found.manifests:
        return
    manifest = archive.manifest(digest)
    for kind, descriptor in manifest.references():
        if not archive.has(descriptor.digest):
            continue
        if kind == "manifest" or (kind == "entry" and archive.states_type_of(descriptor)):
            _gather(archive, descriptor.digest, found)
        else:
            found.blobs.add(descriptor.digest)
    found.manifests[digest] = manifest


def _entry(described: dict[str, Any]) -> Entry:
    annotations = described.get("annotations") or {}
    digest = Digest.parse(described["digest"])
    return Entry(digest, annotations.get(layout.IMAGE_ANNOTATION, ""), annotations.get(layout.TAG_ANNOTATION, ""))
