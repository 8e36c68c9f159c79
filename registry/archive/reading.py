"""Reads an archive, ours or another program's, and believes nothing of it before it has verified all.

What is kept in memory of an archive is where each blob lies, and nothing else of a manifest than what is just read.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from registry.archive import layout
from registry.archive.layout import ArchiveError
from registry.archive.tar import members, pieces_of
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestInvalidError
from registry.oci.manifest import MAX_SIZE, Manifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from registry.archive.tar import Member
    from registry.foundation.progress import Progress

_MAX_VALUES = 1_000_000
"""Values in index.json. The largest that is exported has half as many; each costs up to 200 bytes of memory."""

_DOCKER_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """A manifest that index.json lists, with what it says about its name, and of its bytes if it says that."""

    digest: Digest
    image: str
    tag: str
    size: int | None


@dataclass(frozen=True, slots=True)
class _Blob:
    """Where a blob lies; `digest` is the one object for it, so that lists of digests cost little."""

    digest: Digest
    offset: int
    size: int


class Archive:
    """An image layout in a tar that can be read in any order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._documents: dict[str, Member] = {}
        self._blobs: dict[Digest, _Blob] = {}
        self._stated: dict[Digest, str | None] = {}
        for member in members(file):
            self._note(member)
        if layout.MARKER_NAME not in self._documents and _DOCKER_NAME in self._documents:
            raise ArchiveError(
                "this is of docker save before version 25, not an OCI image layout: convert it with "
                "skopeo copy docker-archive:FILE oci-archive:OTHER"
            )
        marker = self._document(layout.MARKER_NAME)
        if marker.get("imageLayoutVersion") != "1.0.0":
            raise ArchiveError(f"{layout.MARKER_NAME} is not of version 1.0.0")

    def _note(self, member: Member) -> None:
        """Remember where a member lies if it belongs to a layout. Nothing is unpacked, so other names do no harm."""
        name = member.name.removeprefix("./")
        digest = layout.blob_digest(name)
        if digest is None and name not in {layout.MARKER_NAME, layout.INDEX_NAME, _DOCKER_NAME}:
            return
        if not member.is_file:
            raise ArchiveError(f"{name} is a link, a directory or a device, not a file")
        if name in self._documents or digest in self._blobs:
            raise ArchiveError(f"{name} is there twice")
        if digest is None:
            self._documents[name] = member
        elif len(self._blobs) == layout.MAX_BLOBS:
            raise ArchiveError(f"it has more than {layout.MAX_BLOBS} blobs")
        else:
            self._blobs[digest] = _Blob(digest, member.offset, member.size)

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self._blobs.values())

    def entries(self) -> list[Entry]:
        """Return what index.json lists."""
        listed = self._document(layout.INDEX_NAME).get("manifests")
        if listed is None:  # Go writes an empty list so
            return []
        if not isinstance(listed, list):
            raise ArchiveError(f"{layout.INDEX_NAME}: manifests is not a list")
        return [self._entry(described, f"{layout.INDEX_NAME}: manifests[{at}]") for at, described in enumerate(listed)]

    def _entry(self, described: object, where: str) -> Entry:
        entry = _entry(described, where)
        blob = self._blobs.get(entry.digest)
        if blob and entry.size not in {None, blob.size}:
            raise ArchiveError(f"{where}: size is {entry.size}, but {entry.digest} has {blob.size} bytes")
        return entry

    def has(self, digest: Digest) -> bool:
        """Tell whether there is a blob of this digest."""
        return digest in self._blobs

    def size_of(self, digest: Digest) -> int:
        """Return how many bytes a blob has."""
        return self._blobs[digest].size

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """Yield a blob."""
        blob = self._blobs[digest]
        return pieces_of(self._file, blob.offset, blob.size)

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

    def named_by(self, manifest: Manifest) -> tuple[list[Digest], list[Digest]]:
        """Return the manifests, and the other blobs, that the archive has of what `manifest` leads to."""
        found: tuple[list[Digest], list[Digest]] = ([], [])
        for kind, descriptor in manifest.references():
            blob = self._blobs.get(descriptor.digest)
            if blob:
                stated = kind == "entry" and self._stated_type(blob) == descriptor.media_type.lower()
                found[0 if kind == "manifest" or stated else 1].append(blob.digest)
        return found

    def _stated_type(self, blob: _Blob) -> str | None:
        """Return the type that a blob says of itself to be of, in lower case; None if it is not a manifest."""
        if blob.digest not in self._stated:
            self._stated[blob.digest] = None
            if blob.size <= MAX_SIZE:
                with suppress(ManifestInvalidError):
                    manifest = parse_manifest(b"".join(self.pieces(blob.digest)))
                    self._stated[blob.digest] = manifest.media_type.lower()
        return self._stated[blob.digest]

    def verify(self, progress: Progress) -> None:
        """Return if every blob has the content that its name promises.

        Raises:
            ArchiveError: one has not.
        """
        for digest, blob in self._blobs.items():
            if Digest.of_pieces(self.pieces(digest), digest.algorithm) != digest:
                raise ArchiveError(f"{digest} is damaged")
            progress.advance(blob.size, f"verified {digest}")

    def _document(self, name: str) -> dict[str, Any]:
        member = self._documents.get(name)
        if member is None:
            raise ArchiveError(f"this is not an OCI image layout: it has no {name}")
        if member.size > layout.MAX_INDEX:
            raise ArchiveError(f"{name} has {member.size} bytes, more than {layout.MAX_INDEX}")
        content = b"".join(pieces_of(self._file, member.offset, member.size))
        if sum(map(content.count, (b",", b"{", b"["))) > _MAX_VALUES:
            raise ArchiveError(f"{name} has more than {_MAX_VALUES} values")
        try:
            # Given bytes, Python's parser would also take UTF-16 and a byte order mark, which RFC 8259 does not allow.
            document = json.loads(content.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ArchiveError(f"{name} is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise ArchiveError(f"{name} is not a JSON object")
        return document


def manifests_below(archive: Archive, roots: Iterable[Digest]) -> Iterator[tuple[Digest, Manifest]]:
    """Yield what the archive holds of all manifests that `roots` lead to, each once, children before parents.

    Raises:
        ArchiveError: one of `roots` is missing, or a manifest is damaged.
    """
    seen: set[Digest] = set()
    # What is nested may be nested deeper than Python calls functions. Each level has a manifest, whose children wait.
    levels: list[tuple[Digest | None, list[Digest]]] = [(None, [*roots][::-1])]
    while levels:
        parent, waiting = levels[-1]
        if waiting:
            digest = waiting.pop()
            if digest not in seen:
                seen.add(digest)
                manifest = archive.manifest(digest)
                children, _ = archive.named_by(manifest)
                if children:
                    levels.append((digest, children[::-1]))
                else:
                    yield digest, manifest
        else:
            levels.pop()
            if parent:
                yield parent, archive.manifest(parent)


def _refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which Python's parser takes for numbers (RFC 8259 section 6)."""
    raise ValueError(f"{name} is not a number")


def _size_in(described: dict[str, Any], where: str) -> int | None:
    """Return the size that a descriptor states, which image-spec demands; None for the programs that leave it out."""
    if "size" not in described:
        return None
    size = described["size"]
    if isinstance(size, bool) or not isinstance(size, int):
        raise ArchiveError(f"{where}: size is not an integer")
    if size < 0:
        raise ArchiveError(f"{where}: size is negative")
    return size


def _entry(described: object, where: str) -> Entry:
    annotations = described.get("annotations") or {} if isinstance(described, dict) else None
    if not isinstance(described, dict) or not isinstance(annotations, dict):
        raise ArchiveError(f"{where} is not a descriptor")
    digest = described.get("digest")
    image, tag = (annotations.get(name) or "" for name in (layout.IMAGE_ANNOTATION, layout.TAG_ANNOTATION))
    if not isinstance(digest, str) or not isinstance(image, str) or not isinstance(tag, str):
        raise ArchiveError(f"{where}: digest and annotations must be strings")
    try:
        return Entry(Digest.parse(digest), image, tag, _size_in(described, where))
    except DigestInvalidError as error:
        raise ArchiveError(f"{where}: {error.message}") from error
