"""Byte ranges: half-open inside, inclusive only on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from registry.oci.errors import RangeInvalidError, RangeNotSatisfiableError

# No file is so long that an offset in it has more digits; int() of an endless number would cost time.
_NUMBER = r"[0-9]{1,18}"
_CHUNK = re.compile(rf"(?:bytes[ =])?({_NUMBER})-({_NUMBER})(?:/(?:\*|{_NUMBER}))?")
_SPAN = re.compile(rf"bytes=({_NUMBER})-((?:{_NUMBER})?)")
_OFFSET = re.compile(_NUMBER)

MAX_RANGES: Final = 100
"""How many ranges a client may ask for at once. Each costs a call to storage and about 150 bytes of its own."""


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


def parse_ranges(header: str, size: int) -> tuple[ByteRange, ...]:
    """Read a Range header for content of `size` bytes: no two of the ranges overlap (RFC 9110 sections 14.1.2, 14.2).

    They come in the order in which they are asked for. None at all means: answer with the whole content. That is so
    for other units, for more than MAX_RANGES, and for content that is empty, of which no range could be stated.

    Raises:
        RangeNotSatisfiableError: one is malformed or reversed, or all begin past the end.
    """
    unit, _, listed = header.partition("=")
    specs = [spec for each in listed.split(",") if (spec := each.strip(" \t"))]
    if unit.lower() != "bytes" or len(specs) > MAX_RANGES:
        return ()
    wanted = [_parse_range(spec, size) for spec in specs]
    found = [each for each in wanted if each.length > 0]
    if wanted and size and not found:
        raise RangeNotSatisfiableError(size)
    return _merged(found)


def parse_span(header: str) -> tuple[int, int | None] | None:
    """Return start and stop of the one range that a Range header asks for, whatever the size of the content.

    `stop` is None where the range ends with the content. None is returned for all that takes more than that to be
    understood, such as the last bytes, several ranges and what is not valid.
    """
    match = _SPAN.fullmatch(header)
    if not match or (match[2] and int(match[2]) < int(match[1])):
        return None
    return int(match[1]), int(match[2]) + 1 if match[2] else None


def _parse_range(spec: str, size: int) -> ByteRange:
    """Read one range, which is clipped to `size` and empty if it lies outside."""
    first, dash, last = (part.strip(" \t") for part in spec.partition("-"))
    if not dash or not (first or last) or any(part and not _OFFSET.fullmatch(part) for part in (first, last)):
        raise RangeNotSatisfiableError(size)
    if not first:
        return ByteRange(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        raise RangeNotSatisfiableError(size)
    return ByteRange(int(first), min(int(last) + 1, size) if last else size)


def _merged(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    """Return `ranges` with those that overlap made one.

    Those that only touch stay apart, and the order stays: clients take the parts of an answer for what they asked for,
    one by one.
    """
    merged: list[tuple[int, ByteRange]] = []
    for place, each in sorted(enumerate(ranges), key=lambda item: item[1].start):
        if merged and each.start < merged[-1][1].stop:
            first, before = merged[-1]
            merged[-1] = min(first, place), ByteRange(before.start, max(before.stop, each.stop))
        else:
            merged.append((place, each))
    return tuple(each for _, each in sorted(merged, key=lambda item: item[0]))
