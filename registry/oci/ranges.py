"""Byte ranges: half-open inside, inclusive only on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.oci.errors import RangeInvalidError, RangeNotSatisfiableError

# No file is so long that an offset in it has more digits; int() of an endless number would cost time.
_NUMBER = r"[0-9]{1,18}"
_CHUNK = re.compile(rf"(?:bytes[ =])?({_NUMBER})-({_NUMBER})(?:/(?:\*|{_NUMBER}))?")
_RANGE = re.compile(rf"bytes=\s*({_NUMBER})?-({_NUMBER})?\s*")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``start..stop``, `stop` excluded."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes in the range."""
        return self.stop - self.start


def parse_chunk_range(header: str) -> ByteRange:
    """Read the Content-Range of a chunk: ``start-end`` (distribution-spec, "Pushing a blob in chunks").

    RFC 9110's ``bytes start-end/size`` is understood too.

    Raises:
        RangeInvalidError: it is neither, or ends before it starts.
    """
    match = _CHUNK.fullmatch(header.strip())
    if not match or int(match[2]) < int(match[1]):
        raise RangeInvalidError("Content-Range must be <start>-<end>, both inclusive", header[:64])
    return ByteRange(int(match[1]), int(match[2]) + 1)


def parse_range(header: str, size: int) -> ByteRange | None:
    """Read a Range header for content of `size` bytes (RFC 9110 section 14.2).

    None means: answer with the whole content. That is so for other units and for several ranges, which no
    client of a registry needs and which cost a server much for little.

    Raises:
        RangeNotSatisfiableError: the range is empty, reversed, or begins past the end.
    """
    if not header.startswith("bytes=") or "," in header or header == "bytes=":
        return None
    match = _RANGE.fullmatch(header)
    if not match or match[1] is match[2] is None:
        raise RangeNotSatisfiableError(size)
    if match[1] is None:
        suffix = min(int(match[2]), size)
        wanted = ByteRange(size - suffix, size)
    else:
        end = size if match[2] is None else min(int(match[2]) + 1, size)
        wanted = ByteRange(int(match[1]), end)
    if wanted.length <= 0:
        raise RangeNotSatisfiableError(size)
    return wanted
