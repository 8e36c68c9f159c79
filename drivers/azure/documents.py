"""What the service says and is told in XML."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from drivers.base import Found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

COPIED = "success"
"""The state of a copy that has come to its end; a blob that no copy has made has none."""


@dataclass(frozen=True, slots=True)
class Block:
    """A committed part of a blob."""

    block_id: str
    size: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a listing: the names of its blobs and prefixes, or what it says of blobs, and where the next begins."""

    page: ET.Element
    marker: str

    def names(self) -> list[str]:
        """Return the names of blobs and of prefixes."""
        return [_name(each) for each in self.page.iterfind("Blobs/*")]

    def found(self) -> Iterator[Found]:
        """Yield each blob that is complete, its key in place of the path."""
        for blob in self.page.iterfind("Blobs/Blob"):
            of = blob.find("Properties")
            if of is None:
                raise ValueError("a blob without properties")
            if of.findtext("CopyStatus", COPIED) == COPIED:
                modified = parsedate_to_datetime(of.findtext("Last-Modified", "")).timestamp()
                # A listing gives the ETag without the quotes that it has in a condition.
                etag = '"{}"'.format(of.findtext("Etag", "").strip('"'))
                yield Found(_name(blob), int(of.findtext("Content-Length", "")), modified, etag)


def document(content: bytes, root: str) -> ET.Element:
    """Return the document, whose outermost element is `root`.

    Raises:
        ValueError: it is not such a document, or one with declarations, which the service has no use for.
    """
    if b"<!DOCTYPE" in content:
        raise ValueError("a document with a type")
    try:
        found = ET.fromstring(content)  # noqa: S314 - without declarations it has no entities
    except ET.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    if found.tag != root:
        raise ValueError(f"a document of {found.tag[:64]}")
    return found


def listed(content: bytes) -> Listed:
    """Return a page of List Blobs."""
    page = document(content, "EnumerationResults")
    marker = page.findtext("NextMarker")
    if marker is None:  # each has one, if only an empty one
        raise ValueError("a listing that does not say whether it is all")
    return Listed(page, marker)


def blocks_of(content: bytes) -> list[Block]:
    """Return the committed blocks that Get Block List says."""
    found = document(content, "BlockList").iterfind("CommittedBlocks/Block")
    return [
        Block(base64.b64decode(each.findtext("Name", "")).decode(), int(each.findtext("Size", ""))) for each in found
    ]


def block_list(blocks: Iterable[Block]) -> bytes:
    """Return what Put Block List is told."""
    ids = "".join(f"<Latest>{encoded_id(block.block_id)}</Latest>" for block in blocks)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{ids}</BlockList>'.encode()


def encoded_id(block_id: str) -> str:
    """Return the id of a block as the service wants it."""
    return base64.b64encode(block_id.encode()).decode()


def texts(content: bytes, root: str, names: Sequence[str]) -> dict[str, str]:
    """Return what the elements of these names say, which are directly in `root`.

    Raises:
        ValueError: one is missing.
    """
    found = document(content, root)
    if missing := [name for name in names if not found.findtext(name)]:
        raise ValueError(f"no {', '.join(missing)}")
    return {name: found.findtext(name, "") for name in names}


def _name(entry: ET.Element) -> str:
    name = entry.find("Name")
    if name is None:
        raise ValueError("an entry without a name")
    text = name.text or ""
    # What XML cannot say is percent-encoded, from version 2021-02-12 on.
    return unquote(text) if name.get("Encoded") == "true" else text
