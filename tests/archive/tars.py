"""Archives as no honest program writes them, member by member."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

from registry.oci.digest import Digest
from tests import content

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = 512
END = bytes(2 * BLOCK)
MARKER = b'{"imageLayoutVersion":"1.0.0"}'


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE, *, linkname: str = "") -> bytes:
    """Return the header of a member, which may state anything."""
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, linkname
    return member.tobuf(tarfile.GNU_FORMAT)


def member(name: str, content_: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a member with its content."""
    return header(name, len(content_), kind) + content_ + bytes(-len(content_) % BLOCK)


def pax(*records: tuple[str, bytes], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return an extended header."""
    return member("././@PaxHeader", b"".join(record(key, value) for key, value in records), kind)


def record(key: str, value: bytes) -> bytes:
    """Return a record of an extended header, with its length before it."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def blob(content_: bytes) -> bytes:
    """Return the member of a blob."""
    return member(f"blobs/sha256/{Digest.of(content_).hex}", content_)


def entry(manifest: bytes, name: str = "app:v1", **more: object) -> dict[str, object]:
    """Return the entry of index.json for a manifest."""
    return {**content.descriptor(manifest), "annotations": {"io.containerd.image.name": name}, **more}


def index(*entries: object, **more: object) -> bytes:
    """Return index.json."""
    return json.dumps({"schemaVersion": 2, "manifests": entries, **more}).encode()


MANIFEST = content.image(b"{}", b"layer")
PARTS: Mapping[str, bytes] = {
    "marker": member("oci-layout", MARKER),
    "index": member("index.json", index(entry(MANIFEST))),
    "manifest": blob(MANIFEST),
    "config": blob(b"{}"),
    "layer": blob(b"layer"),
}
"""A good archive, in parts: ``app:v1``."""


def archive(*, before: bytes = b"", after: bytes = b"", **parts: bytes) -> bytes:
    """Return the good archive with other parts in place of its own, and members before and after it."""
    return before + b"".join({**PARTS, **parts}.values()) + after + END
