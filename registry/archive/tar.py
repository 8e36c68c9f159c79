"""Finds the members of a tar (POSIX.1-2001, "pax Interchange Format", and GNU's long names), whoever wrote it.

``tarfile`` reads single headers here and not whole archives: it takes a name of 200 MB into memory, keeps every member,
and what it makes of a malformed archive depends on the version of Python.
"""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from drivers.base import PIECE_SIZE
from registry.archive.layout import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = bytes(_BLOCK)
_MAX_EXTENDED: Final = 1024 * 1024
"""Bytes of a header that extends the next one: a name has 4 KiB at most, other attributes of a file 64 KiB each."""

_GLOBAL: Final = tarfile.XGLTYPE
_LONG_NAME: Final = tarfile.GNUTYPE_LONGNAME
_LONG_LINK: Final = tarfile.GNUTYPE_LONGLINK
_EXTENDING: Final = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, _GLOBAL, _LONG_NAME, _LONG_LINK})
_SPARSE: Final = b"GNU.sparse."
_WITHOUT_CONTENT: Final = frozenset(
    {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE}
)
_COMPRESSIONS: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a tar: a file, or a directory, a link, a device. Its `size` bytes of content begin at `offset`."""

    name: str
    offset: int
    size: int
    is_file: bool

    @property
    def end(self) -> int:
        """Where the next header begins."""
        return self.offset + self.size + -self.size % _BLOCK


def members(file: BinaryIO) -> Iterator[Member]:
    """Yield the members of a tar; holds one header at a time. Between two of them `file` may be read elsewhere.

    Raises:
        ArchiveError: this is not a tar, it breaks off, or it has what only some programs understand.
    """
    length = file.seek(0, os.SEEK_END)
    position = 0
    extended: dict[bytes, bytes] = {}
    while position < length:
        block = _read(file, position, _BLOCK)
        if block == _END:
            break
        header = _header(block, position)
        extends = header.type in _EXTENDING
        member = _member(header, {} if extends else extended, position + _BLOCK)
        if member.end > length:
            raise ArchiveError(f"it is truncated: there should be {member.end} bytes, and there are {length}")
        position = member.end
        if extends:
            _extend(extended, header.type, file, member)
        else:
            extended = {}
            yield member
    if extended:
        raise ArchiveError("it is truncated: a member is missing after the header that names it")


def pieces_of(file: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    """Yield `size` bytes of `file` from `offset`; `file` may be read elsewhere meanwhile.

    Raises:
        ArchiveError: it cannot be read, or is shorter.
    """
    for position in range(offset, offset + size, PIECE_SIZE):
        yield _read(file, position, min(PIECE_SIZE, offset + size - position))


def _read(file: BinaryIO, position: int, size: int) -> bytes:
    try:
        file.seek(position)
        content = file.read(size)
    except OSError as error:
        raise ArchiveError(f"it cannot be read: {error.strerror}") from error
    if len(content) < size:
        raise ArchiveError(f"it is truncated: it ends at byte {position + len(content)}")
    return content


def _header(block: bytes, position: int) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if position:
            raise ArchiveError(f"it is damaged: there is no header at byte {position}") from error
        compression = next((name for magic, name in _COMPRESSIONS.items() if block.startswith(magic)), None)
        if compression:
            raise ArchiveError(f"it is compressed with {compression}: decompress it, and import the tar") from error
        raise ArchiveError("this is not a tar") from error


def _member(header: tarfile.TarInfo, extended: dict[bytes, bytes], offset: int) -> Member:
    name = extended[b"path"].decode("utf-8", "surrogateescape") if b"path" in extended else header.name
    if header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith(_SPARSE) for key in extended):
        raise ArchiveError(f"{name[:200]!r} is a sparse file: make the tar without --sparse")
    size = _number(extended[b"size"]) if b"size" in extended else header.size
    if size < 0:
        raise ArchiveError(f"it is damaged: {name[:200]!r} has a size of {size}")
    # As tarfile and Go do: what has no content may state a size.
    has_content = header.type not in _WITHOUT_CONTENT
    return Member(name, offset, size if has_content else 0, is_file=header.isreg())


def _extend(extended: dict[bytes, bytes], kind: bytes, file: BinaryIO, header: Member) -> None:
    """Add to `extended` what the content of `header`, which is of `kind`, says about the member after it."""
    if header.size > _MAX_EXTENDED:
        raise ArchiveError(f"it has a name, or other attributes, of {header.size} bytes, more than {_MAX_EXTENDED}")
    content = _read(file, header.offset, header.size)
    if kind == _LONG_LINK:
        return
    found = {b"path": content.partition(b"\0")[0]} if kind == _LONG_NAME else _records(content)
    if kind == _GLOBAL and found:
        raise ArchiveError("it gives one name or size to all members")
    if found.keys() & extended.keys():
        raise ArchiveError("it gives two names or sizes to one member")
    extended.update(found)


def _records(content: bytes) -> dict[bytes, bytes]:
    """Return the records ``LENGTH KEY=VALUE`` of an extended header that say what a member is called, and its size."""
    records = {}
    position = 0
    while position < len(content):
        digits = content[position : position + 20].partition(b" ")[0]
        end = position + _number(digits)
        record = content[position + len(digits) + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(content) or not equals or not value.endswith(b"\n"):
            raise ArchiveError("it is damaged: a header has a record that is malformed")
        if key in {b"path", b"size"} or key.startswith(_SPARSE):
            records[key] = value[:-1]
        position = end
    return records


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:  # noqa: PLR2004  more than 2**64 has
        raise ArchiveError("it is damaged: a header has a length that is not a number")
    return int(digits)
