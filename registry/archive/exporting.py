"""Writes an archive. Until it is complete it is ``FILE.part``, which the next export verifies and continues."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, BinaryIO

from registry.archive import layout
from registry.archive.layout import ArchiveError
from registry.archive.tar import members, pieces_of
from registry.foundation.files import rename_durably
from registry.oci.digest import Digest
from registry.oci.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.archive.plan import Item, Plan
    from registry.archive.tar import Member
    from registry.foundation.progress import Progress
    from registry.ports import Repositories


def write_archive(repositories: Repositories, plan: Plan, path: Path, progress: Progress) -> None:
    """Write what is planned to `path`, which appears only when it is complete and durable.

    Raises:
        ArchiveError: the storage has lost something since, or has other bytes than it should.
    """
    part = path.with_name(f"{path.name}.part")
    with part.open("r+b" if part.exists() else "w+b") as file:
        waiting = dict(plan.items)
        if not _take_up(file, waiting, progress):
            _write_small(file, layout.MARKER_NAME, layout.MARKER)
        for item in waiting.values():
            _write_item(file, repositories, item, progress)
        _write_small(file, layout.INDEX_NAME, layout.index(plan.entries))
        file.write(layout.END)
        file.flush()
        os.fsync(file.fileno())
    rename_durably(part, path)


def _take_up(file: BinaryIO, waiting: dict[Digest, Item], progress: Progress) -> bool:
    """Keep the members that are whole and wanted, and take them from `waiting`; tell whether there are any."""
    good = 0
    for member in _whole_members(file):
        if member.name != layout.MARKER_NAME:
            digest = layout.blob_digest(member.name)
            if digest is None or digest not in waiting or not _matches(file, member, digest):
                break
            progress.advance(member.size, str(digest))
            del waiting[digest]
        good = member.end
    file.seek(good)
    file.truncate()
    return good > 0


def _whole_members(file: BinaryIO) -> Iterator[Member]:
    """Yield the members of a tar that may break off anywhere, as far as their content is there."""
    try:
        yield from members(file)
    except ArchiveError:
        return


def _matches(file: BinaryIO, member: Member, digest: Digest) -> bool:
    return Digest.of_pieces(pieces_of(file, member.offset, member.size), digest.algorithm) == digest


def _write_item(file: BinaryIO, repositories: Repositories, item: Item, progress: Progress) -> None:
    began = file.tell()
    file.write(layout.header(layout.blob_name(item.digest), item.size))
    hasher, written = hashlib.new(item.digest.algorithm), 0
    for piece in _pieces(repositories, item):
        hasher.update(piece)
        written += len(piece)
        file.write(piece)
        progress.advance(len(piece), str(item.digest))
    if hasher.hexdigest() != item.digest.hex or written != item.size:
        file.seek(began)
        file.truncate()
        raise ArchiveError(f"{item.name}: the storage does not hold {item.digest} as it was pushed")
    file.write(layout.padding(item.size))


def _pieces(repositories: Repositories, item: Item) -> Iterator[bytes]:
    repository = repositories.open(item.name)
    try:
        if item.is_manifest:
            yield repository.manifests.serve(item.digest).content
        else:
            blob = repository.blobs.stat(item.digest)
            yield from repository.blobs.read(blob, 0, blob.size)
    except RegistryError as error:
        raise ArchiveError(f"{item.name}: {item.digest}: {error.message}") from error


def _write_small(file: BinaryIO, name: str, content: bytes) -> None:
    file.write(layout.header(name, len(content)) + content + layout.padding(len(content)))
