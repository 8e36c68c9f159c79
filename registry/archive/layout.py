"""What an image layout is made of, in a tar."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Final

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

MARKER_NAME: Final = "oci-layout"
INDEX_NAME: Final = "index.json"
MARKER: Final = b'{"imageLayoutVersion":"1.0.0"}'
TAG_ANNOTATION: Final = "org.opencontainers.image.ref.name"
IMAGE_ANNOTATION: Final = "io.containerd.image.name"
"""Where docker and containerd write, and read, the whole name: ``NAME:TAG``."""

MAX_INDEX: Final = 16 * 1024 * 1024
"""Bytes of index.json, which is read as a whole: some 40,000 tags and referrers."""

MAX_BLOBS: Final = 250_000
"""Blobs of an archive: to know where one lies takes 400 bytes of memory."""

_BLOCK: Final = tarfile.BLOCKSIZE
_LONGEST_LINE: Final = 2000


class ArchiveError(Exception):
    """The archive, or what should go into it, is not as it must be; the text is one line, whatever it quotes."""

    def __init__(self, text: str) -> None:
        line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:_LONGEST_LINE])
        super().__init__(line + ("..." if len(text) > _LONGEST_LINE else ""))


def blob_name(digest: Digest) -> str:
    """Return the name of a blob's member."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def blob_digest(name: str) -> Digest | None:
    """Return the digest that a member is named by, if it is a blob."""
    directory, _, rest = name.partition("/")
    try:
        return Digest.parse(rest.replace("/", ":")) if directory == "blobs" else None
    except DigestInvalidError:
        return None


def header(name: str, size: int) -> bytes:
    """Return the blocks that stand before a member's content. The same for the same: no times, no owners."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """Return what fills up a member's last block."""
    return bytes(-size % _BLOCK)


END: Final = bytes(2 * _BLOCK)


def index(entries: Sequence[dict[str, object]]) -> bytes:
    """Return index.json."""
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": list(entries)}
    return json.dumps(document, separators=(",", ":")).encode()
