"""Bodies in chunks taken apart (RFC 9112 section 7.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from registry.server.gunicorn_internals import errors

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_LINE: Final = 4096
_MOST_TRAILERS: Final = 16 * 1024
_MOST_EXCESS: Final = 16 * 1024
_FREE_OVERHEAD: Final = 16
_SHORT: Final = 255
_LONGEST_SHORT_SIZE: Final = 2
_short_sizes: Final = {form % size: size for size in range(1, _SHORT + 1) for form in (b"%x", b"%X")}
_RUN: Final = 16
_parse_size: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?").fullmatch
"""A chunk's size, and its extensions, which mean nothing here (section 7.1.1)."""


class ChunkDecoder:
    """Takes chunks apart as they arrive. Extensions and trailers are passed over.

    A client that sends a byte a chunk must not cost much more than others: runs of short chunks of one size are taken
    apart by slices, about 10 ns a chunk, where a step from chunk to chunk takes 300.
    """

    def __init__(self) -> None:
        self.has_ended = False
        self._buffer = b""
        self._at = 0
        self._left = 0
        """Bytes that are still to come of the chunk's data."""
        self._excess = 0
        """Bytes of size lines beyond what chunks of their sizes may need."""
        self._trailers = 0
        self._hoped = _RUN
        """How many chunks of one size are looked for at a time."""
        self._step: Callable[[bytearray, int], bool] = self._take_size

    def feed(self, received: bytes) -> None:
        """Take what has arrived."""
        self._buffer = self._buffer[self._at :] + received
        self._at = 0

    def decode(self, found: bytearray, size: int) -> None:
        """Append data to `found`, as much as there is, until it has `size` bytes.

        Raises:
            errors.ParseException: it is not in chunks, or has too much that is not data.
        """
        while not self.has_ended and len(found) < size and self._step(found, size):
            pass

    def rest(self) -> bytes:
        """Return what came behind the end."""
        return self._buffer[self._at :]

    def _take_size(self, found: bytearray, size: int) -> bool:
        self._take_short(found, size)
        line = self._take_line(errors.InvalidChunkSize) if len(found) < size else None
        if line is None:
            return False
        parsed = _parse_size(line)
        if not parsed:
            raise errors.InvalidChunkSize(line[:100])
        self._left = int(parsed[1], 16)
        self._excess = max(self._excess + len(line) - _FREE_OVERHEAD - 2 * self._left, 0)
        if self._excess > _MOST_EXCESS:
            raise errors.InvalidChunkSize(b"more bytes about the data than data")
        self._step = self._take_data if self._left else self._skip_trailer
        return True

    def _take_short(self, found: bytearray, size: int) -> None:
        """Take the short chunks that are whole, until another kind comes or `found` may get longer than `size`."""
        buffer, at = self._buffer, self._at
        most = size - _SHORT
        while len(found) <= most:
            end = buffer.find(b"\r\n", at, at + _LONGEST_SHORT_SIZE + 2)
            length = _short_sizes.get(buffer[at:end], 0) if end >= 0 else 0
            stop = end + 2 + length
            if not length or buffer[stop : stop + 2] != b"\r\n":
                break
            if buffer.startswith(buffer[at : end + 2], stop + 2):
                at = self._take_run(at, end + 2 - at, length, found, size)
            else:
                found += buffer[end + 2 : stop]
                at = stop + 2
        self._at = at

    def _take_run(self, start: int, head: int, length: int, found: bytearray, size: int) -> int:
        """Take chunks of `length` bytes whose first `head` bytes are alike, from `start` on; return where they end.

        The one at `start` is whole, and so is the head of the one behind it.
        """
        buffer, stride = self._buffer, head + length + 2
        # As many as are looked at in vain are at most twice as many as were taken before.
        hoped = count = min(self._hoped, (len(buffer) - start) // stride, (size - len(found)) // length)
        places = [*range(head), stride - 2, stride - 1]
        for place in places:
            column = buffer[start + place : start + count * stride : stride]
            count = len(column) - len(column.lstrip(column[:1]))
        self._hoped = max(_RUN, 2 * hoped if count == hoped else 0)
        data = bytearray(count * length)
        for place in range(length):
            first = start + head + place
            data[place::length] = buffer[first : start + count * stride : stride]
        found += data
        return start + count * stride

    def _take_data(self, found: bytearray, size: int) -> bool:
        end = self._at + min(self._left, size - len(found), len(self._buffer) - self._at)
        found += memoryview(self._buffer)[self._at : end]
        self._left -= end - self._at
        self._at = end
        if self._left:
            return False
        self._step = self._end_chunk
        return True

    def _end_chunk(self, _: bytearray, __: int) -> bool:
        end = self._buffer[self._at : self._at + 2]
        if end != b"\r\n":
            if b"\r\n".startswith(end):
                return False
            raise errors.ChunkMissingTerminator(end)
        self._at += 2
        self._step = self._take_size
        return True

    def _skip_trailer(self, _: bytearray, __: int) -> bool:
        line = self._take_line(errors.LimitRequestHeaders)
        if line is None:
            return False
        self._trailers += len(line)
        if self._trailers > _MOST_TRAILERS:
            raise errors.LimitRequestHeaders("the trailers are too large")
        self.has_ended = not line
        return True

    def _take_line(self, error: type[Exception]) -> bytes | None:
        """Return the next line without its end; None if that has not arrived."""
        end = self._buffer.find(b"\n", self._at, self._at + _LONGEST_LINE)
        if end < 0:
            if len(self._buffer) - self._at >= _LONGEST_LINE:
                raise error(b"a line that is too long")
            return None
        line = self._buffer[self._at : end]
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            # RFC 9112 section 2.2: other readers would see other lines.
            raise error(b"a line that does not end with CRLF")
        self._at = end + 1
        return line[:-1]
